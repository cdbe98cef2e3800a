# SPDX-License-Identifier: Apache-2.0
"""task_storm.py SECONDS: a loop that never rests, and makes as many tasks as the interpreter manages, in every way at once.

Names tell who may stand above: OWN@PARENT, OWN@ if nobody may. (What was made at the beginning is named without.) Numbers are
never used twice, addresses are all the time. Prints "ready", then once a second how many tasks that second had.
"""
import asyncio
import itertools
import sys
import time

AT_ONCE = 40

numbers = itertools.count()


def make(coroutine, name):
    return asyncio.get_running_loop().create_task(coroutine, name=name)


async def turn():
    await asyncio.sleep(0)
    await asyncio.sleep(0)


async def gathering(me):
    await asyncio.gather(*[make(turn(), "gathered.%d@%s" % (next(numbers), me)) for _ in range(AT_ONCE)])


async def awaiting(me):
    for task in [make(turn(), "awaited.%d@%s" % (next(numbers), me)) for _ in range(AT_ONCE)]:
        await task


async def leaving_alone(me):
    """Half of what it made outlives it."""
    for _ in range(AT_ONCE):
        make(turn(), "left_alone.%d@%s" % (next(numbers), me))
    await asyncio.sleep(0)


async def calling_back(_):
    """What a callback of the loop makes nobody has created."""
    loop = asyncio.get_running_loop()
    for _ in range(AT_ONCE):
        loop.call_soon(lambda: make(turn(), "nobodys.%d@" % next(numbers)))
    await asyncio.sleep(0)


async def again_and_again(way, me, end):
    while time.monotonic() < end:
        own = "parent.%d" % next(numbers)
        await make(way(own), "%s@%s" % (own, me))


async def main(seconds):
    print("ready", flush=True)
    end, before = time.monotonic() + seconds, next(numbers)
    for way in (gathering, awaiting, leaving_alone, calling_back):
        make(again_and_again(way, way.__name__, end), way.__name__)
    while time.monotonic() < end:
        begin = time.monotonic()
        await asyncio.sleep(1)
        now = next(numbers)
        print(round((now - before) / (time.monotonic() - begin)), flush=True)
        before = now


asyncio.run(main(float(sys.argv[1])))
