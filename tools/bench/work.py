# SPDX-License-Identifier: Apache-2.0
"""work.py KIND [ARGUMENT]: work for the benches, with its progress.

loop DEPTH: CPU-bound Python below DEPTH calls. tasks: creates short tasks and gathers them, ten at a time (as
tests/targets/short_tasks.py). switch: one task that awaits sleep(0). threads COUNT: threads that wake every
5 ms and sleep again, each below two functions.

Prints "ready", then some 20 times a second: units of work done so far, CPU time and monotonic time in ns.
"""
import asyncio
import sys
import threading
import time

EVERY_NS = 50_000_000
AT_ONCE = 10


class Progress:
    def __init__(self):
        self.done = 0
        self.due_ns = 0
        print("ready", flush=True)

    def add(self, units):
        self.done += units
        now = time.monotonic_ns()
        if now >= self.due_ns:
            self.due_ns = now + EVERY_NS
            print(self.done, time.process_time_ns(), now, flush=True)


def burn(progress):
    while True:
        total = 0
        for i in range(10_000):
            total += i
        progress.add(1)


def descend(levels, progress):
    if levels <= 1:
        burn(progress)
    descend(levels - 1, progress)


async def short():
    await asyncio.sleep(0)
    return sum(range(100))


async def create_tasks():
    progress = Progress()
    while True:
        await asyncio.gather(*(asyncio.create_task(short()) for _ in range(AT_ONCE)))
        progress.add(AT_ONCE)


async def switch():
    progress = Progress()
    while True:
        for _ in range(100):
            await asyncio.sleep(0)
        progress.add(100)


def doze():
    while True:
        time.sleep(0.005)


def worker():
    doze()


def threads(count):
    for _ in range(count):
        threading.Thread(target=worker, daemon=True).start()
    print("ready", flush=True)
    time.sleep(3600)


def main():
    kind, argument = sys.argv[1], int(sys.argv[2]) if len(sys.argv) > 2 else 20
    if kind == "loop":
        descend(argument, Progress())
    elif kind == "tasks":
        asyncio.run(create_tasks())
    elif kind == "switch":
        asyncio.run(switch())
    elif kind == "threads":
        threads(argument)
    else:
        sys.exit(__doc__)


main()
