# SPDX-License-Identifier: Apache-2.0
"""next_wait.py [UVLOOP]: a task that waits again and again, one wait right behind the other, and says how often what it waited for lay where
the last such thing did, and where the one before that did: JSON, a pair of numbers for each kind of wait. UVLOOP: the folder with that
package, whose loop is used then.
"""
import asyncio
import json
import sys

ROUNDS = 500


def soon(loop):
    future = loop.create_future()
    loop.call_soon(future.set_result, None)
    return future


def later(loop):
    future = loop.create_future()
    loop.call_later(0.0001, future.set_result, None)
    return future


def cancelled(loop):
    future = loop.create_future()
    loop.call_soon(future.cancel)
    return future


def task(loop):
    return loop.create_task(asyncio.sleep(0))


def executor(loop):
    return loop.run_in_executor(None, len, "")


async def wait(make):
    """The address of what it waited for, of which nothing is left."""
    future = make(asyncio.get_running_loop())
    address = id(future)
    try:
        await future
    except asyncio.CancelledError:
        pass
    return address


async def main():
    found = {}
    for make in (soon, later, cancelled, task, executor):
        addresses = [await wait(make) for _ in range(ROUNDS)]
        found[make.__name__] = [sum(one == other for one, other in zip(addresses, addresses[back:])) for back in (1, 2)]
    print(json.dumps(found))


if len(sys.argv) > 1:
    sys.path.append(sys.argv[1])
    import uvloop
    uvloop.install()
asyncio.run(main())
