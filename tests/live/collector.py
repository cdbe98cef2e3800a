#!/usr/bin/env python3
# SPDX-License-Identifier: Apache-2.0
"""collector.py COROSCOPE: a real OpenTelemetry Collector takes what push sends, and has the same task tree in it as report.

Also through a failure: the collector is away, then there, and what waited arrives.
"""
import contextlib
import json
import pathlib
import socket

import live

CREATED = "<task Task-not_awaited (created)>"
RECEIVERS = pathlib.Path(__file__).resolve().parent.parent.parent / "tools" / "receivers"
CONFIG = """\
receivers: {{otlp: {{protocols: {{http: {{endpoint: "127.0.0.1:{port}"}}}}}}}}
exporters: {{file: {{path: "{file}"}}}}
service:
  telemetry: {{metrics: {{level: none}}}}
  pipelines: {{profiles: {{receivers: [otlp], exporters: [file]}}}}
"""


def collector():
    found = live.run([RECEIVERS, "--path", "otelcol"])
    if found.code:
        raise live.Skip(found.err.strip())
    return found.out.strip()


def free_port():
    with socket.create_server(("127.0.0.1", 0)) as listener:
        return listener.getsockname()[1]


def listens(port):
    with contextlib.suppress(OSError), socket.create_connection(("127.0.0.1", port), 1):
        return True
    return False


@contextlib.contextmanager
def running(folder, port):
    config, file = folder / "collector.yaml", folder / "profiles.json"
    config.write_text(CONFIG.format(port=port, file=file), encoding="utf-8")
    with live.program(collector(), "--config", str(config), "--feature-gates=service.profilesSupport") as process:
        live.until(lambda: listens(port) or process.poll() is not None)
        live.check("the collector runs", process.poll() is None, process.poll() is not None and process.stderr.read())
        yield file


def received(file):
    """Requests that the collector has written, one for each line."""
    live.until(lambda: file.exists() and file.read_text(encoding="utf-8").endswith("\n"))
    return [json.loads(line) for line in file.read_text(encoding="utf-8").splitlines()]


class Tables:
    """The dictionary of a request."""

    def __init__(self, request):
        self.rows = request["dictionary"]

    def at(self, table, row, key):
        return self.rows[f"{table}Table"][row.get(key, 0)]

    def frames(self, sample):
        for index in self.at("stack", sample, "stackIndex").get("locationIndices", ()):
            function = self.at("function", self.rows["locationTable"][index]["lines"][0], "functionIndex")
            yield self.at("string", function, "nameStrindex")

    def attributes(self, sample):
        for index in sample.get("attributeIndices", ()):
            row = self.rows["attributeTable"][index]
            yield self.at("string", row, "keyStrindex"), next(iter(row["value"].values()))


def wall_samples(request):
    tables = Tables(request)
    for resource in request["resourceProfiles"]:
        for profile in resource["scopeProfiles"][0]["profiles"]:
            if tables.at("string", profile["sampleType"], "typeStrindex") == "wall":
                for sample in profile["samples"]:
                    yield list(tables.frames(sample)), dict(tables.attributes(sample)), int(sample["values"][0])


def service(request):
    """The collector moves the texts of resources to the dictionary."""
    strings = request["dictionary"]["stringTable"]
    for fact in request["resourceProfiles"][0]["resource"]["attributes"]:
        if (fact.get("key") or strings[fact["keyStrindex"]]) == "service.name":
            return fact["value"].get("stringValue") or strings[fact["value"]["stringValueStrindex"]]
    return None


def record(folder):
    raw = folder / "capture.raw"
    with live.example(live.interpreter("3.12")) as program:
        live.record("-p", program.pid, "-d", 3, "-o", raw)
    return raw


def test_collector():
    collector()
    with live.scratch() as folder:
        raw, port = record(folder), free_port()
        where = ["--service", "shop", "--spool", folder / "spool", "--to", f"otlp=http://127.0.0.1:{port}"]
        away = live.coroscope("push", raw, "--keep-trying", "1s", *where)
        live.check("nobody is there yet", away.code == live.FAILURE and "1 waiting" in away.err, away)
        with running(folder, port) as file:
            done = live.coroscope("push", raw, *where)
            live.check("what waited and what is new is taken", done.code == live.OK and "2 parcels = 2 delivered" in done.err, done)
            requests = received(file)
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
