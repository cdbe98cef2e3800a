#!/usr/bin/env python3
# SPDX-License-Identifier: Apache-2.0
"""links.py COROSCOPE INTERPRETER [LOOP]: who stands above each task, for every way to wait for one or to make one.

The truth is the program's: tests/targets/links_matrix.py. LOOP: asyncio, uvloop, pure (without the C module), or a task factory: eager (3.12 and later), subclass, python.
"""
import collections
import json
import re

import links_known as known
import live

SHARE = 0.99  # of a task's samples that must show the right parent
WITHOUT_CREATORS = 0.8  # the same where only those who wait are known: nobody waits yet for a task that was just made
WAITED = 0.5  # at least, of a short task's life somebody waits for it; before that it is nobody's, long if others have the CPU
LEARNT_S = 0.5  # after a program's first use of worker threads, or the attach, it is known what they do
WORKERS = ("executor_await", "executor_default", "executor_gather", "executor_gather_nested", "executor_late", "executor_wait",
           "executor_wait_for", "executor_shield", "executor_all", *(["to_thread"] if live.INTERPRETER != "3.8" else []))
STANDING_S, DELAY_S, CHURN_S = 5.5, 1.5, 5


def some(errors):
    return "\n  ".join([str(len(errors)), *errors[:20]])


# A snapshot of what stands still


def errors_of(task, truth):
    """What pstree says of a task that is not so. It came after the tasks: of a creator it knows nothing."""
    waited_for = bool(truth["how"])
    if task["above"] not in (truth["parents"] if waited_for else [None]):
        yield f"is below {task['above']}, not {truth['parents'] if waited_for else None}"
        return
    if task["how"] not in (truth["how"] or [None]):
        yield f"how is {task['how']}, not {truth['how']}"
    link = {None: None, "await": "await"}.get(task["how"], "strong")
    if task["link"] != link:
        yield f"link is {task['link']}, not {link}"
    if task["parents"] != truth["waiters"] or len(task["waiters"]) != truth["waiters"]:
        yield f"has {task['parents']} parents, not {truth['waiters']}: {task['waiters']}"
    if truth["probable"] not in (None, task["probable"]):
        yield f"probable is {task['probable']}, not {truth['probable']}"


def check_snapshot(*arguments):
    with known.standing(*arguments) as (program, told):
        tasks = known.tasks_of(program)
    told = told["tasks"]
    seen = collections.Counter(task["identity"] for task in tasks)
    missing = {name: truth["count"] for name, truth in told.items() if seen[name] != truth["count"]}
    live.check(f"pstree: each of {sum(truth['count'] for truth in told.values())} tasks is there", not missing, missing)
    live.check("pstree: and no other", not set(seen) - set(told) - {"main"}, set(seen) - set(told))
    errors = [f"{task['identity']} {error}" for task in tasks if task["identity"] in told
              for error in errors_of(task, told[task["identity"]])]
    live.check("pstree: parent, link and how of each are true", not errors, some(errors))
    main = next(task for task in tasks if task["identity"] == "main")
    live.check("pstree: nothing is above main", main["parent"] is None and main["link"] is None, main)


def test_snapshot():
    check_snapshot()


def test_anyio():
    check_snapshot("--packages", known.package("anyio"), "anyio_group")


# A capture of what stands still, from before the first task was made


def record_standing(*scenarios):
    """What was seen, and the truth."""
    with live.scratch() as folder:
        path = folder / "standing.collapsed"
        done = live.record("-d", STANDING_S, "-m", "wall", "-f", "collapsed", "-o", path, "--", live.interpreter(),
                           live.TARGETS / known.PROGRAM, "standing", "--delay", DELAY_S, *known.options(), *scenarios)
        found = live.stacks(path.read_text(encoding="utf-8"))
    return found, json.loads(done.out.splitlines()[1])


def marks(truth):
    """Those that a capture may put on a task."""
    if not truth["how"]:
        return ["created"]
    if truth["waiters"] > 1:
        return [f"{truth['waiters']} parents"]
    return {True: ["probable"], False: [None], None: ["probable", None]}[truth["probable"]]


def is_right(truth, where):
    parent, parents_mark, mark = where
    if not truth["how"] and not known.knows_creators():
        return where == (None, None, None)
    return parent in truth["parents"] and (parents_mark == "finished") == truth["finished"] and mark in marks(truth)


def rare_tasks(seen, told):
    """Those that are not there in every sample of the time in which one is there that nobody waits for, and how long that is. A
    waiter of a task that hangs below its other waiter is nowhere."""
    shared = {parent for truth in told.values() if truth["waiters"] > 1 for parent in truth["parents"]}
    time = max(seen[name].total() for name, truth in told.items() if not truth["how"] and truth["count"] == 1)
    return {name: seen[name].total() for name, truth in told.items()
            if name not in shared and seen[name].total() < 0.97 * truth["count"] * time}, time


@live.noisy
def test_capture():
    found, told = record_standing()
    seen, told = known.weigh(found), told["tasks"]
    rare, time = rare_tasks(seen, told)
    live.check(f"record: each of {len(told)} tasks is there all the time", time > live.RATE_HZ and not rare, (time, rare))
    wrong = {}
    for name, truth in told.items():
        right = sum(weight for where, weight in seen[name].items() if is_right(truth, where))
        if right < SHARE * seen[name].total():
            wrong[name] = (truth["parents"], dict(seen[name]))
    live.check(f"record: {SHARE:.0%} of each task's samples are below its parent", not wrong,
               some([f"{name}: {what}" for name, what in wrong.items()]))


# Worker threads that a task has handed its work to


def record_workers():
    """Of a program whose threads work already."""
    with known.standing(*WORKERS) as (program, told):
        done = live.record("-p", program.pid, "-d", 3, "-m", "wall", "-f", "collapsed")
    return live.stacks(done.out), told


def check_origins(when, found, told):
    for function, task in told["threads"].items():
        mine = [stack for stack in found if stack.has(function)]
        places = collections.Counter()
        for stack in mine:
            places[known.path(stack)[-1][0] if known.path(stack) else None] += stack.count
        live.check(f"{when}: {function}, on a worker thread, is below {task} or nothing", {task, None} >= set(places) and places, places)
        live.check(f"{when}: always below it, but for the first {LEARNT_S} s", places[None] <= LEARNT_S * live.RATE_HZ < places[task], places)


@live.noisy
def test_origins():
    check_origins("attached", *record_workers())


@live.noisy
def test_origins_launched():
    check_origins("launched", *record_standing(*WORKERS))


@live.noisy
def test_origins_churn():
    """Work of milliseconds: job_N is always worker.N's. Unknown is allowed, wrong is not."""
    with live.target(live.interpreter(), known.PROGRAM, "churn", *known.options(), "executor") as program:
        done = live.record("-p", program.pid, "-d", 3, "-m", "wall", "-f", "collapsed")
    counts, wrong = collections.Counter(), collections.Counter()
    for stack in live.stacks(done.out):
        for job in filter(re.compile(r"job_\d").fullmatch, stack.names):
            task = known.path(stack)[-1][0] if known.path(stack) else None
            right = f"worker.{job[4:]}@executor"
            counts["right" if task == right else "wrong" if task else "unknown"] += stack.count
            if task not in (right, None):
                wrong[f"{job} below {task}"] += stack.count
    print(f"     jobs: {dict(counts)}, {counts['unknown'] / max(1, counts.total()):.2%} unknown", flush=True)
    live.check("jobs: not one is below another task", not wrong, wrong)
    live.check("jobs: most are below the task that handed them over", counts["right"] > WAITED * counts.total() > live.RATE_HZ, counts)


# What runs


@live.noisy
def test_running():
    """Sampled on the CPU: spin_N is burner.N's, of whatever kind that is."""
    with live.target(live.interpreter(), known.PROGRAM, "running", *known.options()) as program:
        done = live.record("-p", program.pid, "-d", 3, "-m", "cpu", "-f", "collapsed")
    counts = collections.defaultdict(collections.Counter)
    for stack in live.stacks(done.out):
        for spin in filter(re.compile(r"spin_\d").fullmatch, stack.names):
            path = [task for task, _ in known.path(stack)]
            right = path[-1:] == [f"burner.{spin[5:]}"] and stack.under("burn", "burn_inner", spin)
            counts[spin]["right" if right else "wrong" if path else "unknown"] += stack.count
    live.check("running: there are four", len(counts) == 4, counts)
    live.check("running: not one is another task's", not any(count["wrong"] for count in counts.values()), counts)
    live.check(f"running: {SHARE:.0%} of each are known", all(
        count["right"] >= SHARE * count.total() and count.total() >= 5 for count in counts.values()), counts)


# A capture of tasks that come and go


def check_share(what, counts, share):
    whole = counts.total()
    print(f"     churn: {what}: {dict(counts)}, {counts['unknown'] / max(1, whole):.2%} unknown", flush=True)
    live.check(f"churn: {what}: at least {share:.0%} are known", counts["right"] >= share * whole and whole > live.RATE_HZ, counts)


@live.noisy
def churned(task_events):
    """What ways to wait were seen how, and nothing wrong."""
    with live.target(live.interpreter(), known.PROGRAM, "churn", *known.options()) as program:
        done = live.record("-p", program.pid, "-d", CHURN_S, "-m", "wall", "--task-events", task_events, "-f", "collapsed")
    counts, wrong = known.judge(live.stacks(done.out))
    live.check(f"churn: not one is below another task (--task-events {task_events})", not wrong, wrong.most_common(20))
    return counts


@live.noisy
def test_churn_within_budget():
    """It makes more tasks than the probe may cost: what it does not tell is not known."""
    counts = churned("auto")
    live.check("churn: parents of tasks that a task made: plenty are known", counts["made"]["right"] > 1000, counts["made"])


@live.noisy
def test_churn():
    """A parent may be unknown now and then, but never wrong. (wait_first leaves all but one of its leaves to nobody.)"""
    counts = churned("on")
    check_share("parents of tasks that a task made", counts.pop("made"), SHARE if known.knows_creators() else WITHOUT_CREATORS)
    counts.pop("wait_first.found")
    live.check(f"churn: {len(counts)} ways to wait for a task that nobody made", len(counts) >= 8, counts)
    for parent, seen in sorted(counts.items()):
        check_share(f"leaves that {parent.replace('.', ' ')}", seen, WAITED)


live.main(test_snapshot, test_anyio, test_capture, live.at_once(test_origins, test_origins_launched), test_origins_churn, test_running, test_churn,
          test_churn_within_budget)
