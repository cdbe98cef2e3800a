#!/usr/bin/env python3
# SPDX-License-Identifier: Apache-2.0
"""datadog.py COROSCOPE: what push sends to Datadog's intake has the form of what ddtrace's own profiler sends to the same server."""
import json
import os
import re
import shutil
import subprocess

import live
import receiver
from receiver import Receiver

# Ours alone: who profiles, and from where.
OUR_TAGS = {"host", "profiler"}
OUR_LABELS = {"process_id"}
PROGRAM = """
import asyncio
from ddtrace.profiling import Profiler

async def job():
    await asyncio.sleep(0.1)
    sum(range(1_000_000))

async def main():
    for number in range(10):
        await asyncio.gather(*(asyncio.create_task(job(), name=f"job-{number}-{one}") for one in range(3)))

profiler = Profiler()
profiler.start()
asyncio.run(main())
profiler.stop()
"""


def needs():
    for program, package in ("go", "golang-go"), ("zstd", "zstd"):
        if not shutil.which(program):
            raise live.Skip(f"needs {program}: apt install {package}")
    folder = live.run([live.PYTHONS, "--package", "3.12", "ddtrace"])
    if folder.code:
        raise live.Skip(folder.err.strip())
    return folder.out.strip()


def upload_of(server):
    live.check("a profile is uploaded", server.requests)
    return next(request for request in server.requests if "profil" in request.path)


def upload_of_ddtrace(package):
    with Receiver() as server:
        environment = {**os.environ, "PYTHONPATH": package, "DD_TRACE_AGENT_URL": server.url, "DD_SERVICE": "shop", "DD_ENV": "prod",
                       "DD_INSTRUMENTATION_TELEMETRY_ENABLED": "false", "DD_REMOTE_CONFIGURATION_ENABLED": "false"}
        done = live.run([live.versioned("3.12"), "-c", PROGRAM], env=environment)
        live.check("ddtrace profiles a program", done.code == 0, done.err)
        return upload_of(server)


def upload_of_ours():
    with live.scratch() as folder, Receiver() as server:
        with live.example(live.interpreter("3.12")) as program:
            live.record("-p", program.pid, "-d", 2, "-o", folder / "capture.raw")
        done = live.coroscope("push", folder / "capture.raw", "--service", "shop", "--tag", "env=prod", "--to", f"datadog={server.url}")
        live.check("push succeeds", done.code == live.OK, done)
        return upload_of(server)


class Upload:
    def __init__(self, request, folder):
        self.request, parts = request, receiver.parts(request)
        self.parts = set(parts)
        self.event = json.loads(parts["event"][2])
        self.tags = dict(tag.split(":", 1) for tag in self.event["tags_profiler"].split(","))
        data = parts["profile.pprof"][2]
        if data.startswith(b"\x28\xb5\x2f\xfd"):
            data = subprocess.run(["zstd", "-dq"], input=data, stdout=subprocess.PIPE, check=True).stdout
        (folder / "profile.pprof").write_bytes(data)
        raw = live.run(["go", "tool", "pprof", "-raw", str(folder / "profile.pprof")]).out
        samples = raw.split("\nSamples:\n")[1].split("\nLocations\n")[0]
        self.kinds = set(samples.splitlines()[0].replace("[dflt]", "").split())
        # the form of a value: a name, or a number
        self.labels = {(key, value.lstrip("-").isdigit()) for line in samples.splitlines() if ":[" in line
                       for key, value in re.findall(r"(?:^| )([a-z_]+(?: [a-z_]+)*):\[([^\]]*)\]", line.strip())}


def test_form():
    package = needs()
    with live.scratch() as folder:
        theirs, ours = Upload(upload_of_ddtrace(package), folder), Upload(upload_of_ours(), folder)
    live.check("the same way", (ours.request.method, ours.request.path) == (theirs.request.method, theirs.request.path), theirs.request)
    headers = {name for name in theirs.request.headers if name.startswith("dd-evp")}
    live.check("the headers of the intake", headers and headers <= set(ours.request.headers), (headers, ours.request.headers))
    live.check("parts", {"event", "profile.pprof"} == ours.parts <= theirs.parts, (ours.parts, theirs.parts))
    live.check("keys of the event", set(ours.event) <= set(theirs.event), set(ours.event) - set(theirs.event))
    live.check("their values", all(ours.event[key] == theirs.event[key] for key in ("version", "family")) and ours.event["endpoint_counts"] is None, ours.event)
    live.check("times alike", all(re.sub(r"\d", "0", ours.event[key]) == re.sub(r"\d", "0", theirs.event[key]) for key in ("start", "end")),
               (ours.event, theirs.event))
    live.check("tags", set(ours.tags) - OUR_TAGS <= set(theirs.tags), set(ours.tags) - set(theirs.tags))
    live.check("their values too", all(ours.tags[key] == theirs.tags[key] for key in ("service", "env", "language")), (ours.tags, theirs.tags))
    live.check("kinds of values", ours.kinds <= theirs.kinds, ours.kinds - theirs.kinds)
    live.check("labels, as names or numbers", {label for label in ours.labels if label[0] not in OUR_LABELS} <= theirs.labels, (ours.labels, theirs.labels))
    live.check("and tasks are among them", {("task name", False), ("task id", True)} <= ours.labels, ours.labels)


live.main(test_form)
