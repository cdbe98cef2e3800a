# SPDX-License-Identifier: Apache-2.0
"""Source that truth_threads.py compiles once for each of its threads, with the thread's number for _0, as file family_NUMBER."""
import random
import time

clock = time.thread_time


def root_0(spent, end, seed):  #^ thread
    spent.begin_thread("root_0")  #> common:Spent.begin_thread
    lengths = random.Random(seed)  #> @random
    while time.monotonic() < end:
        for work in (busy_0, deep_0, calm_0):
            length = lengths.uniform(0.002, 0.012)  #> @random
            start = spent.start()  #> common:Spent.start
            work(length)  #> busy_0, deep_0, calm_0
            spent.stop(work.__name__, start)  #> common:Spent.stop


def busy_0(seconds):
    until = clock() + seconds
    while clock() < until:
        for value in items_0(5):  #> items_0
            leaf_0(value)  #> leaf_0


def items_0(n):
    for i in range(n):
        yield leaf_0(i) * 0 + i  #> leaf_0


def deep_0(seconds):
    until = clock() + seconds
    while clock() < until:
        down_0(30)  #> down_0


def down_0(n):
    if n:
        return down_0(n - 1)  #> down_0{<31}
    return bottom_0(5)  #> bottom_0{31}


def bottom_0(units):
    return leaf_0(units)  #> leaf_0


def leaf_0(units):
    total = 0
    for i in range(units * 50):
        total += i * i
    return total


def calm_0(seconds):
    time.sleep(seconds)  #! nanosleep, select
