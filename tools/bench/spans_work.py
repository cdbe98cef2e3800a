# SPDX-License-Identifier: Apache-2.0
"""A program that does nothing but make spans, in turns: spans_work.py SITE ddtrace|otel.

"ready", then for each line of stdin, a number of seconds, one line: how many spans it made, and its CPU seconds. A root and four spans below it, one after
the other, as a request has them; nothing is sent.
"""
import os
import sys
import time

sys.path[:0] = sys.argv[1].split(":")
os.environ.update(DD_INSTRUMENTATION_TELEMETRY_ENABLED="false", DD_REMOTE_CONFIGURATION_ENABLED="false", DD_TRACE_STARTUP_LOGS="false",
                  DD_TRACE_AGENT_URL="http://127.0.0.1:9", OTEL_PYTHON_CONTEXT="contextvars_context")
if sys.argv[2] == "ddtrace":
    import logging
    logging.disable(logging.CRITICAL)
    if os.environ.get("DD_PROFILING_ENABLED"):
        import ddtrace.profiling.auto  # pylint: disable=unused-import
    from ddtrace import tracer
    try:
        from ddtrace.trace import TraceFilter
    except ImportError:
        from ddtrace.filters import TraceFilter

    class Nothing(TraceFilter):
        def process_trace(self, trace):
            return None

    try:
        tracer.configure(trace_processors=[Nothing()])
    except TypeError:
        tracer.configure(settings={"FILTERS": [Nothing()]})

    def make():
        with tracer.trace("web.request", span_type="web", resource="GET /item/{id}", service="shop"):
            for _ in range(4):
                with tracer.trace("step"):
                    pass
else:
    from opentelemetry import trace
    from opentelemetry.sdk.trace import TracerProvider
    trace.set_tracer_provider(TracerProvider())
    maker = trace.get_tracer("shop")

    def make():
        with maker.start_as_current_span("GET /item/{id}", kind=trace.SpanKind.SERVER):
            for _ in range(4):
                with maker.start_as_current_span("step"):
                    pass

SPANS = 5
for _ in range(200):
    make()
print("ready", flush=True)
for line in sys.stdin:
    end, n, cpu = time.monotonic() + float(line), 0, time.process_time()
    while time.monotonic() < end:
        for _ in range(20):
            make()
        n += 20 * SPANS
    print(n, time.process_time() - cpu, flush=True)
