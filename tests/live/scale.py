#!/usr/bin/env python3
# SPDX-License-Identifier: Apache-2.0
"""scale.py COROSCOPE: processes that are large in one way or another: threads, recursion, mappings."""
import re

import live


def whole(found, leaf):
    """Weight of the stacks that reach from <module> to leaf."""
    return live.weight(found, lambda stack: stack.under("<module>", "main", leaf))


@live.noisy
def test_5000_threads_by_cpu_clock():
    with live.target(live.interpreter(), "very_many_threads.py", 5000) as program:
        done = live.record("-p", program.pid, "-d", 3, "--mode", "cpu", "-f", "collapsed")
    found = live.stacks(done.out)
    burning = live.weight(found, lambda stack: stack.has("first_burn") and stack.has("Thread._bootstrap"))
    live.check("the thread that burns is found among 5,000", burning > 0.9 * live.weight(found) > 20, found)


@live.noisy
def test_5000_threads_by_wall_clock():
    with live.target(live.interpreter(), "very_many_threads.py", 5000) as program:
        done = live.record("-p", program.pid, "-d", 4, "--mode", "wall", "-f", "collapsed", timeout=150)
    found = live.stacks(done.out)
    resting = live.weight(found, lambda stack: stack.under("Thread._bootstrap", "rest"))
    nothing = live.weight(found, lambda stack: not any(".py" in frame for frame in stack.frames))
    expected = 5000 * live.RATE_HZ * live.seconds(done)
    live.check(f"5,000 sleepers are shown for {resting / expected:.0%} of the time", resting > 0.7 * expected, done.err)
    live.check(f"{nothing / live.weight(found):.1%} without Python frames", nothing < 0.1 * live.weight(found))


def recursion(depth, left_out):
    with live.target(live.interpreter(), "deep.py", depth) as program:
        done = live.record("-p", program.pid, "-d", 1.5, "--mode", "cpu", "-f", "collapsed")
    found = live.stacks(done.out)
    live.check(f"{depth} frames: root and leaf are there", whole(found, "burn") > 0.9 * live.weight(found) > 15, [str(stack)[-300:] for stack in found])
    cut = [re.search(r"\[(\d+) frames left out\]", ";".join(stack.frames)) for stack in found if stack.under("<module>", "burn")]
    live.check("what is left out is said, and how much", all(bool(one) == left_out for one in cut), found[:1])
    if left_out:
        shown = [len([frame for frame in stack.frames if ".py:" in frame]) for stack in found if stack.under("<module>", "burn")]
        live.check("nothing is lost", all(abs(int(one.group(1)) + count - depth) <= 4 for one, count in zip(cut, shown)), (shown, depth))


def test_deep_recursion():
    recursion(240, False)
    recursion(300, True)
    recursion(2000, True)


@live.noisy
def test_large_maps():
    for mappings in (10, 60000):
        with live.target(live.interpreter(), "big_maps.py", mappings) as program:
            done = live.record("-p", program.pid, "-d", 1.5, "--mode", "cpu", "-f", "collapsed")
        found = live.stacks(done.out)
        live.check(f"3 GB and {mappings} mappings: its stack is there", whole(found, "burn") > 0.9 * live.weight(found) > 15, done.err)


live.main(test_5000_threads_by_cpu_clock, test_5000_threads_by_wall_clock, test_deep_recursion, test_large_maps)
