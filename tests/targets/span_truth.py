# SPDX-License-Identifier: Apache-2.0
"""What the servers of spans.py share: a tracer that sends to a sink, and work in functions whose names are the truth.

A function of this module's works (burns or waits) and does nothing else, under a name that says which span is active while it does:
at_ENDPOINT_SPAN_ROOT_TRACE, or at_ENDPOINT_none. The span comes from the tracer itself; the root is the span with which the
request entered this process, handed on by hand. Spans begin and end outside such functions, so that none is ambiguous.
"""
import asyncio
import collections
import contextlib
import os
import time
import types

Request = collections.namedtuple("Request", "endpoint root")

# A name is read some milliseconds after a sample: the code must still be there, which is not what is judged here.
kept = collections.deque(maxlen=4000)


class Datadog:
    name = "ddtrace"

    def __init__(self, sink):
        os.environ.update(DD_TRACE_AGENT_URL="http://127.0.0.1:%s" % sink, DD_SERVICE="shop", DD_INSTRUMENTATION_TELEMETRY_ENABLED="false",
                          DD_REMOTE_CONFIGURATION_ENABLED="false", DD_TRACE_STARTUP_LOGS="false",
                          _DD_APPSEC_DEDUPLICATION_ENABLED="false")
        os.environ.setdefault("DD_TRACE_128_BIT_TRACEID_GENERATION_ENABLED", "true")
        import ddtrace.auto  # pylint: disable=unused-import
        try:
            from ddtrace.trace import tracer
        except ImportError:
            from ddtrace import tracer
        self.tracer = tracer
        self.version = ddtrace.__version__

    def active(self):
        """(span id, trace id), None without one."""
        active = self.tracer.context_provider.active()
        return (active.span_id, active.trace_id) if active is not None and active.span_id else None

    def root(self):
        return self.tracer.current_root_span().span_id

    def child(self, name):
        return self.tracer.trace(name)


class OpenTelemetry:
    name = "opentelemetry"

    def __init__(self, sink):
        from opentelemetry import trace
        from opentelemetry.exporter.otlp.proto.http.trace_exporter import OTLPSpanExporter
        from opentelemetry.sdk.resources import Resource
        from opentelemetry.sdk.trace import SpanProcessor, TracerProvider
        from opentelemetry.sdk.trace.export import BatchSpanProcessor
        from opentelemetry.sdk.version import __version__
        provider = TracerProvider(resource=Resource.create({"service.name": "shop"}))
        provider.add_span_processor(BatchSpanProcessor(OTLPSpanExporter(endpoint="http://127.0.0.1:%s/v1/traces" % sink)))
        parents = self.parents = {}

        class Parents(SpanProcessor):
            def on_start(self, span, parent_context=None):
                here = span.parent and not span.parent.is_remote
                parents[span.context.span_id] = span.parent.span_id if here else None

        provider.add_span_processor(Parents())
        trace.set_tracer_provider(provider)
        self.api, self.tracer = trace, trace.get_tracer("shop")
        self.version = __version__

    def active(self):
        context = self.api.get_current_span().get_span_context()
        return (context.span_id, context.trace_id) if context.is_valid else None

    def root(self):
        span = self.api.get_current_span().get_span_context().span_id
        while self.parents.get(span):
            span = self.parents[span]
        return span

    def child(self, name):
        return self.tracer.start_as_current_span(name)

    @contextlib.contextmanager
    def server(self, headers, name):
        """What an instrumentation does around a request, for frameworks whose instrumentation is not here. Those that trace themselves
        (FastAPI since 0.16x) have a span of their own around this one."""
        from opentelemetry.propagate import extract
        with self.tracer.start_as_current_span(name, context=extract(headers), kind=self.api.SpanKind.SERVER):
            yield


TRACERS = {"ddtrace": Datadog, "opentelemetry": OpenTelemetry}
tracer = None  # pylint: disable=invalid-name


def start(name, sink):
    global tracer  # pylint: disable=global-statement
    tracer = TRACERS[name](sink)
    return tracer


def request(endpoint):
    """Called first in a handler, where the root is known to the tracer."""
    return Request(endpoint, tracer.root())


def named(function, about):
    active = tracer.active()
    return told(function, about.endpoint, active and (active[0], about.root, active[1]))


def told(function, endpoint, ids):
    """The function under a name that tells these ids, or none."""
    name = "at_%s_%s" % (endpoint, "%016x_%016x_%032x" % ids if ids else "none")
    names = {"co_name": name}
    if hasattr(function.__code__, "co_qualname"):
        names["co_qualname"] = name
    copy = types.FunctionType(function.__code__.replace(**names), function.__globals__, name, function.__defaults__)
    kept.append(copy)
    return copy


# The work itself: no calls but into the clock, and none into a tracer.


def _burn(seconds):
    end = time.thread_time() + seconds
    while time.thread_time() < end:
        pass


def _sleep(seconds):
    time.sleep(seconds)


async def _wait(seconds):
    await asyncio.sleep(seconds)


def burn(about, seconds):
    named(_burn, about)(seconds)


def sleep(about, seconds):
    named(_sleep, about)(seconds)


async def wait(about, seconds):
    await named(_wait, about)(seconds)


# What handlers do: the same for every framework.


async def _child(about, name):
    with tracer.child(name):
        burn(about, 0.001)
        await wait(about, 0.01)
        burn(about, 0.001)


async def mixed(about):
    """Its own span works and waits, and two tasks at once have spans below it."""
    burn(about, 0.002)
    await wait(about, 0.005)
    await asyncio.gather(_child(about, "left"), _child(about, "right"))
    burn(about, 0.001)


async def plain(about):
    burn(about, 0.002)
    await wait(about, 0.01)


def _job(about):
    burn(about, 0.002)
    sleep(about, 0.005)


async def executor(about):
    await asyncio.get_running_loop().run_in_executor(None, _job, about)
    burn(about, 0.001)


async def thread(about):
    """asyncio.to_thread, which 3.8 does not have, hands the whole context over."""
    await asyncio.to_thread(_job, about)
    await wait(about, 0.005)


ASYNC = {"mixed": mixed, "plain": plain, "executor": executor, "thread": thread}


def sync_plain(about):
    burn(about, 0.002)
    sleep(about, 0.01)


def sync_nested(about):
    burn(about, 0.001)
    with tracer.child("query"):
        burn(about, 0.001)
        sleep(about, 0.005)
    sleep(about, 0.003)


SYNC = {"plain": sync_plain, "nested": sync_nested}
