# SPDX-License-Identifier: Apache-2.0
"""idle_loop.py [TASKS]: an event loop whose tasks (default 10) all sleep, three coroutines deep.

The loop's thread waits in epoll with the GIL released.
"""
import asyncio
import sys


async def inner():
    await asyncio.sleep(3600)


async def middle():
    await inner()


async def outer():
    await middle()


async def main():
    count = int(sys.argv[1]) if len(sys.argv) > 1 else 10
    tasks = [asyncio.create_task(outer(), name=f"idle-{i}") for i in range(count)]
    await asyncio.sleep(0)
    print("ready", flush=True)
    await asyncio.gather(*tasks)


asyncio.run(main())
