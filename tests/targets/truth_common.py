# SPDX-License-Identifier: Apache-2.0
"""What the truth programs (truth_*.py) share: they know at every moment what their stack is, and what they spent where.

A comment `#> names` tells whom its line calls; tools/bench/truth_grammar.py says how it is read. What is sampled and
does not follow these comments cannot be true. Runs on Python 3.8 and later, so nothing here is newer.

Protocol: prints "ready", waits for a line "go SECONDS SEED" on standard input, works, prints what it spent as one line of
JSON, and ends when its standard input does. So all its work lies within a capture that was begun before "go".
"""
import gc
import json
import os
import sys
import threading
import time

cpu_clock = time.thread_time
wall_clock = time.perf_counter


class Spent:
    """CPU and wall seconds by function, and the first function of each thread by the thread's id.

    inside: functions whose time is part of another's, {name: that one's}.
    """

    def __init__(self, inside=()):
        self.inside = dict(inside)
        self.cpu = {}
        self.wall = {}
        self.threads = {}

    def start(self):
        """The clock on the wall is read next to the work: in the system call that reads the other, others get their turn."""
        cpu = cpu_clock()
        return cpu, wall_clock()

    def stop(self, name, start, waits=False):
        """waits: others used the thread meanwhile, so that only the clock on the wall counts."""
        wall, cpu = wall_clock(), cpu_clock()
        self.wall[name] = self.wall.get(name, 0.0) + wall - start[1]
        if not waits:
            self.cpu[name] = self.cpu.get(name, 0.0) + cpu - start[0]

    def begin_thread(self, first):
        self.threads[threading.get_native_id()] = first


def wait_for_go():
    """(seconds, seed), or an end. Nothing is collected by itself from here on: who runs __del__ would be anyone."""
    gc.disable()
    sys.stdout.write("ready\n")
    sys.stdout.flush()
    words = os.read(0, 100).split()  #! pipe_read
    if len(words) != 3:
        raise SystemExit(0)
    return float(words[1]), int(words[2])


def tell_and_wait(spent):
    print(json.dumps(vars(spent)), flush=True)  #> @json
    while os.read(0, 100):  #! pipe_read
        pass
