# SPDX-License-Identifier: Apache-2.0
"""node.py KIND SECONDS [PYTHON]: a service among many on a node, mostly asleep, for tools/bench/node. SECONDS: how long it lives, 0: until it
is ended.

service: an event loop with some dozens of suspended tasks, a few of which wake. threads: threads that wait, and a loop in one of them. forks: forks
a child now and then, which lives for a while as a service. execs: a service that becomes PYTHON after half its time. makes: threads with loops of
their own, tasks, and functions made at run time, one round after the other.

Its input is a leash: where that ends, so does it, and what it forked. Its output is one letter for each thing that happened: r ready, f forked,
e about to exec, t thread begun, m function made.
"""
import asyncio
import os
import random
import select
import sys
import threading
import time

LEASH, TALLY = 0, 1
CHILD_S = 5
FORK_EVERY_S = 8
ROUND_S = 2


def tell(letter):
    os.write(TALLY, letter)


async def wait_for_event(event):
    await event.wait()


async def take_from(queue):
    while True:
        await queue.get()


async def handle(number, event, queue):
    await asyncio.gather(wait_for_event(event), take_from(queue), return_exceptions=True)


async def pulse(queue):
    while True:
        await asyncio.sleep(random.uniform(0.5, 3))
        queue.put_nowait("work")


async def linger(seconds):
    """What there is to do is done by the tasks."""
    await asyncio.sleep(seconds or 10 ** 6)


async def serve(seconds, meanwhile):
    """Some dozens of tasks; three that wake; meanwhile(seconds) says how long."""
    event, queue = asyncio.Event(), asyncio.Queue()
    over = asyncio.Event()
    if threading.current_thread() is threading.main_thread():
        asyncio.get_running_loop().add_reader(LEASH, over.set)
    tasks = [asyncio.ensure_future(handle(number, event, queue)) for number in range(12)]
    tasks += [asyncio.ensure_future(pulse(queue)) for _ in range(3)]
    tasks += [asyncio.ensure_future(meanwhile(seconds)), asyncio.ensure_future(over.wait())]
    await asyncio.sleep(0)
    tell(b"r")
    await asyncio.wait(tasks[-2:], return_when=asyncio.FIRST_COMPLETED)
    for task in tasks:
        task.cancel()
    await asyncio.gather(*tasks, return_exceptions=True)


def run(seconds, meanwhile=linger):
    asyncio.run(serve(seconds, meanwhile))


def doze():
    while True:
        time.sleep(0.5)


def threads(seconds):
    for number in range(4):
        threading.Thread(target=doze, name="doze-%d" % number, daemon=True).start()
        tell(b"t")
    threading.Thread(target=run, args=(seconds,), name="loop", daemon=True).start()
    select.select([LEASH], [], [], seconds or None)


def leave_children(seconds):
    """Fork now and then; a child is a service of its own."""
    end = time.monotonic() + (seconds or float("inf"))
    while time.monotonic() < end:
        child = os.fork()
        if not child:
            tell(b"f")
            run(CHILD_S)
            os._exit(0)
        if select.select([LEASH], [], [], FORK_EVERY_S)[0]:
            seconds = end = 0
        os.waitpid(child, 0)


def made_at_run_time(number):
    """A function of its own: other names, another code object."""
    names = {}
    exec(compile("def made_%d():\n    for _ in range(20):\n        time.sleep(0.002)\n        sum(range(500))\n" % number,
                 "/made/%d.py" % number, "exec"), {"time": time}, names)
    return names["made_%d" % number]


async def several(number):
    await asyncio.gather(*(wait_a_bit(0.05 * n) for n in range(10)))


async def wait_a_bit(seconds):
    await asyncio.sleep(seconds)


def makes(seconds):
    number, end = 0, time.monotonic() + (seconds or float("inf"))
    tell(b"r")
    while time.monotonic() < end and not select.select([LEASH], [], [], ROUND_S)[0]:
        thread = threading.Thread(target=asyncio.run, args=(several(number),), name="worker-%d" % number)
        thread.start()
        tell(b"t")
        made_at_run_time(number)()
        tell(b"m")
        asyncio.run(several(number))
        thread.join()
        number += 1


def main(kind, seconds, python=None):
    seconds = float(seconds)
    if kind == "service":
        run(seconds)
    elif kind == "threads":
        threads(seconds)
    elif kind == "makes":
        makes(seconds)
    elif kind == "forks":
        tell(b"r")
        leave_children(seconds)
    else:
        run(seconds / 2)
        if not select.select([LEASH], [], [], 0)[0]:
            tell(b"e")
            os.environ.pop("PYTHONHOME", None)  # this one's own
            os.execv(python, [python, __file__, "service", str(seconds / 2)])


main(*sys.argv[1:])
