# SPDX-License-Identifier: Apache-2.0
"""Scenarios of links_standing.py: tasks and futures that are written in Python, among those of the C module."""
import asyncio

from links_standing import await_it, child, scenario, stand, tell

PythonTask = asyncio.tasks._PyTask


class Subclass(PythonTask):
    """With attributes of its own, before and behind asyncio's."""

    def __init__(self, coroutine, **more):
        self.before = coroutine
        super().__init__(coroutine, **more)
        self.behind = self


def python_child(name, parent, *how, coroutine=None, kind=PythonTask, **more):
    tell(name, [parent], how, **more)
    return kind(coroutine or stand(), loop=asyncio.get_running_loop(), name=name)


@scenario()
async def python_awaited():
    await python_child("python_awaited.1", "python_awaited", "await",
                       coroutine=await_it(child("python_awaited.2", "python_awaited.1", "await")))


@scenario()
async def python_gathered():
    """One of each kind, each with one of the other kind below it."""
    children = [
        python_child("python_gathered.1", "python_gathered", "gather", coroutine=await_it(
            asyncio.shield(child("python_gathered.2", "python_gathered.1", "shield")))),
        child("python_gathered.3", "python_gathered", "gather", coroutine=await_it(
            python_child("python_gathered.4", "python_gathered.3", "await", kind=Subclass))),
    ]
    vars(children[0])["more"] = "attributes"
    await asyncio.gather(*children)


@scenario()
async def python_waited():
    await asyncio.wait([python_child("python_waited.%d" % n, "python_waited", "wait", kind=Subclass) for n in range(3)])


@scenario()
async def python_future():
    """Completed by a callback of a task in Python."""
    future = asyncio.futures._PyFuture(loop=asyncio.get_running_loop())
    python_child("python_future.1", "python_future", "callback", probable=None).add_done_callback(future.set_result)
    await future
