# SPDX-License-Identifier: Apache-2.0
"""N threads, each with an event loop whose task blocks it: every thread is in a task of its own.

Usage: many_loops.py [THREADS]
"""

import asyncio
import sys
import threading
import time


async def inner():
    time.sleep(600)


async def outer(n):
    await asyncio.create_task(inner(), name=f"inner-{n}")


threads = int(sys.argv[1]) if len(sys.argv) > 1 else 12
for number in range(threads):
    threading.Thread(target=lambda n=number: asyncio.run(outer(n)), daemon=True).start()
time.sleep(0.5)
print("ready", flush=True)
time.sleep(600)
