#!/usr/bin/env python3
# SPDX-License-Identifier: Apache-2.0
"""task_storm.py COROSCOPE [INTERPRETER] [--long]: a loop that never rests and makes tens of thousands of tasks a second, for 6 s (60 s).

What cannot be read coherently is counted, and none of it shows as a wrong parent. Prints how many tasks it were, and the share of each
kind of coherence. By itself the probe of new tasks would rest most of that time: here it does not, and in a second capture it may.
"""
import collections
import statistics
import sys

import links_known as known
import live
import whole_account

LONG = "--long" in sys.argv
SECONDS = 60 if LONG else 6
ALONE = 2  # seconds before the capture
TASKS_PER_S = 3_000  # at least, on a busy machine that looks on; one of its own makes some 50 000


def captured(program, path, *options):
    """The collapsed stacks of a capture, its accounts, and the tasks a second before it and meanwhile."""
    before = [int(program.stdout.readline()) for _ in range(ALONE)]
    live.record("-p", program.pid, "-d", SECONDS, "-m", "wall", *options, "-o", path, timeout=SECONDS + 60)
    meanwhile = [int(program.stdout.readline()) for _ in range(SECONDS)]
    report = live.coroscope("report", path, "-f", "collapsed", timeout=10 * SECONDS + 60)
    live.check("report succeeds", report.code == live.OK, report.err)
    return live.stacks(report.out), whole_account.read(path), before, meanwhile


def check_nobodys(found):
    """Those that nobody created stand below nobody, whatever lay at their address before."""
    places = collections.Counter()
    for name, seen in known.weigh(found).items():
        if (name or "").startswith("nobodys."):
            for (above, _, _), weight in seen.items():
                places[above] += weight
    live.check("what nobody created is below nobody", set(places) == {None}, places.most_common(10))


def print_coherence(total):
    due = total["PASSES"] + total["PASSES_MISSED"]
    shares = {name: f"{total[name] / due:.1%}" for name in ("PASSES_QUIET", "PASSES_IN_TASK", "PASSES_PER_TASK", "PASSES_FAILED", "PASSES_MISSED")}
    print(f"     of {due} due passes: {shares}")
    readings = total["TASKS"] + total["TASKS_DROPPED"]
    print(f"     of {readings} readings of tasks {total['TASKS_DROPPED']} ({total['TASKS_DROPPED'] / max(1, readings):.1%}) were lost as not coherent;"
          f" of {total['CREATES'] + total['CREATES_RING_FULL']} creations {total['CREATES_RING_FULL']}", flush=True)


def test_storm():
    with live.scratch() as folder, live.target(live.interpreter(), "task_storm.py", ALONE + SECONDS + 20) as program:
        found, total, before, meanwhile = captured(program, folder / "capture.raw", "--task-events", "on")
    counts, wrong = known.judge(found)
    made = counts["made"]
    print(f"     {statistics.mean(before):.0f} tasks a second alone, {statistics.mean(meanwhile):.0f} while it is watched; {dict(made)}")
    print_coherence(total)
    live.check("it is a storm", statistics.mean(meanwhile) >= TASKS_PER_S and total["CREATES"] >= TASKS_PER_S * SECONDS, (meanwhile, total))
    live.check("not one task is below another than its own", not wrong, wrong.most_common(20))
    check_nobodys(found)
    live.check("most are seen below their own", made["right"] >= 0.99 * made.total() > live.RATE_HZ, made)
    # at one instant everything can be
    live.check("what could not be read coherently is counted",
               total["TASKS"] > 1000 and (total["TASKS_DROPPED"] + total["PASSES_FAILED"] > 0 or total["PASSES_PER_TASK"] < 10), total)


def test_within_budget():
    """1% of a CPU, and 0.1 s at once, for 3 us a creation (userspace/collect/probe_links.c, task_probe.c)."""
    with live.scratch() as folder, live.target(live.interpreter(), "task_storm.py", ALONE + SECONDS + 20) as program:
        found, total, before, meanwhile = captured(program, folder / "capture.raw")
    counts, wrong = known.judge(found)
    told, most = total["CREATES"] + total["CREATES_RING_FULL"], (0.1 * (1 + SECONDS // 10) + 0.01 * SECONDS) / 3e-6
    print(f"     {statistics.mean(before):.0f} tasks a second alone, {statistics.mean(meanwhile):.0f} while it is watched; {told} creations told; {dict(counts['made'])}")
    # it is asked every tenth of a second, and then rests a tenth later
    live.check("creations are told, and no longer than they may", 0 < told <= most + 0.5 * max(before), (told, most))
    live.check("not one task is below another than its own", not wrong, wrong.most_common(20))
    check_nobodys(found)


if LONG:
    sys.argv.remove("--long")
live.main(test_storm, test_within_budget)
