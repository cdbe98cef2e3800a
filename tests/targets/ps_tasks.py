# SPDX-License-Identifier: Apache-2.0
"""Tasks for `ps` and `pstree`: what is standing when "ready" is said, and what is made every PERIOD seconds after it.

Usage: ps_tasks.py [PERIOD]

The names of the latter end in "@" and the moment (CLOCK_MONOTONIC) at which they were made.
"""
import asyncio
import sys
import time


async def forever():
    await asyncio.Event().wait()


def task(coroutine, name):
    made = asyncio.ensure_future(coroutine)
    made.set_name(name)
    return made


def dated(name):
    return f"{name}@{time.monotonic():.6f}"


async def wait_for_task(other):
    await other


async def gather_two(a, b):
    await asyncio.gather(a, b)


async def wait_by_callback(other):
    """As programs do it themselves: nothing but the callback's code says that it means waiting."""
    done = asyncio.get_running_loop().create_future()
    other.add_done_callback(lambda _: done.set_result(None))
    await done


async def in_circle(ring, other):
    while other not in ring:
        await asyncio.sleep(0)
    await ring[other]


async def chain(depth):
    if depth:
        await task(chain(depth - 1), f"chain-{depth - 1}")
    await forever()


async def nap(seconds):
    while True:
        await asyncio.sleep(seconds)


async def dies(seconds, kept):
    kept.append(task(forever(), dated("orphan")))
    await asyncio.sleep(seconds)


async def spawn(period, kept):
    """Every period one that lives on, and one that ends and leaves another behind."""
    while True:
        await asyncio.sleep(period)
        kept.append(task(forever(), dated("background")))
        kept.append(task(dies(period / 4, kept), dated("short-lived")))


async def main():
    shared = task(forever(), "shared")
    kept = [task(wait_for_task(shared), f"waiter-{n}") for n in (1, 2)]
    kept.append(task(gather_two(shared, task(forever(), "gathered")), "gatherer"))
    kept.append(task(wait_by_callback(task(forever(), "called-back")), "caller"))
    ring = {}
    for own, other in (("ring-1", "ring-2"), ("ring-2", "ring-3"), ("ring-3", "ring-1")):
        ring[own] = task(in_circle(ring, other), own)
    kept.append(task(chain(70), "chain-70"))
    kept.append(task(forever(), "evil\x1b[31m\nname,\"quoted\" \u202e"))
    kept.append(task(forever(), "long-" + "n" * 300))
    kept.append(task(nap(0.01), "napper"))
    await asyncio.sleep(0.2)
    made = []
    if len(sys.argv) > 1:
        kept.append(task(spawn(float(sys.argv[1]), made), "spawner"))
    print("ready", flush=True)
    await forever()


asyncio.run(main())
