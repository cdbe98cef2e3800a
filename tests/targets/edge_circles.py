# SPDX-License-Identifier: Apache-2.0
"""Tasks that wait for each other and will for ever: two by await, three through gather, shield and a future of the program's own.

Each name is OWN@PARENT, the parent being the task that waits for it. Prints "ready".
"""
import asyncio

tasks = {}


def make(coroutine, own, parent):
    tasks[own] = asyncio.get_running_loop().create_task(coroutine, name="%s@%s" % (own, parent))
    return tasks[own]


async def await_it(own):
    await tasks[own]


async def gather_it(own):
    await asyncio.gather(tasks[own], asyncio.sleep(0))


async def shield_it(own):
    await asyncio.shield(tasks[own])


async def await_future_of(own):
    """As glue between libraries does: a callback hands the result on."""
    future = asyncio.get_running_loop().create_future()
    tasks[own].add_done_callback(lambda task: future.set_result(task.result()))
    await future


async def main():
    asyncio.current_task().set_name("main")
    make(await_it("two"), "one", "two")
    make(await_it("one"), "two", "one")
    make(gather_it("shields"), "gathers", "futures")
    make(shield_it("futures"), "shields", "gathers")
    make(await_future_of("gathers"), "futures", "shields")
    await asyncio.sleep(0.1)
    print("ready", flush=True)
    await asyncio.Event().wait()


asyncio.run(main())
