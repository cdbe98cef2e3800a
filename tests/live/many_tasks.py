#!/usr/bin/env python3
# SPDX-License-Identifier: Apache-2.0
"""many_tasks.py COROSCOPE [INTERPRETER]: 100,000 tasks are more than a pass reads. It reads a share, without preference, to the capture's end."""
import os
import re
import signal
import struct
import subprocess
import time

import live
import raw

TASKS = 100_000
DURATION_S = 12
PASS = struct.Struct("<QIIII")  # weight_ns, ntasks, ndropped, coherence, every
SHARES = {"a": 0.7, "b": 0.2, "c": 0.1}  # by name; half of c's wait for a task in d(), where their time is
SIGMAS = 5
MEMORY_KB = 400_000


def record(pid, path):
    """A capture in a raw file. Returns what it said and its peak memory in KiB."""
    command = [live.COROSCOPE, "record", "-p", str(pid), "-d", str(DURATION_S), "--mode", "wall", "-f", "raw", "-o", str(path)]
    with subprocess.Popen(command, stderr=subprocess.PIPE, stdin=subprocess.DEVNULL, text=True) as process:
        said = process.stderr.read()
        _, status, usage = os.wait4(process.pid, 0)
        process.returncode = os.waitstatus_to_exitcode(status)
    live.check("record succeeds", process.returncode == live.OK, said)
    return said, usage.ru_maxrss


def passes_of(path):
    """(time in ns, weight in ns, tasks, one of how many) of each pass."""
    records, whole = raw.read(path)
    live.check("the capture is whole", whole)
    found = [(record.ts_ns, *PASS.unpack_from(record.body)) for record in raw.of_kind(records, "PASS")]
    return [(ts_ns, weight_ns, tasks, every) for ts_ns, weight_ns, tasks, _, _, every in found]


def check_shares(found, shares):
    """The time of every kind is its share of the whole, within what chance allows that many readings."""
    total = live.weight(found, lambda stack: any(stack.has(name) for name in ("a", "b", "c")))
    readings = sum(tasks for _, _, tasks, _ in shares)
    for name, share in SHARES.items():
        seen = live.weight(found, lambda stack, name=name: stack.has(name)) / total
        bound = SIGMAS * (share * (1 - share) / readings) ** 0.5
        live.check(f"{name}() has {seen:.3%} of the time, and {share:.0%} of the tasks (bound {bound:.3%})", abs(seen - share) <= bound, readings)
    inner = live.weight(found, lambda stack: stack.under("c", "d")) / total
    bound = SIGMAS * (0.05 * 0.95 / readings) ** 0.5
    live.check(f"d() below c() has {inner:.3%}", abs(inner - 0.05) <= bound, readings)
    live.check("and nowhere else", live.weight(found, lambda stack: stack.has("d") and not stack.has("c")) == 0)


@live.noisy
def test_100_000_tasks():
    with live.target(live.interpreter(), "many_tasks.py", TASKS) as program, live.scratch() as scratch:
        path = scratch / "capture"
        said, peak_kb = record(program.pid, path)
        passes = passes_of(path)
        program.send_signal(signal.SIGKILL)
        done = live.coroscope("report", path, "-f", "collapsed", timeout=120)
        live.check("report succeeds", done.code == live.OK, done.err)
    found = live.stacks(done.out)
    shares = passes[1:]
    live.check("the first pass reads all", passes[0][3] == 1 and passes[0][2] > TASKS, passes[:2])
    live.check("the others a share", len(shares) > 1 and all(7 <= every <= 60 for _, _, _, every in shares), passes[:5])
    live.check("of the size it should have", all(live.near(tasks, 1.05 * TASKS / every, 0.1) for _, _, tasks, every in shares), shares)
    length_s = (passes[-1][0] - passes[0][0]) / 1e9
    # how many fit into 2% of a CPU is the machine's matter: tools/bench/tasks
    live.check(f"passes go on: {len(shares)} in {length_s:.1f} s", length_s > DURATION_S / 2, [ts_ns for ts_ns, *_ in passes])
    check_shares(found, shares)
    expected = sum(weight_ns for _, weight_ns, _, _ in passes) / 1e9 * TASKS * live.RATE_HZ
    total = live.weight(found, lambda stack: stack.has("a") or stack.has("b") or stack.has("c"))
    live.check(f"the weights are those of {total / expected:.3f} x {TASKS} tasks", live.near(total, expected, 0.02), expected)
    share = re.search(r"passes over suspended tasks read ([\d.]+)% of them, at random", said + done.err)
    live.check("the summary says the share", share and 14 <= float(share.group(1)) < 60, said)
    live.check(f"{peak_kb} KiB of memory at most", peak_kb < MEMORY_KB)


def test_snapshots_read_all():
    with live.target(live.interpreter(), "many_tasks.py", TASKS) as program:
        began = time.monotonic()
        done = live.coroscope("ps", program.pid, "--csv", timeout=120)
        print(f"     {time.monotonic() - began:.1f} s", flush=True)
    live.check("ps succeeds", done.code == live.OK, done.err)
    lines = done.out.splitlines()
    live.check("and shows every task", len(lines) - 1 >= 1.05 * TASKS, (len(lines), done.err))


live.main(test_100_000_tasks, test_snapshots_read_all)
