# SPDX-License-Identifier: Apache-2.0
"""span_forged.py COROSCOPE INTERPRETER TRACER: what only looks like a span gets no label, and what is one beside it the right one. TRACER:
a ddtrace of tools/pythons; tests/targets/span_forged.py says what each case does."""
import sys

import live
import pprof_file
import span_judge

TRACER = sys.argv[3] if len(sys.argv) > 3 else "ddtrace==4.2.*"


def judged(case, *endpoints, learning=30):
    """learning: samples without a label until the types on the way have been met, some 20 ms each, or some spans have ended."""
    name = live.INTERPRETER or "3.12"
    found = live.run([live.PYTHONS, "--package", name, TRACER])
    if found.code:
        raise live.Skip(found.err.strip())
    python = live.interpreter(name)
    with live.target(python, "span_sink.py") as sink, live.scratch() as path:
        port = sink.stdout.readline().split()[1]
        with live.target(python, "span_forged.py", case, port, found.out.strip()) as process:
            live.record("-p", process.pid, "-d", 3, "-m", "cpu", "-r", 499, "-o", path / "spans.pb.gz")
        verdict = span_judge.judge(pprof_file.read(path / "spans.pb.gz"))
    print(f"     {case}: {verdict.inside} samples inside spans, {verdict.labelled} labelled; outside {verdict.without}")
    live.check("all that it does was seen", set(verdict.endpoints) == set(endpoints) and min(verdict.endpoints.values()) >= 20,
               verdict.endpoints)
    live.check("no sample has a wrong span, root or trace", not verdict.wrong, {name: some[:2] for name, some in verdict.wrong.items()})
    live.check("those in a span are labelled", verdict.inside - verdict.labelled <= 0.01 * verdict.inside + learning, verdict)


def test_forged_variable():
    judged("forged_variable", "nothing", "beside")


def test_forged_value():
    judged("forged_value", "novalue")


def test_half_written():
    # every other one of these never ends
    judged("half_written", "half", "whole", learning=60)


def test_many_variables():
    judged("many_variables", "plenty", "plentynone")


live.main(test_forged_variable, test_forged_value, test_half_written, test_many_variables)
