#!/usr/bin/env python3
# SPDX-License-Identifier: Apache-2.0
"""one_instant.py COROSCOPE [INTERPRETER]: passes over a loop that never rests see one instant, and so do ps, pstree and dump.

The program's tasks live in rounds that never meet (rounds.py), and names tell which task awaits which. What a pass over a copy shows must
be of one round, each parent waiting for its own child. Prints the shares of the kinds of passes, and how long copies held the loop.
Of dump it is the functions on the stack that tell (pairs.py).
"""
import collections
import json
import re
import statistics
import struct

import live
import raw
import whole_account

PARENTS = 60
SECONDS = 6
LOOKS = 20
TASK = struct.Struct("<QQQQIHHII")  # struct cs_ev_task behind its header
PASS = struct.Struct("<QIIII")      # struct cs_ev_pass, likewise
LINK_OR_FRAME = 16
COHERENCE = raw.numbers("event.h", r"\bCS_COHERENT_(\w+) = (\d+),")
NAME = re.compile(r"(\d+)\.(\d+)(\.child)?")
DEFAULT = re.compile(r"Task-\d+")  # 3.11 and older: a task that has not got its name yet

Task = collections.namedtuple("Task", "name waiter")
Pass = collections.namedtuple("Pass", "kind dropped held_us tasks")


def passes(path):
    """What each pass saw: its tasks by address."""
    records, whole = raw.read(path)
    live.check("the capture is whole", whole)
    known, found = {}, []
    for record in records:
        if record.kind == raw.KINDS["TASK"]:
            task, _, waiter, _, _, length, _, nframes, nlinks = TASK.unpack_from(record.body)
            at = TASK.size + (nframes + nlinks) * LINK_OR_FRAME
            known[task] = Task(record.body[at:at + length].decode(), waiter)
        elif record.kind == raw.KINDS["PASS"]:
            _, count, dropped, kind, _ = PASS.unpack_from(record.body)
            addresses = struct.unpack_from(f"<{count}Q", record.body, PASS.size)
            found.append(Pass(kind, dropped, record.flags, {address: known[address] for address in addresses}))
    return found


def faults(one):
    """What cannot have been at one instant in what a pass saw."""
    rounds, unnamed = set(), 0
    for task in one.tasks.values():
        name = NAME.fullmatch(task.name)
        if not name:
            unnamed += bool(DEFAULT.fullmatch(task.name))
            continue
        rounds.add(name[1])
        waited = one.tasks.get(task.waiter)
        if waited and not name[3] and waited.name != task.name + ".child" and not DEFAULT.fullmatch(waited.name):
            yield f"{task.name} waits for {waited.name}"
    if len(rounds) > 1:
        yield f"rounds {rounds}"
    if unnamed > 2:  # the program's own task is one
        yield f"{unnamed} tasks without a name"


def captured():
    with live.scratch() as folder, live.target(live.interpreter(), "rounds.py", PARENTS, SECONDS + 20) as program:
        path = folder / "capture.raw"
        done = live.record("-p", program.pid, "-d", SECONDS, "-m", "wall", "-o", path)
        return passes(path), whole_account.read(path), done


def need_copies():
    checked = live.run([live.COROSCOPE, "check"]).out
    if "busy event loops: tasks are seen at one instant" not in checked:
        raise live.Skip("this kernel makes no copies in a thread's own context: boot 6.18 or later")


def test_rounds():
    need_copies()
    found, total, done = captured()
    kinds = collections.Counter(one.kind for one in found)
    copies = [one for one in found if one.kind == COHERENCE["IN_TASK"]]
    print(f"     passes: { {name: kinds[number] for name, number in COHERENCE.items()} }, {total['INSTANTS']} copies, {total['INSTANTS_LATE']} too late")
    live.check("passes are made over copies", len(copies) >= 20, (kinds, total))
    held = sorted(one.held_us for one in copies)
    print(f"     {statistics.median(len(one.tasks) for one in copies)} tasks; the loop was held for {statistics.median(held):.0f} us, at most {held[-1]:.0f} us")
    torn = [(fault, one.dropped) for one in copies for fault in faults(one)]
    live.check("each saw one instant", not torn, torn[:10])
    live.check("nearly no task is missing in them", sum(one.dropped for one in copies) <= 0.01 * sum(len(one.tasks) for one in copies),
               (total, [one.dropped for one in copies]))
    live.check("as many are counted as are in the capture", total["PASSES_IN_TASK"] == len(copies), (total, len(copies)))
    live.check("the summary tells", "copied at one instant" in done.err, done.err)


def look_of(text):
    """What a look's JSON tells of when it was, and what it saw: tasks by address."""
    data = json.loads(text)
    waits = {waiter["id"]: task["id"] for task in data["tasks"] for waiter in task["waiters"] if waiter["how"] == "await"}
    return data["moment"], Pass(None, data["missing"], None, {task["id"]: Task(task["name"], waits.get(task["id"])) for task in data["tasks"]})


def looked(command, pid):
    return look_of(live.coroscope(command, pid, "--json").out)


@live.noisy
def test_looks():
    need_copies()
    with live.target(live.interpreter(), "rounds.py", PARENTS, 120) as program:
        looks = [looked(command, program.pid) for command in ("ps", "pstree") for _ in range(LOOKS // 2)]
        text = [live.coroscope("ps", program.pid).out for _ in range(LOOKS)]
    copies = [one for moment, one in looks if moment == "instant"]
    print(f"     {len(copies)} of {len(looks)} looks at one instant")
    live.check("most looks of ps and pstree are at one instant", len(copies) >= 0.8 * len(looks), [moment for moment, _ in looks])
    live.check("many tasks are in them", max(len(one.tasks) for one in copies) > PARENTS, [len(one.tasks) for one in copies])
    torn = [(fault, one.dropped) for one in copies for fault in faults(one)]
    live.check("each saw one instant", not torn, torn[:10])
    live.check("the text says which are not", sum("at a moment of its own" in look.splitlines()[0] for look in text) <= 0.2 * LOOKS, text[0][:300])


@live.noisy
def test_dump():
    need_copies()
    with live.target(live.interpreter(), "pairs.py") as program:
        looks = [live.coroscope("dump", program.pid).out for _ in range(LOOKS)]
    stacks = [re.findall(r"^    (\w+) \(", look, re.M)[::-1] for look in looks]
    whole = [[f"{side}_{depth}" for depth in (1, 2, 3)][:depth] for side in ("left", "right") for depth in range(4)]
    live.check("dump nearly always has a stack, though the thread never rests", sum("<module> (" in look for look in looks) >= 0.9 * LOOKS, looks[:3])
    live.check("no stack is of two instants", all(stack in whole for stack in stacks), stacks)
    live.check("they are not all of the same place", len(set(map(tuple, stacks))) > 2, stacks)


if __name__ == "__main__":
    live.main(test_rounds, test_looks, test_dump)
