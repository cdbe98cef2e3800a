# SPDX-License-Identifier: Apache-2.0
"""contends.py SECONDS THREADS: threads of Python code that all want the interpreter's lock.

Ends with one line of JSON: the nanoseconds that they were off the CPU in sum, each measured by itself.
"""
import json
import sys
import threading
import time

SECONDS, THREADS = float(sys.argv[1]), int(sys.argv[2])
told = []


def wants_lock():
    wall, cpu = time.monotonic_ns(), time.thread_time_ns()
    while time.monotonic_ns() - wall < SECONDS * 1e9:
        sum(range(1000))
    told.append((time.monotonic_ns() - wall) - (time.thread_time_ns() - cpu))


threads = [threading.Thread(target=wants_lock) for _ in range(THREADS)]
for thread in threads:
    thread.start()
for thread in threads:
    thread.join()
print(json.dumps(sum(told)), flush=True)
