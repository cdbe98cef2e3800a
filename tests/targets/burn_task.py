# SPDX-License-Identifier: Apache-2.0
"""A task named burner that burns CPU most of the time, and lets its event loop turn now and then.

Usage: burn_task.py [SECONDS]
"""

import asyncio
import sys
import time


def burn(seconds):
    end = time.monotonic() + seconds
    while time.monotonic() < end:
        sum(range(20000))


async def burner(seconds):
    end = time.monotonic() + seconds
    while time.monotonic() < end:
        burn(0.05)
        await asyncio.sleep(0)


async def main(seconds):
    await asyncio.create_task(burner(seconds), name="burner")


print("ready", flush=True)
asyncio.run(main(float(sys.argv[1]) if len(sys.argv) > 1 else 60))
