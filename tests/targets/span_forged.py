# SPDX-License-Identifier: Apache-2.0
"""span_forged.py CASE SINK_PORT [PACKAGES]: what only looks like an active span, beside ddtrace's own, over and over until it is ended.
What burns is named as in span_truth.py: by what is truly active. Prints "ready"."""
import contextvars
import sys

sys.path[:0] = sys.argv[3:]
import span_truth

tracer = span_truth.start("ddtrace", sys.argv[2]).tracer
Span = type(tracer.trace("first"))
tracer.current_span().finish()

BURN_S = 0.004
PLENTY = 10000


class LooksLikeSpan:
    """Every slot of a span, and none of its class."""
    __slots__ = ("span_id", "trace_id", "parent_id", "_parent", "_local_root_value", "_local_root", "duration_ns", "span_type", "context")

    def __init__(self):
        self.span_id = self.trace_id = self.parent_id = 0x1234
        self._parent = self._local_root = self._local_root_value = self.duration_ns = self.span_type = self.context = None


def burn(endpoint, ids=None):
    span_truth.told(span_truth._burn, endpoint, ids)(BURN_S)


def ids_of(span, root):
    return span.span_id, root.span_id, span.trace_id


forged = [contextvars.ContextVar(name) for name in ("datadog_contextvar", "datadog_civisibility_contextvar",
                                                    "datadog_llmobs_contextvar", "current_context", "current-span")]
plenty = [contextvars.ContextVar("var%d" % number) for number in range(PLENTY)]
stranger = tracer.start_span("never.active")


def forged_variable():
    """Variables of the same names, with a look-alike and with a real span that is not active."""
    for value in (LooksLikeSpan(), stranger):
        for variable in forged:
            variable.set(value)
        burn("nothing")
        with tracer.trace("web.request") as span:
            burn("beside", ids_of(span, span))
            for variable in forged:
                variable.set(value)
            burn("beside", ids_of(span, span))
    for variable in forged:
        variable.set(None)


def forged_value():
    """The tracer's own variable, with what is no span."""
    variable = next(var for var in contextvars.copy_context() if var.name == "datadog_contextvar" and var not in forged)
    before = variable.get()
    for value in (LooksLikeSpan(), 7, "text", (1, 2), {"span_id": 3}, Span, object()):
        variable.set(value)
        burn("novalue")
    variable.set(before)


def half_written():
    """A span of the real class whose slots nobody has filled. A Rust object has its ids from the beginning."""
    variable = next(var for var in contextvars.copy_context() if var.name == "datadog_contextvar" and var not in forged)
    before = variable.get()
    try:
        half = Span.__new__(Span)
    except TypeError:
        half = Span.__new__(Span, "half")
    variable.set(half)
    burn("half", ids_of(half, half) if hasattr(half, "span_id") else None)
    variable.set(before)
    with tracer.trace("web.request") as span:
        burn("whole", ids_of(span, span))


def many_variables():
    """10,000 others in one context."""
    def run():
        for variable in plenty:
            variable.set(variable)
        while True:
            with tracer.trace("web.request") as root:
                burn("plenty", ids_of(root, root))
                with tracer.trace("step") as span:
                    burn("plenty", ids_of(span, root))
            burn("plentynone")
    contextvars.copy_context().run(run)


print("ready", flush=True)
while True:
    globals()[sys.argv[1]]()
