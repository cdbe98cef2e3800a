#!/usr/bin/env python3
# SPDX-License-Identifier: Apache-2.0
"""accounts.py COROSCOPE: every due tick is a sample or a counted loss, in the raw capture and in what is said of it."""
import contextlib
import os
import re
import struct

import live
import raw

SUMS = {
    "TICKS": ("SAMPLES", "IDLE", "OTHER", "RING_FULL", "NESTED"),
    "WALL_THREADS": ("WALL_SAMPLES", "WALL_SAME", "WALL_RUNNING", "WALL_TORN", "WALL_RING_FULL"),
    "PASSES": ("PASSES_QUIET", "PASSES_IN_TASK", "PASSES_PER_TASK", "PASSES_FAILED"),
}
DUE = re.compile(r"due ticks (\d+) = (\d+) samples \+ (\d+) idle \+ (\d+) of other processes \+ (\d+) missed \+ (\d+) lost")


def said(done):
    """The summary's numbers; they must add up."""
    due, *parts = map(int, DUE.search(done.err).groups())
    live.check("due ticks = samples + idle + other + missed + lost, as said", due == sum(parts), done.err)
    return dict(zip(("due", "SAMPLES", "IDLE", "OTHER", "MISSED", "lost"), (due, *parts)))


def audit(path):
    """The identities of status.h, and each counter against the records it counts. Returns the whole capture's accounts."""
    records, whole = raw.read(path)
    live.check("the capture is whole", whole and records[-1].kind == raw.KINDS["END"])
    accounts = [(record.pid, raw.counters(record)) for record in raw.of_kind(records, "STATS")]
    totals = [values for pid, values in accounts if pid == 0]
    live.check("one account of the whole capture", len(totals) == 1, accounts)
    total = totals[0]
    for name, parts in SUMS.items():
        live.check(f"{name} = {' + '.join(parts)}", total[name] == sum(total[part] for part in parts), total)
    for pid, values in filter(lambda account: account[0], accounts):
        live.check(f"account of process {pid} is part of the whole", all(values[name] <= total[name] for name in values), values)
        live.check("and its sleepers add up", values["WALL_THREADS"] == sum(values[part] for part in SUMS["WALL_THREADS"]), values)
    stacks = raw.of_kind(records, "STACK")
    counts = {
        "SAMPLES": sum(record.flags == raw.ORIGINS["CPU"] for record in stacks),
        # without weight: where a thread was when its process was first met, no visit of the wall clock
        "WALL_SAMPLES": sum(record.flags == raw.ORIGINS["WALL"] and raw.weight_ns(record) > 0 for record in stacks),
        "WALL_SAME": sum(record.flags for record in raw.of_kind(records, "SAME")),
        "CREATES": len(raw.of_kind(records, "TASK_CREATED")),
        "PASSES": len(raw.of_kind(records, "PASS")) + len(raw.of_kind(records, "PASS_AGAIN")) + total["PASSES_FAILED"],
    }
    for name, count in counts.items():
        live.check(f"{name} is the number of their records", total[name] == count, (total[name], count))
    check_due(records, total)
    return total


def check_due(records, total):
    """Ticks due = clock time / interval on every CPU, give or take the fractions at both ends."""
    capture = raw.of_kind(records, "CAPTURE")[0]
    interval_ns, _, ncpu = struct.unpack_from("<QII", capture.body, 8)
    due = (records[-1].ts_ns - capture.ts_ns) / interval_ns * ncpu
    accounted = total["TICKS"] + total["IDLE_ASLEEP"] + total["MISSED"]
    live.check("seen, slept and missed ticks are those due", abs(accounted - due) <= 0.05 * due + 10 * ncpu, (total, due))


def record_raw(folder, *arguments):
    path = folder / "capture.raw"
    done = live.record("-o", path, *arguments)
    told, total = said(done), audit(path)
    live.check("what is said is what the capture holds", told == {
        "due": total["TICKS"] + total["IDLE_ASLEEP"] + total["MISSED"], "SAMPLES": total["SAMPLES"],
        "IDLE": total["IDLE"] + total["IDLE_ASLEEP"], "OTHER": total["OTHER"], "MISSED": total["MISSED"],
        "lost": total["RING_FULL"] + total["NESTED"]}, (told, total))
    return path, total


def test_wall():
    """Sleeping threads, tasks and a burning program at once."""
    python = live.interpreter()
    with live.scratch() as folder, live.target(python, "many_tasks.py", 200, 3, 50) as tasks, \
            live.target(python, "burn_ratio.py") as burning, live.target(python, "threads_sleep.py", 5) as threads:
        path, total = record_raw(folder, "-d", 3, "-p", f"{tasks.pid},{burning.pid},{threads.pid}")
        live.check("all three kinds were seen", all(total[name] for name in ("SAMPLES", "WALL_SAME", "TASKS")), total)
        report = live.coroscope("report", path, "-f", "collapsed")
        live.check("report says the same", said(report)["SAMPLES"] == total["SAMPLES"], report.err)


def test_creations():
    with live.scratch() as folder, live.target(live.interpreter(), "short_tasks.py", 30) as program:
        _, total = record_raw(folder, "-d", 2, "-p", program.pid)
        live.check("creations were seen", total["CREATES"] > 1000, total)


def test_all_processes():
    with live.scratch() as folder, live.target(live.interpreter(), "burn_ratio.py"):
        _, total = record_raw(folder, "-d", 2, "-a", "--mode", "cpu")
        live.check("no tick is another process's", total["OTHER"] == 0, total)


@live.noisy
def test_ring_too_small():
    """Deep stacks at a high rate into one page: what does not fit is counted, and shown in every output."""
    with contextlib.ExitStack() as stack:
        folder = stack.enter_context(live.scratch())
        programs = [stack.enter_context(live.target(live.interpreter(), "deep.py", 200)) for _ in range(os.cpu_count())]
        path, total = record_raw(folder, "-d", 3, "-r", 2000, "--mode", "cpu", "--ring-size", "4K",
                                 "-p", ",".join(str(program.pid) for program in programs))
        live.check("samples were lost", total["RING_FULL"] > 100, total)
        live.check("and some were not", total["SAMPLES"] > 10, total)
        report = live.coroscope("report", path, "-o", folder / "page.html")
        live.check("the summary names the loss", f"{total['RING_FULL']} CPU samples lost: ring buffer full" in report.err, report.err)
        page = live.page_data((folder / "page.html").read_text(encoding="utf-8"))
    shown = {name: (value, is_loss) for name, _, value, is_loss in page["meta"]["counters"]}
    live.check("the page shows it as a loss", shown["RING_FULL"] == (total["RING_FULL"], True), shown)


if __name__ == "__main__":
    live.main(test_wall, test_creations, test_all_processes, test_ring_too_small)
