#!/usr/bin/env python3
# SPDX-License-Identifier: Apache-2.0
"""links_crosscheck.py COROSCOPE INTERPRETER: pstree against the views that CPython 3.14 and later have of the same program.

They show what each task's `awaited_by` holds, which asyncio's own code fills in; coroscope shows what would wake up whom. The
two are the same but for what OTHERWISE tells.
"""
import collections
import re

import links_known as known
import live

NOT_SHOWN = {None}  # below nothing
# {task: (what CPython says is above it, why coroscope is right)}
OTHERWISE = {
    "gather_handed_over.1": ({"gather_handed_over"}, "gather() notes the task that calls it; another one awaits what it returns"),
    "as_completed_handed_over.1": ({"as_completed_handed_over"}, "so does as_completed()"),
    "as_completed_given_up.1": ({"as_completed_given_up"}, "it is noted until the end, though its task left the loop and waits for something else"),
    "task_group_body.1": ({"task_group_body"}, "a group notes its task at once; in the group's body that waits for something else"),
    "user_callback.1": ({None}, "the callback that wakes the waiter is not asyncio's, which notes nothing"),
    "user_method.1": ({None}, "likewise"),
    "other_loop": ({None}, "the waiter is on another loop: nothing is noted across them, and 3.14 shows one thread's tasks only"),
    **{f"python_{task}": (theirs, "a task that is written in Python notes nothing, and is not shown")
       for task, theirs in {"awaited.1": NOT_SHOWN, "awaited.2": {None}, "gathered.1": NOT_SHOWN, "gathered.2": {"python_gathered"},
                            "gathered.4": NOT_SHOWN, "waited.0": NOT_SHOWN, "waited.1": NOT_SHOWN, "waited.2": NOT_SHOWN,
                            "future.1": NOT_SHOWN}.items()},
}
TABLE_ROW = re.compile(r"\d+ +(0x\w+) +(\S+) +(\S+(?: -> \S+)*)? .* (0x\w+) *")
TREE_LINE = re.compile(r"([│├└─ ]*)(\(T\))? +(\S+).*")
SAMPLED_FRAME = re.compile(r"(<task>)?.*?:(.*?)(?: \(\d+ parents\))?:\d+")


def ours(tasks):
    """{task: those that wait for it, or None}"""
    identities = {task["id"]: task["identity"] for task in tasks}
    above = collections.defaultdict(set)
    for task in tasks:
        above[task["identity"]] |= {identities[waiter["id"]] for waiter in task["waiters"]} or {None}
    return above


def run_module(*arguments):
    done = live.run([live.interpreter(), "-m", *map(str, arguments)])
    if "No module named" in done.err:
        raise live.Skip(f"this Python has no module {arguments[0]}")
    live.check(f"python -m {arguments[0]} {arguments[1]} succeeds", done.code == 0, done)
    return done.out


def table_above(text):
    """Of `python -m asyncio ps`: thread, task, its name and coroutines, innermost first; the same of one that waits for it."""
    rows = [TABLE_ROW.fullmatch(line).groups() for line in text.splitlines()[2:]]
    identities = {task: known.identity(name, [(coroutines or "").split(" -> ")[-1]]) for task, name, coroutines, _ in rows}
    above = collections.defaultdict(set)
    for task, _, _, waiter in rows:
        above[identities[task]].add(identities.get(waiter))
    return above


def tree_above(text):
    """Of `python -m asyncio pstree`: the coroutines of a task stand between it and what they wait for."""
    lines = [TREE_LINE.fullmatch(line).groups() for line in text.splitlines()]
    return nested_above([(len(indent), bool(is_task), name) for indent, is_task, name in lines])


def sampled_above(text):
    """Of `python -m profiling.sampling --async-aware --async-mode all --collapsed`."""
    above = collections.defaultdict(set)
    for line in text.splitlines():
        frames = [SAMPLED_FRAME.fullmatch(frame).groups() for frame in line.rsplit(" ", 1)[0].split(";")[1:]]
        for task, parents in nested_above([(depth, bool(is_task), name) for depth, (is_task, name) in enumerate(frames)]).items():
            above[task] |= parents
    return above


def nested_above(nodes):
    """Of a tree: (depth, is it a task, name), a task's outermost coroutine right below it."""
    above, path = collections.defaultdict(set), []
    for at, (depth, is_task, name) in enumerate(nodes):
        path = [node for node in path if node[0] < depth]
        if is_task:
            identity = known.identity(name, [below for _, below_is_task, below in nodes[at + 1:at + 2] if not below_is_task])
            above[identity].add(path[-1][1] if path else None)
            path.append((depth, identity))
    return above


def check_same(view, mine, theirs):
    """But for what OTHERWISE explains. A task of those that is not shown is below nothing."""
    live.check(f"{view} shows tasks", len(theirs) > 50, theirs)
    different = [f"{task}: CPython has it below {theirs.get(task)}, coroscope below {mine.get(task)}"
                 for task in sorted(set(mine) | set(theirs))
                 if (theirs.get(task, {None}) != OTHERWISE[task][0] if task in OTHERWISE else theirs.get(task) != mine.get(task))]
    live.check(f"{view}: the same, but for {len(OTHERWISE)} tasks", not different, "\n  ".join(["", *different]))


def test_asyncio():
    with known.standing() as (program, told):
        mine = ours(known.tasks_of(program))
        views = {"ps": table_above(run_module("asyncio", "ps", program.pid)),
                 "pstree": tree_above(run_module("asyncio", "pstree", program.pid))}
    for name, theirs in views.items():
        check_same(f"asyncio {name}", mine, theirs)
    for task, (_, why) in OTHERWISE.items():
        right = set(told["tasks"][task]["parents"]) if told["tasks"][task]["how"] else {None}
        live.check(f"{task}: coroscope has the true one ({why})", mine[task] == right, mine[task])


def test_sampling():
    """Of several waiters it shows one, as coroscope's record does; another that waits for nothing else is nowhere."""
    with known.standing() as (program, _), live.scratch() as folder:
        mine = ours(known.tasks_of(program))
        path = folder / "sampled.collapsed"
        run_module("profiling.sampling", "attach", "--async-aware", "--async-mode", "all", "-r", 100, "-d", 2,
                   "--collapsed", "-o", path, program.pid)
        theirs = sampled_above(path.read_text(encoding="utf-8"))
    for task, waiters in list(mine.items()):
        if len(waiters) > 1:
            live.check(f"profiling.sampling: {task} is below one of {waiters}", theirs[task] and theirs[task] <= waiters, theirs[task])
            theirs[task] = waiters
            theirs.update({waiter: mine[waiter] for waiter in waiters - set(theirs)})
    check_same("profiling.sampling", mine, theirs)


live.main(test_asyncio, test_sampling)
