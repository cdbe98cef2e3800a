# SPDX-License-Identifier: Apache-2.0
"""links_storm.py SECONDS: a loop that never rests, and makes as many tasks as it can. Names as in links_churn.py.

Says "ready", and at the end how many tasks a second it made, as JSON.
"""
import asyncio
import itertools
import json
import sys
import time

AT_ONCE = 50

numbers = itertools.count()


async def leaf():
    await asyncio.sleep(0)
    await asyncio.sleep(0)


def made(coroutine, own, parent):
    return asyncio.get_running_loop().create_task(coroutine, name="%s@%s" % (own, parent))


async def parent(me):
    await asyncio.gather(*[made(leaf(), "leaf.%d" % next(numbers), me) for _ in range(AT_ONCE)])


async def one_after_the_other(me, end):
    while time.monotonic() < end:
        own = "parent.%d" % next(numbers)
        await made(parent(own), own, me)


async def main(seconds):
    print("ready", flush=True)
    end = time.monotonic() + seconds
    await asyncio.gather(*[made(one_after_the_other("grandparent.%d" % n, end), "grandparent.%d" % n, "main") for n in range(4)])
    print(json.dumps({"tasks_per_s": next(numbers) / seconds}), flush=True)


asyncio.run(main(float(sys.argv[1])))
