# SPDX-License-Identifier: Apache-2.0
"""Source that truth_tasks.py compiles once for each of its workers, with the worker's number for _0, as file worker_NUMBER."""
import asyncio
import random
import time


async def worker_0(spent, end, seed):  #^ task worker-0
    lengths = random.Random(seed)  #> @random
    while time.monotonic() < end:
        await step_0(spent, lengths)  #> step_0
        async for value in values_0(3):  #> values_0, @asyncio
            crunch_0(value + 1)  #> crunch_0, @asyncio
    return await child_of_0()  #> child_of_0, @asyncio


async def step_0(spent, lengths):
    units, seconds = lengths.randrange(4, 60), lengths.uniform(0.0, 0.004)  #> @random
    start = spent.start()  #> common:Spent.start
    timed_0(units)  #> timed_0
    spent.stop("timed_0", start)  #> common:Spent.stop
    start = spent.start()  #> common:Spent.start
    await rest_0(seconds)  #> rest_0
    spent.stop("rest_0", start, waits=True)  #> common:Spent.stop


async def values_0(n):
    for i in range(n):
        await asyncio.sleep(0)  #> @asyncio
        yield i


async def rest_0(seconds):
    await asyncio.sleep(seconds)  #> @asyncio


async def child_of_0():
    task = asyncio.create_task(inner_0(), name="inner-0")  #> inner_0(), @asyncio, <task inner-0>
    await task  #> <task inner-0>


async def inner_0():  #^ task inner-0
    crunch_0(50)  #> crunch_0
    await asyncio.sleep(0.001)  #> @asyncio


def timed_0(units):
    return crunch_0(units)  #> crunch_0


def crunch_0(units):
    total = 0
    for i in range(units * 50):
        total += i * i
    return total
