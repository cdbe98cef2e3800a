#!/usr/bin/env python3
# SPDX-License-Identifier: Apache-2.0
"""edges.py COROSCOPE [INTERPRETER]: task graphs that end nowhere or nowhere soon, and programs that change or end while they are read.

Names of the programs' tasks tell their true parents: OWN@PARENT (links_known.py).
"""
import collections
import contextlib
import json
import random
import re
import signal
import subprocess
import time

import links_known as known
import live
import whole_account

DEPTH, WIDTH = 10_000, 1_000
SHOWN_DEPTH = 64  # CS_MAX_TASK_DEPTH
KILLED, LOOKS = 12, 25


def timed(seconds, command, *arguments, **options):
    """A command that must succeed, and be done so soon."""
    began = time.monotonic()
    done = live.coroscope(command, *arguments, **options)
    took = time.monotonic() - began
    live.check(f"{command} ends well ({took:.1f} s)", done.code == live.OK and took < seconds, (done.code, done.err, done.out[:500]))
    return done


def tree(pid):
    """pstree --json: {name: task}, and {id: name}."""
    tasks = json.loads(timed(20, "pstree", pid, "--json").out)["tasks"]
    return {task["name"]: task for task in tasks}, {task["id"]: task["name"] for task in tasks}


def wall(pid, seconds, *arguments):
    return live.stacks(timed(seconds + 20, "record", "-p", pid, "-d", seconds, "-m", "wall", "-f", "collapsed", *arguments).out)


# Graphs without an end


def test_circles():
    with live.target(live.interpreter(), "edge_circles.py") as program:
        tasks, names = tree(program.pid)
        text = timed(20, "pstree", program.pid).out
        timed(20, "ps", program.pid)
        found = wall(program.pid, 2)
    in_circles = {name: task for name, task in tasks.items() if "@" in name}
    above = {name: (names.get(task["parent"]) or "").partition("@")[0] for name, task in in_circles.items()}
    live.check("pstree: each of those that wait for each other is below the next",
               len(above) == 5 and all(name.partition("@")[2] == parent for name, parent in above.items()), above)
    live.check("pstree: they are drawn once, and the circles marked", text.count("[shown above: a cycle]") == 2 and
               all(1 <= text.count(f"<task {name}>") <= 2 for name in in_circles) and len(text.splitlines()) == 2 + 6 + 2, text)
    circles = [stack for stack in found if "@" in " ".join(stack.names)]
    live.check("record: a circle shows once, whole and marked", len(circles) == 2 and
               sorted(len(known.path(stack)) for stack in circles) == [2, 3] and all(stack.has("[tasks cut]") for stack in circles), circles)
    live.check("record: for as long as the program's own sleep", len({stack.count for stack in found if known.path(stack)}) == 1, found)
    wrong = known.judge(found)[1]
    live.check("record: not one is below another than the one that waits for it", not wrong, wrong)


def check_chain(tasks, names, text, found):
    chain = {name: task for name, task in tasks.items() if name.startswith("chain.")}
    wrong = [name for name, task in chain.items() if names.get(task["parent"]) != (
        f"chain.{int(name[6:]) - 1}" if name != "chain.0" else "main")]
    live.check(f"pstree --json: {DEPTH} tasks, each below the one that awaits it", len(chain) == DEPTH and not wrong, wrong[:10])
    live.check("pstree: the chain is bounded, and that is said", text.count("[deeper tasks are not shown]") == 1 and
               text.count("<task chain.") == SHOWN_DEPTH, text.count("<task chain."))
    shown = [stack for stack in found if any(name.startswith("<task chain.") for name in stack.names)]
    live.check("record: the chain is one stack, its innermost tasks", len(shown) == 1 and [name for name, _ in known.path(shown[0])] ==
               [f"chain.{number}" for number in range(DEPTH - SHOWN_DEPTH, DEPTH)], shown)
    live.check("record: that it is cut is said", shown[0].has("[tasks cut]"), shown)


def check_shared(tasks, names, found):
    shared = tasks["shared"]
    awaits = {waiter["id"] for waiter in shared["waiters"] if waiter["how"] == "await"}
    live.check(f"pstree --json: {WIDTH} tasks await one, and all are named", shared["link"] == "await" and shared["parents"] >= WIDTH and
               {names[waiter] for waiter in awaits} == {f"awaits.{number}" for number in range(WIDTH)}, (shared["parents"], len(awaits)))
    live.check("pstree --json: that not all who gather it are named is said", shared.get("waiters_cut"), list(shared))
    parent = names[shared["parent"]]
    places = collections.Counter(task_above(stack, "shared") for stack in found if task_above(stack, "shared"))
    live.check("record: it hangs below one of them all the time, the same as in pstree", set(places) == {parent}, (parent, places))
    live.check("record: the number of its parents is said", any(f"<task shared ({shared['parents']} parents)>" in stack.names for stack in found),
               [stack for stack in found if "<task shared" in " ".join(stack.names)])


def task_above(stack, name):
    names = [one for one, _ in known.path(stack)]
    return names[names.index(name) - 1] if name in names[1:] else None


@live.noisy
def test_deep_and_wide():
    with live.target(live.interpreter(), "edge_deep_and_wide.py", DEPTH, WIDTH) as program:
        tasks, names = tree(program.pid)
        text = timed(20, "pstree", program.pid).out
        found = wall(program.pid, 3)
    check_chain(tasks, names, text, found)
    check_shared(tasks, names, found)


# Programs that change while they are read


def memory_kb(process):
    with contextlib.suppress(OSError), open(f"/proc/{process.pid}/status", encoding="utf-8") as file:
        found = re.search(r"RssAnon:\s+(\d+)", file.read())
        return int(found.group(1)) if found else 0
    return 0


def most_memory(*arguments):
    """RssAnon in KiB at most, of a run of coroscope that must succeed."""
    with live.program(live.COROSCOPE, *map(str, arguments)) as process:
        most, end = 0, time.monotonic() + 120
        while process.poll() is None and time.monotonic() < end:
            most = max(most, memory_kb(process))
            time.sleep(0.01)
        live.check(f"{arguments[0]} ends well", process.returncode == live.OK, process.returncode)
    return most


def memory_of_tasks(count):
    """Of a capture from the first to the last of so many tasks, and of the report of it."""
    with live.scratch() as folder:
        path, out = folder / "capture.raw", folder / "out.collapsed"
        record = most_memory("record", "-q", "--task-events", "on", "-o", path, "--", live.interpreter(), live.TARGETS / "edge_finished.py", count)
        report = most_memory("report", path, "-o", out)
        total = whole_account.read(path)
    created = total["CREATES"] + total["CREATES_RING_FULL"]
    live.check(f"{count} tasks were made", count <= created <= 1.01 * count + 10, total)
    return record, report


def test_a_million_finished_tasks():
    few, many = memory_of_tasks(100_000), memory_of_tasks(1_000_000)
    live.check(f"a million finished tasks leave nothing behind: record, report: {many} KiB, {few} KiB of a hundred thousand",
               all(0 < more < 1.2 * less + 2048 for more, less in zip(many, few)))


def test_loops_that_close():
    seconds = 5
    with live.target(live.interpreter(), "edge_loops.py", seconds + 4) as program, live.scratch() as folder:
        path = folder / "capture.raw"
        done = timed(seconds + 20, "record", "-p", program.pid, "-d", seconds, "-m", "wall", "-o", path)
        whole_account.check_said(done.err)
        total = whole_account.read(path)
        found = live.stacks(timed(20, "report", path, "-f", "collapsed").out)
        looks = [tree(program.pid) for _ in range(10)]
        loops = int(program.stdout.readline())
    counts, wrong = known.judge(found)
    print(f"     {loops} loops, {dict(counts['made'])}, {total['PASSES_FAILED']} passes failed, {total['TASKS_DROPPED']} readings lost")
    live.check("loops came and went", loops > 100 and total["PASSES"] > 20, (loops, total))
    live.check("record: no task is below one of another loop", not wrong, wrong.most_common(10))
    live.check("record: and each is below its own", counts["made"]["right"] >= 0.95 * counts["made"].total() > 100, counts)
    wrong = [(name, names[task["parent"]]) for tasks, names in looks for name, task in tasks.items()
             if task["parent"] and known.verdict(name.partition("@")[2], names[task["parent"]]) != "right"]
    live.check("pstree: no task is below one of another loop", not wrong, wrong)


def end_one_by_one(programs):
    for program in programs:
        time.sleep(random.uniform(0.02, 0.2))
        program.kill()


def test_killed_in_a_capture():
    """As many programs as are killed, at any moment of a pass; the capture ends with the last."""
    with contextlib.ExitStack() as stack, live.scratch() as folder:
        programs = [stack.enter_context(live.target(live.interpreter(), "many_tasks.py", 1000, 3, 50)) for _ in range(KILLED)]
        path = folder / "capture.raw"
        command = [live.COROSCOPE, "record", "-p", ",".join(str(program.pid) for program in programs), "-o", path]
        recorder = stack.enter_context(live.program(*map(str, command)))
        live.until(lambda: recorder.poll() is not None or "anon_inode:[perf_event]" in live.open_files(recorder.pid))
        time.sleep(1)
        end_one_by_one(programs)
        began = time.monotonic()
        try:
            _, err = recorder.communicate(timeout=20)
        except subprocess.TimeoutExpired:
            raise AssertionError("record goes on after the last program's end") from None
        live.check(f"record ends with them, well ({time.monotonic() - began:.1f} s)", recorder.returncode == live.OK, err)
        whole_account.check_said(err)
        total = whole_account.read(path)
        live.check("they were read until then", total["TASKS"] > 1000, total)
        timed(30, "report", path, "-o", folder / "page.html")


def test_killed_while_looked_at():
    """A process that is gone at once, while it is read or just after: the tasks, or one line that says what there is to say."""
    codes = collections.Counter()
    for number in range(LOOKS):
        with live.target(live.interpreter(), "many_tasks.py", 3000, 3, 50) as program:
            look = subprocess.Popen([live.COROSCOPE, ("ps", "pstree")[number % 2], str(program.pid), "--json"], stdout=subprocess.PIPE,
                                    stderr=subprocess.PIPE, text=True)
            time.sleep(random.uniform(0, 0.1))
            program.send_signal(signal.SIGKILL)
            try:
                out, err = look.communicate(timeout=20)
            finally:
                live.stop(look)
        codes[look.returncode] += 1
        if look.returncode == live.OK:
            json.loads(out)
        elif look.returncode not in (live.NOTHING, live.FAILURE) or out or not live.one_line(live.Run(look.returncode, out, err)):
            live.check("a look at a process that is killed ends well", False, (look.returncode, out[:300], err))
    live.check(f"{LOOKS} looks at processes that were killed meanwhile end well", codes[live.OK] < LOOKS == codes.total(), codes)
    print(f"     exit codes: {dict(codes)}")


# Addresses that are used again


@live.noisy
def test_ghosts():
    with live.target(live.interpreter(), "edge_ghosts.py") as program:
        found = wall(program.pid, 4)
        watched = json.loads(timed(20, "pstree", program.pid, "--json", "--for", 2).out)["tasks"]
    seen = known.weigh(found)
    orphans = {name: places for name, places in seen.items() if (name or "").startswith("orphan.")}
    nobodys = {name: places for name, places in seen.items() if (name or "").startswith("nobodys.")}
    counts, wrong = known.judge(found)
    live.check("no task is below another than its creator", not wrong, wrong.most_common(10))
    live.check(f"record: {len(orphans)} tasks are below creators that have finished", counts["made"]["right"] >= 0.95 * counts["made"].total() > 100,
               counts)
    marks = collections.Counter()
    for places in orphans.values():
        for (above, mark, _), weight in places.items():
            marks[mark if above else "unknown"] += weight
    live.check("record: which are marked as such", marks["finished"] >= 0.95 * marks.total(), marks)
    below = [(name, place) for name, places in nobodys.items() for place in places if place[0] is not None]
    live.check(f"record: {len(nobodys)} tasks that nobody created are below nobody", len(nobodys) > 100 and not below, below[:10])
    names = {task["id"]: task for task in watched}
    made = [task for task in watched if (task["name"] or "").startswith("orphan.") and task["age_exact"]]
    live.check("pstree: creators that have finished are named", len(made) > 5 and all(
        task["creator"] and names[task["creator"]]["name"].partition("@")[0] == task["name"].partition("@")[2] and
        names[task["creator"]]["state"] == "finished" for task in made), made[:5])
    live.check("pstree: tasks that nobody created have no creator", not any(
        task["creator"] for task in watched if (task["name"] or "").startswith("nobodys.")), watched[:5])


live.main(test_circles, test_deep_and_wide, test_a_million_finished_tasks, test_loops_that_close, test_killed_in_a_capture,
          test_killed_while_looked_at, test_ghosts)
