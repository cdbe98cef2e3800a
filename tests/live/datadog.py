#!/usr/bin/env python3
# SPDX-License-Identifier: Apache-2.0
"""datadog.py COROSCOPE: what push sends to Datadog's intake has the form of what ddtrace's own profiler sends to the same server."""
import os
import shutil

import live
from datadog_upload import Upload, check_form
from receiver import Receiver

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


def test_form():
    package = needs()
    with live.scratch() as folder:
        theirs, ours = Upload(upload_of_ddtrace(package), folder), Upload(upload_of_ours(), folder)
    check_form(theirs, ours)


live.main(test_form)
