#!/usr/bin/env python3
# SPDX-License-Identifier: Apache-2.0
"""application.py COROSCOPE INTERPRETER: a real aiohttp server under a swarm of clients, in record, pstree and the page.

The programs are tests/targets/app_server.py and app_client.py; names of their tasks tell the true parents (links_known.py). Prints the
command that makes the page to look at.
"""
import collections
import contextlib
import json
import re
import shlex
import statistics

import links_known as known
import live

CLIENTS, SECONDS = 20, 5
CONNECTION = ("RequestHandler.start", "start")
REQUESTS = ("order", "broken", "impatient", "report", "in_time")
BACKGROUND = ("heartbeat", "consumer", "job")
SIBLING_S, FAILS_S = 0.3, 0.1  # of app_server.py


@contextlib.contextmanager
def application():
    """The server and its clients; both run."""
    packages = known.package("aiohttp")
    with live.target(live.interpreter(), "app_server.py", packages) as server:
        port = server.stdout.readline().split()[1]
        with live.target(live.interpreter(), "app_client.py", port, CLIENTS, packages) as clients:
            yield server, clients


def kind(name):
    return (name or "").partition("@")[0].partition(".")[0]


def own(name):
    return (name or "").partition("@")[0]


def verdicts(seen):
    """{kind of task: {verdict: weight}} of what known.weigh() tells; nothing may be wrong."""
    counts, wrong = collections.defaultdict(collections.Counter), collections.Counter()
    for name, places in seen.items():
        parents = (name or "").partition("@")[2]
        for (above, _, _), weight in places.items() if parents else ():
            word = known.verdict(parents, above)
            counts[kind(name)][word] += weight
            if word == "wrong":
                wrong[f"{name} below {above}"] += weight
    live.check("not one task is below another than its own", not wrong, wrong.most_common(20))
    return counts


def check_kinds(what, counts, kinds, share):
    for one in kinds:
        shown = counts[one]
        live.check(f"{what}: {one}: {share:.0%} are below their own", shown["right"] >= share * shown.total() > 0, counts)


def children(seen):
    """{request: kinds of the tasks that were seen below it}"""
    found = collections.defaultdict(set)
    for name, places in seen.items():
        for above, mark, _ in places:
            if mark is None and kind(above) in REQUESTS:
                found[own(above)].add(kind(name))
    return found


def check_pairs(what, seen, request, both):
    """Of requests that were not half done when the capture began: each client had one, and numbers count up."""
    names = sorted((name for name in children(seen) if kind(name) == request), key=lambda name: int(name.rpartition(".")[2]))
    shown = [kinds for kinds in (children(seen)[name] & both for name in names[CLIENTS:]) if kinds]
    live.check(f"{what}: {request}: both of its tasks show below it ({len(shown)} requests)",
               sum(kinds == both for kinds in shown) >= 0.95 * len(shown) > 5, shown)


def above_of(seen, *kinds):
    """What any task of these kinds was seen below."""
    return {kind(above) if above else None for name, places in seen.items() if kind(name) in kinds for above, _, _ in places}


def check_background(what, seen):
    live.check(f"{what}: what runs in the background is there", set(BACKGROUND) <= {kind(name) for name in seen}, list(seen)[:50])
    live.check(f"{what}: and never below a request", above_of(seen, "heartbeat", "consumer") <= {None, "main"} and
               above_of(seen, "job") <= {"consumer"}, above_of(seen, *BACKGROUND))


def check_sibling(seen):
    """It lives on below the request after the exception, for as long as it would have."""
    weights = {name: places.total() for name, places in seen.items() if kind(name) in ("sibling", "failing")}
    long, short = ([weight for name, weight in weights.items() if kind(name) == one] for one in ("sibling", "failing"))
    expected, before = SIBLING_S * live.RATE_HZ, FAILS_S * live.RATE_HZ
    live.check("the task that fails is gone soon", statistics.median(short) <= 1.5 * before, short)
    live.check("its sibling lives as long as ever", statistics.median(long) >= 0.9 * expected, long)


def task_path(stack, name):
    """Kinds of the tasks above this function."""
    above = stack.names[:stack.names.index(name)]
    return tuple(kind(text[len("<task "):]) for text in above if text.startswith("<task "))


def check_threads(what, found):
    """A request has aiohttp's name for it until it is read again."""
    paths = collections.Counter()
    for stack in found:
        if stack.has("blocking_report"):
            paths[tuple(re.sub(r"^Task-\d+.*", "Task", one) for one in task_path(stack, "blocking_report"))] += stack.count
    right = sum(weight for path, weight in paths.items() if path in (("Task", "report"), ("report",), ("Task", "Task")))
    live.check(f"{what}: the blocking call, on a thread, is below the request that waits for it", right >= 0.95 * paths.total() > 0, paths)


@live.noisy
def test_wall():
    with application() as (server, clients):
        done = live.record("-p", f"{server.pid},{clients.pid}", "-d", SECONDS, "-m", "wall", "-f", "collapsed")
    found = live.stacks(done.out)
    seen = known.weigh(found)
    counts = verdicts(seen)
    print(f"     {sum(kind(name) in REQUESTS for name in seen)} requests: {({one: dict(shown) for one, shown in counts.items()})}")
    check_kinds("record", counts, ("order", "broken", "report", "user", "items", "sibling", "failing", "too_slow", "ask", "client"), 0.97)
    check_kinds("record, made by a request and left alone", counts, ("audit",), 0.97)
    check_pairs("record", seen, "order", {"user", "items"})
    check_pairs("record", seen, "broken", {"sibling", "failing"})
    check_sibling(seen)
    check_background("record", seen)
    check_threads("record", found)


@live.noisy
def test_cpu():
    with application() as (server, _):
        done = live.record("-p", server.pid, "-d", SECONDS, "-m", "cpu", "-r", 997, "-f", "collapsed")
    found = live.stacks(done.out)
    verdicts(known.weigh(found))
    pages, works = ([stack for stack in found if stack.has(name)] for name in ("page_of_order", "work_in_background"))
    paths = collections.Counter(task_path(stack, "page_of_order") for stack in pages)
    live.check("record -m cpu: a page is made for an order, below the task of its connection",
               sum(weight for path, weight in paths.items() if len(path) == 2 and path[-1] == "order") >= 0.95 * paths.total() > 5, paths)
    paths = collections.Counter(task_path(stack, "work_in_background") for stack in works)
    live.check("record -m cpu: the background works below its consumer, never below a request",
               set(paths) <= {("consumer", "job"), ("job",)} and paths["consumer", "job"] >= 0.95 * paths.total() > 5, paths)
    check_threads("record -m cpu", found)


def look(server, *arguments):
    """pstree --json: {id: task}."""
    done = live.coroscope("pstree", server.pid, "--json", *arguments)
    live.check("pstree succeeds", done.code == live.OK, done)
    return {task["id"]: task for task in json.loads(done.out)["tasks"]}


def named_right(task, parent):
    """Whether it may hang there, by its name; one without parents in its name may."""
    parents = (task["name"] or "").partition("@")[2].split("|")
    return not parents[0] or own(parent["name"]) in parents or parent["coroutines"] and parent["coroutines"][0]["name"] in parents


def check_look(tasks):
    """One look. Returns how many orders have both of their queries below them."""
    wrong = [(task["name"], tasks[task["parent"]]["name"]) for task in tasks.values()
             if task["parent"] and not named_right(task, tasks[task["parent"]])]
    live.check("pstree: not one task is below another than its own", not wrong, wrong)
    alone = [task["name"] for task in tasks.values() if kind(task["name"]) in ("user", "items", "too_slow", *REQUESTS)
             and not task["parent"] and task["state"] != "not started"]
    live.check("pstree: a query has its request, a request its connection", len(alone) <= 0.05 * len(tasks), alone)
    below = collections.defaultdict(set)
    for task in tasks.values():
        if task["how"] == "gather" and task["link"] == "strong":
            below[task["parent"]].add(kind(task["name"]))
    return sum({"user", "items"} <= kinds for kinds in below.values())


def test_pstree():
    with application() as (server, _):
        live.until(lambda: len(look(server)) > CLIENTS)
        pairs = [check_look(look(server)) for _ in range(10)]
        watched = look(server, "--for", 2)
    live.check("pstree: both queries of an order show below it", sum(pairs) > 10, pairs)
    made = [task for task in watched.values() if task["age_exact"] and "@" in (task["name"] or "")]
    unknown = [task["name"] for task in made if not task["creator"]]
    live.check("pstree: the creator of each task made while it watched is known", len(made) > 10 and not unknown, unknown)
    wrong = [(task["name"], watched[task["creator"]]["name"]) for task in made if not named_right(task, watched[task["creator"]])]
    live.check("pstree: and is the true one", not wrong, wrong)


def page_stacks(page):
    """The page's await tree as collapsed stacks, their weights in nanoseconds."""
    tree, texts = page["trees"]["await"], [page["strings"][frame[0]].replace(";", ":") for frame in page["frames"]]
    paths = []
    for parent, frame in zip(tree["parent"], tree["frame"]):
        paths.append(paths[parent] + [texts[frame]] if parent >= 0 else [])
    return [live.Stack(f"{';'.join(path)} {weight}") for path, weight in zip(paths, tree["self"]) if weight]


@live.noisy
def test_page():
    with live.scratch() as folder:
        command = ["-d", SECONDS, "-o", folder / "application.html", "--", live.interpreter(), live.TARGETS / "app_server.py",
                   "--clients", CLIENTS, known.package("aiohttp")]
        live.record(*command)
        page = live.page_data((folder / "application.html").read_text(encoding="utf-8"))
    found = page_stacks(page)
    seen = known.weigh(found)
    check_kinds("page", verdicts(seen), ("order", "user", "items", "sibling"), 0.95)
    check_pairs("page", seen, "order", {"user", "items"})
    check_background("page", seen)
    live.check("page: tasks made from the beginning have their creators", above_of(seen, "heartbeat", "consumer") == {"main"},
               above_of(seen, "heartbeat", "consumer"))
    check_threads("page", found)
    words = ["record", "-d", "10", "-o", "application.html", "--", *map(str, command[command.index("--") + 1:])]
    print("     to look at it: sudo coroscope " + shlex.join(words))


live.main(test_wall, test_cpu, test_pstree, test_page)
