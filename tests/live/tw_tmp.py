#!/usr/bin/env python3
# SPDX-License-Identifier: Apache-2.0
"""one_instant.py COROSCOPE [INTERPRETER]: passes over a loop that never rests see one instant.

The program's tasks live in rounds that never meet (rounds.py), and names tell which task awaits which. What a pass over a copy shows must
be of one round, each parent waiting for its own child. Prints the shares of the kinds of passes, and how long copies held the loop.
"""
import collections
import re
import statistics
import struct

import live
import raw
import whole_account

PARENTS = 60
SECONDS = 6
TASK = struct.Struct("<QQQQIHHII")  # struct cs_ev_task behind its header
PASS = struct.Struct("<QIIII")      # struct cs_ev_pass
LINK_OR_FRAME = 16
COHERENCE = raw.numbers("event.h", r"\bCS_COHERENT_(\w+) = (\d+),")
NAME = re.compile(r"(\d+)\.(\d+)(\.child)?")
DEFAULT = re.compile(r"Task-\d+")  # 3.11 and older: a task that has not got its name yet

Task = collections.namedtuple("Task", "name waiter")
Pass = collections.namedtuple("Pass", "kind dropped held_ns tasks")


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
            _, count, dropped, kind, held_ns = PASS.unpack_from(record.body)
            addresses = struct.unpack_from(f"<{count}Q", record.body, PASS.size)
            found.append(Pass(kind, dropped, held_ns, {address: known[address] for address in addresses}))
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


def test_rounds():
    checked = live.run([live.COROSCOPE, "check"]).out
    if False:
        raise live.Skip("this kernel makes no copies in a thread's own context: boot 6.18 or later")
    found, total, done = captured()
    kinds = collections.Counter(one.kind for one in found)
    copies = [one for one in found if one.kind == COHERENCE["IN_TASK"]]
    print(f"     passes: { {name: kinds[number] for name, number in COHERENCE.items()} }, {total['INSTANTS']} copies, {total['INSTANTS_LATE']} too late")
    live.check("passes are made over copies", len(copies) >= 20, (kinds, total))
    held = sorted(one.held_ns / 1000 for one in copies)
    print(f"     {statistics.median(len(one.tasks) for one in copies)} tasks; the loop was held for {statistics.median(held):.0f} us, at most {held[-1]:.0f} us")
    torn = [(fault, one.dropped) for one in copies for fault in faults(one)]
    live.check("each saw one instant", not torn, torn[:10])
    live.check("nearly no task is missing in them", sum(one.dropped for one in copies) <= 0.01 * sum(len(one.tasks) for one in copies),
               (total, [one.dropped for one in copies]))
    live.check("as many are counted as are in the capture", total["PASSES_IN_TASK"] == len(copies), (total, len(copies)))



live.main(test_rounds)
