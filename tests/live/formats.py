#!/usr/bin/env python3
# SPDX-License-Identifier: Apache-2.0
"""formats.py COROSCOPE: one capture in every format, and as a table; `go tool pprof` judges the pprof file."""
import gzip
import os
import shutil

import live


@live.noisy
def capture(folder):
    path = folder / "capture.raw"
    with live.example(live.interpreter()) as program:
        live.record("-p", program.pid, "-d", 3, "-o", path)
    return path


def test_same_summary():
    """A raw capture is only counted when it is recorded; report, which reads names too, says the same of it."""
    with live.scratch() as folder, live.example(live.interpreter()) as program:
        path = folder / "capture.raw"
        told = live.record("-p", program.pid, "-d", 2, "-o", path).err.replace(str(path), "FILE")
        again = live.coroscope("report", path, "-f", "collapsed", "-o", folder / "x").err.replace(str(folder / "x"), "FILE")
        live.check("record and report say the same", "samples in" in told and told == again, (told, again))


def report(capture, path):
    done = live.coroscope("report", capture, "-o", path)
    live.check(f"report -o {path.name} succeeds", done.code == live.OK, done)
    return path


def pprof(path, *arguments):
    done = live.run(["go", "tool", "pprof", *arguments, str(path)], env={**os.environ, "PPROF_TMPDIR": str(path.parent)})
    live.check("go tool pprof " + " ".join(arguments), done.code == 0 and done.out, done)
    return done.out


def test_pprof():
    if not shutil.which("go"):
        raise live.Skip("needs go: apt install golang-go")
    with live.scratch() as folder:
        path = report(capture(folder), folder / "profile.pb.gz")
        live.check("it is gzip", gzip.decompress(path.read_bytes()))
        for kind in ("samples", "cpu", "wall"):
            live.check(f"-top by {kind}", f"Type: {kind}" in pprof(path, "-top", f"-sample_index={kind}"))
        top = pprof(path, "-top", "-cum", "-sample_index=wall")
        for name in ("parent", "func_awaited", "func_not_awaited", "BaseEventLoop.run_forever"):
            live.check(f"-top shows {name}", name in top, top)
        tags = pprof(path, "-tags", "-sample_index=wall")
        for label in ("process_id", "thread id", "thread name", "task id", "task name"):
            live.check(f"-tags shows {label}", f" {label}:" in tags, tags)
        live.check("-tags shows the tasks", "Task-awaited" in tags and "Task-not_awaited" in tags, tags)
        rooted = pprof(path, "-top", "-cum", "-sample_index=wall", "-tagroot=task name")
        live.check("-tagroot makes tasks roots", "Task-awaited" in rooted, rooted)


def test_same_everywhere():
    with live.scratch() as folder:
        raw = capture(folder)
        collapsed = report(raw, folder / "profile.collapsed").read_text(encoding="utf-8")
        html = report(raw, folder / "profile.html").read_text(encoding="utf-8")
        again = live.coroscope("report", raw, "-f", "collapsed")
    live.check("a report is reproducible", again.out == collapsed)
    data = live.page_data(html)
    live.check("the page knows its capture", data["meta"]["wall"] and not data["meta"]["partial"] and data["meta"]["counters"], data["meta"])
    names = {data["strings"][frame[0]] for frame in data["frames"]}
    for name in ("parent", "func_awaited", "func_not_awaited", "<task Task-not_awaited (created)>"):
        live.check(f"the page shows {name}", name in names, names)
    intervals = sum(data["trees"][data["tree"]]["self"]) / data["meta"]["interval_ns"]
    live.check("both weigh the same", live.near(intervals, live.weight(live.stacks(collapsed)), 0.02), intervals)
    live.check("the page asks nobody else", "http://" not in html.replace("http://www.w3.org", "") and " src=" not in html)


def rows(capture, *arguments):
    """The table of a capture: what stands for a row -> wall seconds, how many."""
    done = live.coroscope("report", capture, *arguments)
    live.check("report " + " ".join(arguments) + " succeeds", done.code == live.OK, done)
    cells = [line.split(None, 6) for line in done.out.splitlines()[1:]]
    return {text: (float(wall), None if n == "-" else int(n)) for _, _, wall, _, n, _, text in cells}


def test_tables():
    """Each second one task of either name runs, one after the other at addresses that are used again."""
    with live.scratch() as folder:
        raw = capture(folder)
        tasks, threads = rows(raw, "--by", "task"), rows(raw, "--by", "thread")
        awaited = rows(raw, "--by", "task", "--task", "-awaited$")
        shown = live.coroscope("report", raw, "-f", "collapsed", "--task", "-awaited$")
        table = folder / "table.txt"
        written = live.coroscope("report", raw, "--by", "task", "-o", table)
        live.check("-o takes the table", written.code == live.OK and "Task-awaited" in table.read_text(encoding="utf-8"))
    live.check("the sums agree", abs(tasks["in sum"][0] - threads["in sum"][0]) < 0.002, (tasks, threads))
    live.check("tasks that follow each other are counted each", 3 <= tasks["Task-awaited"][1] <= 4, tasks)
    live.check("an awaited task lasts twice as long as the other", live.near(tasks["Task-awaited"][0], 2 * tasks["Task-not_awaited"][0], 0.2),
               tasks)
    live.check("--task leaves the others out", awaited == {"Task-awaited": tasks["Task-awaited"], "in sum": tasks["Task-awaited"]}, awaited)
    live.check("... of every format, and says so", all(stack.has("func_awaited") for stack in live.stacks(shown.out)) and
               "only tasks matching -awaited$: " in shown.err, shown)


live.main(test_pprof, test_same_everywhere, test_tables, test_same_summary)
