#!/usr/bin/env python3
# SPDX-License-Identifier: Apache-2.0
"""collector.py COROSCOPE: a real OpenTelemetry Collector takes what push sends, and has the same task tree in it as report.

Also through a failure: the collector is away, then there, and what waited arrives.
"""
import live
import real_servers
from real_servers import Tables

CREATED = "<task Task-not_awaited (created)>"


def wall_samples(request):
    tables = Tables(request)
    for resource in request["resourceProfiles"]:
        for profile in resource["scopeProfiles"][0]["profiles"]:
            if tables.at("string", profile["sampleType"], "typeStrindex") == "wall":
                for sample in profile["samples"]:
                    yield list(tables.frames(sample)), dict(tables.attributes(sample)), int(sample["values"][0])


def service(request):
    return Tables(request).service(request["resourceProfiles"][0])


def record(folder):
    raw = folder / "capture.raw"
    with live.example(live.interpreter("3.12")) as program:
        live.record("-p", program.pid, "-d", 3, "-o", raw)
    return raw


def test_collector():
    real_servers.compiled("otelcol")
    with live.scratch() as folder:
        raw, port = record(folder), real_servers.free_port()
        where = ["--service", "shop", "--spool", folder / "spool", "--to", f"otlp=http://127.0.0.1:{port}"]
        away = live.coroscope("push", raw, "--keep-trying", "1s", *where)
        live.check("nobody is there yet", away.code == live.FAILURE and "1 waiting" in away.err, away)
        with real_servers.collector(folder, port) as file:
            done = live.coroscope("push", raw, *where)
            live.check("what waited and what is new is taken", done.code == live.OK and "2 parcels = 2 delivered" in done.err, done)
            requests = real_servers.collected(file)
        collapsed = live.stacks(live.coroscope("report", raw, "-f", "collapsed").out)
    live.check("the collector has both", len(requests) == 2, len(requests))
    live.check("of the service", [service(request) for request in requests] == ["shop", "shop"])
    samples = [list(wall_samples(request)) for request in requests]
    live.check("and both are the same", samples[0] == samples[1])
    # those whose creation was seen: a first one may be older than the capture
    tree = [(frames[::-1], weight) for frames, facts, weight in samples[0]
            if facts.get("asyncio.task.name") == "Task-not_awaited" and CREATED in frames]
    live.check("the created task stands below its creator", tree and all(
        frames.index("parent") < frames.index(CREATED) < frames.index("func_not_awaited") for frames, _ in tree), tree)
    nanoseconds = sum(weight for _, weight in tree)
    intervals = live.weight(collapsed, lambda stack: stack.has(CREATED))
    live.check("and weighs what it weighs in report", live.near(nanoseconds * 99 / 1e9, intervals, 0.05), (nanoseconds, intervals))


live.main(test_collector)
