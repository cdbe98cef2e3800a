# SPDX-License-Identifier: Apache-2.0
"""More of links_standing.py: tasks that nobody waits for, or nobody any longer. Above each is the one that created it."""
import asyncio

from links_standing import child, fail, made, scenario, stand, unnamed


# Waited for no longer


@scenario()
async def gather_given_up():
    try:
        await asyncio.gather(made(fail(), "fails"), child("gather_given_up.1", "gather_given_up"))
    except KeyError:
        await stand()


@scenario()
async def shield_given_up():
    try:
        await asyncio.wait_for(asyncio.shield(child("shield_given_up.1", "shield_given_up")), 0.01)
    except asyncio.TimeoutError:
        await stand()


@scenario()
async def wait_given_up():
    await asyncio.wait([child("wait_given_up.1", "wait_given_up")], timeout=0.01)
    await stand()


@scenario()
async def as_completed_given_up():
    """Of two futures only one is awaited."""
    for future in asyncio.as_completed([child("as_completed_given_up.1", "as_completed_given_up"), made(asyncio.sleep(0), "ends")]):
        await future
        break
    await stand()


# Created, and waited for by nobody


@scenario()
async def create_task():
    child("create_task.1", "create_task")
    asyncio.ensure_future(unnamed(ensured, "create_task"))
    await stand()


async def ensured():
    await stand()


@scenario()
async def ghost():
    """Its child has outlived the task that made it."""
    maker = made(make_ghost_child(), "ghost.maker")
    await maker
    await stand()


async def make_ghost_child():
    asyncio.current_task().set_name("ghost.maker")  # eagerly begun and ended, it had no other before 3.14
    child("ghost.child", "ghost.maker", finished=True)


@scenario()
async def no_wait():
    """Callbacks and objects that know other tasks, and complete nothing that anybody waits for."""
    background, lock = set(), asyncio.Lock()
    discarded, canceller = child("no_wait.discarded", "no_wait"), child("no_wait.canceller", "no_wait")
    background.add(discarded)
    discarded.add_done_callback(background.discard)
    canceller.add_done_callback(lambda _: discarded.cancel())
    await lock.acquire()
    background.add(child("no_wait.locked", "no_wait", coroutine=lock.acquire()))
    background.add(child("no_wait.getter", "no_wait", coroutine=asyncio.Queue().get()))
    await stand()
