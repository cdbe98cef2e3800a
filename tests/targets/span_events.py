# SPDX-License-Identifier: Apache-2.0
"""Requests under a real tracer that tell afterwards what their spans were: span_events.py SITE ddtrace|otel FILE.

Interleaved on an event loop, and in two threads. Each has a root, which gets its resource when it has nearly ended, and two siblings at once,
of which one ends in one of many ways, in error or not. FILE gets, as JSON, a list of what the tracer itself says in the end of each span of the last two
seconds, and the version.
"""
import asyncio
import json
import os
import sys
import threading
import time

SITE, TRACER, FILE = sys.argv[1:4]
sys.path[:0] = SITE.split(":")
os.environ.update(DD_INSTRUMENTATION_TELEMETRY_ENABLED="false", DD_REMOTE_CONFIGURATION_ENABLED="false", DD_SERVICE="shop",
                  DD_TRACE_STARTUP_LOGS="false", DD_TRACE_AGENT_URL="http://127.0.0.1:9", OTEL_PYTHON_CONTEXT="contextvars_context")

LEARN_S, JUDGED_S, CONCURRENT = 3, 2, 8
truth, begun = [], time.monotonic()


def is_judged():
    return time.monotonic() > begun + LEARN_S


class Datadog:
    def __init__(self):
        import logging
        logging.disable(logging.CRITICAL)
        import ddtrace
        self.tracer, self.version = ddtrace.tracer, ddtrace.__version__

    def root(self):
        return self.tracer.trace("web.request", span_type="web", resource="not known yet")

    def child(self, name):
        return self.tracer.trace(name)

    def ways(self):
        async def marked(name, kept):
            with self.child(name) as span:
                kept.append(span)
                await asyncio.sleep(0.004)
                span.error = 1

        return {"marked": marked}

    @staticmethod
    def name(span, endpoint):
        span.resource = endpoint

    @staticmethod
    def say(span, root, way):
        truth.append({"id": span.span_id, "root": root.span_id, "trace": span.trace_id, "resource": span.resource,
                      "ns": span.duration_ns, "error": bool(span.error), "is_root": span is root, "way": way})


class OpenTelemetry:
    def __init__(self):
        from opentelemetry import trace
        from opentelemetry.sdk.trace import TracerProvider
        from opentelemetry.sdk.trace.export import BatchSpanProcessor, SpanExporter, SpanExportResult
        from opentelemetry.sdk.version import __version__

        class Nowhere(SpanExporter):
            def export(self, spans):  # pylint: disable=unused-argument
                return SpanExportResult.SUCCESS

        provider = TracerProvider()
        provider.add_span_processor(BatchSpanProcessor(Nowhere()))  # keeps spans for a while, as every exporter does
        trace.set_tracer_provider(provider)
        self.trace, self.tracer, self.version = trace, trace.get_tracer("shop"), __version__

    def root(self):
        return self.tracer.start_as_current_span("not known yet", kind=self.trace.SpanKind.SERVER)

    def child(self, name):
        return self.tracer.start_as_current_span(name)

    def ways(self):  # pylint: disable=too-many-locals
        from opentelemetry import context
        from opentelemetry.trace import Status, StatusCode, set_span_in_context, use_span
        error, fine = Status(StatusCode.ERROR), Status(StatusCode.OK)

        def with_status(status, fails):
            async def way(name, kept):
                with self.child(name) as span:
                    kept.append(span)
                    await asyncio.sleep(0.004)
                    span.set_status(status)
                    if fails:
                        raise ValueError(name)
            return way

        async def fails_unmarked(name, kept):
            with self.tracer.start_as_current_span(name, set_status_on_exception=False) as span:
                kept.append(span)
                await asyncio.sleep(0.004)
                raise ValueError(name)

        def left_first(mark):
            async def way(name, kept):
                kept.append(self.tracer.start_span(name))
                with use_span(kept[0], end_on_exit=False):
                    await asyncio.sleep(0.004)
                if mark:
                    kept[0].set_status(mark)
                kept[0].end()
            return way

        def by_hand(ends_first):
            async def way(name, kept):
                kept.append(self.tracer.start_span(name))
                token = context.attach(set_span_in_context(kept[0]))
                await asyncio.sleep(0.004)
                if not ends_first:
                    context.detach(token)
                kept[0].set_status(error)
                kept[0].end()
                if ends_first:
                    context.detach(token)
            return way

        return {"marked": with_status(error, False), "marked, fails": with_status(error, True), "fine": with_status(fine, False),
                "fine, fails": with_status(fine, True), "fails unmarked": fails_unmarked, "ended first": by_hand(True),
                "left first": left_first(None), "left first, marked": left_first(error), "left by hand": by_hand(False)}

    @staticmethod
    def name(span, endpoint):
        span.update_name(endpoint)

    @staticmethod
    def say(span, root, way):
        context = span.get_span_context()
        truth.append({"id": context.span_id, "root": root.get_span_context().span_id, "trace": context.trace_id, "resource": span.name,
                      "ns": span.end_time - span.start_time, "error": span.status.status_code.name == "ERROR", "is_root": span is root, "way": way})


tracer = {"ddtrace": Datadog, "otel": OpenTelemetry}[TRACER]()


class NoError(BaseException):
    pass


class Both(NoError, ValueError):
    """An Exception, but its first base is none."""


def raises(what):
    async def way(name, kept):
        with tracer.child(name) as span:
            kept.append(span)
            await asyncio.sleep(0.004)
            raise what()
    return way


async def succeeds(name, kept):
    with tracer.child(name) as span:
        kept.append(span)
        await asyncio.sleep(0.006)


async def in_a_handler(name, kept):
    try:
        raise ValueError(name)
    except ValueError:
        await succeeds(name, kept)


async def handles(name, kept):
    with tracer.child(name) as span:
        kept.append(span)
        await asyncio.sleep(0.004)
        try:
            raise ValueError(name)
        except ValueError:
            pass


async def cancelled(name, kept):
    with tracer.child(name) as span:
        kept.append(span)
        asyncio.current_task().cancel()
        await asyncio.sleep(1)


ways = {"succeeds": succeeds, "fails": raises(ValueError), "both": raises(Both), "no error": raises(NoError), "in a handler": in_a_handler,
        "handles": handles, "cancelled": cancelled, **tracer.ways()}
if sys.version_info >= (3, 11):
    ways["group"] = raises(lambda: ExceptionGroup("some", [ValueError("one")]))  # noqa: F821  # pylint: disable=undefined-variable
in_turn = sorted(ways) + ["fails"] * (1 + len(ways) % 2)  # an odd number, so that each worker comes to all of them


async def sibling(name, root, way, judged):
    kept = []
    try:
        await ways[way](name, kept)
    except (Exception, NoError, asyncio.CancelledError):  # pylint: disable=broad-exception-caught
        pass
    if judged:
        tracer.say(kept[0], root, way)


async def request(number):
    judged = is_judged()
    with tracer.root() as root:
        await asyncio.sleep(0.002)
        await asyncio.gather(sibling("left", root, in_turn[number % len(in_turn)], judged), sibling("right", root, "succeeds", judged))
        tracer.name(root, "GET /item/%d" % (number % 3))
    if judged:
        tracer.say(root, root, "succeeds")


async def serve():
    async def one_after_the_other(first):
        for number in range(first, 1 << 30, CONCURRENT):
            if time.monotonic() > begun + LEARN_S + JUDGED_S:
                return
            await request(number)
            await asyncio.sleep(0.01)
    await asyncio.gather(*(one_after_the_other(i) for i in range(CONCURRENT)))


def serve_in_thread():
    while time.monotonic() < begun + LEARN_S + JUDGED_S:
        judged = is_judged()
        with tracer.root() as root:
            with tracer.child("in thread") as child:
                time.sleep(0.003)
            tracer.name(root, "GET /thread")
        if judged:
            tracer.say(child, root, "succeeds")
            tracer.say(root, root, "succeeds")
        time.sleep(0.01)


threads = [threading.Thread(target=serve_in_thread) for _ in range(2)]
for thread in threads:
    thread.start()
asyncio.run(serve())
for thread in threads:
    thread.join()
with open(FILE, "w", encoding="utf-8") as file:
    json.dump({"version": tracer.version, "spans": truth}, file)
