#!/usr/bin/env python3
# SPDX-License-Identifier: Apache-2.0
"""trees.py COROSCOPE INTERPRETER: one capture as await tree, creation tree and threads, and what the HTML page says beyond them."""
import live

SECONDS = 3
FETCHES, FETCH_S = 40, 0.2  # tests/targets/tree_views.py
TREES = ("await", "creation", "threads")
TASK, PYTHON = 2, 3         # enum cs_frame_kind
CORO, SITE, ID = 5, 6, 7    # members of a task's frame


def capture(folder):
    """From the program's first line on, so that every creation is seen."""
    path = folder / "capture.raw"
    done = live.record("-d", SECONDS, "-o", path, "--", live.interpreter(), live.TARGETS / "tree_views.py")
    live.check("the capture took its time", live.near(live.seconds(done), SECONDS, 0.1), done.err)
    return path


def collapsed(path, tree):
    done = live.coroscope("report", path, "--tree", tree, "-f", "collapsed")
    live.check(f"report --tree {tree} succeeds", done.code == live.OK, done)
    return live.stacks(done.out)


def shown(found):
    """For messages: not what the program does while it starts."""
    return [stack for stack in found if "<task" in repr(stack)]


def share(found, name, *above):
    """Which part of a task's time is below these."""
    return live.weight(found, lambda s: s.under(*above, name)) / max(live.weight(found, lambda s: s.has(name)), 1)


def check_text(path):
    found = {tree: collapsed(path, tree) for tree in TREES}
    live.check("no option means the await tree", live.coroscope("report", path, "-f", "collapsed").out
               == live.coroscope("report", path, "-f", "collapsed", "--tree", "await").out)
    waits, made, threads = (found[tree] for tree in TREES)
    live.check("await and creation tree have one sum", live.weight(waits) == live.weight(made), (live.weight(waits), live.weight(made)))
    live.check("worker hangs below what waits for it", share(waits, "<task worker>", "<task waiter (created)>", "wait_for") > 0.9, shown(waits))
    live.check("or below what created it", share(made, "<task worker>", "<task spawner>", "spawn") > 0.9, shown(made))
    live.check("and not below both", share(waits, "<task worker>", "spawn") < 0.1, shown(waits))
    live.check("a ghost is marked in both", all(share(found[tree], f"<task orphan{mark}>", "<task maker (finished)>", "make") > 0.9
                                              for tree, mark in (("await", " (created)"), ("creation", ""))), shown(made))
    live.check("no weak link is marked where all are creations", not live.weight(made, lambda s: "(created)" in repr(s)), shown(made))
    live.check("threads have no tasks", not live.weight(threads, lambda s: "<task" in repr(s)), shown(threads))
    return found


def wall_us(seen):
    """The union of all spans of a tree."""
    spans = []
    for _, _, _, *numbers in seen:
        now = 0
        for start, length in zip(numbers[::2], numbers[1::2]):
            spans.append((now + start, now + start + length))
            now = spans[-1][1]
    wall = until = 0
    for start, end in sorted(spans):
        wall += max(0, end - max(start, until))
        until = max(until, end)
    return wall


def nearest(page, tree, node, kind):
    while page["frames"][tree["frame"][node]][3] != kind:
        node = tree["parent"][node]
    return page["frames"][tree["frame"][node]]


def check_page(page, found):
    strings, frames = page["strings"], page["frames"]
    live.check("the page has all trees and opens with the await tree", page["tree"] == "await" and sorted(page["trees"]) == sorted(TREES))
    for name, tree in page["trees"].items():
        # the text has whole intervals, and at least one of each stack
        intervals = sum(max(1, round(ns / page["meta"]["interval_ns"])) for ns in tree["self"] if ns)
        live.check(f"{name}: the page weighs what the text weighs", live.near(intervals, live.weight(found[name]), 0.03), intervals)
        wall = wall_us(tree["seen"]) / 1e6
        live.check(f"{name}: on the clock it is the capture", SECONDS * 0.9 <= wall <= SECONDS * 1.05, wall)
    own = sum(page["trees"]["threads"]["self"]) / 1e9
    live.check("threads have all of their own time", live.near(own, SECONDS, 0.1), own)
    fetches = [f for f in frames if f[3] == TASK and f[CORO] >= 0 and strings[frames[f[CORO]][0]] == "fetch"]
    live.check("fetches are told apart", len({f[ID] for f in fetches}) == FETCHES, len(fetches))
    sites = {(strings[frames[f[SITE]][0]], strings[frames[f[SITE]][1]].rsplit("/", 1)[-1]) if f[SITE] >= 0 else None for f in fetches}
    live.check("and were all created in one place", sites == {("main", "tree_views.py")}, sites)


def check_waits(page):
    """Sum and longest per task: of fetches short ones, of the others all the time there was."""
    tree, longest, total = page["trees"]["await"], {}, {}
    for node, _, ns, most in zip(*(tree["waits"][k::4] for k in range(4))):
        task = nearest(page, tree, node, TASK)
        name = page["strings"][task[0]].strip("<>").split()[1]
        longest[name] = max(longest.get(name, 0), most / 1e9)
        total[name] = total.get(name, 0) + ns / 1e9
    for name in ("worker", "spawner", "orphan"):
        live.check(f"{name} waits for one thing all the time", longest[name] > 0.75 * SECONDS and total[name] > 0.75 * SECONDS, longest)
        live.check(f"{name} does not wait longer than it lives", longest[name] <= SECONDS * 1.1, longest)
    short = [most for name, most in longest.items() if name.startswith("Task-") and name != "Task-1"]
    live.check("a fetch waits again and again, not on and on", len(short) == FETCHES and sorted(short)[FETCHES // 2] < 3 * FETCH_S, short)


@live.noisy
def test_trees():
    with live.scratch() as folder:
        path = capture(folder)
        found = check_text(path)
        live.coroscope("report", path, "-o", folder / "page.html")
        page = live.page_data((folder / "page.html").read_text(encoding="utf-8"))
        live.coroscope("report", path, "--tree", "threads", "-o", folder / "threads.html")
        other = live.page_data((folder / "threads.html").read_text(encoding="utf-8"))
    check_page(page, found)
    check_waits(page)
    live.check("--tree says what the page opens with", other["tree"] == "threads" and other["trees"] == page["trees"], other["tree"])


def test_wrong_tree():
    done = live.coroscope("report", "--tree", "family", "x.raw")
    live.check("a tree that there is not", done.code == live.USAGE and "await, creation or threads" in done.err, done)


live.main(test_trees, test_wrong_tree)
