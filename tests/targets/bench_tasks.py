# SPDX-License-Identifier: Apache-2.0
"""bench_tasks.py KIND TASKS: TASKS tasks of five coroutines each, for tools/bench/tasks. KIND says what changes:

asleep: nothing, all wait for ever. heartbeat: one more task wakes twenty times a second. changing: every task takes a step
(and stops at another line, on another future) ten times a second, or as often as one thread can. busy: one more task yields all the
time, the others do not change: the loop never rests.

Prints "ready", then in the busy kinds now and then: steps taken so far, CPU time and monotonic time in ns.
"""
import asyncio
import sys
import time

BEAT_S = 0.05
ROUND_S = 0.1


class Gate:
    """What all tasks wait at; each opening lets every one take a step."""

    def __init__(self):
        self.event = asyncio.Event()
        self.steps = 0

    def open(self):
        self.event.set()
        self.event.clear()

    def say(self):
        print(self.steps, time.process_time_ns(), time.monotonic_ns(), flush=True)


async def take_steps(gate):
    while True:
        await gate.event.wait()
        gate.steps += 1
        await gate.event.wait()
        gate.steps += 1


async def third(gate):
    await take_steps(gate)


async def second(gate):
    await third(gate)


async def first(gate):
    await second(gate)


async def beat(gate):
    while True:
        await asyncio.sleep(BEAT_S)
        gate.steps += 1
        gate.say()


async def change(gate):
    due = time.monotonic()
    while True:
        due = max(due + ROUND_S, time.monotonic())
        await asyncio.sleep(due - time.monotonic())
        gate.open()
        gate.say()


async def yield_always(gate):
    while True:
        for _ in range(1000):
            await asyncio.sleep(0)
        gate.steps += 1000
        gate.say()


async def main():
    kind, count = sys.argv[1], int(sys.argv[2])
    gate = Gate()
    tasks = [asyncio.create_task(first(gate), name=f"bench-{number}") for number in range(count)]
    await asyncio.sleep(0)
    if kind != "asleep":
        tasks.append(asyncio.create_task({"heartbeat": beat, "changing": change, "busy": yield_always}[kind](gate), name=kind))
    print("ready", flush=True)
    await asyncio.gather(*tasks)


asyncio.run(main())
