# SPDX-License-Identifier: Apache-2.0
"""burn_ratio.py [SECONDS]: a() and b() burn CPU time 1 : 3, by the clock of the thread itself.

Whichever is behind its share runs next, for a slice of CPU time, so the shares hold at every moment
and whatever else the machine does; slices differ in length, so that no sampling rate falls in step.
Ends after SECONDS (default: never) or on SIGTERM, and prints the CPU seconds that each of the two
really used, as JSON.
"""
import json
import random
import signal
import sys
import time

SLICES_S = (0.002, 0.02)
SHARES = {"a": 0.25, "b": 0.75}
used = {"a": 0.0, "b": 0.0}


def a(until):
    while time.thread_time() < until:
        for _ in range(200):
            pass


def b(until):
    while time.thread_time() < until:
        for _ in range(200):
            pass


def stop(signum, frame):
    raise SystemExit


def main():
    signal.signal(signal.SIGTERM, stop)
    seconds = float(sys.argv[1]) if len(sys.argv) > 1 else float("inf")
    lengths = random.Random(1)
    print("ready", flush=True)
    end = time.monotonic() + seconds
    try:
        while time.monotonic() < end:
            name = min(SHARES, key=lambda one: used[one] / SHARES[one])
            start = time.thread_time()
            try:
                (a if name == "a" else b)(start + lengths.uniform(*SLICES_S))
            finally:
                used[name] += time.thread_time() - start
    finally:
        print(json.dumps(used), flush=True)


main()
