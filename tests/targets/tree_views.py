# SPDX-License-Identifier: Apache-2.0
"""Tasks whose creator is not who waits for them, a ghost's child, and many of one coroutine: what the trees are to tell apart."""
import asyncio

FETCHES = 40
FETCH_S = 0.2


async def fetch():
    while True:
        await asyncio.sleep(FETCH_S)


async def forever():
    await asyncio.Event().wait()


async def spawn(made):
    made.set_result(asyncio.ensure_future(forever()))
    await forever()


async def make(made):
    """Ends, and what it made lives on."""
    made.set_result(asyncio.ensure_future(forever()))


async def wait_for(task):
    await task


def named(coroutine, name):
    task = asyncio.ensure_future(coroutine)
    task.set_name(name)
    return task


async def made_by(function, name, its_name):
    made = asyncio.get_running_loop().create_future()
    task = named(function(made), name)
    (await made).set_name(its_name)
    return task, made.result()


async def main():
    await asyncio.sleep(0.2)
    spawner, worker = await made_by(spawn, "spawner", "worker")
    maker, orphan = await made_by(make, "maker", "orphan")
    await maker
    del maker
    waiter = named(wait_for(worker), "waiter")
    await asyncio.gather(*[fetch() for _ in range(FETCHES)])
    await asyncio.wait([spawner, waiter, orphan])


asyncio.run(main())
