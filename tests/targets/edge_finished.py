# SPDX-License-Identifier: Apache-2.0
"""edge_finished.py TASKS: so many tasks one after the other, a hundred at a time, and the end. Prints "ready" before."""
import asyncio
import sys

AT_ONCE = 100


async def task():
    await asyncio.sleep(0)


async def main(count):
    print("ready", flush=True)
    create = asyncio.get_running_loop().create_task
    for _ in range(count // AT_ONCE):
        await asyncio.gather(*[create(task(), name="task") for _ in range(AT_ONCE)])


asyncio.run(main(int(sys.argv[1])))
