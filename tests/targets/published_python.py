# SPDX-License-Identifier: Apache-2.0
"""published_python.py SINK_PORT PACKAGES: requests in tasks, in jobs of threads and in contexts that threads enter, traced by a ddtrace whose own objects
coroscope does not find: what it publishes of each thread is all that tells its spans. Functions are named as in span_truth.py. Prints "ready"."""
import asyncio
import contextvars
import sys
import threading
import time

sys.path[:0] = sys.argv[2:]
import span_truth

tracer = span_truth.start("ddtrace", sys.argv[1])
# what ddtrace itself uses is elsewhere by now
import ddtrace._trace.provider
ddtrace._trace.provider._DD_CONTEXTVAR = object()  # pylint: disable=protected-access


async def requests(endpoint):
    while True:
        with tracer.tracer.trace("web.request", span_type="web"):
            await span_truth.ASYNC[endpoint](span_truth.request(endpoint))
        await asyncio.sleep(0.001)


def contexts():
    """A thread that works for one request after the other without an activation."""
    made = []

    def begin():
        span = tracer.tracer.trace("web.request", span_type="web")
        made.append((contextvars.copy_context(), span, span_truth.request("entered")))

    while True:
        for _ in range(3):
            contextvars.Context().run(begin)
        for context, _, about in made * 3:
            context.run(span_truth.burn, about, 0.003)
        span_truth.burn(span_truth.Request("nobody", 0), 0.002)
        for context, span, _ in made:
            context.run(span.finish)
        made.clear()
        time.sleep(0.002)


async def main():
    threading.Thread(target=contexts, daemon=True).start()
    print("ready", flush=True)
    await asyncio.gather(*(requests(endpoint) for endpoint in span_truth.ASYNC for _ in range(3)))


asyncio.run(main())
