#!/usr/bin/env python3
# SPDX-License-Identifier: Apache-2.0
"""storm.py COROSCOPE [--long]: very many processes, and processes that come and go all the time.

200 Python processes at rest, then a storm of 100 forks and execs a second: 15 s of it, with --long 60 s. No crash, no growth,
accounts that balance, and at least 95% of the storm's samples have names.
"""
import collections
import contextlib
import re
import sys
import time

import live

LONG = "--long" in sys.argv
SECONDS = 60 if LONG else 15
SLEEPERS, RATE = 200, 100
GROWTH_KB = 5 * 1024


def resident_kb(pid):
    with open(f"/proc/{pid}/status", encoding="utf-8") as file:
        return int(re.search(r"VmRSS:\s+(\d+)", file.read()).group(1))


def cpu_s(pid):
    with open(f"/proc/{pid}/stat", encoding="utf-8") as file:
        fields = file.read().rsplit(")", 1)[1].split()
    return (int(fields[11]) + int(fields[12])) / 100


def storm(mode, folder):
    """Returns (collapsed text, stderr, resident KB at half time and at the end, share of a CPU)."""
    python = live.interpreter()
    with contextlib.ExitStack() as stack:
        sleepers = [stack.enter_context(live.program(python, "-I", "-S", "-c", "import time; print('ready', flush=True); time.sleep(600)"))
                    for _ in range(SLEEPERS)]
        for sleeper in sleepers:
            sleeper.stdout.readline()
        out = f"{folder}/{mode}.txt"
        recorder = stack.enter_context(live.program(live.COROSCOPE, "record", "-a", "--mode", mode, "-d", str(SECONDS + 4),
                                                    "-f", "collapsed", "-o", out))
        time.sleep(2)
        stormy = stack.enter_context(live.target(python, "stormy.py", SECONDS, RATE))
        time.sleep(SECONDS / 2)
        half, cpu, begun = resident_kb(recorder.pid), cpu_s(recorder.pid), time.monotonic()
        time.sleep(SECONDS / 2 - 1)
        late = resident_kb(recorder.pid)
        share = (cpu_s(recorder.pid) - cpu) / (time.monotonic() - begun)
        print(f"     {stormy.stdout.readline().strip()} processes; resident {half} KB, then {late} KB; {share:.0%} of a CPU")
        _, err = recorder.communicate(timeout=SECONDS + 120)
        live.check("coroscope ends well", recorder.returncode == 0, err)
    with open(out, encoding="utf-8") as file:
        return file.read(), err, half, late


MARKS = ("[stale]", "[unreadable]", "[truncated]", "[torn]")


def kind(stack):
    """named, marked, or native: an interpreter that is only just starting, or has ended, has no Python frames to name."""
    if any(frame in MARKS for frame in stack.frames):
        return "marked"
    return "named" if any(".py:" in frame or "(<" in frame for frame in stack.frames) else "native"


def accounts_balance(err):
    due = re.search(r"due ticks (\d+) = (\d+) samples \+ (\d+) idle \+ (\d+) of other processes \+ (\d+) missed \+ (\d+) lost", err)
    numbers = list(map(int, due.groups()))
    return numbers[0] == sum(numbers[1:])


def judge(mode):
    with live.scratch() as folder:
        text, err, half, late = storm(mode, folder)
    weights = collections.Counter()
    for stack in live.stacks(text):
        if not any("nanosleep" in frame for frame in stack.frames) and stack.frames[0].startswith("python"):
            weights[kind(stack)] += stack.count
    share = weights["named"] / max(weights["named"] + weights["marked"], 1)
    print(f"     {mode}: {dict(weights)}: {share:.1%} of the samples with Python frames have names")
    live.check(f"{mode}: memory is flat over the second half", late - half < GROWTH_KB, (half, late))
    live.check(f"{mode}: at least 95% have names", weights["named"] > 20 and share >= 0.95, weights)
    live.check(f"{mode}: the accounts balance", accounts_balance(err), err)


def test_storm_by_cpu_clock():
    judge("cpu")


def test_storm_by_wall_clock():
    judge("wall")


live.main(test_storm_by_cpu_clock, test_storm_by_wall_clock)
