# SPDX-License-Identifier: Apache-2.0
"""edge_loops.py SECONDS: asyncio.run() again and again, each for a few milliseconds. Prints "ready", at the end how many it were.

Each name is OWN@PARENT, the numbers never used twice. Some tasks of a loop are never awaited: its end cancels them.
"""
import asyncio
import itertools
import random
import sys
import time

numbers = itertools.count()


def make(coroutine, own, parent):
    return asyncio.get_running_loop().create_task(coroutine, name="%s@%s" % (own, parent))


async def nap():
    await asyncio.sleep(random.uniform(0.001, 0.008))


async def middle(own):
    await asyncio.gather(*[make(nap(), "leaf.%d" % next(numbers), own) for _ in range(3)])


async def main():
    me, own = "main.%d" % next(numbers), "middle.%d" % next(numbers)
    asyncio.current_task().set_name(me)
    for _ in range(3):
        make(asyncio.sleep(60), "left_alone.%d" % next(numbers), me)
    await make(middle(own), own, me)


print("ready", flush=True)
end, loops = time.monotonic() + float(sys.argv[1]), 0
while time.monotonic() < end:
    asyncio.run(main())
    loops += 1
print(loops, flush=True)
