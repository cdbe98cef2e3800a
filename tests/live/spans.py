# SPDX-License-Identifier: Apache-2.0
"""spans.py COROSCOPE [INTERPRETER [all]]: the labels of samples against real tracers. The functions that burn CPU, and the coroutines that wait, are
named after the span that is active, its local root and its trace: each sample inside one tells what its labels must be."""
import contextlib
import re
import sys

import live
import pprof_file

RATE = 499
# Until ids and ends are learned there is no label. Of what waits, some 30 tasks within spans do so as the recording begins, and each is a sample at once: so the
# bound is on time.
LEARNING_S = 0.1
# Roots of Rust objects are told so much later than ids; most of it is until Contexts have shown what they propagate.
ROOTS_LATER_S = 0.06

# Of each tracer the oldest and the newest, and one in between of which spans are slots; or all of tools/pythons'.
ALL = sys.argv[3:] == ["all"]
SECONDS = 5 if ALL else 3
SLOTS = ("ddtrace==2.21.*", "ddtrace==3.19.*", "ddtrace==4.2.*", "ddtrace==4.3.*") if ALL else ("ddtrace==2.21.*", "ddtrace==4.2.*")
RUST = ("ddtrace==4.5.*", "ddtrace==4.11.*", "ddtrace==4.14.*", "ddtrace") if ALL else ("ddtrace",)


@contextlib.contextmanager
def traced(python, packages, tracer):
    """traced_tasks.py with these of tools/pythons' packages."""
    name = live.INTERPRETER or "3.12"
    folders = []
    for package in packages:
        found = live.run([live.PYTHONS, "--package", name, package])
        if found.code:
            raise live.Skip(found.err.strip())
        folders.append(found.out.strip())
    with live.target(python, "traced_tasks.py", ":".join(folders), tracer) as process:
        yield process


def judge(path, prefix):
    """Counts of samples inside a function of this prefix: all that have a span to tell, without a label, without a root, and the wrong ones; and the share of
    time without a label."""
    within, unlabelled, rootless, wrong, ns, unlabelled_ns = 0, 0, 0, [], 0, 0
    for sample in pprof_file.read(path):
        labels = sample.labels
        leaf = next((name for name in sample.names if name.startswith(prefix)), None)
        if not leaf:
            continue
        span, root, trace = (int(part, 16) for part in leaf.split("_")[1:])
        told = labels.get("span id", 0), labels.get("local root span id", 0), int(labels.get("trace id", "0"), 16)
        within += span != 0
        unlabelled += span != 0 and not told[0]
        ns += sample.values[-1] if span else 0
        unlabelled_ns += sample.values[-1] if span and not told[0] else 0
        rootless += span != 0 and told[0] != 0 and not told[1]
        if told[0] and (told[0], told[2]) != (span, trace) or told[1] and told[1] != root:
            wrong.append((leaf, told))
    return within, unlabelled, rootless, wrong, unlabelled_ns / max(ns, 1)


def right(python, packages, tracer, rate=RATE):
    with traced(python, packages, tracer) as process, live.scratch() as path:
        file = path / "spans.pb.gz"
        checked = live.coroscope("check", "-p", process.pid).out
        live.check(f"check names {tracer}", re.search(r"^ok +tracer: .* \d", checked, re.MULTILINE), checked)
        found = []
        for mode, prefix in (("cpu", "work_"), ("wall", "wait_")):
            live.record("-p", process.pid, "-d", SECONDS, "-r", rate, "-m", mode, "-o", file)
            found.append((mode, *judge(file, prefix)))
    for mode, within, unlabelled, rootless, wrong, share in found:
        live.check(f"{tracer} of {' '.join(packages)}, {mode}: samples inside requests are plenty", within > 200, within)
        live.check("none of them has a wrong span, root or trace", not wrong, wrong[:5])
        # a span begins to be read when the types on the way have been met, some 20 ms each, or some spans have ended
        nearly = unlabelled <= within * 0.01 + 30 if mode == "cpu" else share <= 0.01 + LEARNING_S / SECONDS
        live.check("nearly all are labelled", nearly, (unlabelled, within, share))
        print(f"     {within} samples, {unlabelled} without a label ({share:.2%} of the time), {rootless} without a root", flush=True)
    return found[0][1], found[0][3]


def each(packages, tracer):
    """Those that there are for this interpreter; at least one. Yields (package, samples within spans, those without a root)."""
    python, skips = live.interpreter(live.INTERPRETER or "3.12"), []
    for package in packages:
        try:
            yield (package, *right(python, [package], tracer))
        except live.Skip as skip:
            skips.append(str(skip))
            print(f"     without {package}: {skip}", flush=True)
    if len(skips) == len(packages):
        raise live.Skip("; ".join(skips))


def test_ddtrace():
    for package, _, rootless in each(SLOTS, "ddtrace"):
        live.check(f"each sample of {package} has its root", not rootless, rootless)


def test_ddtrace_native():
    """Its spans are Rust objects, whose fields are learned from spans as they come and end; roots after the ids."""
    for package, within, rootless in each(RUST, "ddtrace"):
        # the program burns CPU all the time, mostly within spans
        live.check(f"nearly each sample of {package} has its root", rootless <= within * 0.01 + ROOTS_LATER_S * RATE, (rootless, within))


def test_otel():
    for package, within, rootless in each(("opentelemetry-sdk==1.20.*", "opentelemetry-sdk"), "otel"):
        live.check(f"most of {package} have their root", rootless < within / 2, (rootless, within))


live.main(test_ddtrace, test_ddtrace_native, test_otel)
