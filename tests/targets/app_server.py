# SPDX-License-Identifier: Apache-2.0
"""app_server.py [--clients N] [PACKAGES]: an aiohttp server as people write them, on a free port of 127.0.0.1.

A pool of a few database connections, handlers that query it twice at once, timeouts, blocking calls on threads, an exception, and
tasks in the background. A task's name is OWN@PARENT[|PARENT...], as in links_churn.py: those that may stand above it at any moment
of its life. Prints "ready" and "PORT N". --clients: a swarm of so many (app_client.py) runs beside it. PACKAGES: the folder
that has aiohttp, if the interpreter does not.
"""
import argparse
import asyncio
import contextlib
import itertools
import os
import runpy
import socket
import sys
import time

parser = argparse.ArgumentParser()
parser.add_argument("--clients", type=int, default=0)
parser.add_argument("packages", nargs="*")
options = parser.parse_args()
sys.path[:0] = options.packages
from aiohttp import web

CONNECTIONS = 8  # fewer than clients: queries wait for one another
QUERY_S, SIBLING_S, FAILS_S, BLOCKING_S, PATIENCE_S = 0.04, 0.3, 0.1, 0.05, 0.03
HANDLER = "RequestHandler.start|start"  # aiohttp's task of a connection, qualified since Python 3.11

numbers = itertools.count()


def named(kind):
    return "%s.%d" % (kind, next(numbers))


def made(coroutine, own, *parents):
    return asyncio.get_running_loop().create_task(coroutine, name="%s@%s" % (own, "|".join(parents)))


def burn(seconds):
    end = time.thread_time() + seconds
    while time.thread_time() < end:
        pass


# The database


class Pool:
    def __init__(self):
        self.free = asyncio.Queue()
        for connection in range(CONNECTIONS):
            self.free.put_nowait(connection)

    @contextlib.asynccontextmanager
    async def connection(self):
        connection = await self.free.get()
        try:
            yield connection
        finally:
            self.free.put_nowait(connection)

    async def query(self, seconds=QUERY_S):
        async with self.connection():
            await asyncio.sleep(seconds)


async def fail():
    await asyncio.sleep(FAILS_S)
    raise LookupError("no such row")


# The requests: each is a task of aiohttp's, and takes the name of what it does


def request_is(kind):
    own = named(kind)
    asyncio.current_task().set_name("%s@%s" % (own, HANDLER))
    return own


async def order(request):
    """Two queries at once, then a page is made of them."""
    own, pool = request_is("order"), request.app["pool"]
    await asyncio.gather(made(pool.query(), named("user"), own), made(pool.query(), named("items"), own))
    page_of_order()
    made(audit(), named("audit"), own)
    request.app["jobs"].put_nowait(own)
    return web.Response(text=own)


def page_of_order():
    burn(0.002)


async def audit():
    """Made by a request, and awaited by nobody: it outlives the request."""
    await asyncio.sleep(0.05)


async def broken(request):
    """One of two queries fails; the other goes on."""
    own = request_is("broken")
    sibling = made(asyncio.sleep(SIBLING_S), named("sibling"), own)
    try:
        await asyncio.gather(sibling, made(fail(), named("failing"), own))
    except LookupError:
        await sibling
    return web.Response(text=own)


async def impatient(request):
    """A query that never ends within its time: wait_for cancels it. (Since Python 3.12 wait_for makes no task of its own.)"""
    own = request_is("impatient")
    try:
        await asyncio.wait_for(made(asyncio.sleep(1), named("too_slow"), own), PATIENCE_S)
    except asyncio.TimeoutError:
        pass
    return web.Response(text=own)


async def in_time(request):
    own = request_is("in_time")
    async with asyncio.timeout(1):
        await made(request.app["pool"].query(), named("deadline"), own)
    return web.Response(text=own)


async def report(request):
    """A library that knows nothing of asyncio."""
    own = request_is("report")
    await asyncio.get_running_loop().run_in_executor(None, blocking_report)
    return web.Response(text=own)


def blocking_report():
    burn(0.01)
    time.sleep(BLOCKING_S)


# The background


async def heartbeat():
    while True:
        await asyncio.sleep(0.1)


async def consumer(jobs):
    """One job after the other, each in a task of its own."""
    while True:
        await jobs.get()
        await made(job(), named("job"), "consumer")


async def job():
    work_in_background()
    await asyncio.sleep(0.002)


def work_in_background():
    burn(0.001)


async def background(app):
    app["jobs"], app["pool"] = asyncio.Queue(), Pool()
    tasks = [made(heartbeat(), "heartbeat", "main"), made(consumer(app["jobs"]), "consumer", "main")]
    yield
    for task in tasks:
        task.cancel()


async def main(listening):
    asyncio.current_task().set_name("main")
    app = web.Application()
    for handler in (order, broken, impatient, report) + ((in_time,) if hasattr(asyncio, "timeout") else ()):
        app.router.add_get("/" + handler.__name__, handler)
    app.cleanup_ctx.append(background)
    runner = web.AppRunner(app, access_log=None)
    await runner.setup()
    await web.SockSite(runner, listening).start()
    print("ready", flush=True)
    print("PORT", listening.getsockname()[1], flush=True)
    await asyncio.Event().wait()


def run_swarm(listening):
    port = listening.getsockname()[1]
    listening.close()
    client = os.path.join(os.path.dirname(os.path.abspath(__file__)), "app_client.py")
    sys.argv = [client, str(port), str(options.clients)]
    os.dup2(os.open(os.devnull, os.O_WRONLY), sys.stdout.fileno())
    runpy.run_path(client, run_name="__main__")


listener = socket.create_server(("127.0.0.1", 0))
if options.clients and not os.fork():
    run_swarm(listener)
else:
    asyncio.run(main(listener))
