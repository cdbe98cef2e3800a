#!/usr/bin/env python3
# SPDX-License-Identifier: Apache-2.0
"""ps.py COROSCOPE INTERPRETER: the tasks of one and of several processes, at one look and after watching."""
import csv
import io
import json
import os
import signal
import subprocess
import time

import live

EVIL = "evil\x1b[31m\nname,\"quoted\""
STANDING = 85
PERIOD = 0.4
# a look sees what happened since the look before; a busy machine puts looks off
LOOKS = 0.15


def ps(*arguments, code=live.OK):
    done = live.coroscope("ps", *arguments)
    live.check("ps " + " ".join(map(str, arguments)) + f" ends with {code}", done.code == code, done)
    return done


def tasks_of(process):
    return {task["name"]: task for task in process["tasks"]}


def made_at(task):
    """When it was made by its own account."""
    return float(task["name"].split("@")[1])


def rows(text):
    return list(csv.DictReader(io.StringIO(text)))


def is_tame(text):
    return all(char == "\n" or char >= " " and not "\x7f" <= char < "\xa0" for char in text)


def test_one_look():
    with live.target(live.interpreter(), "ps_tasks.py") as program:
        process = json.loads(ps(program.pid, "--json").out)
        table = ps(program.pid, "--csv").out
        text = ps(program.pid).out
    tasks = tasks_of(process)
    live.check("one process is the document itself", process["pid"] == program.pid and len(tasks) == STANDING, len(tasks))
    live.check("nobody watched: nothing is said of creators and times",
               all(task["creator"] is None and task["creation"] == [] and task["age"] is None and task["waited"] is None and
                   not task["age_exact"] and not task["waited_exact"] for task in tasks.values()), tasks["shared"])
    waiters = {waiter["id"]: waiter["how"] for waiter in tasks["shared"]["waiters"]}
    live.check("everyone who waits is told, and how",
               waiters == {tasks["waiter-1"]["id"]: "await", tasks["waiter-2"]["id"]: "await", tasks["gatherer"]["id"]: "gather"},
               tasks["shared"])
    live.check("the first of those who await it is the parent", tasks["shared"]["parent"] == tasks["shared"]["waiters"][0]["id"] and
               tasks["shared"]["link"] == "await" and tasks["shared"]["how"] == "await" and tasks["shared"]["parents"] == 3, tasks["shared"])
    live.check("what a program's own callback may mean is only probable", tasks["called-back"]["probable"] and
               tasks["called-back"]["waiters"] == [{"id": tasks["caller"]["id"], "how": "callback", "probable": True}] and
               tasks["called-back"]["link"] == "strong" and not tasks["gathered"]["probable"], tasks["called-back"])
    live.check("a circle is a circle", all(tasks[own]["parent"] == tasks[other]["id"] for own, other in
                                           (("ring-1", "ring-3"), ("ring-2", "ring-1"), ("ring-3", "ring-2"))), process)
    live.check("JSON has the name as it is", any(name.startswith(EVIL) for name in tasks), list(tasks))
    found = rows(table)
    live.check("CSV: a header, and a row for each task",
               sorted(row["id"] for row in found) == sorted(task["id"] for task in tasks.values()) and
               all(row["pid"] == str(program.pid) and None not in row and None not in row.values() for row in found), table[:500])
    live.check("its quotes and commas are fields' own",
               any(row["name"].startswith('evil\\x1b[31m\\x0aname,"quoted"') and row["state"] == "waiting" for row in found), table)
    live.check("it tells the same", all(row["waiters"].split() == [waiter["id"] for waiter in tasks[row["name"]]["waiters"]]
                                        for row in found if row["name"] in tasks) and len(found) == len(tasks), table[:500])
    live.check("no output steers a terminal", is_tame(text) and is_tame(table), text[:500])
    live.check("the text has a line for each task", len(text.splitlines()) == 2 + len(tasks), text[:500])
    live.check("a long name is cut", "long-nnn" in text and "n" * 60 not in text and "nnn..." in text, text[:2000])


@live.noisy
def test_watched():
    with live.target(live.interpreter(), "ps_tasks.py", PERIOD) as program:
        began = time.monotonic()
        process = json.loads(ps(program.pid, "--json", "--for", "1.7").out)
        ended = time.monotonic()
        text = ps(program.pid, "--for", "1").out
    tasks, made = tasks_of(process), [task for task in process["tasks"] if "@" in task["name"] and task["age_exact"]]
    background = [task for task in made if task["name"].startswith("background@") and made_at(task) > began + 0.5]
    orphans = [task for task in made if task["name"].startswith("orphan@") and made_at(task) > began + 0.5]
    live.check("tasks were made while it watched", len(background) >= 2 and len(orphans) >= 2, process)
    looks = [made_at(task) + task["age"] for task in background + orphans]
    live.check("their ages are true", max(looks) - min(looks) < 0.02 and began + 1.7 < min(looks) < ended, (began, looks, ended))
    live.check("who made them, and where",
               all(task["creator"] == tasks["spawner"]["id"] and [frame["name"] for frame in task["creation"]] == ["spawn", "task"]
                   for task in background), background)
    live.check("they hang below who made them", all(task["parent"] == tasks["spawner"]["id"] and task["link"] == "created"
                                                    for task in background), background)
    ids = {task["id"]: task for task in process["tasks"]}
    live.check("a creator that has finished is told as such",
               all(ids[task["creator"]]["state"] in ("finished", "waiting") for task in orphans) and
               any(ids[task["creator"]]["state"] == "finished" and ids[task["creator"]]["name"].startswith("short-lived@")
                   for task in orphans), orphans)
    newest = min(task["age"] for task in made)
    live.check("how long one has waited is told", tasks["spawner"]["waited_exact"] and
               any(abs(tasks["spawner"]["waited"] - task["age"]) < LOOKS for task in background), (tasks["spawner"], newest))
    standing = [tasks[name] for name in ("shared", "waiter-1", "ring-1", "chain-70")]
    live.check("what stood there before is at least so old",
               all(not task["age_exact"] and not task["waited_exact"] and 1.7 - LOOKS < task["age"] < ended - began and
                   task["creator"] is None and task["waited"] == task["age"] for task in standing), standing)
    # test_next_wait: only two whole waits between two looks look like none
    live.check("one that wakes up again and again has not waited since the beginning",
               tasks["napper"]["waited_exact"] and tasks["napper"]["waited"] < 1, tasks["napper"])
    live.check("the text says it", "created at spawn (" in text and ">=" in text and " (finished)" in text, text)


def test_next_wait():
    """What tells that a task has waited without a break: what it waits for next never lies where the last such thing did."""
    package = live.run([live.PYTHONS, "--package", live.INTERPRETER, "uvloop"]) if live.INTERPRETER else None
    for arguments in [[]] + ([[package.out.strip()]] if package and not package.code else []):
        done = live.run([live.interpreter(), str(live.TARGETS / "next_wait.py"), *arguments])
        live.check("the program ends", not done.code, done)
        found = json.loads(done.out)
        live.check("it is elsewhere", all(one == 0 for one, _ in found.values()), (arguments, found))
        live.check("though memory is used again at once", any(two for _, two in found.values()), (arguments, found))


def test_several():
    with live.target(live.interpreter(), "ps_tasks.py") as one, live.target(live.distribution(), "ps_tasks.py") as other, \
            live.target(live.interpreter(), "threads_sleep.py") as plain:
        both = ps(one.pid, other.pid, "--json")
        table = ps(f"{one.pid},{other.pid},{one.pid}", "--csv")
        bad = ps(one.pid, 4194304, "--json", code=live.NOTHING)
        text = ps(one.pid, plain.pid, other.pid, code=live.NOTHING)
        everyone = ps("-a", "--json")
    live.check("several processes, in the order asked for",
               [process["pid"] for process in json.loads(both.out)["processes"]] == [one.pid, other.pid], both)
    live.check("one header, each process once", table.out.count("pid,id,") == 1 and
               [row["pid"] for row in rows(table.out)] == [str(one.pid)] * STANDING + [str(other.pid)] * STANDING, table)
    live.check("one that is not there is one line, the other is shown", live.one_line(bad) and
               [process["pid"] for process in json.loads(bad.out)["processes"]] == [one.pid], bad)
    live.check("one without asyncio is one line, the others are shown", live.one_line(text) and
               text.out.count("process ") == 2, text)
    pids = {process["pid"] for process in json.loads(everyone.out)["processes"]}
    live.check("-a finds both", {one.pid, other.pid} <= pids, pids)
    live.check("-a passes over what has no asyncio, without a word", plain.pid not in pids and str(plain.pid) not in everyone.err,
               everyone.err)


def test_other_namespaces():
    """As in a container: its own pids, its own /proc."""
    command = ["unshare", "--pid", "--fork", "--mount-proc", "--kill-child", live.interpreter(), str(live.TARGETS / "ps_tasks.py"), str(PERIOD)]
    if live.run(["unshare", "--pid", "--fork", "--mount-proc", "true"]).code:
        raise live.Skip("may not make pid namespaces here")
    with live.program(*command) as program:
        live.check("it runs", program.stdout.readline() == "ready\n")
        with open(f"/proc/{program.pid}/task/{program.pid}/children", encoding="utf-8") as file:
            inner = int(file.read())
        process = json.loads(ps(inner, "--json", "--for", "1.5").out)
        everyone = json.loads(ps("-a", "--json", "--for", "1.5").out)
        live.stop(program, signal.SIGKILL)  # unshare does not heed SIGTERM
    tasks = tasks_of(process)
    live.check("its tasks and its thread, as seen from here", tasks["shared"]["thread"] == inner and tasks["shared"]["parents"] == 3, process)
    for found in (process, next(one for one in everyone["processes"] if one["pid"] == inner)):
        live.check("creators are known", any(task["creator"] == tasks["spawner"]["id"] for task in found["tasks"]), found)


def interrupted(program, *arguments):
    """ps, told to stop as soon as it watches; its output, or that it did not stop."""
    with subprocess.Popen([live.COROSCOPE, "ps", str(program.pid), "--for", "60", *arguments], stdout=subprocess.PIPE,
                          stderr=subprocess.PIPE, text=True) as process:
        time.sleep(2)
        process.send_signal(signal.SIGINT)
        try:
            out, err = process.communicate(timeout=10)
        finally:
            process.kill()
        return live.Run(process.returncode, out, err)


def test_ends_of_watching():
    with live.target(live.interpreter(), "ps_tasks.py", PERIOD) as program:
        done = interrupted(program, "--json")
        live.check("Ctrl-C shows what was seen so far", done.code == live.OK and
                   any(task["creator"] for task in json.loads(done.out)["tasks"]), done)
    began = time.monotonic()
    with live.program(live.interpreter(), "-c", "import asyncio; asyncio.run(asyncio.sleep(2))") as program:
        live.until(lambda: "anon_inode:[eventpoll]" in live.open_files(program.pid))
        done = ps(program.pid, "--for", "60", code=live.NOTHING)
    live.check("a process that ends is not waited for, and said in one line", live.one_line(done) and time.monotonic() - began < 30, done)


def test_usage():
    for arguments in ((), ("-a", os.getpid()), ("x",), (os.getpid(), "--for", "long"), (os.getpid(), "--for", "-1")):
        done = ps(*arguments, code=live.USAGE)
        live.check("it is one line", live.one_line(done), done)


live.main(test_one_look, test_watched, test_next_wait, test_several, test_other_namespaces, test_ends_of_watching, test_usage)
