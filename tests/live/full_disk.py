#!/usr/bin/env python3
# SPDX-License-Identifier: Apache-2.0
"""full_disk.py COROSCOPE: a full disk costs neither the capture nor the honesty of the result."""
import os
import re

import live
import raw


def test_output():
    """No room for the profile: the raw capture is kept and said, and serves."""
    with live.small_disk("4k") as full, live.scratch() as spools, live.target(live.interpreter(), "burn_ratio.py") as program:
        done = live.coroscope("record", "-p", program.pid, "-d", 2, "-o", full / "page.html", env={"TMPDIR": str(spools)})
        live.check("it fails", done.code == live.FAILURE, done)
        live.check("it says what could not be written and why", f"cannot write {full}/page.html: No space left on device" in done.err, done.err)
        kept = re.search(r"the capture is kept: coroscope report (\S+) ", done.err)
        live.check("and where the capture is", kept and os.path.exists(kept.group(1)), done.err)
        report = live.coroscope("report", kept.group(1), "-f", "collapsed")
        found = live.stacks(report.out)
        live.check("report makes the profile from it", report.code == live.OK and live.weight(found, lambda stack: stack.has("main")) > 50, report)


def burn_into(full, *arguments, **options):
    """Fills a small disk with the records of deep stacks."""
    with live.target(live.interpreter(), "deep.py", 200) as program:
        return live.record("-p", program.pid, "-d", 10, "-r", 500, "--mode", "cpu", *arguments, **options)


def test_spool():
    with live.small_disk("512k") as full:
        done = burn_into(full, "-f", "collapsed", env={"TMPDIR": str(full)})
        live.check("the disk is given back", os.listdir(full) == [], os.listdir(full))
    live.check("the capture ends early", live.seconds(done) < 8, done.err)
    live.check("the result says that it is partial", "partial" in done.err, done.err)
    live.check("what was captured is there", live.weight(live.stacks(done.out), lambda stack: stack.has("descend")) > 20, done.out)


def test_raw():
    with live.small_disk("512k") as full:
        path = full / "capture.raw"
        done = burn_into(full, "-o", path)
        live.check("the capture says that it is partial", "partial" in done.err, done.err)
        records, whole = raw.read(path)
        live.check("the file ends with a whole record", whole and len(records) > 20, len(records))
        report = live.coroscope("report", path, "-f", "collapsed")
    live.check("report reads it and says that it is partial", report.code == live.OK and "partial" in report.err, report)


def test_no_room_at_all():
    with live.small_disk("4k") as full:
        (full / "filler").write_bytes(bytes(4096))
        done = live.coroscope("record", "-p", os.getpid(), "-d", 1, "-f", "collapsed", env={"TMPDIR": str(full)})
    live.check("no room for the capture: one line and failure", done.code == live.FAILURE and live.one_line(done), done)


live.main(test_output, test_spool, test_raw, test_no_room_at_all)
