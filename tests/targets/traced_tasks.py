# SPDX-License-Identifier: Apache-2.0
"""Requests under real tracers, interleaved on one event loop: traced_tasks.py SITE ddtrace|otel|both. What burns CPU for a request
is a function whose name tells the span that must be active: work_<span id>_<local root id>_<trace id>, in hex; 0: none. What waits is a coroutine
wait_... likewise."""
import asyncio
import functools
import os
import random
import sys
import time

SITE, TRACER = sys.argv[1:3]
sys.path[:0] = SITE.split(":")
os.environ.update(DD_INSTRUMENTATION_TELEMETRY_ENABLED="false", DD_REMOTE_CONFIGURATION_ENABLED="false",
                  DD_TRACE_STARTUP_LOGS="false", DD_TRACE_AGENT_URL="http://127.0.0.1:9", OTEL_PYTHON_CONTEXT="contextvars_context")

CONCURRENT, SLICE_S, WAIT_S = 40, 0.0004, 0.02


@functools.lru_cache(maxsize=4096)
def worker(name):
    """A function of that name."""
    namespace = {"perf_counter": time.perf_counter}
    exec(f"def {name}(end):\n    n = 0\n    while perf_counter() < end:\n        n += 1\n    return n", namespace)  # pylint: disable=exec-used
    return namespace[name]


@functools.lru_cache(maxsize=4096)
def waiter(name):
    """A coroutine function of that name."""
    namespace = {"sleep": asyncio.sleep}
    exec(f"async def {name}(seconds):\n    await sleep(seconds)", namespace)  # pylint: disable=exec-used
    return namespace[name]


def burn(span, root, trace):
    worker(f"work_{span:x}_{root:x}_{trace:x}")(time.perf_counter() + SLICE_S)


async def turns(span, root, trace):
    """Slices of CPU, and others' turns between them."""
    for _ in range(random.randrange(1, 5)):
        burn(span, root, trace)
        await waiter(f"wait_{span:x}_{root:x}_{trace:x}")(random.choice((0, WAIT_S)))


def ddtrace_requests():
    import logging
    logging.disable(logging.CRITICAL)
    from ddtrace import tracer  # pylint: disable=import-error
    try:
        from ddtrace.trace import Context  # pylint: disable=import-error
    except ImportError:
        from ddtrace.context import Context  # pylint: disable=import-error

    async def parent_and_child():
        with tracer.trace("web.request", span_type="web", resource="GET /") as root:
            await turns(root.span_id, root.span_id, root.trace_id)
            with tracer.trace("step") as child:
                await turns(child.span_id, root.span_id, root.trace_id)

    async def ended_in_a_copy():
        """Tasks copy the context; what was active in it has ended when they run on."""
        with tracer.trace("web.request", span_type="worker") as root:
            with tracer.trace("outer"):
                with tracer.trace("inner"):
                    late = asyncio.ensure_future(turns(root.span_id, root.span_id, root.trace_id))
            await late

    async def propagated():
        """A span of another process is its own root, unless its meta says otherwise."""
        span, trace = random.getrandbits(63) | 1, random.getrandbits(127) | 1
        tracer.context_provider.activate(Context(trace_id=trace, span_id=span))
        await turns(span, span, trace)
        root = random.getrandbits(63) | 1
        tracer.context_provider.activate(Context(trace_id=trace, span_id=span, meta={
            "other": "x", "_dd.profiling.local_root_span_id": f"{root:016x}", "_dd.profiling.span_type": "web"}))
        await turns(span, root, trace)
        tracer.context_provider.activate(None)

    return parent_and_child, ended_in_a_copy, propagated


def otel_requests():
    from opentelemetry import context, trace  # pylint: disable=import-error
    from opentelemetry.sdk.trace import TracerProvider  # pylint: disable=import-error
    trace.set_tracer_provider(TracerProvider())
    tracer = trace.get_tracer("traced_tasks")

    async def parent_and_child():
        with tracer.start_as_current_span("request") as root:
            outer = root.get_span_context()
            await turns(outer.span_id, outer.span_id, outer.trace_id)
            with tracer.start_as_current_span("step") as child:
                inner = child.get_span_context()
                await turns(inner.span_id, outer.span_id, inner.trace_id)

    async def remote():
        """A span of another process, and the first span of this one below it."""
        ids = trace.SpanContext(random.getrandbits(127) | 1, random.getrandbits(63) | 1, is_remote=True)
        token = context.attach(trace.set_span_in_context(trace.NonRecordingSpan(ids)))
        await turns(ids.span_id, ids.span_id, ids.trace_id)
        with tracer.start_as_current_span("request") as root:
            here = root.get_span_context()
            await turns(here.span_id, here.span_id, here.trace_id)
        context.detach(token)

    async def own_dict():
        """Its attributes are in a dict of its own."""
        with tracer.start_as_current_span("request") as root:
            root.__dict__ = dict(root.__dict__)
            here = root.get_span_context()
            await turns(here.span_id, here.span_id, here.trace_id)

    return parent_and_child, remote, own_dict


async def without():
    """No span is active: none may be told."""
    await turns(0, 0, 0)


async def main():
    requests = [without]
    if TRACER in ("ddtrace", "both"):
        requests += ddtrace_requests()
    if TRACER in ("otel", "both"):
        requests += otel_requests()
    running = set()
    print("ready", flush=True)
    while True:
        while len(running) < CONCURRENT:
            running.add(asyncio.ensure_future(random.choice(requests)()))
        _, running = await asyncio.wait(running, return_when=asyncio.FIRST_COMPLETED)


asyncio.run(main())
