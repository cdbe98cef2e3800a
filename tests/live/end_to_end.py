#!/usr/bin/env python3
# SPDX-License-Identifier: Apache-2.0
"""end_to_end.py COROSCOPE [INTERPRETER TRACER]: a traced asyncio service, an agent, and all receivers at once: a Collector, a Pyroscope, Datadog's intake, pprof files.

Files are judged by the service itself, whose functions are named after the span that is active (tests/targets/span_truth.py), and read by `go tool
pprof`. The others must have the very same stacks, times and spans. The service's own tracer profiles it too, and sends to the same intake.
"""
import collections
import contextlib
import select
import shutil
import sys
import time

import live
import pprof_file
import real_servers
import receiver
import span_judge
from agent_process import Agent
from datadog_upload import Upload, check_form
from delivered import files
from receiver import Receiver

INTERPRETER = live.INTERPRETER or "3.12"
TRACER = sys.argv[3] if len(sys.argv) > 3 else "ddtrace==4.2.*"
# Spans that are Rust objects have no label until their layout is learned, in the first period.
LEARNING_S = 0 if "==4.2." in TRACER else 0.5
ENDPOINTS = ("mixed", "plain")
WALL = "wall:wall:nanoseconds:wall:nanoseconds"
PERIODS, PERIOD_S, SPANS = 2, 5, 20


def packages():
    for program, package in ("go", "golang-go"), ("zstd", "zstd"):
        if not shutil.which(program):
            raise live.Skip(f"needs {program}: apt install {package}")
    for name in "otelcol", "pyroscope":
        real_servers.compiled(name)
    found = [live.run([live.PYTHONS, "--package", INTERPRETER, name]) for name in (TRACER, "web")]
    for one in found:
        if one.code:
            raise live.Skip(one.err.strip())
    return [one.out.strip() for one in found]


def told(process, what):
    key, value = process.stdout.readline().split()
    live.check(f"it tells its {what}", key == what, key)
    return value


@contextlib.contextmanager
def service(folders, intake):
    """Under load; its tracer and its profiler send to the intake."""
    python = live.versioned(INTERPRETER)
    with live.program("env", "DD_SERVICE=shop", "DD_ENV=prod", "DD_VERSION=1.2", "DD_PROFILING_ENABLED=true", "DD_PROFILING_UPLOAD_INTERVAL=5", python,
                      str(live.TARGETS / "span_server.py"), "aiohttp", "ddtrace", str(intake.port), *folders) as process:
        ready, _, _ = select.select([process.stdout], [], [], 60)
        live.check("the service starts", ready and process.stdout.readline() == "ready\n")
        port = told(process, "PORT")
        print(f"     {TRACER} is {told(process, 'TRACER')}", flush=True)
        with live.target(python, "span_client.py", port, 4, *ENDPOINTS):
            yield process


# What each has: (stack, root first; span; local root; trace) -> wall time, ns


def of_pprof(paths):
    found = collections.Counter()
    for sample in (sample for path in paths for sample in pprof_file.read(path)):
        labels = sample.labels
        ids = [labels.get(name, 0) & 2 ** 64 - 1 for name in ("span id", "local root span id")]
        found[tuple(sample.names[::-1]), ids[0], ids[1], int(labels.get("trace id", "0"), 16)] += sample.values[2]
    return +found


def of_collector(requests):
    found = collections.Counter()
    for request in requests:
        tables = real_servers.Tables(request)
        for resource in request["resourceProfiles"]:
            live.check("the Collector knows the service", tables.service(resource) == "shop", tables.service(resource))
            for profile in resource["scopeProfiles"][0]["profiles"]:
                if tables.at("string", profile["sampleType"], "typeStrindex") == "wall":
                    for sample in profile["samples"]:
                        trace, span = tables.link(sample) or ("0", "0")
                        root = dict(tables.attributes(sample)).get("trace.local_root_span.id", "0")
                        found[tuple(tables.frames(sample))[::-1], int(span, 16), int(root, 16), int(trace, 16)] += int(sample["values"][0])
    return found


def uploads(intake, ours):
    """Requests to the intake: those of coroscope, or those of ddtrace's profiler."""
    return [request for request in intake.requests if "/profiling/" in request.path and request.headers.get("user-agent", "").startswith("coroscope/") == ours]


def of_datadog(requests, folder):
    for number, request in enumerate(requests):
        (folder / f"{number}.pprof").write_bytes(receiver.parts(request)["profile.pprof"][2])
    return of_pprof(sorted(folder.glob("*.pprof")))


# What is right


def check_files(paths):
    for path in paths[:PERIODS]:  # the last one is what was left
        done = live.run(["go", "tool", "pprof", "-traces", "-sample_index=wall", str(path)])
        live.check("go tool pprof reads a file", done.code == 0 and all(word in done.out for word in ("Type: wall", "at_mixed_", "<task ", "span id:")), done.err)
    for what, judged, learning_s in ("the first period", paths[:1], LEARNING_S), ("the others", paths[1:], 0):
        verdict = span_judge.judge(sample for path in judged for sample in pprof_file.read(path))
        print(f"     {what}: {verdict.inside} samples inside of requests, {verdict.labelled} with a span; {verdict.endpoints}", flush=True)
        live.check("no label is wrong", not verdict.wrong, verdict.wrong)
        share = 0.97 - learning_s / PERIOD_S
        live.check("there are plenty, nearly all with their span", verdict.inside > 100 and verdict.labelled >= verdict.inside * share - 4, verdict)


def trees(found):
    """Of what works for "mixed" in a task of its own: whether the task hangs below the coroutine that gathers it."""
    for stack, *_ in found:
        leaf = next((name for name in reversed(stack) if name.startswith("at_mixed_")), None)
        if leaf and "_child" in stack:
            tasks = [at for at, name in enumerate(stack) if name.startswith("<task ")]
            yield "mixed" in stack and any(stack.index("mixed") < at < stack.index("_child") for at in tasks)


def check_same(what, found, truth):
    live.check(f"{what}: {len(truth)} stacks with their spans and times, as in the files", found == truth,
               ([(item, found.get(item), truth.get(item)) for item in found.keys() ^ truth.keys()][:4], sum(found.values()), sum(truth.values())))
    right = list(trees(found))
    live.check(f"{what}: {len(right)} stacks of tasks hang below who gathers them", len(right) > 10 and sum(right) >= len(right) * 0.9, sum(right))


def check_pyroscope(server, truth, begun):
    shop = '{service_name="shop", deployment_environment="prod", service_version="1.2"}'
    stacks, spans = collections.Counter(), collections.defaultdict(collections.Counter)
    for (stack, span, root, _), value in truth.items():
        stacks[stack] += value
        if span:
            spans[f"{root or span:016x}"][stack] += value
    live.check(f"Pyroscope: the flame graph of the service, {len(stacks)} stacks", server.flames(WALL, shop, begun, time.time()) == stacks)
    most = sorted(spans, key=lambda span: -sum(spans[span].values()))[:SPANS]
    for span in most:
        found = server.flames(WALL, shop, begun, time.time(), [span])
        told_roots = {name.split("_")[3] for stack in found for name in stack if name.startswith("at_") and not name.endswith("_none")}
        if found != spans[span] or told_roots - {span}:
            live.check(f"Pyroscope: the profile of span {span} is its own", False, (found, spans[span]))
    live.check(f"Pyroscope: the profiles of {len(most)} requests' spans are their own", len(most) == SPANS)


def check_datadog(intake, folder):
    theirs, ours = (Upload(max(uploads(intake, which), key=lambda request: len(request.body)), folder) for which in (False, True))
    check_form(theirs, ours)
    live.check("and spans", {("span id", True), ("local root span id", True)} <= ours.labels & theirs.labels, (ours.labels, theirs.labels))


def test_end_to_end():
    folders, begun = packages(), time.time()
    with live.scratch() as folder, Receiver() as intake, real_servers.pyroscope(folder) as pyroscope:
        port, target = real_servers.free_port(), folder / "files"
        with service(folders, intake) as process, real_servers.collector(folder, port) as file:
            with Agent("-p", process.pid, "--period", f"{PERIOD_S}s", "--rate", 99, "--cpu-budget", "50%", "--to", f"dir={target}", "--to", f"otlp=http://127.0.0.1:{port}",
                       "--to", f"pyroscope={pyroscope.url}", "--to", f"datadog={intake.url}") as agent:
                live.until(lambda: len(files(target)) >= PERIODS and uploads(intake, False), 60)
                live.check("the agent ends well, with all delivered", agent.end() == live.OK and "not delivered" not in agent.text, agent.text)
            paths = files(target)
            requests = real_servers.collected(file)
        truth = of_pprof(paths)
        check_files(paths)
        check_same("files", truth, truth)
        live.check("as many periods everywhere", len(requests) == len(paths) == len(uploads(intake, True)), (len(requests), len(paths)))
        check_same("Collector", of_collector(requests), truth)
        (folder / "datadog").mkdir()
        check_same("Datadog", of_datadog(uploads(intake, True), folder / "datadog"), truth)
        check_datadog(intake, folder)
        check_pyroscope(pyroscope, truth, begun)


live.main(test_end_to_end)
