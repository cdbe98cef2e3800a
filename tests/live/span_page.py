# SPDX-License-Identifier: Apache-2.0
"""span_page.py COROSCOPE [INTERPRETER]: the HTML page of a server under tracing has the spans that the pprof file of the same capture has, and
the same time in each, however few of them have a begin and an end that was seen."""
import collections

import live
import pprof_file
import span_servers


def of_pprof(path):
    """Wall time by span, and by endpoint."""
    spans, endpoints = collections.Counter(), collections.Counter()
    for sample in pprof_file.read(path):
        spans[sample.labels.get("span id", 0)] += sample.values[2]
        endpoints[sample.labels.get("trace endpoint", "")] += sample.values[2]
    return spans, endpoints


def of_page(data):
    """The same of the page's main tree; and all of its time."""
    spans, endpoints = collections.Counter(), collections.Counter()
    tree, texts = data["trees"][data["tree"]], data["spans"]["texts"]
    for labels, ns in zip(tree["parts"][1::4], tree["parts"][2::4]):
        _, endpoint, span, *_ = data["spans"]["labels"][labels]
        spans[int(data["spans"]["rows"][span][0], 16) if span >= 0 else 0] += ns
        endpoints[texts[endpoint]] += ns
    return spans, endpoints, sum(tree["self"])


def check_rows(data):
    rows, texts = data["spans"]["rows"], data["spans"]["texts"]
    roots = [row[1] for row in rows]
    live.check("each span has a trace", all(texts[row[3]] for row in rows), rows[:3])
    live.check("most have a local root that is there, too", sum(isinstance(root, int) and root >= 0 for root in roots) >= 0.9 * len(roots), roots[:9])
    backwards = [row for row in rows if None not in row[14:16] and row[14] > row[15]]
    live.check("none ends before it begins", not backwards, backwards[:3])


def test_page():
    with live.scratch() as folder:
        with span_servers.server() as (process, _):
            live.record("-p", process.pid, "-s", "-d", 3, "-m", "wall", "-r", 199, "-o", folder / "spans.raw")
        for name in ("spans.pb.gz", "spans.html"):
            done = live.coroscope("report", folder / "spans.raw", "-o", folder / name)
            live.check(f"report writes {name}", done.code == live.OK, done)
        expected_spans, expected_endpoints = of_pprof(folder / "spans.pb.gz")
        data = live.page_data((folder / "spans.html").read_text(encoding="utf-8"))
    spans, endpoints, whole = of_page(data)
    live.check("there are spans", len(spans) > 50, len(spans))
    live.check("each has the time that pprof has", spans == expected_spans, (spans - expected_spans, expected_spans - spans))
    live.check("each endpoint too", endpoints == expected_endpoints, (endpoints, expected_endpoints))
    live.check("and nothing is left over", sum(spans.values()) == whole, (sum(spans.values()), whole))
    check_rows(data)


live.main(test_page)
