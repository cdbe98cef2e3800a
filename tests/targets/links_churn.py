# SPDX-License-Identifier: Apache-2.0
"""Tasks of a few milliseconds, made anew all the time, in every way to wait for one or to make one.

A task's name is OWN@PARENT[|PARENT...], its parents' OWN: those that may stand above it at any moment of its life. Numbers
are never used twice, so that a link to what lay at the same address before shows as a wrong name. A scenario that only waits runs in
two ways: as NAME its leaves are its own task's children; as NAME.found they are made by a callback of the loop, so that
no task created them, and only the waiting tells whose they are.
"""
import asyncio
import itertools
import random
import sys
import time

VERSION = sys.version_info[:2]
COUNT = 3  # tasks at once

numbers = itertools.count()
scenarios = {}


def made(coroutine, own, *parents):
    name = "%s@%s" % (own, "|".join(parents))
    return asyncio.get_running_loop().create_task(with_name(name, coroutine), name=name)


async def with_name(name, coroutine):
    """Eagerly begun, and perhaps ended, it has no other name yet before 3.14."""
    asyncio.current_task().set_name(name)
    await coroutine


def leaf(*parents):
    return made(short(), "leaf.%d" % next(numbers), *parents)


async def leaves(parent, count=COUNT):
    if not parent.endswith(".found"):
        return [leaf(parent) for _ in range(count)]
    future = asyncio.get_running_loop().create_future()
    asyncio.get_running_loop().call_soon(lambda: future.set_result([leaf(parent) for _ in range(count)]))
    return await future


async def short():
    await asyncio.sleep(random.uniform(0.001, 0.005))


def scenario(since=(3, 8), found=False):
    def add(function):
        if since <= VERSION:
            scenarios[function.__name__] = function
            if found:
                scenarios[function.__name__ + ".found"] = function
        return function
    return add


def start(names):
    """Makes a task for each of these scenarios, or of all, that does it over and over. Returns them."""
    return [made(for_ever(scenarios[name], name), name, "main") for name in names or scenarios]


async def for_ever(function, name):
    while True:
        await function(name)


@scenario()
async def bare(me):
    middle = "middle.%d" % next(numbers)
    await made(bare_middle(middle), middle, me)


async def bare_middle(me):
    await leaf(me)
    await leaf(me)


async def values(task):
    yield 1
    await task


@scenario(found=True)
async def async_generator(me):
    task, = await leaves(me, 1)
    async for _ in values(task):
        pass


@scenario(found=True)
async def gather(me):
    await asyncio.gather(*await leaves(me))


@scenario(found=True)
async def gather_nested(me):
    first, *rest = await leaves(me, COUNT + 1)
    await asyncio.gather(first, asyncio.gather(*rest))


@scenario(found=True)
async def wait_all(me):
    await asyncio.wait(await leaves(me))


@scenario(found=True)
async def wait_first(me):
    """Those that it does not wait for any longer have it as their creator, or nobody."""
    await asyncio.wait(await leaves(me), return_when=asyncio.FIRST_COMPLETED)


@scenario(found=True)
async def wait_exception(me):
    await asyncio.wait(await leaves(me), return_when=asyncio.FIRST_EXCEPTION)


@scenario(found=True)
async def wait_for(me):
    await asyncio.wait_for(*await leaves(me, 1), 3600)


@scenario(since=(3, 11), found=True)
async def timeout(me):
    async with asyncio.timeout(3600):
        await (await leaves(me, 1))[0]


@scenario(found=True)
async def as_completed(me):
    for future in asyncio.as_completed(await leaves(me)):
        await future


@scenario(since=(3, 13), found=True)
async def as_completed_async(me):
    async for _ in asyncio.as_completed(await leaves(me)):
        pass


@scenario(found=True)
async def shield(me):
    await asyncio.shield(*await leaves(me, 1))


@scenario(since=(3, 11))
async def task_group(me):
    async with asyncio.TaskGroup() as group:
        for _ in range(COUNT):
            group.create_task(short(), name="leaf.%d@%s" % (next(numbers), me))


@scenario()
async def created(me):
    leaf(me)
    await asyncio.sleep(0.004)


@scenario()
async def ghost(me):
    """A leaf outlives its maker, whose memory the next one gets."""
    maker = "maker.%d" % next(numbers)
    await made(make_leaf(maker), maker, me)
    await asyncio.sleep(0.001)


async def make_leaf(me):
    leaf(me)


@scenario()
async def handed_over(me):
    """Made by one task, waited for by another: by neither for a moment, then it is its maker's."""
    queue, number = asyncio.Queue(1), next(numbers)
    pair = ["waiter.%d" % number, "maker.%d" % number]
    await asyncio.gather(made(wait_for_handed(queue), pair[0], me), made(hand_over(queue, pair), pair[1], me))


async def hand_over(queue, pair):
    for _ in range(100):
        await queue.put(leaf(*pair))
        await asyncio.sleep(0.001)


async def wait_for_handed(queue):
    for _ in range(100):
        await (await queue.get())


def make_job(number):
    """A function of its own name, and so known in a stack."""
    space = {}
    exec("def job_%d(sleep, seconds):\n    sleep(seconds)" % number, space)
    return space["job_%d" % number]


JOBS = [make_job(number) for number in range(6)]


@scenario()
async def executor(me):
    """Six tasks, each with a short job of its own for a worker thread, and then anew."""
    await asyncio.gather(*[made(hand_job_over(job), "worker.%d" % number, me) for number, job in enumerate(JOBS)])


async def hand_job_over(job):
    await asyncio.get_running_loop().run_in_executor(None, job, time.sleep, random.uniform(0.002, 0.02))
