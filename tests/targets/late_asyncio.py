# SPDX-License-Identifier: Apache-2.0
"""late_asyncio.py SECONDS: imports asyncio only then; parent() creates a task "late" whose child() burns CPU."""
import sys
import time

print("ready", flush=True)
time.sleep(float(sys.argv[1]))

import asyncio  # noqa: E402


async def child():
    while True:
        all(range(1, 100000))
        await asyncio.sleep(0)


async def parent():
    task = asyncio.get_event_loop().create_task(child())
    getattr(task, "set_name", print)("late")
    await asyncio.sleep(3600)


asyncio.run(parent())
