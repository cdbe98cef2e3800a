#!/usr/bin/env python3
# SPDX-License-Identifier: Apache-2.0
"""supports.py COROSCOPE INTERPRETER [FOLDER]: what a profile shows of this interpreter, by tests/targets/knows_all.py, which knows.

Each verdict on VERDICTS is asserted, and written as a line of JSON to FOLDER/INTERPRETER.json, of which
tools/support_table.py makes the README's table. "no" stands for what is wrong; there is no file without a run.
"""
import collections
import json
import pathlib
import re
import sys

import known
import live

FOLDER = pathlib.Path(sys.argv[3]) if len(sys.argv) > 3 else None
CPU_S, WALL_S = 1.5, 0.7
BURNERS = ("method", "lambda", "nested", "not ascii", "first line", "second line", "far", "second thread")
WAITING = ("nap", "awaiter", "suspended")
THREADS_APART = (3, 13)  # before it a subinterpreter's thread state has its creator's thread id

Seen = collections.namedtuple("Seen", "version modules told cpu wall")


def thread_id(stack):
    return int(re.search(r"\[(\d+)\]$", stack.frames[1]).group(1))


def is_of(stack, told):
    """Exactly the stack that was told, on the thread that told it."""
    return thread_id(stack) == told["thread"] and known.is_stack(stack, told["stack"])


def weight(found, told):
    return live.weight(found, lambda stack: is_of(stack, told))


def profile():
    """Both captures, and what the program says of itself."""
    target = live.TARGETS / "knows_all.py"
    with known.program(live.interpreter(), "-B", target, wanted=("version", "subinterpreters", *BURNERS, *WAITING)) as program:
        told = program.stacks
        if told["subinterpreters"]:
            told.update(known.read_stacks(program.process, {"outside", "inside"} - told.keys()))
        cpu, wall = (known.of_process(known.capture(mode, seconds, "-p", program.pid), program.pid)
                     for mode, seconds in (("cpu", CPU_S), ("wall", WALL_S)))
    return Seen(tuple(told.pop("version")), told.pop("subinterpreters"), told, cpu, wall)


# Verdicts: each a word for the table, or an AssertionError


def judge_cpu(seen):
    """At least 95% of what ran is exactly one of the stacks that its thread told."""
    def is_told(stack):
        return any(is_of(stack, told) for told in seen.told.values())
    right, whole = live.weight(seen.cpu, is_told), live.weight(seen.cpu)
    live.check(f"cpu: {right} of {whole} samples are true", right >= 0.95 * whole and right >= 300,
               [stack.frames for stack in seen.cpu if not is_told(stack)][:5])
    return "yes"


def judge_wall(seen):
    """A sleeping thread is there all the time, and a suspended task below the one that awaits it."""
    def is_task(stack):
        for at, text in enumerate(stack.frames[2:], 2):
            if known.is_frame(text, awaiter):
                return stack.names[at + 1] == "<task suspended>" and known.is_frame(stack.frames[at + 2], suspended)
        return False
    awaiter, suspended = (seen.told[what]["stack"][0] for what in ("awaiter", "suspended"))
    for what, right in (("the sleeping thread", weight(seen.wall, seen.told["nap"])),
                        ("the suspended task", live.weight(seen.wall, lambda stack: is_task(stack) and thread_id(stack) == seen.told["awaiter"]["thread"]))):
        live.check(f"wall: {what}, {right} samples", live.near(right, live.RATE_HZ * WALL_S, 0.15), [stack.frames for stack in seen.wall][:20])
    return "yes"


def judge_names(seen):
    qualified = seen.version >= (3, 11)
    names = {"method": "Names.method", "lambda": "Names.<lambda>", "nested": "Names.outer.<locals>.nested", "not ascii": "größe_名前"}
    for what, name in names.items():
        name = name if qualified else name.rsplit(".", 1)[-1]
        leaf = live.weight(seen.cpu, lambda stack, name=name: known.python_frames(stack)[-1:] and known.python_frames(stack)[-1].startswith(f"{name} ("))
        live.check(f"names: {name}, {leaf} samples", leaf >= 20 and seen.told[what]["stack"][-1][0] == name, seen.cpu)
    return "qualified" if qualified else "bare"


def judge_lines(seen):
    """Two lines of one expression, and one that is further from the function's first than 16 bits reach."""
    first, second, far = (seen.told[what]["stack"][-1][2] for what in ("first line", "second line", "far"))
    live.check("lines: they are apart", second == first + 1 and far > 1 << 15, (first, second, far))
    for what in ("first line", "second line", "far"):
        right = weight(seen.cpu, seen.told[what])
        live.check(f"lines: {what}, {right} samples", right >= 20, [stack.frames[-1] for stack in seen.cpu])
    return "yes"


def judge_threads(seen):
    """Each stack is its own thread's, and never another's."""
    for what in ("method", "second thread"):
        one = seen.told[what]
        live.check(f"threads: {what}, {weight(seen.cpu, one)} samples", weight(seen.cpu, one) >= 20, seen.cpu)
        wrong = [stack.frames for stack in seen.cpu if known.is_stack(stack, one["stack"]) and thread_id(stack) != one["thread"]]
        live.check(f"threads: {what} is on its own", not wrong, wrong)
    return "yes"


def judge_subinterpreters(seen):
    """The thread that runs one, which the main thread made. Its outer frames are true too: they end at the call."""
    if not seen.modules:
        return "none"
    inside, outside = seen.told["inside"], seen.told["outside"]
    mine = [stack for stack in seen.cpu if thread_id(stack) == inside["thread"]]
    elsewhere = [stack.frames for stack in seen.cpu if stack not in mine and stack.has("inside")]
    live.check("subinterpreters: shown for no other thread", not elsewhere, elsewhere[:5])
    whole, right, outer = live.weight(mine), weight(mine, inside), weight(mine, outside)
    accepted = right if seen.version >= THREADS_APART else right + outer
    live.check(f"subinterpreters: {right} samples inside, {outer} of the outer frames, of {whole}", accepted >= 0.95 * whole and accepted >= 20,
               [stack.frames for stack in mine][:5])
    return "yes" if right >= 0.95 * whole else "outer frames only"


VERDICTS = {"cpu": judge_cpu, "wall": judge_wall, "names": judge_names, "lines": judge_lines,
            "threads": judge_threads, "subinterpreters": judge_subinterpreters}


def built():
    """How, in the words of tools/pythons."""
    for line in live.run([live.PYTHONS, "--list"]).out.splitlines():
        name, text, *_ = re.split(r" {2,}", line)
        if name == live.INTERPRETER:
            return re.sub(r"^CPython [\d.]+,? ", "", text)
    raise AssertionError(f"tools/pythons does not list {live.INTERPRETER}")


def write(seen, verdicts):
    if FOLDER:
        FOLDER.mkdir(parents=True, exist_ok=True)
        line = {"name": live.INTERPRETER, "version": ".".join(map(str, seen.version)), "built": built(), **verdicts}
        (FOLDER / f"{live.INTERPRETER}.json").write_text(json.dumps(line) + "\n", encoding="utf-8")


@live.noisy
def test_verdicts():
    if FOLDER:
        (FOLDER / f"{live.INTERPRETER}.json").unlink(missing_ok=True)
    seen, verdicts, errors = profile(), {}, []
    for what, judge in VERDICTS.items():
        try:
            verdicts[what] = judge(seen)
        except AssertionError as error:
            verdicts[what] = "no"
            errors.append(str(error))
    write(seen, verdicts)
    if errors:
        raise AssertionError("\n".join(errors))


live.main(test_verdicts)
