# SPDX-License-Identifier: Apache-2.0
"""span_workers.py CASE SINK_PORT [PACKAGES]: jobs for pooled threads with ddtrace's real integration of concurrent.futures, over and
over until it is ended. What burns is named as in span_truth.py, with the local root that the request has in truth. Prints "ready"."""
import asyncio
import concurrent.futures
import sys

sys.path[:0] = sys.argv[3:]
import span_truth

tracer = span_truth.start("ddtrace", sys.argv[2])
pool = concurrent.futures.ThreadPoolExecutor(1, "pool")
second = concurrent.futures.ThreadPoolExecutor(1, "second")

BURN_S = 0.004


def job(about):
    span_truth.burn(about, BURN_S)


def in_request(work, endpoint):
    """Work in a span below a root, which is what is active when it hands jobs over."""
    with tracer.tracer.trace("web.request", span_type="web"):
        about = span_truth.request(endpoint)
        span_truth.burn(about, BURN_S)
        with tracer.child("step"):
            span_truth.burn(about, BURN_S)
            work(about)


def submitted():
    in_request(lambda about: pool.submit(job, about).result(), "submitted")


def child():
    """The job has a span of its own."""
    def with_child(about):
        with tracer.child("in.worker"):
            job(about)
    in_request(lambda about: pool.submit(with_child, about).result(), "child")


def nested():
    """A job hands a job over. ddtrace hands on what it takes for the local root there: the span that hands over."""
    def hands_over(about):
        job(about)
        with tracer.child("hands.over"):
            second.submit(job, about._replace(root=tracer.root())).result()
    in_request(lambda about: pool.submit(hands_over, about).result(), "nested")


def reused():
    """The thread's next job belongs to nobody."""
    submitted()
    pool.submit(job, span_truth.Request("nobody", 0)).result()


def failed():
    """... nor does the one after a job that failed."""
    def fails(about):
        job(about)
        raise LookupError("no such row")

    def work(about):
        try:
            pool.submit(fails, about).result()
        except LookupError:
            pass
    in_request(work, "failed")
    pool.submit(job, span_truth.Request("nobody", 0)).result()


def mapped():
    in_request(lambda about: list(pool.map(job, [about, about])), "mapped")


def to_thread():
    """The whole context goes along, without an activation."""
    async def main():
        with tracer.tracer.trace("web.request", span_type="web"):
            about = span_truth.request("thread")
            with tracer.child("step"):
                await asyncio.to_thread(job, about)
    asyncio.run(main())


def without_span_id():
    """A trace is known, but no span of it."""
    try:
        from ddtrace.trace import Context
    except ImportError:
        from ddtrace.context import Context
    tracer.tracer.context_provider.activate(Context(trace_id=7))
    span_truth.burn(span_truth.Request("nospan", 0), BURN_S)
    tracer.tracer.context_provider.activate(None)
    span_truth.burn(span_truth.Request("nobody", 0), BURN_S)


print("ready", flush=True)
while True:
    globals()[sys.argv[1]]()
