# SPDX-License-Identifier: Apache-2.0
"""Requests under a real tracer that tell afterwards what their spans were: span_events.py SITE ddtrace|otel FILE.

Interleaved on an event loop, and in two threads. Each has a root, which gets its resource when it has nearly ended, and two siblings at once,
of which one fails in every fourth. FILE gets, as JSON, a list of what the tracer itself says of each span of the last two seconds, and the version.
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

    @staticmethod
    def name(span, endpoint):
        span.resource = endpoint

    @staticmethod
    def say(span, root):
        truth.append({"id": span.span_id, "root": root.span_id, "trace": span.trace_id, "resource": span.resource,
                      "ns": span.duration_ns, "error": bool(span.error), "is_root": span is root})


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

    @staticmethod
    def name(span, endpoint):
        span.update_name(endpoint)

    @staticmethod
    def say(span, root):
        context = span.get_span_context()
        truth.append({"id": context.span_id, "root": root.get_span_context().span_id, "trace": context.trace_id, "resource": span.name,
                      "ns": span.end_time - span.start_time, "error": span.status.status_code.name == "ERROR", "is_root": span is root})


tracer = {"ddtrace": Datadog, "otel": OpenTelemetry}[TRACER]()


async def sibling(name, root, fails, judged):
    span = None
    try:
        with tracer.child(name) as span:
            await asyncio.sleep(0.004 if fails else 0.006)
            if fails:
                raise ValueError(name)
    except ValueError:
        pass
    if judged:
        tracer.say(span, root)


async def request(number):
    judged = is_judged()
    with tracer.root() as root:
        await asyncio.sleep(0.002)
        await asyncio.gather(sibling("left", root, number % 4 == 0, judged), sibling("right", root, False, judged))
        tracer.name(root, "GET /item/%d" % (number % 3))
    if judged:
        tracer.say(root, root)


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
            tracer.say(child, root)
            tracer.say(root, root)
        time.sleep(0.01)


threads = [threading.Thread(target=serve_in_thread) for _ in range(2)]
for thread in threads:
    thread.start()
asyncio.run(serve())
for thread in threads:
    thread.join()
with open(FILE, "w", encoding="utf-8") as file:
    json.dump({"version": tracer.version, "spans": truth}, file)
