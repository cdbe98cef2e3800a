# SPDX-License-Identifier: Apache-2.0
"""span_events.py COROSCOPE INTERPRETER TRACER: when spans begin and end, against what a real tracer says of them itself. TRACER: one of
tools/pythons' packages. tests/targets/span_events.py says what its spans do."""
import collections
import json
import re
import sys

import live
import pprof_file

PACKAGE = sys.argv[3] if len(sys.argv) > 3 else "ddtrace==4.2.*"
KIND = "otel" if PACKAGE.startswith("opentelemetry") else "ddtrace"
# Ways in which a span of OpenTelemetry is left before it is known how it will end.
NOT_KNOWN = ("left first", "left first, marked", "left by hand")
# The table has microseconds.
SLACK_MS = 0.0015

Row = collections.namedtuple("Row", "samples ended errors p50 p95 p99")


def captured(*options):
    """What the program says, and the capture's path."""
    found = live.run([live.PYTHONS, "--package", live.INTERPRETER or "3.12", PACKAGE])
    if found.code:
        raise live.Skip(found.err.strip())
    python = live.interpreter(live.INTERPRETER or "3.12")
    with live.scratch() as folder:
        done = live.record("--mode", "cpu", "-r", 199, *options, "-o", folder / "spans.raw", "--", str(python), str(live.TARGETS / "span_events.py"),
                           found.out.strip(), KIND, folder / "truth.json")
        truth = json.loads((folder / "truth.json").read_text(encoding="utf-8"))
        yield done, truth["spans"], folder / "spans.raw"


def table(path, by):
    rows = {}
    for line in live.coroscope("report", path, "--by", by).out.splitlines()[1:]:
        numbers = r" *[\d.]+ s +\S+ +(\d+) +(\d+|-) +(\d+|-)" + 3 * r" +(?:([\d.]+) ms|-)"
        found = re.match(numbers + r"  (.*)", line)
        live.check("each line has its columns", found, line) if not found else None  # pylint: disable=expression-not-assigned
        number = [float(part) if part not in (None, "-") else None for part in found.groups()[:-1]]
        rows[found.group(7)] = Row(*number)
    return rows


def judge_outcomes(spans):
    """Pairs of a span and what was said of its end: how many errors, or None. Was it said of nearly all? It must be true of all."""
    told = [(span, errors) for span, errors in spans if errors is not None]
    wrong = [(span["way"], span["error"], errors) for span, errors in told if errors != span["error"]]
    known = [errors is not None for span, errors in spans if span["way"] not in NOT_KNOWN]
    ways = collections.Counter((span["way"], errors) for span, errors in spans)
    print(f"     outcomes: {len(told)} told, {len(told) - len(wrong)} right, {len(wrong)} wrong, {len(spans) - len(told)} not told", flush=True)
    live.check("those that failed are told from their siblings", not wrong, (len(wrong), collections.Counter(wrong)))
    live.check("of none whose end is not known yet", not any(ways[way, errors] for way in NOT_KNOWN for errors in (0, 1)), ways)
    live.check("and some have failed", not told or 0 < sum(span["error"] for span, _ in told) < len(told) / 2)
    return known and sum(known) >= 0.95 * len(known)


def judged(truth, seen):
    """Those spans that were not seen to begin and end, and whether of nearly all others it was said how. What is said of them must be true."""
    there = [span for span in truth if span["id"] in seen and seen[span["id"]].ended]
    # one of OpenTelemetry's that is left when it has ended is told until then
    missing_ms = sorted(span["ns"] / 1e6 - seen[span["id"]].p50 for span in there if span["way"] != "ended first")
    if there and KIND == "ddtrace":
        live.check("each took as long as the tracer says", max(map(abs, missing_ms)) <= SLACK_MS, missing_ms[-5:])
    elif there:
        # its spans begin just before their scope is entered, and end just after it is left
        live.check("none took longer than the tracer says", missing_ms[0] >= -SLACK_MS, missing_ms[:5])
        live.check("nearly all took nearly as long", missing_ms[len(missing_ms) * 9 // 10] < 1, missing_ms[::len(missing_ms) // 10 + 1])
    known = judge_outcomes([(span, seen[span["id"]].errors) for span in there])
    seen_ids = {span["id"] for span in there}
    return [span for span in truth if span["id"] not in seen_ids], known


def judge_endpoints(truth, path):
    rows = table(path, "endpoint")
    true = collections.defaultdict(list)
    for span in truth:
        if span["is_root"]:
            true[span["resource"]].append(span)
    live.check("they are four", len(true) == 4, set(true))
    live.check("all are there", set(true) <= set(rows), rows)
    # the table is of the whole capture, the truth of its second half
    live.check("with all their requests", all(rows[name].ended >= len(true[name]) for name in true), (rows, {k: len(v) for k, v in true.items()}))
    with live.scratch() as folder:
        live.coroscope("report", path, "-o", folder / "x.pb.gz")
        labels = [sample.labels for sample in pprof_file.read(folder / "x.pb.gz")]
        by_root = {span["id"]: span["resource"] for span in truth if span["is_root"]}
        judged_labels = [one for one in labels if one.get("local root span id", 0) % (1 << 64) in by_root]
        live.check("samples have the endpoint that their root had in the end, which it did not have when they were taken",
                   judged_labels and all(one.get("trace endpoint") == by_root[one["local root span id"] % (1 << 64)] for one in judged_labels), judged_labels[:3])


def objection(judge, *arguments):
    """What it does not find right, for one who may try again."""
    try:
        judge(*arguments)
    except AssertionError as error:
        return error
    return None


def test_spans_and_endpoints():
    """Every span, and the endpoints of the same capture."""
    for attempt in range(2):  # a busy machine may not have learned in time what Rust objects look like; what it says is judged each time
        for _, truth, path in captured("--span-events", "on"):
            rows = table(path, "span")
            live.check("the program made plenty of spans", len(truth) > 500, len(truth))
            missing, known = judged(truth, {int(name, 16): row for name, row in rows.items() if re.fullmatch("[0-9a-f]{16}", name)})
            print(f"     {len(truth)} spans, {sum(span['error'] for span in truth)} in error, {len(missing)} not seen", flush=True)
            wrong_endpoints = objection(judge_endpoints, truth, path)
        if (not missing and known and not wrong_endpoints) or attempt:
            break
    live.check("each was seen to begin and end", not missing, (len(missing), len(truth), missing[:3]))
    live.check("of nearly all it was told how they ended", known)
    live.check("endpoints are right", not wrong_endpoints, wrong_endpoints)


def test_default():
    """As long as it costs little; of this program that may be a second."""
    for done, _, path in captured():
        live.check("durations are told", "p50" in live.coroscope("report", path, "--by", "span").out, done.err)


def test_off():
    for done, _, path in captured("--span-events", "off"):
        live.check("without the probe no duration is told", "p50" not in live.coroscope("report", path, "--by", "span").out)
        live.check("nothing is said of it", "spans begin" not in done.err, done.err)


live.main(test_spans_and_endpoints, test_default, test_off)
