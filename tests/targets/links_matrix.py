# SPDX-License-Identifier: Apache-2.0
"""links_matrix.py standing|churn|running [OPTION...] [SCENARIO...]: tasks that wait for each other, and made each other, in every way
that asyncio has. Runs for ever, on 3.8 and later.

standing: every task is suspended for good (links_standing.py and those that add to it). After "ready" comes one line of JSON with the
    true links.
running: tasks that burn CPU all the time (links_running.py).
churn: tasks of a few milliseconds, made anew all the time, whose names tell their true parents (links_churn.py).
--loop uvloop: its event loop
--factory: who makes the tasks: eager (3.12), subclass (of asyncio.Task), python (the tasks that asyncio has in Python)
--pure: without the C module _asyncio, as where it is not installed: all tasks and futures are in Python
--packages: a folder with what is not in the standard library
--delay: seconds from "ready" to the first task, for a capture that is to see their creation.
"""
import argparse
import sys

if "--pure" in sys.argv:
    sys.modules["_asyncio"] = None  # before asyncio asks for it

import asyncio
import json

import links_churn
import links_executor  # its scenarios are links_standing's
import links_foreign  # likewise
import links_python  # likewise
import links_running
import links_standing
import links_unawaited  # likewise


class Subclass(asyncio.Task):
    """As programs have them."""


def factory(make):
    return lambda loop, coroutine, **more: make(coroutine, loop=loop, **more)


FACTORIES = {"eager": getattr(asyncio, "eager_task_factory", None), "subclass": factory(Subclass), "python": factory(asyncio.tasks._PyTask)}


def new_loop(arguments):
    """The kind of loop that was asked for."""
    sys.path[1:1] = arguments.packages  # before those that the interpreter has itself, perhaps older ones
    if arguments.loop == "uvloop":
        import uvloop  # not everywhere
        loop = uvloop.new_event_loop()
    else:
        loop = asyncio.new_event_loop()
    if arguments.factory:
        loop.set_task_factory(FACTORIES[arguments.factory])
    return loop


async def standing(arguments):
    """Every scenario at once; it is true when all its tasks have come to stand."""
    if arguments.delay:
        print("ready", flush=True)
        await asyncio.sleep(arguments.delay)
    asyncio.get_running_loop().call_later(0.5, tell, not arguments.delay)
    await asyncio.gather(*links_standing.start(arguments.scenarios))


def tell(is_ready):
    if is_ready:
        print("ready", flush=True)
    print(json.dumps({"tasks": links_standing.told, "threads": links_standing.threads}), flush=True)


async def churn(arguments):
    print("ready", flush=True)
    await asyncio.sleep(arguments.delay)
    await asyncio.gather(*links_churn.start(arguments.scenarios))


async def running(arguments):
    print("ready", flush=True)
    await asyncio.gather(*links_running.start())


MODES = {"standing": standing, "churn": churn, "running": running}


def main():
    parser = argparse.ArgumentParser()
    parser.add_argument("mode", choices=MODES)
    parser.add_argument("scenarios", nargs="*", metavar="SCENARIO")
    parser.add_argument("--loop", choices=("asyncio", "uvloop"))
    parser.add_argument("--factory", choices=FACTORIES)
    parser.add_argument("--pure", action="store_true")
    parser.add_argument("--packages", action="append", default=[])
    parser.add_argument("--delay", type=float, default=0)
    arguments = parser.parse_intermixed_args()
    loop = new_loop(arguments)
    asyncio.set_event_loop(loop)
    loop.run_until_complete(loop.create_task(MODES[arguments.mode](arguments), name="main"))


if __name__ == "__main__":
    main()
