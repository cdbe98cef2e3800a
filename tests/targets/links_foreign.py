# SPDX-License-Identifier: Apache-2.0
"""More of links_standing.py: callbacks of code that is not asyncio's, other loops, packages."""
import asyncio
import threading

from links_standing import child, scenario, stand, tell


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


@scenario(needs="anyio")
async def anyio_group():
    import anyio  # not everywhere
    async with anyio.create_task_group() as group:
        for name in ("anyio_group.1", "anyio_group.2"):
            tell(name, ["anyio_group"], ["TaskGroup", "wait"])
            group.start_soon(stand, name=name)
