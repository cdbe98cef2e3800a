# SPDX-License-Identifier: Apache-2.0
"""many_tasks.py [TASKS [DEPTH [WAKEUPS]]]: TASKS suspended tasks (default 1000) of DEPTH coroutines each (5).

With WAKEUPS, the loop also wakes that often in a second, so that it is not always asleep.
"""
import asyncio
import sys


async def chain(depth, event):
    if depth <= 1:
        await event.wait()
    else:
        await chain(depth - 1, event)


async def tick(per_second):
    while True:
        await asyncio.sleep(1 / per_second)


async def main():
    given = [int(argument) for argument in sys.argv[1:4]]
    count, depth, wakeups = given + [1000, 5, 0][len(given):]
    event = asyncio.Event()
    tasks = [asyncio.create_task(chain(depth, event), name=f"many-{i}") for i in range(count)]
    if wakeups:
        tasks.append(asyncio.create_task(tick(wakeups), name="ticker"))
    await asyncio.sleep(0)
    print("ready", flush=True)
    await asyncio.gather(*tasks)


asyncio.run(main())
