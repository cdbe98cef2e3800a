# SPDX-License-Identifier: Apache-2.0
"""Tasks whose creators are gone at once, and tasks that nobody created, at addresses that were others' a moment before.

Names: orphan.N@creator.N, the creator having finished; nobodys.N@, made by a callback of the loop. Numbers are never used twice.
Prints "ready".
"""
import asyncio
import itertools
import random

numbers = itertools.count()


def make(coroutine, name):
    return asyncio.get_running_loop().create_task(coroutine, name=name)


async def nap():
    await asyncio.sleep(random.uniform(0.02, 0.06))


async def creator(own):
    make(nap(), "orphan.%d@%s" % (next(numbers), own))


def make_nobodys():
    make(nap(), "nobodys.%d@" % next(numbers))


async def main():
    asyncio.current_task().set_name("main")
    print("ready", flush=True)
    while True:
        for _ in range(10):
            own = "creator.%d" % next(numbers)
            make(creator(own), own + "@main")
            asyncio.get_running_loop().call_soon(make_nobodys)
        await asyncio.sleep(0.01)


asyncio.run(main())
