# SPDX-License-Identifier: Apache-2.0
"""More of links_standing.py: worker threads, and every way to wait for what one does."""
import asyncio
import concurrent.futures
import threading

from links_standing import FOREVER_S, child, scenario, threads

executor = concurrent.futures.ThreadPoolExecutor(16)


def job(task):
    """A job for a worker thread: a function of its own name, and so known in a stack."""
    space = {}
    exec("def %s_work(wait):\n    wait(%d)" % (task, FOREVER_S), space)
    threads["%s_work" % task] = task
    return space["%s_work" % task]


def hand_over(task):
    return asyncio.get_running_loop().run_in_executor(executor, job(task), threading.Event().wait)


@scenario()
async def executor_await():
    await hand_over("executor_await")


@scenario()
async def executor_default():
    await asyncio.get_running_loop().run_in_executor(None, job("executor_default"), threading.Event().wait)


@scenario(since=(3, 9))
async def to_thread():
    await asyncio.to_thread(job("to_thread"), threading.Event().wait)


@scenario()
async def executor_gather():
    await asyncio.gather(hand_over("executor_gather"), child("executor_gather.1", "executor_gather", "gather"))


@scenario()
async def executor_gather_nested():
    await asyncio.gather(asyncio.gather(child("executor_gather_nested.1", "executor_gather_nested", "gather"),
                                        hand_over("executor_gather_nested")))


@scenario()
async def executor_late():
    """The job has begun, and sleeps, before anybody waits for it."""
    future = hand_over("executor_late")
    await asyncio.sleep(0.05)  # the loop goes on: others' waits are not late
    await future


@scenario()
async def executor_wait():
    await asyncio.wait([hand_over("executor_wait"), child("executor_wait.1", "executor_wait", "wait")])


@scenario()
async def executor_wait_for():
    await asyncio.wait_for(hand_over("executor_wait_for"), FOREVER_S)


@scenario()
async def executor_shield():
    await asyncio.shield(hand_over("executor_shield"))


@scenario()
async def executor_all():
    """One above the other."""
    await asyncio.wait_for(asyncio.gather(asyncio.shield(hand_over("executor_all"))), FOREVER_S)
