#!/usr/bin/env python3
# SPDX-License-Identifier: Apache-2.0
"""bad_input.py COROSCOPE: what cannot work ends with one line that says why, and with the exit status for it."""
import os
import shutil

import live

NOBODY = ("setpriv", "--reuid", "65534", "--regid", "65534", "--clear-groups")
ABSENT_PID = 4194304  # the largest that a kernel can be told to use: taken on no test machine


def refused(what, done, code, *words):
    live.check(f"{what}: exit status {code}", done.code == code, done)
    live.check(f"{what}: one line", live.one_line(done), done.err)
    live.check(f"{what}: nothing on stdout", done.out == "", done.out)
    for word in words:
        live.check(f"{what}: says {word}", word in done.err, done.err)


def test_usage():
    pid = os.getpid()
    for what, arguments, words in (
        ("rate 0", ("-r", 0, "-p", pid), ["0"]),
        ("rate a million", ("-r", 1000000, "-p", pid), ["1000000"]),
        ("rate of letters", ("-F", "fast", "-p", pid), ["fast"]),
        ("no target", ("-d", 1), ["-p"]),
        ("two targets", ("-p", pid, "-a"), ["-p"]),
        ("two targets, one a command", ("-p", pid, "--", "true"), ["-p"]),
        ("no duration", ("-d", "soon", "-p", pid), ["soon"]),
        ("no pid", ("-p", "init"), ["init"]),
        ("no mode", ("--mode", "gpu", "-p", pid), ["gpu"]),
        ("no format", ("-f", "svg", "-p", pid), ["svg"]),
        ("no format by ending", ("-o", "x.svg", "-p", pid), ["x.svg"]),
    ):
        refused(what, live.coroscope("record", *arguments), live.USAGE, *words)
    refused("no subcommand", live.coroscope("recrod"), live.USAGE, "recrod")


def test_targets():
    refused("no such pid", live.coroscope("record", "-p", ABSENT_PID, "-d", 1, "-f", "collapsed"), live.NOTHING, str(ABSENT_PID))
    refused("no such command", live.coroscope("record", "-d", 1, "-f", "collapsed", "--", "/no/such/command"), live.FAILURE,
            "/no/such/command", "No such file or directory")
    refused("no such capture", live.coroscope("report", "/no/such.raw", "-f", "collapsed"), live.FAILURE, "/no/such.raw")
    with live.scratch() as folder:
        (folder / "torn.raw").write_bytes(b"COSRAW\0\0\1")
        (folder / "other.raw").write_bytes(b"something else altogether")
        for name in ("torn.raw", "other.raw"):
            refused(f"no capture: {name}", live.coroscope("report", folder / name, "-f", "collapsed"), live.FAILURE, name)


def test_output():
    pid = os.getpid()
    refused("no such folder", live.coroscope("record", "-p", pid, "-d", 1, "-o", "/no/such/x.html"), live.FAILURE, "/no/such/x.html")
    refused("a folder", live.coroscope("record", "-p", pid, "-d", 1, "-f", "html", "-o", "/tmp"), live.FAILURE, "/tmp")
    refused("no spool", live.coroscope("record", "-p", pid, "-d", 1, "-f", "collapsed", env={"TMPDIR": "/no/such"}),
            live.FAILURE, "TMPDIR")
    with live.scratch() as folder:
        page = folder / "page.html"
        page.write_text("the previous profile")
        live.coroscope("record", "-p", ABSENT_PID, "-o", page)
        live.check("a capture that fails does not cost the previous profile", page.read_text() == "the previous profile")


def test_no_root():
    """From a copy, since the build may lie where nobody else can look."""
    with live.scratch() as folder:
        binary = shutil.copy(live.COROSCOPE, folder)
        for what in (("-p", str(os.getpid())), ("-a",), ("--", "true")):
            done = live.run([*NOBODY, binary, "record", "-d", "1", "-f", "collapsed", *what])
            refused(f"no root, {what[0]}", done, live.PERMISSION, "root", "sudo")


def test_no_btf():
    script = 'mount -t tmpfs none /sys/kernel/btf && exec "$@"'
    done = live.run(["unshare", "-m", "sh", "-c", script, "sh", live.COROSCOPE, "record", "-p", str(os.getpid()), "-d", "1", "-f", "collapsed"])
    refused("no BTF", done, live.FAILURE, "/sys/kernel/btf/vmlinux")


live.main(test_usage, test_targets, test_output, test_no_root, test_no_btf)
