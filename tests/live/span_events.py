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
# How a span ended is a field that is not found in Rust objects, and one that OpenTelemetry sets when the scope has been left.
TELLS_ERRORS = PACKAGE.startswith(("ddtrace==2.", "ddtrace==3.", "ddtrace==4.2.", "ddtrace==4.3."))
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


def test_every_span():
    for _, truth, path in captured("--span-events", "on"):
        rows = table(path, "span")
        seen = {int(name, 16): row for name, row in rows.items() if re.fullmatch("[0-9a-f]{16}", name)}
        live.check("the program made plenty of spans", len(truth) > 500, len(truth))
        missing = [span for span in truth if not (span["id"] in seen and seen[span["id"]].ended)]
        live.check("each was seen to begin and end", not missing, (len(missing), len(truth), missing[:3]))
        missing_ms = [span["ns"] / 1e6 - seen[span["id"]].p50 for span in truth]
        if KIND == "ddtrace":
            live.check("each took as long as the tracer says", max(map(abs, missing_ms)) <= SLACK_MS, sorted(missing_ms)[-5:])
        else:
            # its spans begin just before their scope is entered, and end just after it is left
            live.check("none took longer than the tracer says", min(missing_ms) >= -SLACK_MS, sorted(missing_ms)[:5])
            live.check("nearly all took nearly as long", sorted(missing_ms)[len(missing_ms) * 9 // 10] < 1, sorted(missing_ms)[::len(missing_ms) // 10])
        if TELLS_ERRORS:
            wrong = [(span, seen[span["id"]]) for span in truth if seen[span["id"]].errors != span["error"]]
            live.check("those that failed are told from their siblings", not wrong, (len(wrong), wrong[:3]))
            live.check("and some have failed", 0 < sum(span["error"] for span in truth) < len(truth) / 2)
        else:
            live.check("nothing is said of how they ended", all(row.errors is None for row in seen.values()))
        print(f"     {len(truth)} spans, {sum(span['error'] for span in truth)} in error", flush=True)


def test_endpoints():
    for _, truth, path in captured("--span-events", "on"):
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
            judged = [one for one in labels if one.get("local root span id", 0) % (1 << 64) in by_root]
            live.check("samples have the endpoint that their root had in the end, which it did not have when they were taken",
                       judged and all(one.get("trace endpoint") == by_root[one["local root span id"] % (1 << 64)] for one in judged), judged[:3])


def test_off_and_budget():
    for done, _, path in captured("--span-events", "off"):
        live.check("without the probe no duration is told", "p50" not in live.coroscope("report", path, "--by", "span").out)
        live.check("nothing is said of it", "spans begin" not in done.err, done.err)


live.main(test_every_span, test_endpoints, test_off_and_budget)
