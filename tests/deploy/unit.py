#!/usr/bin/env python3
# SPDX-License-Identifier: Apache-2.0
"""unit.py COROSCOPE BUILD: the systemd unit: as systemd's own tools judge it, and the agent inside of it, run by a systemd of the test's own.

That is a user manager of root's: the machine's own systemd, if there is one, is not touched, and it lives in the machine's pid namespace, without which
there is nothing to profile. What the unit asks for (capabilities, read-only paths, filtered calls) it does as the system's manager does.
"""
import contextlib
import ctypes
import os
import pathlib
import re
import shutil
import subprocess
import tempfile
import time

import deployed
import live
from delivered import CREATED, TREE, files, pprof_stacks, under

MANAGER = "/usr/lib/systemd/systemd"
NAME = deployed.UNIT.name
PTRACE_SEIZE, PTRACE_INTERRUPT, WALL = 0x4206, 0x4207, 0x40000000
# A manager looks whether systemd has booted the machine, and root's for what hides files, which it makes elsewhere: in its own mount namespace it
# finds both. In its own cgroup namespace it can move nobody else.
BEGIN = """\
echo $$ >{cgroup}/cgroup.procs && exec unshare --mount --cgroup sh -c '
mount -t cgroup2 none /sys/fs/cgroup && mount -t tmpfs none /run/systemd && mkdir /run/systemd/system &&
ln -s "$XDG_RUNTIME_DIR/systemd/inaccessible" /run/systemd/ && exec {manager} --user --unit=basic.target'
"""


def require(program):
    if not shutil.which(program) or not pathlib.Path(MANAGER).exists():
        raise live.Skip(f"there is no {program}: apt install systemd")


@contextlib.contextmanager
def place():
    """A folder that the unit leaves visible: not below /tmp, /var/tmp, /home, /root."""
    with tempfile.TemporaryDirectory(prefix="coroscope-test-", dir="/var/lib") as path:
        yield pathlib.Path(path)


def copied(folder, dropin):
    """The unit in a folder, with a drop-in."""
    folder.mkdir(parents=True)
    shutil.copy(deployed.UNIT, folder)
    (folder / f"{NAME}.d").mkdir()
    (folder / f"{NAME}.d" / "test.conf").write_text("[Service]\n" + dropin, encoding="utf-8")
    return folder / NAME


def expanded(names):
    """System calls behind names and @groups of a SystemCallFilter."""
    found = set()
    for name in names:
        listed = live.run(["systemd-analyze", "syscall-filter", name]).out.split("\n")[2:] if name.startswith("@") else [name]
        calls = {line.strip() for line in listed if line.strip() and not line.strip().startswith("#")}
        found |= {call for call in calls if not call.startswith("@")} | (expanded({call for call in calls if call.startswith("@")}) or set())
    return found


def test_verify():
    require("systemd-analyze")
    with place() as folder:
        unit = copied(folder / "units", f"ExecStart=\nExecStart={live.COROSCOPE} agent --config /etc/coroscope/agent.yaml\n")
        done = live.run(["systemd-analyze", "verify", "--man=no", "--recursive-errors=no", unit])
        live.check("systemd finds no fault with the unit", done.code == 0 and NAME not in done.err, done)
        unit.write_text(unit.read_text(encoding="utf-8") + "\n[Service]\nProtectEverything=yes\n", encoding="utf-8")
        done = live.run(["systemd-analyze", "verify", "--man=no", "--recursive-errors=no", unit])
        live.check("it would find one", "ProtectEverything" in done.err, done)
        done = live.run(["systemd-analyze", "security", "--offline=yes", "--no-pager", deployed.UNIT])
    print(done.out)
    exposure = re.search(r"Overall exposure level for \S+: ([\d.]+)", done.out)
    live.check("the unit is judged", exposure, done)


def test_calls():
    """What the agent's own filter lets through, the unit's does too: else they drift apart unseen."""
    require("systemd-analyze")
    settings = dict(deployed.unit_settings())
    allowed = expanded({*settings["SystemCallFilter"].split(), "@default"})
    live.check("the filter was found", len(allowed) > 200 and len(deployed.calls()) > 100)
    live.check("the unit allows what the agent calls", not deployed.calls() - allowed, deployed.calls() - allowed)
    live.check("both have the same capabilities", {f"CAP_{name}" for name in deployed.capabilities()} == set(
        settings["CapabilityBoundingSet"].split()), (deployed.capabilities(), settings["CapabilityBoundingSet"]))


@contextlib.contextmanager
def own_cgroup():
    """In the unified hierarchy, which may be beside those of version 1."""
    top = next((path for path in map(pathlib.Path, ("/sys/fs/cgroup", "/sys/fs/cgroup/unified")) if (path / "cgroup.controllers").exists()), None)
    if not top:
        raise live.Skip("there are no cgroups of version 2 at /sys/fs/cgroup")
    path = top / f"coroscope-test-{os.getpid()}"
    path.mkdir()
    try:
        yield path
    finally:
        (path / "cgroup.kill").write_text("1", encoding="utf-8")
        live.until(lambda: "populated 0" in (path / "cgroup.events").read_text(encoding="utf-8"))
        for folder, _, _ in os.walk(path, topdown=False):
            os.rmdir(folder)


class Manager:
    """A systemd of our own, and questions to it."""

    def __init__(self, folder, cgroup):
        (folder / "run").mkdir(mode=0o700)
        # systemctl asks only where systemd seems to have booted, and nobody's root is another's
        env = {**os.environ, "XDG_RUNTIME_DIR": str(folder / "run"), "XDG_CONFIG_HOME": str(folder / "config"), "HOME": str(folder),
               "SYSTEMD_UNIT_PATH": f"{folder / 'units'}:/usr/lib/systemd/user", "SYSTEMD_IGNORE_CHROOT": "1"}
        env.pop("NOTIFY_SOCKET", None)
        self.env = env
        self.process = subprocess.Popen(["sh", "-c", BEGIN.format(cgroup=cgroup, manager=MANAGER)], env=env, stdin=subprocess.DEVNULL,
                                        stdout=subprocess.DEVNULL, stderr=subprocess.DEVNULL)

    def __call__(self, *words):
        return live.run(["nsenter", "--mount", "--target", str(self.process.pid), "systemctl", "--user", *words], env=self.env)

    def shown(self, name):
        return self("show", NAME, "--property", name, "--value").out.strip()

    def runs(self):
        return self("is-system-running").out.strip() in ("running", "degraded")


@contextlib.contextmanager
def manager(folder):
    with own_cgroup() as cgroup:
        asked = Manager(folder, cgroup)
        try:
            live.until(lambda: asked.runs() or asked.process.poll() is not None)
            live.check("a systemd of our own runs", asked.process.poll() is None, asked.process.returncode)
            yield asked
        finally:
            asked("stop", NAME)
            live.stop(asked.process)


CONFIG = """\
period: 3s
pid: "{pid}"
listen: off
spool: {state}/spool
to: [dir={state}/profiles]
"""


@contextlib.contextmanager
def installed(program, dropin=""):
    """The agent in a copy of the unit, started. Yields what asks the manager, and the folder."""
    with place() as folder:
        shutil.copy(live.COROSCOPE, folder / "coroscope")
        config = folder / "agent.yaml"
        copied(folder / "units", f"ExecStart=\nExecStart={folder}/coroscope agent --config {config}\nStateDirectory=\nReadWritePaths={folder}/state\n{dropin}")
        (folder / "state").mkdir(mode=0o700)
        config.write_text(CONFIG.format(pid=program.pid, state=folder / "state"), encoding="utf-8")
        with manager(folder) as asked:
            started = asked("start", NAME)
            live.check("it starts, and says when it is ready", started.code == 0 and asked.shown("ActiveState") == "active",
                       (started, asked("status", NAME)))
            yield asked, folder


def test_runs():
    require("systemctl")
    with live.example(live.interpreter("3.12")) as program, installed(program) as (asked, folder):
        found = dict(re.findall(r"^(\w+):\s+(.*)$", pathlib.Path(f"/proc/{asked.shown('MainPID')}/status").read_text(), re.MULTILINE))
        live.until(lambda: len(files(folder / "state/profiles")) > 1, 60)
        stacks = [stack for path in files(folder / "state/profiles") for stack in pprof_stacks(path)]
        reloaded = asked("reload", NAME)
        live.until(lambda: asked.shown("ActiveState") != "reloading")
        live.check("it reloads", reloaded.code == 0 and asked.shown("ActiveState") == "active", reloaded)
        stopped = asked("stop", NAME)
        live.check("it ends well", stopped.code == 0 and asked.shown("Result") == "success", stopped)
    bits = sum(1 << number for number in (2, 19, 21, 34))
    live.check("it has the unit's capabilities and no others", int(found["CapBnd"], 16) == int(found["CapPrm"], 16) == bits, found)
    live.check("it is filtered", found["Seccomp"] == "2" and found["NoNewPrivs"] == "1" and int(found["Seccomp_filters"]) > 1, found)
    live.check("from there it sees the tasks", under(stacks, TREE) and under(stacks, CREATED), stacks)


def stop_thread(tid):
    """This one of its process alone, as a debugger does; until that is killed, or we are. Its end is told to us before it is told to its parent."""
    libc = ctypes.CDLL(None, use_errno=True)
    libc.ptrace.argtypes = [ctypes.c_long, ctypes.c_long, ctypes.c_void_p, ctypes.c_void_p]
    for request in PTRACE_SEIZE, PTRACE_INTERRUPT:
        live.check("the thread can be stopped", libc.ptrace(request, tid, None, None) == 0, os.strerror(ctypes.get_errno()))


def ended(tid):
    pid, status = os.waitpid(tid, os.WNOHANG | WALL)
    return pid == tid and os.WIFSIGNALED(status)


def test_watchdog():
    """Its loop stands still: systemd hears nothing any more, ends it and starts another."""
    require("systemctl")
    with live.example(live.interpreter("3.12")) as program, installed(program, "WatchdogSec=2s\nRestartSec=100ms\n") as (asked, folder):
        first = asked.shown("MainPID")
        time.sleep(5)
        live.check("while it goes on it is left alone", (asked.shown("MainPID"), asked.shown("NRestarts")) == (first, "0"))
        stop_thread(int(first))
        live.until(lambda: ended(int(first)), 60)
        live.until(lambda: asked.shown("NRestarts") == "1" and asked.shown("ActiveState") == "active", 30)
        second, have = asked.shown("MainPID"), len(files(folder / "state/profiles"))
        live.check("it is another", second not in ("0", first), (first, second))
        live.until(lambda: len(files(folder / "state/profiles")) > have, 30)
        live.check("which goes on", (asked.shown("MainPID"), asked.shown("NRestarts")) == (second, "1"))


live.main(test_verify, test_calls, test_runs, test_watchdog)
