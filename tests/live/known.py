# SPDX-License-Identifier: Apache-2.0
"""Programs that know their stack, and whether a profile shows it.

Such a program tells its stacks as lines of JSON, {WHAT: [[name, file, line], ...]}, root first (knows_stack.py). A frame
of a profile is that of the program if its name and line are the same and its file ends as the program's does
(profiles leave out where libraries lie). A program without an entry for what it does has not said that it is ready.
"""
import collections
import contextlib
import json
import os
import select
import signal
import subprocess
import time

import live

TARGET = live.TARGETS / "knows_stack.py"
Program = collections.namedtuple("Program", "pid stacks process")


class Found(list):
    """Collapsed stacks, and for how many seconds the capture says that it ran."""

    def __init__(self, stacks, seconds):
        super().__init__(stacks)
        self.seconds = seconds


def escaped(text, also=""):
    """As an output writes a name: control characters, C1 included, and those of the format itself as \\xNN; what ends a line or turns the
    direction of writing as \\uNNNN."""
    def shown(c):
        if 0x2028 <= ord(c) <= 0x202e or 0x2066 <= ord(c) <= 0x2069:
            return f"\\u{ord(c):04x}"
        return f"\\x{ord(c):02x}" if ord(c) < 0x20 or 0x7f <= ord(c) < 0xa0 or c in also else c
    return "".join(map(shown, text))


def is_frame(text, told):
    """Files may be shown without their first folders."""
    name, file, line = told
    before, after = escaped(name, ";") + " (", f":{line})" if line else ")"
    shown = text[len(before):-len(after)]
    return bool(shown) and text == before + shown + after and escaped(file, ";").endswith(shown)


def python_frames(stack):
    """Without the process, the thread and what the kernel did for it."""
    return [text for text in stack.frames[2:] if not text.endswith("_[k]")]


def is_stack(stack, told):
    frames = python_frames(stack)
    return len(frames) == len(told) and all(map(is_frame, frames, told))


def process_id(stack):
    return int(stack.frames[0].rsplit("[", 1)[1].rstrip("]"))


def of_process(found, pid):
    return [stack for stack in found if process_id(stack) == pid]


def children(pid):
    with contextlib.suppress(OSError), open(f"/proc/{pid}/task/{pid}/children", encoding="ascii") as file:
        return [int(child) for child in file.read().split()]
    return []


def read_stacks(process, wanted, seconds=20):
    """What the program told until each of wanted is there."""
    stacks, end = {}, time.monotonic() + seconds
    while not stacks.keys() >= set(wanted):
        ready, _, _ = select.select([process.stdout], [], [], max(0, end - time.monotonic()))
        line = process.stdout.readline() if ready else b""
        if not line:
            process.kill()
            raise AssertionError(f"{process.args} did not tell its stack: {process.stderr.read()[-1000:].decode(errors='replace')}")
        stacks.update(json.loads(line))
    return stacks


def lines(process):
    """What it has told meanwhile."""
    while select.select([process.stdout], [], [], 0)[0]:
        yield json.loads(process.stdout.readline())


@contextlib.contextmanager
def program(*command, wanted=("burn", "sleep"), depth=0, stdin=subprocess.DEVNULL, **options):
    """A process that knows its stack: its id and what it told. depth: how many parents, which it does not see, it has."""
    process = subprocess.Popen(list(map(str, command)), stdin=stdin, stdout=subprocess.PIPE, stderr=subprocess.PIPE,
                               bufsize=0, start_new_session=True, **options)
    try:
        stacks, pid = read_stacks(process, wanted), process.pid
        for _ in range(depth):
            pid, = children(pid)
        yield Program(pid, stacks, process)
    finally:
        with contextlib.suppress(ProcessLookupError):
            os.killpg(process.pid, signal.SIGKILL)
        process.wait()
        process.stdout.close()
        process.stderr.close()


def stop(program):
    """Until go(): programs that wait for others take nothing from them."""
    os.killpg(program.process.pid, signal.SIGSTOP)


def go(program):
    os.killpg(program.process.pid, signal.SIGCONT)


@contextlib.contextmanager
def programs():
    """Calls of it start programs as program() does; all end together."""
    with contextlib.ExitStack() as all_of_them:
        yield lambda *command, **options: all_of_them.enter_context(program(*command, **options))


def check_cpu(what, found, pid, told, least=15):
    """At least 95% of what the process did on a CPU is exactly this stack."""
    mine = of_process(found, pid)
    right = live.weight(mine, lambda stack: is_stack(stack, told))
    wrong = [stack.frames for stack in mine if not is_stack(stack, told)]
    live.check(f"{what}: its stack on a CPU, {right} of {live.weight(mine)} samples",
               right >= 0.95 * live.weight(mine) and right >= least, {"told": told, "wrong": wrong[:6]})


def check_began(what, found, pid, told):
    """It began to run during the capture: from early on, hardly anything but its start is not this stack."""
    mine = of_process(found, pid)
    right = live.weight(mine, lambda stack: is_stack(stack, told))
    live.check(f"{what}: its stack from early on, {right} of {live.weight(mine)} samples", right >= 0.75 * live.weight(mine) and right >= 50,
               [stack.frames for stack in mine][:6])


def check_sleep(what, found, pid, told):
    """Its sleeping thread is there all the time, with exactly this stack."""
    right = live.weight(of_process(found, pid), lambda stack: is_stack(stack, told))
    live.check(f"{what}: its sleeping thread, {right} samples in {found.seconds} s", live.near(right, live.RATE_HZ * found.seconds, 0.15),
               {"told": told, "seen": [stack.frames for stack in of_process(found, pid)][:6]})


def capture(mode, seconds, *which):
    """What a capture found, but native frames, of which the program knows nothing; on a CPU often enough for a busy machine."""
    rate = live.RATE_HZ if mode == "wall" else 999
    done = live.coroscope("record", *which, "-d", seconds, "-r", rate, "-m", mode, "--native", "off", "-f", "collapsed")
    if done.code:
        raise AssertionError(f"record failed: {done.err}")
    return Found(live.stacks(done.out), live.seconds(done))


def check_program(what, program):
    """Both modes of a program that knows its stacks."""
    found = capture("cpu", 0.3, "-p", program.pid)
    check_cpu(what, found, program.pid, program.stacks["burn"])
    if "sleep" in program.stacks:
        check_sleep(what, capture("wall", 0.4, "-p", program.pid), program.pid, program.stacks["sleep"])
