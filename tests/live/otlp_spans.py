#!/usr/bin/env python3
# SPDX-License-Identifier: Apache-2.0
"""otlp_spans.py COROSCOPE: the links of OTLP's samples against real tracers. What burns CPU in traced_tasks.py is named after the span that
is active, its local root and its trace."""
import live
from otlp_file import read


def judge(resources):
    """Samples inside a work_ function with a span to tell; those without a link; what is wrong."""
    within, unlinked, wrong = 0, 0, []
    for sample in (sample for resource in resources for profile in resource["profiles"] for sample in profile["samples"]):
        leaf = next((frame["name"] for frame in sample["frames"] if frame["name"].startswith("work_")), None)
        if not leaf:
            continue
        span, root, trace = (int(part, 16) for part in leaf.split("_")[1:])
        within += span != 0
        unlinked += span != 0 and not sample["link"]
        told = sample["attributes"].get("trace.local_root_span.id")
        if sample["link"] and sample["link"] != [f"{trace:032x}", f"{span:016x}"] or told and told != f"{root:016x}":
            wrong.append((leaf, sample["link"], told))
    return within, unlinked, wrong


def links(package, tracer):
    found = live.run([live.PYTHONS, "--package", "3.12", package])
    if found.code:
        raise live.Skip(found.err.strip())
    with live.target(live.versioned("3.12"), "traced_tasks.py", found.out.strip(), tracer) as process, live.scratch() as folder:
        live.record("-p", process.pid, "-d", 4, "-r", 499, "-m", "cpu", "-o", folder / "profile.otlp")
        within, unlinked, wrong = judge(read(folder / "profile.otlp"))
    live.check(f"{package}: samples inside requests are plenty", within > 50, within)
    live.check("none is linked to a wrong span", not wrong, wrong[:5])
    # a span begins to be read when the types on the way have been met
    live.check("nearly all are linked", unlinked <= within * 0.01 + 30, (unlinked, within))


def test_opentelemetry():
    links("opentelemetry-sdk", "otel")


def test_ddtrace():
    links("ddtrace==4.2.*", "ddtrace")


live.main(test_opentelemetry, test_ddtrace)
