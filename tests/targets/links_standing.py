# SPDX-License-Identifier: Apache-2.0
"""Tasks that stand still, one scenario for each way of asyncio to wait for a task or to make one, and what is true of them.

A scenario is a coroutine function; the task that runs it has its name, and main gathers them all. `told` maps each task, by
name, or by its coroutine's name where asyncio makes it from a coroutine and calls it Task-N, to
    parents   who may stand above it: those that wait for it, else the one that created it
    how       the ways of waiting that may be named (as in coroscope's pstree --json); none: created, waited for by nobody
    waiters   how many wait for it
    probable  whether the way to the waiter leads through code that is not asyncio's; null: not said
    finished  whether its parent has ended
    count     how many such tasks there are
Held by the loop's timers: a task that waits for a future that nobody holds is garbage.
"""
import asyncio
import sys
import types

VERSION = sys.version_info[:2]
FOREVER_S = 3600

told = {}
scenarios = {}
usual = []
threads = {}  # what a worker thread runs: the task that handed it over


def tell(name, parents, how=(), waiters=None, **more):
    known = told.setdefault(name, {"parents": list(parents), "how": list(how), "waiters": len(how[:1]) if waiters is None else waiters,
                                   "probable": False, "finished": False, "count": 0, **more})
    known["count"] += 1


def made(coroutine, name):
    return asyncio.get_running_loop().create_task(coroutine, name=name)


def child(name, parent, *how, coroutine=None, **more):
    """A task that stands, for its parent to wait for in one of these ways."""
    tell(name, [parent], how, **more)
    return made(coroutine or stand(), name)


def unnamed(function, parent, *how):
    """A coroutine of which asyncio makes a task."""
    tell(function.__name__, [parent], how)
    return function()


def scenario(since=(3, 8), until=(9,), needs=None):
    """needs: a package; such a scenario runs only where it is asked for by name."""
    def add(function):
        if since <= VERSION < until:
            scenarios[function.__name__] = function
            if not needs:
                usual.append(function.__name__)
        return function
    return add


def start(names):
    """Makes the tasks of these scenarios, or of all. Returns them."""
    return [child(name, "main", "gather", coroutine=scenarios[name]()) for name in names or usual]


async def stand():
    await asyncio.sleep(FOREVER_S)


# Bare await


@scenario()
async def bare():
    await child("bare.1", "bare", "await", coroutine=bare_middle())


async def bare_middle():
    await bare_inner()


async def bare_inner():
    await child("bare.2", "bare.1", "await")


@scenario()
async def several_wait():
    """One task, two that wait for it."""
    both = [child("several_wait.%d" % n, "several_wait", "gather", coroutine=wait_for_common()) for n in (1, 2)]
    await asyncio.gather(*both)


async def wait_for_common():
    if "several_wait.common" not in told:
        wait_for_common.task = child("several_wait.common", None, "await")
        told["several_wait.common"].update(parents=["several_wait.1", "several_wait.2"], waiters=2)
    await wait_for_common.task


class Wrapper:
    def __init__(self, task):
        self.task = task

    def __await__(self):
        return (yield from self.task.__await__())


@scenario()
async def await_method():
    await Wrapper(child("await_method.1", "await_method", "await"))


@types.coroutine
def generator_coroutine(task):
    return (yield from task)


@scenario()
async def types_coroutine():
    await generator_coroutine(child("types_coroutine.1", "types_coroutine", "await"))


async def numbers(task):
    try:
        yield 1
        await task
    finally:
        await task


@scenario()
async def async_generator():
    async for _ in numbers(child("async_generator.1", "async_generator", "await")):
        pass


@scenario()
async def async_generator_close():
    generator = numbers(child("async_generator_close.1", "async_generator_close", "await"))
    await generator.__anext__()
    await generator.aclose()


@scenario()
async def async_generator_throw():
    generator = numbers(child("async_generator_throw.1", "async_generator_throw", "await"))
    await generator.__anext__()
    await generator.athrow(KeyError())


# gather


@scenario()
async def gather():
    await asyncio.gather(*(child("gather.%d" % n, "gather", "gather") for n in range(3)), return_exceptions=True)


@scenario()
async def gather_twice_the_same():
    task = child("gather_twice_the_same.1", "gather_twice_the_same", "gather")
    await asyncio.gather(task, task)


async def gathered():
    await stand()


@scenario()
async def gather_mixed():
    await asyncio.gather(unnamed(gathered, "gather_mixed", "gather"), child("gather_mixed.1", "gather_mixed", "gather"),
                         unnamed(gathered, "gather_mixed", "gather"))


@scenario()
async def gather_nested():
    inner = asyncio.gather(*(child("gather_nested.%d" % n, "gather_nested", "gather") for n in range(2)))
    await asyncio.gather(asyncio.gather(inner, child("gather_nested.2", "gather_nested", "gather")),
                         child("gather_nested.3", "gather_nested", "gather"))


@scenario()
async def gather_handed_over():
    """Made by one task, awaited by another."""
    future = asyncio.gather(child("gather_handed_over.1", "gather_handed_over.2", "gather"))
    await child("gather_handed_over.2", "gather_handed_over", "await", coroutine=await_it(future))


async def await_it(future):
    await future


async def fail():
    raise KeyError("of one of several")


@scenario()
async def gather_one_failed():
    """That changes nothing for its sibling."""
    await asyncio.gather(made(fail(), "fails"), child("gather_one_failed.1", "gather_one_failed", "gather"), return_exceptions=True)


# wait


@scenario()
async def wait_all():
    await asyncio.wait([child("wait_all.%d" % n, "wait_all", "wait") for n in range(3)])


@scenario()
async def wait_first():
    await asyncio.wait([child("wait_first.%d" % n, "wait_first", "wait") for n in range(3)], timeout=FOREVER_S,
                       return_when=asyncio.FIRST_COMPLETED)


@scenario()
async def wait_exception():
    await asyncio.wait([child("wait_exception.%d" % n, "wait_exception", "wait") for n in range(3)],
                       return_when=asyncio.FIRST_EXCEPTION)


async def waited():
    await stand()


@scenario(until=(3, 11))
async def wait_coroutines():
    await asyncio.wait([unnamed(waited, "wait_coroutines", "wait"), child("wait_coroutines.1", "wait_coroutines", "wait")])


# wait_for and timeout: from 3.12 on the first is the second, and its coroutine no task


WAIT_FOR = ("wait_for",) if VERSION < (3, 12) else ("await",)


@scenario()
async def wait_for():
    await asyncio.wait_for(child("wait_for.1", "wait_for", *WAIT_FOR), FOREVER_S)


@scenario()
async def wait_for_no_limit():
    await asyncio.wait_for(child("wait_for_no_limit.1", "wait_for_no_limit", "await"), None)


async def timed():
    await child("wait_for_coroutine.1", "timed" if VERSION < (3, 12) else "wait_for_coroutine", "await")


@scenario()
async def wait_for_coroutine():
    await asyncio.wait_for(unnamed(timed, "wait_for_coroutine", *WAIT_FOR) if VERSION < (3, 12) else timed(), FOREVER_S)


@scenario()
async def wait_for_gather():
    """Either word says how."""
    how = ("gather", "wait_for") if VERSION < (3, 12) else ("gather",)
    await asyncio.wait_for(asyncio.gather(*(child("wait_for_gather.%d" % n, "wait_for_gather", *how) for n in range(2))), FOREVER_S)


@scenario(since=(3, 11))
async def timeout():
    async with asyncio.timeout(FOREVER_S):
        await child("timeout.1", "timeout", "await")


# as_completed


@scenario()
async def as_completed():
    for future in asyncio.as_completed([child("as_completed.%d" % n, "as_completed", "as_completed") for n in range(3)]):
        await future


async def completed():
    await stand()


@scenario()
async def as_completed_coroutines():
    for future in asyncio.as_completed([unnamed(completed, "as_completed_coroutines", "as_completed") for _ in range(2)],
                                       timeout=FOREVER_S):
        await future


@scenario(since=(3, 13))
async def as_completed_async():
    async for _ in asyncio.as_completed([child("as_completed_async.%d" % n, "as_completed_async", "as_completed") for n in range(3)]):
        pass


@scenario()
async def as_completed_handed_over():
    """Called by one task, awaited by another."""
    future, = asyncio.as_completed([child("as_completed_handed_over.1", "as_completed_handed_over.2", "as_completed")])
    await child("as_completed_handed_over.2", "as_completed_handed_over", "await", coroutine=await_it(future))


# shield


@scenario()
async def shield():
    await asyncio.shield(child("shield.1", "shield", "shield"))


async def shielded():
    await stand()


@scenario()
async def shield_coroutine():
    await asyncio.shield(unnamed(shielded, "shield_coroutine", "shield"))


@scenario()
async def shield_in_gather():
    """Either word says how."""
    await asyncio.gather(asyncio.shield(child("shield_in_gather.1", "shield_in_gather", "shield", "gather")),
                         child("shield_in_gather.2", "shield_in_gather", "gather"))


# TaskGroup


async def in_group(name, **children):
    """Has a group of these, each itself with a group of its own."""
    async with asyncio.TaskGroup() as group:
        for own, inner in children.items():
            tell("%s.%s" % (name, own), [name], ["TaskGroup"])
            group.create_task(in_group("%s.%s" % (name, own), **inner) if inner else stand(), name="%s.%s" % (name, own))


@scenario(since=(3, 11))
async def task_group():
    await in_group("task_group", a={}, b={"c": {}, "d": {"e": {}}})


async def grouped():
    await child("task_group_mixed.1", "grouped", "await")


@scenario(since=(3, 11))
async def task_group_mixed():
    """Coroutines without a name, and tasks that the group does not know."""
    async with asyncio.TaskGroup() as group:
        group.create_task(unnamed(grouped, "task_group_mixed", "TaskGroup"))
        group.create_task(await_it(child("task_group_mixed.2", "task_group_mixed.3", "await")), name="task_group_mixed.3")
        tell("task_group_mixed.3", ["task_group_mixed"], ["TaskGroup"])


@scenario(since=(3, 11))
async def task_group_body():
    """In the body nobody waits for the group's tasks yet."""
    async with asyncio.TaskGroup() as group:
        group.create_task(stand(), name="task_group_body.1")
        tell("task_group_body.1", ["task_group_body"])
        await child("task_group_body.2", "task_group_body", "await")
