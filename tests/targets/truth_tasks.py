# SPDX-License-Identifier: Apache-2.0
"""truth_tasks.py: asyncio tasks, one at a time and several in turn, each with functions of their own. See truth_common.py."""
import asyncio
import os
import re
import time

import truth_common as common

clock = time.thread_time
WORKERS = 4
spent = common.Spent()  #> common:Spent.__init__


def make_worker(k):
    space = {}
    exec(compile(re.sub(r"_0\b", "_%d" % k, SOURCE).replace("-0", "-%d" % k), "worker_%d" % k, "exec"), space)  #> @re, worker:<module>
    return space["worker_%d" % k]


with open(os.path.join(os.path.dirname(os.path.abspath(__file__)), "truth_worker.py")) as source:
    SOURCE = source.read()
MAKERS = [make_worker(k) for k in range(WORKERS)]  #> <listcomp> / make_worker


def spin(units):
    total = 0
    for i in range(units * 50):
        total += i * i
    return total


# One at a time


async def one_at_a_time():
    task = asyncio.create_task(first_single(), name="first-single")  #> first_single(), @asyncio, <task first-single>
    await task  #> @asyncio, <task first-single>
    task = asyncio.create_task(catcher(), name="catcher")  #> catcher(), @asyncio, <task catcher>
    await task  #> @asyncio, <task catcher>


async def catcher():  #^ task catcher
    """Awaits in the task's own coroutine: up to 3.8 what is thrown into an inner one runs without those around it."""
    task = asyncio.create_task(second_single(), name="second-single")  #> second_single(), @asyncio, <task second-single>
    try:
        await task  #> @asyncio, <task second-single>
    except KeyError:
        spin(10)  #> spin


async def first_single():  #^ task first-single
    await first_inner()  #> first_inner
    await asyncio.sleep(0.001)  #> @asyncio
    in_first(40)  #> in_first


async def first_inner():
    async with Guard():  #> Guard.__aenter__, Guard.__aexit__
        in_first(40)  #> in_first, Guard.__aexit__


async def second_single():  #^ task second-single
    async for value in counted(3):  #> counted, @asyncio
        in_second(value + 10)  #> in_second, @asyncio
    values = [value async for value in counted(3)]  #> <listcomp> / counted, counted, @asyncio, <listcomp> / @asyncio
    await asyncio.sleep(0)  #> @asyncio
    in_second(len(values) * 10)  #> in_second
    raise KeyError("from a task")


async def counted(n):
    for i in range(n):
        in_counted(10)  #> in_counted
        await asyncio.sleep(0)  #> @asyncio
        yield i


class Guard:
    async def __aenter__(self):
        await asyncio.sleep(0)  #> @asyncio
        in_guard(10)  #> in_guard

    async def __aexit__(self, kind, value, traceback):
        in_guard(10)  #> in_guard


def in_first(units):
    return spin(units)  #> spin


def in_second(units):
    return spin(units)  #> spin


def in_counted(units):
    return spin(units)  #> spin


def in_guard(units):
    return spin(units)  #> spin


# A chain of tasks that wait for each other


async def chained():
    task = asyncio.create_task(upper(), name="upper")  #> upper(), @asyncio, <task upper>
    await task  #> @asyncio, <task upper>


async def upper():  #^ task upper
    in_upper(20)  #> in_upper
    await asyncio.create_task(middle(), name="middle")  #> middle(), @asyncio, <task middle>
    in_upper(20)  #> in_upper


async def middle():  #^ task middle
    task = asyncio.create_task(lower(), name="lower")  #> lower(), @asyncio, <task lower>
    await asyncio.sleep(0)  #> @asyncio, <task lower>
    await task  #> @asyncio, <task lower>
    in_middle(20)  #> in_middle


async def lower():  #^ task lower
    asyncio.get_running_loop().call_soon(on_call)  #> @asyncio
    in_lower(20)  #> in_lower
    await asyncio.sleep(0.002)  #> @asyncio
    in_lower(20)  #> in_lower


def on_call():
    spin(20)  #> spin


def in_upper(units):
    return spin(units)  #> spin


def in_middle(units):
    return spin(units)  #> spin


def in_lower(units):
    return spin(units)  #> spin


# Several in turn


async def several(seed):
    end = time.monotonic() + 0.15
    tasks = []
    for k, maker in enumerate(MAKERS):
        tasks.append(asyncio.create_task(maker(spent, end, seed + k), name="worker-%d" % k))  #> worker:worker_0(), @asyncio, <task worker-0>
    for task in tasks[:2]:  #> @asyncio
        await task  #> @asyncio, <task worker-0>
    await asyncio.gather(*tasks[2:])  #> @asyncio, <task worker-0>


async def run_all(seconds, seed):  #^ task run-all, task Task-1
    asyncio.current_task().set_name("run-all")  #> @asyncio
    end = time.monotonic() + seconds
    while time.monotonic() < end:
        await several(seed)  #> several, @asyncio
        for _ in range(10):
            await one_at_a_time()  #> one_at_a_time, @asyncio
            await chained()  #> chained, @asyncio
        seed += 1


def main():
    spent.begin_thread("<module>")  #> common:Spent.begin_thread
    seconds, seed = common.wait_for_go()  #> common:wait_for_go
    asyncio.run(run_all(seconds, seed))  #> run_all(), @asyncio, @asyncio / <task *>, @asyncio / on_call
    common.tell_and_wait(spent)  #> common:tell_and_wait


main()  #> main
