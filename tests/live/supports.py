#!/usr/bin/env python3
# SPDX-License-Identifier: Apache-2.0
"""supports.py COROSCOPE INTERPRETER [FOLDER]: what a profile shows of this interpreter, by tests/targets/knows_all.py, which knows.

Each of VERDICTS is asserted, and written as a line of JSON to FOLDER/INTERPRETER.json, of which tools/support_table.py makes
the README's table. What is wrong is a "no", and "why" tells the reason; there is no file without a run.
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
OUTER_ONLY = (3, 12)  # up to it a subinterpreter's thread state does not tell which thread runs it

Seen = collections.namedtuple("Seen", "version modules told cpu wall")


def thread_id(stack):
    return int(re.search(r"\[(\d+)\]$", stack.frames[1]).group(1))


def is_of(stack, told):
    """Exactly the stack that was told, on the thread that told it."""
    return thread_id(stack) == told["thread"] and known.is_stack(stack, told["stack"])


def weight(found, told):
    return live.weight(found, lambda stack: is_of(stack, told))


def check_seen(seen, what, right):
    """A burner has a third at least of what is its fair share, the main thread's taking turns."""
    live.check(f"{what}, {right} samples", right >= max(5, live.weight(seen.cpu) / 54), seen.cpu)


def profile():
    """Both captures, and what the program says of itself."""
    target = live.TARGETS / "knows_all.py"
    with known.program(live.interpreter(), "-B", target, wanted=("version", "subinterpreters", *BURNERS, *WAITING)) as program:
        told = program.stacks
        if told["subinterpreters"]:
            told.update(known.read_stacks(program.process, {"outside", "inside"} - told.keys()))
        cpu, wall = known.capture("cpu", CPU_S, "-p", program.pid), known.capture("wall", WALL_S, "-p", program.pid)
    return Seen(tuple(told.pop("version")), told.pop("subinterpreters"), told, cpu, wall)


# Verdicts: each a word for the table, or an AssertionError


def judge_cpu(seen):
    """At least 95% of what ran is exactly one of the stacks that its thread told."""
    def is_told(stack):
        return any(is_of(stack, told) for told in seen.told.values())
    right, whole = live.weight(seen.cpu, is_told), live.weight(seen.cpu)
    live.check(f"cpu: {right} of {whole} samples are true", right >= 0.95 * whole and right >= 100,
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
        live.check(f"wall: {what}, {right} samples", live.near(right, live.RATE_HZ * seen.wall.seconds, 0.15), [stack.frames for stack in seen.wall][:20])
    return "yes"


def judge_names(seen):
    qualified = seen.version >= (3, 11)
    names = {"method": "Names.method", "lambda": "Names.<lambda>", "nested": "Names.outer.<locals>.nested", "not ascii": "größe_名前"}
    for what, name in names.items():
        name = name if qualified else name.rsplit(".", 1)[-1]
        leaf = live.weight(seen.cpu, lambda stack, name=name: known.python_frames(stack)[-1:] and known.python_frames(stack)[-1].startswith(f"{name} ("))
        live.check(f"names: {what} is {name}", seen.told[what]["stack"][-1][0] == name, seen.told[what])
        check_seen(seen, f"names: {name}", leaf)
    return "qualified" if qualified else "bare"


def judge_lines(seen):
    """Two lines of one expression, and one that is further from the function's first than 16 bits reach."""
    first, second, far = (seen.told[what]["stack"][-1][2] for what in ("first line", "second line", "far"))
    live.check("lines: they are apart", second == first + 1 and far > 1 << 15, (first, second, far))
    for what in ("first line", "second line", "far"):
        check_seen(seen, f"lines: {what}", weight(seen.cpu, seen.told[what]))
    return "yes"


def judge_threads(seen):
    """Each stack is its own thread's, and never another's."""
    for what in ("method", "second thread"):
        one = seen.told[what]
        check_seen(seen, f"threads: {what}", weight(seen.cpu, one))
        wrong = [stack.frames for stack in seen.cpu if known.is_stack(stack, one["stack"]) and thread_id(stack) != one["thread"]]
        live.check(f"threads: {what} is on its own", not wrong, wrong)
    return "yes"


def judge_subinterpreters(seen):
    """The thread that runs one, which the main thread made: up to OUTER_ONLY its frames outside it, which end at the call."""
    if not seen.modules:
        return "none in this build"
    inside = seen.told["inside"]
    mine = [stack for stack in seen.cpu if thread_id(stack) == inside["thread"]]
    elsewhere = [stack.frames for stack in seen.cpu if stack not in mine and stack.has("inside")]
    live.check("subinterpreters: shown for no other thread", not elsewhere, elsewhere[:5])
    shown, verdict = ("outside", "outer frames") if seen.version[:2] <= OUTER_ONLY else ("inside", "yes")
    whole, right = live.weight(mine), weight(mine, seen.told[shown])
    live.check(f"subinterpreters: the frames {shown}, {right} of {whole} samples", right >= 0.95 * whole, [stack.frames for stack in mine][:5])
    check_seen(seen, f"subinterpreters: the frames {shown}", right)
    return verdict


VERDICTS = {"cpu": judge_cpu, "wall": judge_wall, "names": judge_names, "lines": judge_lines,
            "threads": judge_threads, "subinterpreters": judge_subinterpreters}


def built():
    """How, in the words of tools/pythons."""
    for line in live.run([live.PYTHONS, "--list"]).out.splitlines():
        name, text, *_ = re.split(r" {2,}", line)
        if name == live.INTERPRETER:
            return re.sub(r"^CPython [\d.]+,? ", "", text)
    raise AssertionError(f"tools/pythons does not list {live.INTERPRETER}")


def write(seen, verdicts, why):
    if FOLDER:
        FOLDER.mkdir(parents=True, exist_ok=True)
        line = {"name": live.INTERPRETER, "version": ".".join(map(str, seen.version)), "built": built(), **verdicts, "why": why}
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
    write(seen, verdicts, [error.split("; seen: ")[0] for error in errors])
    live.check("all of it is right", not errors, "\n".join(errors))


live.main(test_verdicts)
