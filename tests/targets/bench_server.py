# SPDX-License-Identifier: Apache-2.0
"""bench_server.py TASKS [PACKAGES]: an aiohttp server on a free port of 127.0.0.1, with TASKS suspended tasks beside its requests.
PACKAGES: the folder that has aiohttp, if the interpreter does not.

Each request waits a moment as for a database, twice at once in tasks of their own. Prints "ready", then "PORT N", then some
20 times a second: requests answered so far, CPU time and monotonic time in ns.
"""
import asyncio
import sys
import time

sys.path[:0] = sys.argv[2:]
from aiohttp import web

EVERY_S = 0.05
QUERY_S = 0.001


class Served:
    count = 0


async def query(number):
    await asyncio.sleep(QUERY_S)
    return number * number


async def answer(_):
    first, second = await asyncio.gather(asyncio.create_task(query(3)), asyncio.create_task(query(4)))
    Served.count += 1
    return web.json_response({"sum": first + second})


async def wait(depth, event):
    if depth:
        await wait(depth - 1, event)
    else:
        await event.wait()


async def main():
    event = asyncio.Event()
    waiting = [asyncio.create_task(wait(3, event), name=f"waiting-{number}") for number in range(int(sys.argv[1]))]
    app = web.Application()
    app.router.add_get("/", answer)
    runner = web.AppRunner(app, access_log=None)
    await runner.setup()
    site = web.TCPSite(runner, "127.0.0.1", 0)
    await site.start()
    print("ready", flush=True)
    print("PORT", runner.addresses[0][1], flush=True)
    while not event.is_set():
        await asyncio.sleep(EVERY_S)
        print(Served.count, time.process_time_ns(), time.monotonic_ns(), flush=True)
    await asyncio.gather(*waiting)


asyncio.run(main())
