# SPDX-License-Identifier: Apache-2.0
"""What handlers of span_server.py do with greenlets of their own, under names that are the truth (span_truth.py). Whoever sleeps lets other
greenlets run: all are in one thread, but for gevent's thread pool.
"""
import contextvars

import gevent
import gevent.pool

import span_truth


def _work(about):
    span_truth.burn(about, 0.001)
    span_truth.sleep(about, 0.005)
    span_truth.burn(about, 0.001)


def _child(about, name):
    with span_truth.tracer.child(name):
        # ddtrace hands its span on to greenlets; of OpenTelemetry a span there is the first of another trace
        if span_truth.tracer.name != "ddtrace":
            about = span_truth.request(about.endpoint)
        _work(about)


def _child_below(about, name):
    with span_truth.tracer.child(name):
        _work(about)


def _two_at_once(about, spawn):
    children = [spawn(name) for name in ("left", "right")]
    span_truth.burn(about, 0.001)
    gevent.joinall(children, raise_error=True)
    span_truth.burn(about, 0.001)


def spawned(about):
    """Two greenlets at once have spans below the handler's own."""
    _two_at_once(about, lambda name: gevent.spawn(_child, about, name))


def copied(about):
    """... in copies of its context, by hand, as tracers that hand nothing on need it."""
    _two_at_once(about, lambda name: gevent.spawn(contextvars.copy_context().run, _child_below, about, name))


def _item(about):
    span_truth.burn(about, 0.001)
    span_truth.sleep(about, 0.002)
    return about


def pooled(about):
    """A pool's greenlets do parts of the handler's span."""
    for _ in gevent.pool.Pool(2).imap_unordered(_item, [about] * 3):
        pass
    span_truth.burn(about, 0.001)


def thread(about):
    """A real thread works meanwhile, with whatever span the tracer has there (mostly none)."""
    job = gevent.get_hub().threadpool.spawn(span_truth.burn, about, 0.001)
    span_truth.burn(about, 0.002)
    job.get()
    span_truth.sleep(about, 0.003)


HANDLERS = {"spawned": spawned, "copied": copied, "pooled": pooled, "thread": thread}
