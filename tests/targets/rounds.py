# SPDX-License-Identifier: Apache-2.0
"""rounds.py PARENTS SECONDS: a loop that never rests and, round after round, makes so many tasks, each of which awaits a task of its own.

Names are ROUND.PARENT, and ROUND.PARENT.child of the task that it awaits. A round begins when every task of the one before is done: at no
instant are there tasks of two. Prints "ready", and at the end how many rounds it were.
"""
import asyncio
import itertools
import sys
import time


async def child():
    for _ in range(3):
        await asyncio.sleep(0)


async def parent(name):
    await asyncio.get_running_loop().create_task(child(), name=name + ".child")


async def main(parents, seconds):
    loop = asyncio.get_running_loop()
    print("ready", flush=True)
    end = time.monotonic() + seconds
    for number in itertools.count():
        if time.monotonic() > end:
            break
        names = ["%d.%d" % (number, which) for which in range(parents)]
        await asyncio.gather(*[loop.create_task(parent(name), name=name) for name in names])
    print(number, flush=True)


asyncio.run(main(int(sys.argv[1]), float(sys.argv[2])))
