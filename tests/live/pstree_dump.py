#!/usr/bin/env python3
# SPDX-License-Identifier: Apache-2.0
"""pstree_dump.py COROSCOPE INTERPRETER: the task tree and the threads of a program, now."""
import json
import re
import time

import live


def tasks_of(program, wanted):
    """pstree --json as soon as it shows these tasks: func_not_awaited lives for half of each round."""
    end = time.monotonic() + 10
    while time.monotonic() < end:
        done = live.coroscope("pstree", program.pid, "--json")
        if done.code == live.OK:
            data = json.loads(done.out)
            if wanted <= {task["name"] for task in data["tasks"]}:
                return data
        time.sleep(0.1)
    raise AssertionError(f"never showed {wanted}: {done}")


def coroutines(task):
    return [frame["name"] for frame in task["coroutines"]]


def test_pstree():
    """Nothing was attached when the tasks were made, so what nobody awaits has no parent here."""
    with live.example(live.interpreter()) as program:
        data = tasks_of(program, {"Task-awaited", "Task-not_awaited"})
        text = live.coroscope("pstree", program.pid)
    live.check("the process is named", data["pid"] == program.pid and data["python"].startswith("3."), data)
    tasks = {task["name"]: task for task in data["tasks"]}
    awaited, not_awaited = tasks["Task-awaited"], tasks["Task-not_awaited"]
    parent = next(task for task in data["tasks"] if coroutines(task) == ["parent"])
    live.check("func_awaited is below parent", awaited["parent"] == parent["id"], data)
    live.check("nothing is above parent", parent["parent"] is None, data)
    live.check("func_not_awaited is awaited by none", not_awaited["parent"] is None, data)
    live.check("each waits in its coroutines", coroutines(awaited) == ["func_awaited", "sleep"] and
               coroutines(not_awaited) == ["func_not_awaited", "sleep"], data)
    live.check("links say what they are", awaited["link"] == "await" and awaited["how"] == "await" and not awaited["probable"] and
               [waiter["id"] for waiter in awaited["waiters"]] == [parent["id"]] and parent["link"] is None and parent["how"] is None, data)
    live.check("all belong to the loop's thread", all(task["thread"] == program.pid for task in data["tasks"]), data)
    lines = text.out.splitlines()
    live.check("the text shows the tree", any("parent (" in line for line in lines) and
               any(line.startswith(("│", " ")) and "<task Task-awaited>" in line for line in lines), text)


def tree_of(text):
    """The text's tasks: their titles, each with the title of the task above it, and the rest of its line."""
    found, above = [], {}
    for line in text.splitlines():
        branch = re.match(r"((?:│   |    )*)[├└]── (<task .*?>)(?= |$)(.*)", line)
        if branch:
            depth = len(branch[1]) // 4
            above[depth] = branch[2]
            found.append((branch[2], above[depth - 1] if depth else None, branch[3]))
    return found


def test_shapes():
    """What stands there: shared waiters, a circle, a chain that is deeper than is shown, names that would steer a terminal."""
    with live.target(live.interpreter(), "ps_tasks.py") as program:
        text = live.coroscope("pstree", program.pid).out
    tree = tree_of(text)
    at = {title: (above, rest) for title, above, rest in tree}
    above, rest = at["<task shared>"]
    other = "waiter-2" if above == "<task waiter-1>" else "waiter-1"
    live.check("one that several wait for hangs below one that awaits it, and the others are named", above in ("<task waiter-1>", "<task waiter-2>") and
               rest.endswith(f"(3 parents) also awaited by gatherer, {other}"), at["<task shared>"])
    live.check("a gathered task says how it is waited for", at["<task gathered>"][0] == "<task gatherer>" and
               at["<task gathered>"][1].startswith(" (gather) waiting "), at["<task gathered>"])
    live.check("a link by the program's own callback is probable", at["<task called-back>"][0] == "<task caller>" and
               at["<task called-back>"][1].startswith(" (callback, probable) waiting "), at["<task called-back>"])
    ring = [(title, above, "[shown above: a cycle]" in rest) for title, above, rest in tree if "ring-" in title]
    live.check("a circle is entered once, and said to be one", ring == [
        ("<task ring-1>", None, False), ("<task ring-2>", "<task ring-1>", False), ("<task ring-3>", "<task ring-2>", False),
        ("<task ring-1>", "<task ring-3>", True)], ring)
    names = [title for title, _, _ in tree]
    live.check("every other task is there once", all(names.count(f"<task {name}>") == 1 for name in (
        "Task-1", "shared", "waiter-1", "waiter-2", "gatherer", "gathered", "caller", "called-back", "napper")), names)
    chain = [title for title in names if title.startswith("<task chain-")]
    live.check("a chain ends at the limit, and says so", chain == [f"<task chain-{n}>" for n in range(70, 5, -1)] and
               text.count("[deeper tasks are not shown]") == 1, chain)
    live.check("names steer no terminal", "evil\\x1b[31m\\x0aname" in text and "\x1b" not in text and
               all("<task" in line or "──" in line or line.startswith(("process ", "event loop ")) for line in text.splitlines()), text[:500])


@live.noisy
def test_watched():
    """Who watches knows creators: what nobody waits for hangs below them, also when they have finished."""
    with live.target(live.interpreter(), "ps_tasks.py", 0.4) as program:
        tree = tree_of(live.coroscope("pstree", program.pid, "--for", "2").out)
        data = json.loads(live.coroscope("pstree", program.pid, "--json", "--for", "1.5").out)
    made = [(title, above) for title, above, _ in tree if title.startswith("<task background@") and title.endswith(" (created)>")]
    live.check("tasks that nobody waits for hang below their creator", len(made) >= 3 and
               all(above == "<task spawner>" for _, above in made), tree)
    orphans = [above for title, above, _ in tree if title.startswith("<task orphan@") and title.endswith(" (created)>")]
    live.check("one whose creator has finished hangs below its ghost", any(above.startswith("<task short-lived@") and
                                                                           above.endswith(" (finished)>") for above in orphans), tree)
    ids = {task["id"]: task for task in data["tasks"]}
    weak = [task for task in data["tasks"] if task["link"] == "created" and task["state"] != "finished"]
    live.check("JSON has weak links and ghosts", any(ids[task["parent"]]["state"] == "finished" for task in weak) and
               all(task["creator"] == task["parent"] and task["waiters"] == [] and task["how"] is None for task in weak), data)


def test_pstree_without_tasks():
    with live.target(live.interpreter(), "threads_sleep.py") as program:
        done = live.coroscope("pstree", program.pid)
    live.check("a Python without asyncio: nothing found, said in one line", done.code == live.NOTHING and live.one_line(done), done)


def is_asleep(tid):
    with open(f"/proc/{tid}/stat", encoding="utf-8") as file:
        return file.read().rsplit(")", 1)[1].split()[0] == "S"


def threads_of(program):
    done = live.coroscope("dump", program.pid)
    live.check("dump succeeds", done.code == live.OK, done)
    return [block for block in done.out.split("\n\n") if block.startswith("Thread ")]


@live.noisy
def test_dump():
    with live.target(live.interpreter(), "hashlib_gil.py") as program:
        live.until(lambda: is_asleep(program.pid))
        threads = threads_of(program)
    live.check("both threads are there", len(threads) == 2, threads)
    main = next(block for block in threads if block.startswith(f"Thread {program.pid} "))
    hasher = next(block for block in threads if block is not main)
    live.check("the main thread joins", "sleeping" in main.splitlines()[0] and "main (" in main and "join (" in main, main)
    live.check("the other hashes without the GIL", "hash_forever (" in hasher and "_bootstrap (" in hasher, hasher)


def test_dump_of_many_threads():
    with live.target(live.interpreter(), "threads_sleep.py", 100) as program:
        threads = threads_of(program)
    live.check("101 threads", len(threads) == 101, len(threads))
    live.check("each asleep below its functions", all("sleep_long (" in block for block in threads), threads)


def test_dump_of_tasks():
    """The thread burns in a task: a few looks are enough to meet it, and no look shows a torn stack."""
    looks = []
    with live.target(live.interpreter(), "burn_task.py", 60) as program:
        while len(looks) < 50 and not any("in <task burner>" in look for look in looks):
            looks.append(live.coroscope("dump", program.pid).out)
    live.check("the running task is named", "in <task burner>" in looks[-1], looks)
    live.check("above the stack of its loop's thread", "run_forever (" in looks[-1], looks[-1])
    with live.target(live.interpreter(), "short_tasks.py", 60) as program:
        looks = [live.coroscope("dump", program.pid).out for _ in range(20)]
    live.check("a stack is whole, or said to have changed",
               all("<module> (" in look or "changed while it was read" in look for look in looks), looks)
    live.check("and has no name that is not sure", not any("[stale]" in look or "[unreadable]" in look for look in looks), looks)


def test_nothing_to_show():
    with live.program("sleep", "30") as program:
        for command in ("ps", "pstree", "dump"):
            done = live.coroscope(command, program.pid)
            live.check(f"{command}: not a Python: one line", done.code == live.NOTHING and live.one_line(done), done)
            done = live.coroscope(command, 4194304)
            live.check(f"{command}: no such pid: one line", done.code == live.NOTHING and live.one_line(done), done)


live.main(test_pstree, test_shapes, test_watched, test_pstree_without_tasks, test_dump, test_dump_of_many_threads, test_dump_of_tasks, test_nothing_to_show)
