# SPDX-License-Identifier: Apache-2.0
"""More of links_standing.py: callbacks of code that is not asyncio's, other loops, worker threads, packages."""
import asyncio
import threading

from links_standing import FOREVER_S, child, scenario, stand, tell, threads


@scenario()
async def user_callback():
    future = asyncio.get_running_loop().create_future()
    child("user_callback.1", "user_callback", "callback", probable=True).add_done_callback(lambda _: future.set_result(None))
    await future


@scenario()
async def user_method():
    future = asyncio.get_running_loop().create_future()
    child("user_method.1", "user_method", "callback", probable=None).add_done_callback(future.set_result)
    await future


@scenario()
async def threadsafe():
    """Runs on the loop of another thread."""
    loop = type(asyncio.get_running_loop())()
    threading.Thread(target=loop.run_forever, daemon=True).start()
    tell("other_loop", ["threadsafe"], ["run_coroutine_threadsafe"])
    await asyncio.wrap_future(asyncio.run_coroutine_threadsafe(other_loop(), loop))


async def other_loop():
    await stand()


def executor_work():
    threading.Event().wait(FOREVER_S)


def gathered_work():
    threading.Event().wait(FOREVER_S)


def to_thread_work():
    threading.Event().wait(FOREVER_S)


@scenario()
async def executor():
    threads["executor_work"] = "executor"
    await asyncio.get_running_loop().run_in_executor(None, executor_work)


@scenario()
async def executor_in_gather():
    threads["gathered_work"] = "executor_in_gather"
    await asyncio.gather(asyncio.get_running_loop().run_in_executor(None, gathered_work),
                         child("executor_in_gather.1", "executor_in_gather", "gather"))


@scenario(since=(3, 9))
async def to_thread():
    threads["to_thread_work"] = "to_thread"
    await asyncio.to_thread(to_thread_work)


@scenario(needs="anyio")
async def anyio_group():
    import anyio  # not everywhere
    async with anyio.create_task_group() as group:
        for name in ("anyio_group.1", "anyio_group.2"):
            tell(name, ["anyio_group"], ["TaskGroup", "wait"])
            group.start_soon(stand, name=name)
