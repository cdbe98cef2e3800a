# SPDX-License-Identifier: Apache-2.0
"""short_lived.py COROSCOPE [INTERPRETER...]: processes that are gone before anybody could ask them for names.

A program of 100 ms is run again and again during a capture of the whole machine. What its samples show: the program's own
frames with names and lines, marks, or native code (the interpreter starting and ending has no Python frames).
"""
import collections
import os
import re
import signal
import sys
import time

import live

MS, LIVES, RATE = 100, 50, 499
INTERPRETERS = sys.argv[2:] or ["3.8", "3.12", "debian-3.14", "3.13t", "system"]
SOURCE = (live.TARGETS / "short_life.py").read_text(encoding="utf-8").splitlines()


def lines(*texts):
    return [number for number, line in enumerate(SOURCE, 1) if line.strip().startswith(texts)]


# a function's first instruction is on the line of its def
FRAMES = {"<module>": lines('"""', "import", "def", "burn("), "burn": lines("def burn", "inner("), "inner": lines("def inner", "while", "any(")}


def is_named(text):
    """One of Python's frames: a name, a file and a line."""
    return re.fullmatch(r".+ \(.+:\d+\)", text) is not None


def kind(stack):
    """named: every Python frame has a name and a line. lost: it has Python frames, not all of which have. native: none."""
    frames = [text for text in stack.frames[2:] if not text.endswith("_[k]")]
    if any(text.startswith("[") and text.endswith("]") for text in frames):
        return "lost"
    return "named" if frames and all(map(is_named, frames)) else "native"


def is_true(stack):
    """Where the program's own functions stand, they stand as they were written, on a line that they execute."""
    mine = [re.fullmatch(r"(.+) \(.*short_life\.py:(\d+)\)", text) for text in stack.frames]
    names = [(found[1], int(found[2])) for found in mine if found]
    return [name for name, _ in names] == list(FRAMES)[:len(names)] and all(line in FRAMES[name] for name, line in names)


def lives(python):
    """Run the program again and again. Returns {process: CPU seconds that it used, as the kernel counts them}."""
    used = {}
    for _ in range(LIVES):
        pid = os.posix_spawn(python, [python, "-I", "-S", str(live.TARGETS / "short_life.py"), str(MS)], os.environ)
        _, status, usage = os.wait4(pid, 0)
        if status:
            raise AssertionError(f"{python} failed: {status}")
        used[pid] = usage.ru_utime + usage.ru_stime
    return used


def process_of(stack):
    return int(re.search(r"\[(\d+)\]$", stack.frames[0])[1])


def capture(python):
    """Returns (CPU seconds of each life, the stacks of these processes)."""
    with live.scratch() as folder:
        out = folder / "profile.collapsed"
        with live.program(live.COROSCOPE, "record", "-a", "-m", "cpu", "--native", "off", "-r", str(RATE), "-o", str(out)) as recorder:
            live.until(lambda: recorder.poll() is not None or "anon_inode:[perf_event]" in live.open_files(recorder.pid), 60)
            time.sleep(0.5)
            used = lives(python)
            recorder.send_signal(signal.SIGINT)
            _, err = recorder.communicate(timeout=60)
            live.check("coroscope ends well", recorder.returncode == live.OK, err)
        return used, [stack for stack in live.stacks(out.read_text(encoding="utf-8")) if process_of(stack) in used]


@live.noisy
def judge_shares(name, seen):
    """Somebody else's work may keep coroscope from a CPU for as long as a life. Adds the stacks to seen."""
    used, found = capture(live.interpreter(name))
    seen += found
    weights, each = collections.Counter(), collections.defaultdict(collections.Counter)
    for stack in found:
        weights[kind(stack)] += stack.count
        each[process_of(stack)][kind(stack)] += stack.count
    whole, due = sum(weights.values()), sum(used.values()) * RATE
    burning = live.weight(found, lambda stack: stack.has("inner"))
    worst, worst_life = min((each[pid]["named"] / max(sum(each[pid].values()), 1), pid) for pid in used)
    print(f"     {name}: {LIVES} lives of {MS} ms: {whole} samples of {due:.0f} due: {dict(weights)}; with names and lines: "
          f"{weights['named'] / max(whole, 1):.1%} of all, {worst:.1%} in the worst life", flush=True)
    live.check(f"{name}: no sample is missing", live.near(whole, due), (whole, due))
    live.check(f"{name}: at least 80% have names and lines", weights["named"] >= 0.8 * whole, weights)
    live.check(f"{name}: and at least half in each life", worst >= 0.5, (each[worst_life], used[worst_life]))
    live.check(f"{name}: most are of what it burns in", burning >= 0.75 * whole, (burning, whole))


def judge(name):
    seen = []
    judge_shares(name, seen)
    wrong = [stack.frames for stack in seen if not is_true(stack)]
    live.check(f"{name}: none shows what it did not do", not wrong, wrong[:5])


def test_short_lives():
    missing = []
    for name in INTERPRETERS:
        try:
            judge(name)
        except live.Skip as skip:
            missing.append(f"{name}: {skip}")
    for line in missing:
        print(f"SKIP: {line}")
    if len(missing) == len(INTERPRETERS):
        raise live.Skip("none of the interpreters is here")


live.main(test_short_lives)
