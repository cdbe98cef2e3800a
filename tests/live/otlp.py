#!/usr/bin/env python3
# SPDX-License-Identifier: Apache-2.0
"""otlp.py COROSCOPE: OTLP profiles, read by OpenTelemetry's own package, are the pprof profile of the same capture."""
import collections
import re
import shutil

import live
from otlp_file import read

CREATED = "<task Task-not_awaited (created)>"


def capture(folder, mode):
    path = folder / "capture.raw"
    with live.example(live.interpreter("3.12")) as program:
        live.record("-p", program.pid, "-d", 3, "--mode", mode, "-o", path)
        pid = program.pid
    return path, pid


def report(raw, path):
    done = live.coroscope("report", raw, "-o", path)
    live.check(f"report -o {path.name} succeeds", done.code == live.OK, done)
    return path


def pprof_weights(path):
    """Sums by kind of value, from `go tool pprof -raw`."""
    if not shutil.which("go"):
        raise live.Skip("needs go: apt install golang-go")
    done = live.run(["go", "tool", "pprof", "-raw", str(path)])
    live.check("go tool pprof -raw", done.code == 0, done)
    kinds = re.search(r"^Samples:\n(.*)$", done.out, re.M).group(1).replace("[dflt]", "").split()
    sums = collections.Counter()
    for line in done.out.split("Samples:")[1].split("Locations")[0].splitlines():
        match = re.match(r"\s*([\d ]+): [\d ]+$", line)
        for kind, value in zip(kinds, match.group(1).split()) if match else ():
            sums[kind.split("/")[0]] += int(value)
    return sums


def profiles_of(resources):
    return {profile["type"][0]: profile for resource in resources for profile in resource["profiles"]}


def check_resource(resources, pid):
    live.check("a process is a resource", len(resources) == 1, resources)
    facts = resources[0]["resource"]
    live.check("which has its pid and host", facts["process.pid"] == pid and facts["host.name"], facts)
    live.check("and a service named after its program", facts["service.name"] == "unknown_service:example", facts)


def test_wall():
    with live.scratch() as folder:
        raw, pid = capture(folder, "wall")
        resources = read(report(raw, folder / "profile.otlp"))
        again = read(report(raw, folder / "again.otlp"))
        sums = pprof_weights(report(raw, folder / "profile.pb.gz"))
    check_resource(resources, pid)
    live.check("it is reproducible, ids included", resources == again)
    profiles = profiles_of(resources)
    wall = profiles["wall"]
    live.check("the main kind comes first", resources[0]["profiles"][0] is wall)
    live.check("time and period are told", wall["time"] > 1.7e18 and 2e9 < wall["duration"] < 30e9 and wall["period"] > 0, wall["period"])
    for kind, profile in profiles.items():
        live.check(f"{kind} weighs what it does in pprof", sum(one["value"] for one in profile["samples"]) == sums[kind],
                   (sums, kind))
    live.check("every kind that pprof has is there", {kind for kind in ("wall", "cpu") if sums[kind]} == set(profiles), profiles.keys())
    tasks = {one["attributes"].get("asyncio.task.name") for one in wall["samples"]}
    live.check("samples tell their task", {"Task-awaited", "Task-not_awaited"} <= tasks, tasks)
    live.check("and their thread", all(one["attributes"]["thread.id"] == pid for one in wall["samples"]))
    stacks = [([frame["name"] for frame in one["frames"]], one["value"]) for one in wall["samples"]
              if one["attributes"].get("asyncio.task.name") == "Task-not_awaited"]
    # a first one may be older than the capture, and its loop be not seen as long as the thread waits for a CPU, or between two loops
    stacks = [(names, value) for names, value in stacks if CREATED in names]
    known = [(names, value) for names, value in stacks if "BaseEventLoop.run_forever" in names]
    live.check("a task's stack goes leaf first to its creator's loop",
               known and all(names.index("func_not_awaited") < names.index(CREATED) < names.index("parent")
                             < names.index("BaseEventLoop.run_forever") for names, _ in known), stacks)
    live.check("nearly all of its time does", sum(value for _, value in known) > 0.8 * sum(value for _, value in stacks), stacks)
    types = {frame["type"] for one in wall["samples"] for frame in one["frames"]}
    live.check("frames tell their type", {"cpython", "kernel"} <= types <= {"cpython", "kernel", "native", None}, types)
    live.check("the accounts are there", wall["attributes"].get("coroscope.counter.ticks", 0) > 0, wall["attributes"])


def test_cpu():
    with live.scratch() as folder:
        raw, pid = capture(folder, "cpu")
        resources = read(report(raw, folder / "profile.otlp"))
        sums = pprof_weights(report(raw, folder / "profile.pb.gz"))
    live.check("in CPU mode there is CPU time only", set(profiles_of(resources)) <= {"cpu"}, resources)
    live.check("as much as in pprof", sum(one["value"] for resource in resources for profile in resource["profiles"]
                                          for one in profile["samples"]) == sums["cpu"], sums)


live.main(test_wall, test_cpu)
