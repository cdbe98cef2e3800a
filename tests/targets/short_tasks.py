# SPDX-License-Identifier: Apache-2.0
"""short_tasks.py [SECONDS]: creates and awaits short tasks, ten at a time, for SECONDS (default 10).

Prints tasks finished per second of wall time at the end, as JSON: the asyncio workload of the benches.
"""
import asyncio
import json
import sys
import time

AT_ONCE = 10


async def short():
    await asyncio.sleep(0)
    return sum(range(100))


async def main():
    seconds = float(sys.argv[1]) if len(sys.argv) > 1 else 10.0
    print("ready", flush=True)
    start = time.monotonic()
    done = 0
    while time.monotonic() - start < seconds:
        await asyncio.gather(*(asyncio.create_task(short()) for _ in range(AT_ONCE)))
        done += AT_ONCE
    print(json.dumps({"ops_per_s": done / (time.monotonic() - start)}), flush=True)


asyncio.run(main())
