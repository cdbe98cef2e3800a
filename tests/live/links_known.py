# SPDX-License-Identifier: Apache-2.0
"""Programs whose tasks are known (tests/targets/links_matrix.py), and what coroscope shows of them.

A test that uses it is `NAME.py COROSCOPE INTERPRETER [LOOP]`, LOOP being asyncio, uvloop, or a task factory of the program: eager,
subclass or python. pure: without the C module _asyncio.
"""
import collections
import contextlib
import json
import re
import sys

import live

LOOP = sys.argv[3] if len(sys.argv) > 3 else "asyncio"
PROGRAM = "links_matrix.py"
TASK = re.compile(r"<task (.*?)(?: \((created|finished|probable|\d+ parents)\))?>")


def package(name):
    """The folder in which this interpreter finds it."""
    found = live.run([live.PYTHONS, "--package", live.INTERPRETER, name])
    if found.code:
        raise live.Skip(found.err.strip())
    return found.out.strip()


def is_pure():
    """Whether the program has no C module. From 3.14 on tasks in Python know each other (asyncio.current_task) only without it."""
    return LOOP == "pure" or LOOP == "python" and any(live.INTERPRETER.endswith(version) for version in ("3.14", "3.15"))


def knows_creators():
    """Whether it is known who creates a task: a probe tells, in the C module's Task.__init__."""
    return LOOP not in ("python", "pure")


def options():
    """The program's, for the loop that the test was asked for."""
    if is_pure():
        return ["--pure"]
    if LOOP == "uvloop":
        return ["--loop", "uvloop", "--packages", package("uvloop")]
    return ["--factory", LOOP] if LOOP != "asyncio" else []


@contextlib.contextmanager
def standing(*scenarios):
    """The program in which all stands still, and the truth about it (tests/targets/links_standing.py)."""
    with live.target(live.interpreter(), PROGRAM, "standing", *options(), *scenarios) as process:
        yield process, json.loads(process.stdout.readline())


def identity(name, coroutines):
    """What the truth calls a task: asyncio's own names say nothing. (With an eager factory 3.13.0 calls it None.)"""
    return coroutines[0] if re.fullmatch(r"Task-\d+|None", name or "?") and coroutines else name


def tasks_of(program):
    """pstree --json: the tasks, each with its "identity", and "above": the identity of its parent, or None."""
    done = live.coroscope("pstree", program.pid, "--json")
    live.check("pstree succeeds", done.code == live.OK, done)
    tasks = json.loads(done.out)["tasks"]
    for task in tasks:
        task["identity"] = identity(task["name"], [frame["name"] for frame in task["coroutines"]])
    identities = {task["id"]: task["identity"] for task in tasks}
    for task in tasks:
        task["above"] = identities.get(task["parent"])
    return tasks


def path(stack):
    """(identity, mark) of each task of a collapsed stack, outermost first. mark: "created", "finished", "probable", "N parents" or None."""
    found = []
    for at, text in enumerate(stack.names):
        task = TASK.fullmatch(text)
        if task:
            found.append((identity(task.group(1), stack.names[at + 1:at + 2]), task.group(2)))
    return found


def weigh(found):
    """{task: {(parent, its mark, own mark): weight}}"""
    seen = collections.defaultdict(collections.Counter)
    for stack in found:
        above = (None, None)
        for identity, mark in path(stack):
            seen[identity][(*above, mark)] += stack.count
            above = (identity, mark)
    return seen


# Names that tell the true parents: OWN@PARENT[|PARENT...]


def verdict(parents, above):
    if above is None:
        return "unknown"
    return "right" if above.partition("@")[0] in parents.split("|") else "wrong"


def judge(found):
    """Of collapsed stacks: {whose they are: {verdict: weight}}, and {what is wrong: weight}. Tasks that a task has made are together
    ("made"), those that a parent NAME.found waits for are its own."""
    counts, wrong = collections.defaultdict(collections.Counter), collections.Counter()
    for name, places in weigh(found).items():
        own, _, parents = (name or "").partition("@")
        for (above, _, _), weight in places.items() if parents else ():
            word = verdict(parents, above)
            counts[parents if parents.endswith(".found") else "made"][word] += weight
            if word == "wrong":
                wrong[f"{own} below {above}, not {parents}"] += weight
    return counts, wrong
