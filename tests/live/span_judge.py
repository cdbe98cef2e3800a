# SPDX-License-Identifier: Apache-2.0
"""Are the spans in a profile the true ones? What works or waits for a request is a function whose name says which span is active
while it does (tests/targets/span_truth.py); the sample's labels must say the same. `span_judge.py --self-test` judges made-up samples,
true and false ones.
"""
import collections
import re
import sys

# Inside: samples in such a function while a span was active, in sampling intervals. Of them: labelled, and unlabelled by endpoint.
# wrong: by what is wrong, some of the samples. derived: of the labelled ones, those with their own span for a root (see judge).
Verdict = collections.namedtuple("Verdict", "inside labelled unlabelled without wrong nwrong endpoints derived")

TRUTH = re.compile(r"at_([a-z]+)_(?:none|([0-9a-f]{16})_([0-9a-f]{16})_([0-9a-f]{32}))$")


def truth(names):
    """(endpoint, span, root, trace) of what the sample does, or None: it is in no such function. Names are leaf first. What hangs
    above a task or a thread is another's doing: only that task's or thread's own functions count."""
    for name in names:
        if name.startswith(("<task ", "<thread ")):
            return None
        found = TRUTH.match(name)
        if found:
            ids = [int(part, 16) if part else 0 for part in found.groups()[1:]]
            return (found.group(1), *ids)
    return None


def faults(labels, span, root, trace):
    """Which labels are there and say something else."""
    told = {"span id": labels.get("span id", 0), "local root span id": labels.get("local root span id", 0),
            "trace id": int(labels.get("trace id", "0"), 16)}
    true = {"span id": span, "local root span id": root, "trace id": trace}
    return [name for name in told if told[name] and told[name] != true[name]]


def judge(samples, propagates=True):
    """propagates False: the tracer hands no local root over to worker threads (ddtrace before 4.11), so that a span there is its own root
    by ddtrace's documented rule."""
    inside = labelled = without = nwrong = derived = 0
    unlabelled, wrong, endpoints = collections.Counter(), collections.defaultdict(list), collections.Counter()
    for sample in samples:
        found, count = truth(sample.names), sample.values[0]
        if not found:
            continue
        endpoint, span, root, trace = found
        endpoints[endpoint] += count
        is_labelled = bool(sample.labels.get("span id"))
        if span:
            inside += count
            labelled += count if is_labelled else 0
            unlabelled[endpoint] += 0 if is_labelled else count
        else:
            without += count
        bad = faults(sample.labels, span, root, trace)
        if not propagates and span != root and sample.labels.get("local root span id") == span and "local root span id" in bad:
            bad.remove("local root span id")
            derived += count
        nwrong += count if bad else 0
        for name in bad:
            wrong[name].append((found, sample.labels))
    return Verdict(inside, labelled, +unlabelled, without, dict(wrong), nwrong, endpoints, derived)


# Self-test

Sample = collections.namedtuple("Sample", "names values labels")


def made(names, count=1, **labels):
    keys = {"span": "span id", "root": "local root span id", "trace": "trace id"}
    return Sample(names, [count, 0, 0], {keys[key]: value for key, value in labels.items()})


def self_test():
    name = "at_plain_%016x_%016x_%032x" % (2, 1, 7)
    trace = "%032x" % 7
    right = dict(span=2, root=1, trace=trace)
    none = Verdict(0, 0, {}, 0, {}, 0, {}, 0)
    cases = [
        ("right", made([name, "handler"], 3, **right), none._replace(inside=3, labelled=3, endpoints={"plain": 3})),
        ("below other frames", made(["sleep", name, "<task a>"], **right), none._replace(inside=1, labelled=1, endpoints={"plain": 1})),
        ("no label", made([name], 2), none._replace(inside=2, unlabelled={"plain": 2}, endpoints={"plain": 2})),
        ("another's span", made([name], **{**right, "span": 3}), "span id"),
        ("another's root", made([name], **{**right, "root": 2}), "local root span id"),
        ("another's trace", made([name], **{**right, "trace": "%032x" % 8}), "trace id"),
        ("a span where none is", made(["at_plain_none"], span=2), "span id"),
        ("none where none is", made(["at_plain_none"], 4), none._replace(without=4, endpoints={"plain": 4})),
        ("a task below", made(["sleep", "<task b>", name], **right), none),
        ("a worker below", made(["run", "<thread pool>", name], **right), none),
        ("no request", made(["main"], **right), none),
        ("half a name", made(["at_plain_12"], **right), none),
    ]
    failed = 0
    for what, sample, expected in cases:
        verdict = judge([sample])
        ok = (list(verdict.wrong) == [expected] and verdict.nwrong == 1) if isinstance(expected, str) else verdict == expected
        failed += not ok
        print(f"{'ok  ' if ok else 'FAIL'} {what}{'' if ok else f': {verdict}'}")
    own_root = made([name], **{**right, "root": 2})
    other_root = made([name], **{**right, "root": 3})
    for what, sample, wrong, derived in (("its own root, not propagated", own_root, 0, 1), ("another's root, not propagated", other_root, 1, 0)):
        verdict = judge([sample], propagates=False)
        ok = (verdict.nwrong, verdict.derived) == (wrong, derived)
        failed += not ok
        print(f"{'ok  ' if ok else 'FAIL'} {what}{'' if ok else f': {verdict}'}")
    return 1 if failed else 0


if __name__ == "__main__":
    sys.exit(self_test())
