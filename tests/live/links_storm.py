#!/usr/bin/env python3
# SPDX-License-Identifier: Apache-2.0
"""links_storm.py COROSCOPE INTERPRETER [--long]: a loop that never rests and makes tens of thousands of tasks a second, for 5 s (60 s).

What cannot be read coherently is counted, and none of it shows as a wrong parent.
"""
import json
import re
import sys

import links_known as known
import live

SECONDS = 60 if "--long" in sys.argv else 5
TASKS_PER_S = 3000  # while it is watched, at least; on a machine of its own it makes some 50 000


def test_storm():
    with live.target(live.interpreter(), "links_storm.py", SECONDS + 4) as program:
        done = live.record("-p", program.pid, "-d", SECONDS, "-m", "wall", "-f", "collapsed", timeout=SECONDS + 60)
        rate = json.loads(program.stdout.readline())["tasks_per_s"]
    counts, wrong = known.judge(live.stacks(done.out))
    lost = re.search(r"(\d+) task readings lost", done.err)
    print(f"     {rate:.0f} tasks a second, {dict(counts['made'])}, {lost.group(1) if lost else 0} readings lost", flush=True)
    live.check("it is a storm", rate >= TASKS_PER_S, rate)
    live.check("not one is below another task", not wrong, wrong.most_common(20))
    live.check("its tasks are seen below their parents", counts["made"]["right"] >= 0.9 * counts["made"].total() > live.RATE_HZ, counts)
    live.check("what could not be read is counted", lost, done.err)


live.main(test_storm)
