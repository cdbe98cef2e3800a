# SPDX-License-Identifier: Apache-2.0
"""selection.py COROSCOPE [INTERPRETER]: which processes, and which of their moments, a profile shows: what was asked for, nothing else.

Nothing hangs on how soon coroscope is ready: the programs burn until they are ended, and who is to be born during a capture is born
when its clocks tick.
"""
import contextlib
import os
import pathlib
import signal
import subprocess
import time

import live

NOBODY = 65534
SECONDS = 1.5
SETTLE_S = 0.3
FAMILY = live.TARGETS / "family.py"
ALL = ["first", "early", "late", "begun"]
NAMES = [*ALL, "stranger", "holds", "lets_go", "sleeps"]
CGROUPS = [path for path in (pathlib.Path("/sys/fs/cgroup"), pathlib.Path("/sys/fs/cgroup/unified")) if (path / "cgroup.controllers").exists()]


# Programs


@contextlib.contextmanager
def started(*command, **options):
    """A process, ended together with all that descend from it."""
    process = subprocess.Popen([*map(str, command)], stdout=subprocess.PIPE, stdin=subprocess.DEVNULL, text=True,
                               start_new_session=True, **options)
    try:
        yield process
    finally:
        with contextlib.suppress(ProcessLookupError):
            os.killpg(process.pid, signal.SIGKILL)
        process.wait()
        process.stdout.close()


@contextlib.contextmanager
def family(*arguments, python=None, before=()):
    """family.py, and whoever descends from it."""
    with started(*before, python or live.interpreter(), "-B", FAMILY, *arguments) as process:
        live.check("family.py runs", process.stdout.readline() == "ready\n")
        yield process


def births(process):
    """Tell a family to have its later children."""
    return lambda: os.killpg(process.pid, signal.SIGUSR1)


@contextlib.contextmanager
def held(*arguments, python, script=FAMILY, before=(), first="true"):
    """A shell that becomes family.py when it is told to go on, after it did something first."""
    with started(*before, "sh", "-c", f'{first}; kill -STOP $$; exec "$0" "$@"', python, "-B", script, *arguments) as process:
        live.until(lambda: is_stopped(process.pid))
        yield process


def is_stopped(pid):
    return pathlib.Path(f"/proc/{pid}/stat").read_text(encoding="utf-8").rsplit(")", 1)[1].split()[0] == "T"


def goes_on(process):
    return lambda: process.send_signal(signal.SIGCONT)


# Captures


def shown(*arguments, mode="cpu", command=(), then=lambda: None):
    """The stacks of a capture, during which `then` is called."""
    with live.scratch() as folder:
        profile, messages = folder / "profile.collapsed", (folder / "messages").open("w+")  # no pipe: a command's children keep it open
        words = ["record", *map(str, arguments), "-m", mode]
        with messages, started(live.COROSCOPE, *words, "-r", 499, "-o", profile, *command, stderr=messages) as recorder:
            live.until(lambda: recorder.poll() is not None or "anon_inode:[perf_event]" in live.open_files(recorder.pid), 60)
            time.sleep(SETTLE_S)
            then()
            time.sleep(SECONDS)
            recorder.send_signal(signal.SIGINT)
            live.check(" ".join(words) + " succeeds", recorder.wait(60) == live.OK, (folder / "messages").read_text(encoding="utf-8"))
        return live.stacks(profile.read_text(encoding="utf-8"))


def doing(stack):
    """The innermost function that tells who it is: a forked child's stack begins as its parent's."""
    return next((name for name in reversed(stack.names) if name in NAMES), None)


def check_shown(found, wanted, unwanted, least=20):
    """Each wanted function has samples; the others have none."""
    weights = {name: live.weight(found, lambda stack, name=name: doing(stack) == name) for name in NAMES}
    for name in wanted:
        live.check(f"{name} is shown", weights[name] >= least, weights)
    for name in unwanted:
        live.check(f"{name} is not", weights[name] == 0, weights)


# Processes


def test_everything():
    """Those that were there, and those born later: forked, or another program."""
    with family() as process, family("stranger"):
        check_shown(shown("-a", then=births(process)), [*ALL, "stranger"], [])


def test_one_process():
    with family() as process, family("stranger"):
        check_shown(shown("-p", process.pid, then=births(process)), ["first"], ["early", "late", "begun", "stranger"])


def test_two_processes():
    with family() as process, family("stranger") as stranger, family("begun"):
        check_shown(shown("-p", f"{process.pid},{stranger.pid}"), ["first", "stranger"], ["early", "begun"])


def test_subprocesses():
    """Children, and children's children."""
    with family() as process, family("stranger"):
        check_shown(shown("-p", process.pid, "-s", then=births(process)), ALL, ["stranger"])


def test_subprocesses_of_a_shell():
    """It is no Python itself; all that descend from it count."""
    with family(before=("sh", "-c", "trap '' USR1; \"$0\" \"$@\"; true")) as process, family("stranger"):
        check_shown(shown("-p", process.pid, "-s", then=births(process)), ALL, ["stranger"])


def test_command():
    command = ["--", live.interpreter(), "-B", FAMILY, "soon"]
    with family("stranger"):
        check_shown(shown(command=command), ["first"], ["early", "late", "begun", "stranger"])
        check_shown(shown("-s", command=command), ALL, ["stranger"])


def test_name():
    """Of a process that runs, of its forked children, and of one that begins during the capture; not of what they begin."""
    with live.scratch() as folder, family("stranger"):
        python = folder / "chosen"
        python.symlink_to(live.distribution())
        with family("all", live.distribution(), python=python) as process:
            check_shown(shown("--comm", "chosen", then=births(process)), ["first", "early", "late"], ["begun", "stranger"])
        with held("begun", python=python) as process:
            check_shown(shown("--comm", "chosen", then=goes_on(process)), ["begun"], ["stranger"])


def test_subprocesses_of_a_name():
    """They have names of their own."""
    with live.scratch() as folder, family("stranger"):
        shell = folder / "chosen"
        shell.symlink_to("/bin/sh")
        with family(before=(shell, "-c", "trap '' USR1; \"$0\" \"$@\"; true")) as process:
            check_shown(shown("--comm", "chosen", then=births(process)), [], [*ALL, "stranger"])
            check_shown(shown("--comm", "chosen", "-s"), ALL, ["stranger"])


def test_user():
    """Of processes that run, and of one that begins during the capture; a name narrows it further."""
    as_nobody = ("setpriv", f"--reuid={NOBODY}", "--clear-groups")
    with live.scratch() as folder, contextlib.ExitStack() as stack:
        copy, python = folder / "family.py", folder / "chosen"
        copy.write_bytes(FAMILY.read_bytes())  # where that user may read it
        python.symlink_to(live.distribution())
        early = stack.enter_context(started(*as_nobody, live.distribution(), "-B", copy, "early"))
        live.check("it runs as another user", early.stdout.readline() == "ready\n")
        late = stack.enter_context(held("late", python=python, script=copy, before=as_nobody))
        stack.enter_context(family("stranger", python=python))
        check_shown(shown("--user", NOBODY, then=goes_on(late)), ["early", "late"], ["stranger"])
        check_shown(shown("--user", NOBODY, "--comm", "chosen"), ["late"], ["early", "stranger"])


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
    with cgroup(f"{group}/below") as below, family("early") as early, family("stranger"):
        (below.parent / "cgroup.procs").write_text(str(early.pid), encoding="ascii")
        with held("late", python=live.interpreter(), first=f"echo $$ > {below}/cgroup.procs") as late:
            check_shown(shown("-G", f"/{group}", then=goes_on(late)), ["early", "late"], ["stranger"])
            check_shown(shown("-G", str(below)), ["late"], ["early", "stranger"])
        live.stop(early, signal.SIGKILL)  # a group with processes cannot go


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
                      ["-a", "-g", "--idle"], ["--user", "no-such-user-here"], ["-G", "/no/such/group"], ["-s"], ["-p", "x"], ["-p", "1,"]):
        done = live.coroscope("record", *arguments, "-d", "1")
        live.check(f"{' '.join(arguments)}: refused in one line", done.code == live.USAGE and live.one_line(done), done)


live.main(test_everything, live.at_once(test_one_process, test_two_processes), live.at_once(test_subprocesses, test_subprocesses_of_a_shell), test_command,
          test_name, test_subprocesses_of_a_name, test_user, test_cgroup, live.at_once(test_idle, test_gil), test_threads_by_name, test_contradictions)
