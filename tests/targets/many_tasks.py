# SPDX-License-Identifier: Apache-2.0
"""many_tasks.py TASKS: so many suspended tasks: 70% in a(), 20% in b(), 10% in c(). Of c's, every second waits for a task of its own, in d(),
which is counted beside them. One more task wakes 50 times a second, so that the process is never long at rest.

All of a kind have one name, and those of all kinds are created in turns. Prints "ready" when all wait.
"""
import asyncio
import sys


async def a(gate):
    await gate


async def b(gate):
    await gate


async def d(gate):
    await gate


async def c(gate, inner):
    await inner if inner else await gate


async def tick():
    while True:
        await asyncio.sleep(0.02)


def create(number, gate):
    """The task with this number: of ten in a row seven are a, two b and one c."""
    kind = "aaabaaabac"[number % 10]
    if kind == "c":
        inner = asyncio.create_task(d(gate), name="d") if number % 20 == 19 else None
        return asyncio.create_task(c(gate, inner), name="c")
    return asyncio.create_task({"a": a, "b": b}[kind](gate), name=kind)


async def main():
    gate = asyncio.get_running_loop().create_future()
    tasks = [create(number, gate) for number in range(int(sys.argv[1]))]
    await asyncio.sleep(0)
    await asyncio.sleep(0)
    ticking = asyncio.create_task(tick(), name="tick")
    print("ready", flush=True)
    await ticking
    await asyncio.gather(*tasks)


asyncio.run(main())
