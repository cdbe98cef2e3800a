# SPDX-License-Identifier: Apache-2.0
"""Which processes, and which of their moments, a profile shows: what was asked for, and nothing else."""
import contextlib
import os
import pathlib
import signal
import subprocess

import live

NOBODY = 65534
SECONDS = 1.5
CGROUPS = [path for path in (pathlib.Path("/sys/fs/cgroup"), pathlib.Path("/sys/fs/cgroup/unified")) if (path / "cgroup.controllers").exists()]


@contextlib.contextmanager
def family(*arguments, python=None, **options):
    """family.py, and whoever descends from it."""
    process = subprocess.Popen([python or live.interpreter(), "-B", str(live.TARGETS / "family.py"), *arguments],
                               stdout=subprocess.PIPE, stdin=subprocess.DEVNULL, text=True, **options)
    try:
        live.check("family.py runs", process.stdout.readline() == "ready\n")
        yield process
    finally:
        with contextlib.suppress(ProcessLookupError):
            os.killpg(process.pid, signal.SIGKILL)
        process.wait()
        process.stdout.close()


def shown(*arguments, mode="cpu", command=()):
    with live.scratch() as folder:
        live.record(*arguments, "-d", SECONDS, "-m", mode, "-r", 499, "-o", folder / "profile.collapsed", *command)
        return live.stacks((folder / "profile.collapsed").read_text(encoding="utf-8"))


def check_shown(found, wanted, unwanted, least=20):
    """Each wanted function has samples; the others have none."""
    for name in wanted:
        live.check(f"{name} is shown", live.weight(found, lambda stack, name=name: stack.has(name)) >= least, found)
    for name in unwanted:
        live.check(f"{name} is not", not any(stack.has(name) for stack in found), found)


# Processes


def test_one_process():
    with family() as process, family("late"):
        check_shown(shown("-p", process.pid), ["first"], ["early", "late", "begun"])


def test_subprocesses():
    """Those that were there, and those born later: forked by a child, or another program."""
    with family() as process:
        check_shown(shown("-p", process.pid, "-s"), ["first", "early", "late", "begun"], [])


def test_command():
    found = shown("-s", command=["--", live.interpreter(), "-B", str(live.TARGETS / "family.py")])
    for pid in {int(stack.frames[0].rsplit("[", 1)[1].rstrip("]")) for stack in found}:
        with contextlib.suppress(ProcessLookupError):
            os.kill(pid, signal.SIGKILL)  # its children outlive a command that is ended
    check_shown(found, ["first", "early", "late", "begun"], [])


def test_two_processes():
    with family("early") as one, family("late") as other, family("begun"):
        check_shown(shown("-p", f"{one.pid},{other.pid}"), ["early", "late"], ["begun"])


def test_name():
    """Of a process that runs, and of one that begins during the capture."""
    with live.scratch() as folder, contextlib.ExitStack() as stack:
        script = f'sleep 0.5; exec "$0" -B {live.TARGETS / "family.py"} late'
        python = folder / "chosen"
        python.symlink_to(live.distribution())
        stack.enter_context(family("early", python=python))
        stack.enter_context(family("begun"))
        stack.enter_context(live.program("sh", "-c", script, str(python)))
        check_shown(shown("--comm", "chosen"), ["early", "late"], ["begun"])


def test_user():
    with live.scratch() as folder, contextlib.ExitStack() as stack:
        copy = folder / "family.py"
        copy.write_bytes((live.TARGETS / "family.py").read_bytes())
        script = f'sleep 0.5; exec "$0" -B {copy} late'
        python = live.distribution()
        stack.enter_context(live.program("setpriv", f"--reuid={NOBODY}", "--clear-groups", "sh", "-c", script, python))
        other = stack.enter_context(live.program("setpriv", f"--reuid={NOBODY}", "--clear-groups", python, "-B", str(copy), "early"))
        live.check("it runs as another user", other.stdout.readline() == "ready\n")
        stack.enter_context(family("begun"))
        check_shown(shown("--user", NOBODY), ["early", "late"], ["begun"])


@contextlib.contextmanager
def cgroup(name):
    if not CGROUPS:
        raise live.Skip("needs the unified cgroup hierarchy")
    path = CGROUPS[0] / name
    try:
        path.mkdir(parents=True)
    except OSError as error:
        raise live.Skip(f"may not make a cgroup: {error}") from error
    try:
        yield path
    finally:
        for inner in (path, path.parent):
            live.until(lambda inner=inner: remove(inner))


def remove(path):
    with contextlib.suppress(OSError):
        path.rmdir()
    return not path.exists()


def test_cgroup():
    """A group and those below it; one that begins a program in there."""
    group = f"coroscope-live-{os.getpid()}"
    with cgroup(f"{group}/below") as below, contextlib.ExitStack() as stack:
        script = f'echo $$ > {below}/cgroup.procs; sleep 0.5; exec "$0" -B {live.TARGETS / "family.py"} late'
        early = stack.enter_context(family("early"))
        (below.parent / "cgroup.procs").write_text(str(early.pid), encoding="ascii")
        stack.enter_context(family("begun"))
        stack.enter_context(live.program("sh", "-c", script, live.interpreter()))
        check_shown(shown("-G", f"/{group}"), ["early", "late"], ["begun"])
        check_shown(shown("-G", str(below)), ["late"], ["early", "begun"])


# Moments


def test_idle():
    with live.target(live.interpreter(), "gil_and_not.py") as process:
        check_shown(shown("-p", process.pid, mode="wall"), ["holds", "lets_go", "sleeps"], [])
        check_shown(shown("-p", process.pid, "--idle", mode="wall"), ["sleeps"], [])
        check_shown(shown("-p", process.pid, "--no-idle", mode="wall"), ["holds", "lets_go"], ["sleeps"])
        check_shown(shown("-p", process.pid), ["holds", "lets_go"], ["sleeps"])


def test_gil():
    with live.target(live.interpreter(), "gil_and_not.py") as process:
        for mode in ("cpu", "wall"):
            found = shown("-p", process.pid, "--gil", mode=mode)
            held, whole = (live.weight(found, condition) for condition in (lambda stack: stack.has("holds"), lambda stack: True))
            live.check(f"{mode}: the one that holds the lock, {held} of {whole}", held >= 0.98 * whole >= 100, found)
            check_shown(found, ["holds"], ["sleeps"])


def test_threads_by_name():
    with live.target(live.interpreter(), "gil_and_not.py") as process:
        found = shown("-p", process.pid, mode="wall")
        for name in ("holds", "lets_go", "sleeps"):
            mine = [stack for stack in found if stack.has(name)]
            right = live.weight(mine, lambda stack, name=name: stack.frames[1].startswith(f"thread {name}-thread ["))
            live.check(f"{name}'s thread has its name", right >= 0.9 * live.weight(mine) > 0, mine)
        check_shown(shown("-p", process.pid, "--thread", "sleeps-thread", mode="wall"), ["sleeps"], ["holds", "lets_go"])


# What cannot be


def test_contradictions():
    for arguments in (["-p", "1", "-a"], ["-p", "1", "--comm", "x"], ["-a", "--idle", "--no-idle"], ["-a", "--idle", "-m", "cpu"],
                      ["-a", "-g", "--idle"], ["--user", "no-such-user-here"], ["-G", "/no/such/group"], ["-s"], ["-p", "x"]):
        done = live.coroscope("record", *arguments, "-d", "1")
        live.check(f"{' '.join(arguments)}: refused in one line", done.code == live.USAGE and live.one_line(done), done)


live.main(test_one_process, test_subprocesses, test_command, test_two_processes, test_name, test_user, test_cgroup,
          test_idle, test_gil, test_threads_by_name, test_contradictions)
