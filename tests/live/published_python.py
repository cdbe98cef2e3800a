#!/usr/bin/env python3
# SPDX-License-Identifier: Apache-2.0
"""published_python.py COROSCOPE INTERPRETER: what ddtrace publishes of its threads, where its own objects cannot be read, and where they can: then it is compared
with them, and tells nothing itself."""
import re
import sys

import live
import pprof_file
import span_judge

DURATION_S, RATE_HZ = 4, 499
NAME = live.INTERPRETER or "3.12"
# the interpreter tells a tracer whenever a thread enters another context
TOLD = NAME.split("-")[-1] in ("3.14", "3.15")


def package(name):
    found = live.run([live.PYTHONS, "--package", NAME, name])
    if found.code:
        raise live.Skip(found.err.strip())
    return found.out.strip()


def judged(script, *arguments):
    """(what is judged, the summary, what `check` says of what is published)"""
    python, folder = live.interpreter(NAME), package("ddtrace")
    with live.target(python, "span_sink.py") as sink, live.scratch() as path:
        port = sink.stdout.readline().split()[1]
        with live.target(python, script, *arguments, port, folder) as process:
            done = live.record("-p", process.pid, "-d", DURATION_S, "-m", "cpu", "-r", RATE_HZ, "-o", path / "spans.pb.gz")
            checked = live.coroscope("check", "-p", process.pid).out
        verdict = span_judge.judge(pprof_file.read(path / "spans.pb.gz"))
    told = re.search(r"^ok +published spans: (.*)", checked, re.MULTILINE)
    print(f"     {script}: {verdict.inside} samples in spans, {verdict.labelled} labelled, {verdict.nwrong} wrong; {told and told[1]}", flush=True)
    live.check("check says that spans are published", told, checked)
    live.check("samples in spans are plenty", verdict.inside > 300, verdict)
    return verdict, done.err, told[1]


def test_not_found():
    """All that is published is right where the interpreter tells of every context; else none of it may become a label."""
    verdict, summary, told = judged("published_python.py")
    if TOLD:
        live.check("no label is wrong", verdict.nwrong <= verdict.labelled * 0.001, {name: some[:2] for name, some in verdict.wrong.items()})
        live.check("check says so", "samples tell them" in told, told)
        live.check("nearly all are labelled", verdict.labelled >= verdict.inside * 0.99 - 0.1 * RATE_HZ, verdict)
    else:
        live.check("no label is taken", not verdict.labelled and not verdict.wrong, verdict)
        live.check("the summary counts them", "not taken" in summary, summary)
        live.check("check says why", "not taken" in told, told)


def test_compared():
    """Threads that run no event loop, in spans of their own."""
    verdict, _, told = judged("span_workers.py", "child")
    live.check("no label is wrong", not verdict.nwrong, verdict.wrong)
    agreement = re.search(r"(\d+) of (\d+) looks agree", told)
    live.check("check compares what is published with what is read", agreement and int(agreement[2]) > 20, told)
    live.check("they agree", int(agreement[1]) >= int(agreement[2]) * 0.9, told)


if len(sys.argv) > 2:
    live.main(test_not_found, test_compared)
