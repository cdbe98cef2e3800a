#!/usr/bin/env python3
# SPDX-License-Identifier: Apache-2.0
"""published_context.py COROSCOPE: spans that threads of a program publish for readers outside (OTEP 4947). The program's functions are named after the span that is
published while they burn CPU: the labels of each sample inside one must be that span's, and of no other sample there may be any."""
import contextlib
import re

import live
import pprof_file

SECONDS, RATE = 5, 999
LIBRARIES = {
    "small": ("-mtls-dialect=gnu2",),
    "large": ("-mtls-dialect=gnu2", "-DLARGE"),
    "plain": ("-mtls-dialect=gnu",),
}


def cc(path, *flags):
    done = live.run(["cc", "-O1", "-g", "-o", path, live.TARGETS / "published_context.c", *flags])
    if done.code:
        raise AssertionError(f"cc: {done.err}")
    return path


def built(folder):
    return cc(folder / "published", "-pthread", "-Wl,--export-dynamic-symbol=otel_thread_ctx_v1", "-ldl")


def library(folder, kind):
    return cc(folder / f"{kind}.so", "-shared", "-fPIC", "-DLIBRARY", *LIBRARIES[kind])


def truth(names):
    """(span, root, trace) of what a stack is in, 0 for none; None if it is between spans."""
    for name in names:
        found = re.fullmatch(r"work_(\d+)", name)
        if found:
            n = int(found[1])
            return 1000 * n, 500 * n if n % 3 else 0, (7 << 64) + n
        if name in ("bare_null", "bare_invalid"):
            return 0, 0, 0
    return None


def judge(path, pid):
    """Samples in spans, those of them without a label, samples outside, and what is wrong; of this process."""
    within, unlabelled, outside, wrong = 0, 0, 0, []
    for sample in pprof_file.read(path):
        if sample.labels["process_id"] != pid:
            continue
        count, true = sample.values[0], truth(sample.names)
        labels = sample.labels
        told = labels.get("span id", 0), labels.get("local root span id", 0), int(labels.get("trace id", "0"), 16)
        if true is None:
            continue
        within += count if true[0] else 0
        outside += 0 if true[0] else count
        if true[0] and not told[0]:
            unlabelled += count
        elif told != true:
            wrong.append((count, true, told))
    return within, unlabelled, outside, wrong


def check_right(programs, missing=0.01):
    """{what: its command}, all in one capture."""
    with contextlib.ExitStack() as stack, live.scratch() as folder:
        file = folder / "spans.pb.gz"
        pids = {what: stack.enter_context(live.program(*command)).pid for what, command in programs.items()}
        live.record("-p", ",".join(map(str, pids.values())), "-d", SECONDS, "-r", RATE, "-m", "cpu", "-o", file)
        for what, pid in pids.items():
            check_process(what, judge(file, pid), live.coroscope("check", "-p", pid).out, missing)


def check_process(what, judged, told, missing):
    within, unlabelled, outside, wrong = judged
    nwrong = sum(count for count, _, _ in wrong)
    print(f"     {what}: {within} samples in spans, {unlabelled} without a label, {nwrong} wrong; {outside} outside", flush=True)
    live.check(f"{what}: samples in spans are plenty, and outside", within > 200 and outside > 20, (within, outside))
    live.check("nearly all of them are labelled", unlabelled <= within * missing, unlabelled)
    live.check("at least 99.9% of the labels are right", nwrong <= (within - unlabelled) * 0.001, wrong[:5])
    live.check("check tells of them", re.search("^ok +published spans: .*samples tell", told, re.MULTILINE), told)


def test_program():
    """The variable is the program's own."""
    with live.scratch() as folder:
        check_right({"in the program": [built(folder)]})


def test_loaded():
    """... or a library's that is loaded at once, beside the thread pointer or in a block of its own."""
    with live.scratch() as folder:
        program = built_without(folder)
        check_right({f"loaded, {kind}": [program, library(folder, kind)] for kind in LIBRARIES})


def built_without(folder):
    """The program without a variable to be seen."""
    return cc(folder / "unpublished", "-pthread", "-ldl")


def test_loaded_late():
    """... or while it is recorded, by threads that are older: what they do before is in no span."""
    with live.scratch() as folder:
        program = built_without(folder)
        check_right({f"loaded late, {kind}": [program, library(folder, kind), "2"] for kind in ("small", "large")}, missing=0.02)


def test_blocked():
    """Threads that sleep in spans: the program is the same, and each is blocked where its last span began."""
    with live.scratch() as folder, live.program(built(folder)) as process:
        file = folder / "blocked.pb.gz"
        live.record("-p", process.pid, "-d", 2, "-m", "offcpu", "-o", file)
        labels = [sample.labels.get("span id", 0) for sample in pprof_file.read(file)]
    live.check("blocks have the spans of their threads", sum(map(bool, labels)) > len(labels) / 2, len(labels))
    live.check("all of them spans that there are", {label for label in labels if label} <= {1000 * n for n in range(1, 17)})


def test_outputs():
    """The same in the other formats, from a stored capture."""
    with live.scratch() as folder, live.program(built(folder)) as process:
        raw = folder / "capture.raw"
        live.record("-p", process.pid, "-d", 1, "-m", "cpu", "-o", raw)
        told = live.coroscope("report", raw, "--by", "span").out
        live.check("a table by span", re.search(r"0bb8\b", told, re.IGNORECASE), told)
        one = live.coroscope("report", raw, "--span", f"{3000:x}", "-f", "collapsed").out
        live.check("one span alone", "work_3" in one and not re.search(r"work_(?!3\b)\d", one), one[:500])
        html = folder / "page.html"
        live.coroscope("report", raw, "-o", html)
        live.check("a page", html.stat().st_size > 10000)
        otlp = folder / "profile.otlp"
        live.coroscope("report", raw, "-f", "otlp", "-o", otlp)
        live.check("OTLP has the span's id", (3000).to_bytes(8, "big") in otlp.read_bytes())


live.main(test_program, test_loaded, test_loaded_late, live.at_once(test_blocked, test_outputs))
