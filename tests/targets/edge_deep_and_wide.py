# SPDX-License-Identifier: Apache-2.0
"""edge_deep_and_wide.py DEPTH WIDTH: DEPTH tasks, each awaiting the next; one task that WIDTH others await, and as many more gather.

Names: chain.N (chain.0 awaits chain.1), shared, awaits.N, gathers.N. Prints "ready".
"""
import asyncio
import sys


def make(coroutine, name):
    return asyncio.get_running_loop().create_task(coroutine, name=name)


async def wait_for(awaitable):
    await awaitable


async def gather(task):
    await asyncio.gather(task)


async def main(depth, width):
    asyncio.current_task().set_name("main")
    never = asyncio.Event()
    below = never.wait()
    for number in reversed(range(depth)):
        below = make(wait_for(below), "chain.%d" % number)
    shared = make(wait_for(never.wait()), "shared")
    others = [make(wait_for(shared), "awaits.%d" % number) for number in range(width)]
    others += [make(gather(shared), "gathers.%d" % number) for number in range(width)]
    await asyncio.sleep(0.1)
    print("ready", flush=True)
    await asyncio.gather(below, *others)


asyncio.run(main(int(sys.argv[1]), int(sys.argv[2])))
