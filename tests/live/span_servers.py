# SPDX-License-Identifier: Apache-2.0
"""span_servers.py COROSCOPE INTERPRETER TRACER FRAMEWORK [uvloop]: web servers with tracing switched on, and many requests at once.

TRACER: one of tools/pythons' packages (ddtrace==4.2.*); FRAMEWORK as in tests/targets/span_server.py. The tracer sends to a sink of
ours, which must have got its traces: else it may have switched itself off, and nothing was tested.
"""
import collections
import contextlib
import select
import sys
import time
import urllib.request

import live
import pprof_file
import span_judge

TRACER, FRAMEWORK = sys.argv[3:5] if len(sys.argv) > 4 else ("ddtrace==4.2.*", "aiohttp")
UVLOOP = sys.argv[5:6] == ["uvloop"]
GREENLETS = FRAMEWORK in ("gevent", "pywsgi")
ENDPOINTS = ("plain", "nested") if FRAMEWORK == "flask" else ("mixed", "plain", "executor", "thread")
if GREENLETS:
    ENDPOINTS = ("plain", "nested", "spawned", "copied", "pooled", "thread")
CLIENTS, DURATION_S = 8, 4
# Samples until the types on the way are known, 20 ms. Of Rust objects some must have been met, and have ended, too.
LEARNING = 4 if TRACER.startswith(("ddtrace==2.", "ddtrace==3.", "ddtrace==4.2.", "opentelemetry")) else 15


def package(name):
    found = live.run([live.PYTHONS, "--package", live.INTERPRETER, name])
    if found.code:
        raise live.Skip(found.err.strip())
    return found.out.strip()


def told(process, what):
    """What a program says of itself in the line behind "ready"."""
    key, value = process.stdout.readline().split()
    live.check(f"it tells its {what}", key == what, key)
    return value


@contextlib.contextmanager
def server():
    """A server under load, and its sink's port."""
    python = live.interpreter()
    folders = [package(TRACER), package("web")] + ([package("uvloop")] if UVLOOP else []) + ([package("gevent")] if GREENLETS else [])
    kind = TRACER.split("=")[0].replace("opentelemetry-sdk", "opentelemetry")
    with live.target(python, "span_sink.py") as sink:
        sink_port = told(sink, "PORT")
        flags = ["--uvloop"] if UVLOOP else []
        with live.program(python, str(live.TARGETS / "span_server.py"), *flags, FRAMEWORK, kind, sink_port, *folders) as process:
            ready, _, _ = select.select([process.stdout], [], [], 60)
            live.check(f"{FRAMEWORK} with {TRACER} starts", ready and process.stdout.readline() == "ready\n")
            port = told(process, "PORT")
            print(f"     {TRACER} is {told(process, 'TRACER')}", flush=True)
            with live.target(python, "span_client.py", port, CLIENTS, *ENDPOINTS) as client:
                yield process, sink_port
                live.check("no request failed", client.poll() is None)


def received(sink_port):
    with urllib.request.urlopen(f"http://127.0.0.1:{sink_port}/received", timeout=10) as answer:
        return int(answer.read())


def check_thread_names(samples):
    """gevent's Threads are greenlets that say to be the thread in which they run. Until its name is known it has the kernel's."""
    names = collections.Counter(sample.labels.get("thread name") for sample in samples
                                if sample.labels.get("thread native id") == sample.labels["process_id"])
    live.check("the thread has its own name, no greenlet's", names["MainThread"] > 0.9 * sum(names.values()), names)


def judged(process, mode):
    with live.scratch() as folder:
        path = folder / "spans.pb.gz"
        recorded = live.record("-p", process.pid, "-s", "-d", DURATION_S, "-m", mode, "-r", 499 if mode == "cpu" else 199, "-o", path)
        samples = list(pprof_file.read(path))
    verdict = span_judge.judge(samples)
    if GREENLETS:
        check_thread_names(samples)
    print(f"     {mode}: {verdict.inside} samples inside requests, {verdict.labelled} labelled, {verdict.nwrong} wrong; "
          f"{verdict.without} where no span is active, by endpoint {dict(verdict.endpoints)}")
    if verdict.labelled < 0.9 * verdict.inside:
        print(recorded.err)  # what it says of the tracer
    live.check(f"{mode}: plenty of them", verdict.inside >= 100, verdict)
    live.check(f"{mode}: every endpoint is there", set(verdict.endpoints) == set(ENDPOINTS), verdict.endpoints)
    return verdict


def check_labels(mode, verdict):
    wrong = {name: some[:3] for name, some in verdict.wrong.items()}
    live.check(f"{mode}: at most one of 1,000 samples has a wrong span, root or trace", verdict.nwrong <= 0.001 * verdict.labelled, wrong)
    live.check(f"{mode}: 99% of those inside are labelled, but for the first ones, until types are known",
               verdict.inside - verdict.labelled <= 0.01 * verdict.inside + LEARNING, verdict)


def test_server():
    with server() as (process, sink_port):
        before = received(sink_port)
        for mode in ("cpu", "wall"):
            check_labels(mode, judged(process, mode))
        time.sleep(1.5)  # tracers send once a second, OpenTelemetry's every five
        live.check("the tracer's traces arrive", received(sink_port) > before)


if __name__ == "__main__":
    live.main(test_server)
