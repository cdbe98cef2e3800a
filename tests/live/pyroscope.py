#!/usr/bin/env python3
# SPDX-License-Identifier: Apache-2.0
"""pyroscope.py COROSCOPE: a real Pyroscope takes what push sends, and answers with the same: by service, by kind of time, and for each span.

What is right is told by report's pprof of the same capture, and by the names of functions in traced_tasks.py: what works for a request is named after
its span, local root and trace.
"""
import collections
import time

import live
import pprof_file
import real_servers

KINDS = {"wall": "wall:wall:nanoseconds:wall:nanoseconds", "cpu": "process_cpu:cpu:nanoseconds:cpu:nanoseconds"}
SPANS = 40


def package(name):
    found = live.run([live.PYTHONS, "--package", "3.12", name])
    if found.code:
        raise live.Skip(found.err.strip())
    return found.out.strip()


class Truth:
    """What report says: stack (root first) -> time, for all and for each request's span."""

    def __init__(self, raw):
        path = raw.with_suffix(".pb.gz")
        done = live.coroscope("report", raw, "-o", path)
        live.check("report makes a profile", done.code == live.OK, done)
        self.stacks = {"cpu": collections.Counter(), "wall": collections.Counter()}
        self.spans = {"cpu": collections.defaultdict(collections.Counter), "wall": collections.defaultdict(collections.Counter)}
        for sample in pprof_file.read(path):
            stack, span = tuple(sample.names[::-1]), sample.labels.get("local root span id") or sample.labels.get("span id")
            for kind, value in ("cpu", sample.values[1]), ("wall", sample.values[2]):
                if value:
                    self.stacks[kind][stack] += value
                    if span:
                        self.spans[kind][f"{span & 2 ** 64 - 1:016x}"][stack] += value


def recorded(folder, name, script, *arguments):
    raw = folder / f"{name}.raw"
    with live.target(live.versioned("3.12"), script, *arguments) as process:
        live.record("-p", process.pid, "-d", 4, "-r", 199, "-o", raw)
    return raw


def check_span(span, stacks):
    """Functions tell the requests that they work for."""
    told = [name.split("_")[2] for stack in stacks for name in stack if name.startswith(("work_", "wait_"))]
    return all(int(root, 16) == int(span, 16) for root in told), len(told)


def check_spans(server, truth, kind, begun):
    """The requests with the most time, each alone, and two at once."""
    most = sorted(truth.spans[kind], key=lambda span: -sum(truth.spans[kind][span].values()))[:SPANS]
    live.check(f"{kind}: there are requests", len(most) == SPANS, len(most))
    named = 0
    for span in most:
        found = server.flames(KINDS[kind], '{service_name="shop"}', begun, time.time(), [span])
        right, n = check_span(span, found)
        if found != truth.spans[kind][span] or not right:
            live.check(f"{kind}: the profile of span {span} is its own", False, (found, truth.spans[kind][span]))
        named += n
    live.check(f"{kind}: each of {SPANS} spans' profiles is its own, to the nanosecond", named >= SPANS, named)
    both = server.flames(KINDS[kind], '{service_name="shop"}', begun, time.time(), most[:2])
    live.check(f"{kind}: and those of two at once are theirs", both == truth.spans[kind][most[0]] + truth.spans[kind][most[1]], both)
    live.check(f"{kind}: a span that nobody had has none", server.flames(KINDS[kind], '{service_name="shop"}', begun, time.time(), ["00000000000000ff"]) == {})


def test_pyroscope():
    real_servers.compiled("pyroscope")
    begun = time.time()
    with live.scratch() as folder, real_servers.pyroscope(folder) as server:
        shop, raws = "shop", {"shop": recorded(folder, "shop", "traced_tasks.py", package("ddtrace==4.2.*"), "ddtrace"),
                              "other": recorded(folder, "other", "burn_task.py")}
        truths = {name: Truth(raw) for name, raw in raws.items()}
        for name, raw in raws.items():
            done = live.coroscope("push", raw, "--service", name, "--tag", "region=eu", "--to", f"pyroscope={server.url}")
            live.check(f"it takes {name}'s", done.code == live.OK and "0 profiles rejected" in done.err, done)
        live.check("services are found by their names", {"shop", "other"} <= set(server.values("service_name")), server.values("service_name"))
        live.check("and by a tag", server.values("region") == ["eu"], server.values("region"))
        live.check("no id is the label of a series", not {"span_id", "trace_id", "task_id", "thread_id"} & set(server.ask("LabelNames")["names"]))
        live.check("kinds of time have the names that its pages ask for", set(KINDS.values()) <= server.kinds(), server.kinds())
        for name, truth in truths.items():
            for kind, stacks in truth.stacks.items():
                found = server.flames(KINDS[kind], f'{{service_name="{name}"}}', begun, time.time())
                live.check(f"{kind} of {name}: {len(stacks)} stacks, as in report", found == stacks, sorted((found.items() ^ stacks.items()))[:6])
        for kind in KINDS:
            check_spans(server, truths[shop], kind, begun)


live.main(test_pyroscope)
