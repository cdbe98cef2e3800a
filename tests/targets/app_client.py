# SPDX-License-Identifier: Apache-2.0
"""app_client.py PORT CLIENTS [PACKAGES]: a swarm that asks app_server.py for one thing after the other, and ends with it. Prints "ready".

Each client is a task; each of its requests is a task too, named OWN@CLIENT.
"""
import asyncio
import itertools
import random
import sys

sys.path[:0] = sys.argv[3:]
import aiohttp

PATHS = ["order"] * 6 + ["broken", "impatient", "report"] + (["in_time"] if hasattr(asyncio, "timeout") else [])

numbers = itertools.count()


async def ask(session, url):
    async with session.get(url) as response:
        assert response.status == 200, (url, response.status)
        return await response.text()


async def client(me, session, port):
    while True:
        url = "http://127.0.0.1:%d/%s" % (port, random.choice(PATHS))
        name = "ask.%d@%s" % (next(numbers), me)
        await asyncio.get_running_loop().create_task(ask(session, url), name=name)


async def main(port, clients):
    asyncio.current_task().set_name("swarm")
    async with aiohttp.ClientSession(connector=aiohttp.TCPConnector(limit=0)) as session:
        print("ready", flush=True)
        create = asyncio.get_running_loop().create_task
        names = ["client.%d" % number for number in range(clients)]
        tasks = [create(client(name, session, port), name=name + "@swarm") for name in names]
        try:
            await asyncio.gather(*tasks)
        except aiohttp.ClientError:
            pass  # the server has ended


asyncio.run(main(int(sys.argv[1]), int(sys.argv[2])))
