# SPDX-License-Identifier: Apache-2.0
"""bench_traced.py alone|profiled SINK_PORT [PACKAGES]: an aiohttp server traced by ddtrace on a free port of 127.0.0.1; profiled: by its own
profiler, too, as it is by default. PACKAGES: folders that have what the interpreter does not. What it has to tell goes to span_sink.py.

Each request asks a database twice at once, in tasks and spans of their own, and reads the answers in another span. Prints "ready", then "PORT N", then
some 20 times a second: requests answered so far, CPU time and monotonic time in ns.
"""
import asyncio
import os
import sys
import time

PROFILED = sys.argv[1] == "profiled"
os.environ["DD_PROFILING_ENABLED"] = "true" if PROFILED else "false"
for name in ("DD_API_KEY", "DD_PROFILING_AGENTLESS", "DD_TRACE_AGENT_HOSTNAME", "DD_AGENT_HOST"):
    os.environ.pop(name, None)  # nothing leaves this machine
sys.path[:0] = sys.argv[3:]
import span_truth

tracer = span_truth.start("ddtrace", sys.argv[2])
from aiohttp import web
from ddtrace.contrib.aiohttp import trace_app
from ddtrace.profiling import bootstrap

EVERY_S = 0.05
QUERY_S = 0.001


class Served:
    count = 0


async def query(number):
    with tracer.child("query"):
        await asyncio.sleep(QUERY_S)
        return [number + i for i in range(100)]


async def answer(_):
    rows = await asyncio.gather(asyncio.create_task(query(3)), asyncio.create_task(query(4)))
    with tracer.child("read"):
        total = sum(map(sum, rows))
    Served.count += 1
    return web.json_response({"sum": total})


async def main():
    app = web.Application()
    app.router.add_get("/", answer)
    trace_app(app, None if tracer.version >= "4" else tracer.tracer, service="shop")
    runner = web.AppRunner(app, access_log=None)
    await runner.setup()
    await web.TCPSite(runner, "127.0.0.1", 0).start()
    if PROFILED != hasattr(bootstrap, "profiler"):
        sys.exit("ddtrace's profiler is not as it was asked for")
    print("ready", flush=True)
    print("PORT", runner.addresses[0][1], flush=True)
    while True:
        await asyncio.sleep(EVERY_S)
        print(Served.count, time.process_time_ns(), time.monotonic_ns(), flush=True)


asyncio.run(main())
