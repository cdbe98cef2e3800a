# SPDX-License-Identifier: Apache-2.0
"""span_workers.py COROSCOPE INTERPRETER TRACER: whose span a pooled thread's job belongs to, and that it ends with the job. TRACER: a
ddtrace of tools/pythons. One test a point; tests/targets/span_workers.py says what each does. Before 4.11 ddtrace hands over no
local root: a span in a worker is then its own, by its documented rule."""
import sys

import live
import pprof_file
import span_judge

TRACER = sys.argv[3] if len(sys.argv) > 3 else "ddtrace==4.2.*"
PROPAGATES = not TRACER.startswith(("ddtrace==2.", "ddtrace==3.", "ddtrace==4.2."))
DURATION_S, RATE_HZ = 3, 499


def package(name):
    found = live.run([live.PYTHONS, "--package", live.INTERPRETER or "3.12", name])
    if found.code:
        raise live.Skip(found.err.strip())
    return found.out.strip()


def judged(case, *endpoints):
    folder = package(TRACER)
    python = live.interpreter(live.INTERPRETER or "3.12")
    with live.target(python, "span_sink.py") as sink, live.scratch() as path:
        port = sink.stdout.readline().split()[1]
        with live.target(python, "span_workers.py", case, port, folder) as process:
            live.record("-p", process.pid, "-d", DURATION_S, "-m", "cpu", "-r", RATE_HZ, "-o", path / "spans.pb.gz")
        verdict = span_judge.judge(pprof_file.read(path / "spans.pb.gz"), PROPAGATES)
    print(f"     {case}: {verdict.inside} samples inside spans, {verdict.labelled} labelled, {verdict.derived} with themselves for a root; outside {verdict.without}")
    live.check("all that it does was seen", set(verdict.endpoints) == set(endpoints) and
               min(verdict.endpoints.values()) >= 20, verdict.endpoints)
    live.check("no sample has a wrong span, root or trace", not verdict.wrong, {name: some[:2] for name, some in verdict.wrong.items()})
    # until the types on the way have been met, some 20 ms each
    live.check("those in a span are labelled", verdict.inside - verdict.labelled <= 0.01 * verdict.inside + 0.06 * RATE_HZ, verdict)


def test_a_job_has_the_submitting_span():
    judged("submitted", "submitted")


def test_a_child_in_a_worker_keeps_the_propagated_root():
    judged("child", "child")


def test_a_job_of_a_job():
    judged("nested", "nested")


def test_the_label_ends_with_the_job():
    judged("reused", "submitted", "nobody")


def test_the_label_ends_with_a_job_that_failed():
    judged("failed", "failed", "nobody")


def test_map():
    judged("mapped", "mapped")


def test_to_thread():
    judged("to_thread", "thread")


def test_no_label_without_a_span_id():
    judged("without_span_id", "nospan", "nobody")


# one CPU each
live.main(live.at_once(test_a_job_has_the_submitting_span, test_a_child_in_a_worker_keeps_the_propagated_root),
          live.at_once(test_a_job_of_a_job, test_the_label_ends_with_the_job),
          live.at_once(test_the_label_ends_with_a_job_that_failed, test_map),
          live.at_once(test_to_thread, test_no_label_without_a_span_id))
