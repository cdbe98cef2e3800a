# SPDX-License-Identifier: Apache-2.0
"""span_forged.py COROSCOPE INTERPRETER TRACER: what only looks like a span gets no label, and what is one beside it the right one. TRACER:
a ddtrace of tools/pythons; tests/targets/span_forged.py says what each case does."""
import sys

import live
import pprof_file
import span_judge

RATE = 499
TRACER = sys.argv[3] if len(sys.argv) > 3 else "ddtrace==4.2.*"
LEARNED = "==4.2." not in TRACER  # Rust objects, whose layout is learned


@live.noisy
def judge_shares(case, endpoints, learning, seconds, wrong):
    """Others' work may keep coroscope from learning while spans go by. Adds to wrong what is."""
    name = live.INTERPRETER or "3.12"
    found = live.run([live.PYTHONS, "--package", name, TRACER])
    if found.code:
        raise live.Skip(found.err.strip())
    python = live.interpreter(name)
    with live.target(python, "span_sink.py") as sink, live.scratch() as path:
        port = sink.stdout.readline().split()[1]
        with live.target(python, "span_forged.py", case, port, found.out.strip()) as process:
            live.record("-p", process.pid, "-d", seconds, "-m", "cpu", "-r", RATE, "-o", path / "spans.pb.gz")
        verdict = span_judge.judge(pprof_file.read(path / "spans.pb.gz"))
    wrong.update({name: some[:2] for name, some in verdict.wrong.items()})
    print(f"     {case}: {verdict.inside} samples inside spans, {verdict.labelled} labelled; outside {verdict.without}")
    live.check("all that it does was seen", set(verdict.endpoints) == set(endpoints) and min(verdict.endpoints.values()) >= 20,
               verdict.endpoints)
    live.check("those in a span are labelled", verdict.inside - verdict.labelled <= 0.01 * verdict.inside + learning, verdict)


def judged(case, *endpoints, learning=30, seconds=3):
    """learning: samples without a label until the types on the way have been met, some 20 ms each, or some spans were seen to end."""
    wrong = {}
    judge_shares(case, endpoints, learning, seconds, wrong)
    live.check("no sample has a wrong span, root or trace", not wrong, wrong)


def test_forged_variable():
    judged("forged_variable", "nothing", "beside")


def test_forged_value():
    judged("forged_value", "novalue")


def test_half_written():
    # Every other one of these never ends, and the memory of those that do is overwritten at once: to see three end takes 0.1 to 1.6 s.
    judged("half_written", "half", "whole", learning=2 * RATE if LEARNED else 30, seconds=6)


def test_many_variables():
    judged("many_variables", "plenty", "plentynone")


live.main(test_forged_variable, test_forged_value, test_half_written, test_many_variables)
