# SPDX-License-Identifier: Apache-2.0
"""Shows the judge made-up stacks, true ones and false ones, and requires that it tells them apart.

They are stacks of the truth programs (tests/targets/truth_*.py). A frame is written `unit function: text`: its line is the
first below the function's `def` that holds the text, so that an edit of a program does not break this.
"""
import sys

from machine import TARGETS
from truth_grammar import Grammar
from truth_judge import Judge, Program
from truth_run import ask, shares

CALLS = ("calls <module>: main()", "calls main: one_round", "calls one_round: family(")
MADE = ("thrown_away <module>: main()", "thrown_away main: family(")
FRESH = MADE + ("thrown_away fresh: MADE_CALLERS",)
CHANGED = MADE + ("thrown_away changed: AGAIN_CALLERS",)
TWINS = MADE + ("thrown_away twins: TWIN_CALLERS",)
TASKS = ("tasks <module>: main()", "tasks main: asyncio.run(", "run (asyncio/runners.py:9)")
DOWN = "calls descend: return descend"
RING = tuple(f"calls ring_{k % 8}: return ring_{(k + 1) % 8}" for k in range(39))
FAR = "calls far_down: return far_down"
ROOT = "family_3 root_0: work(length)"

TRUE = [
    CALLS + ("calls shallow: shallow_short(2)", "calls shallow_short: i.bit_length"),
    CALLS + ("calls shallow: shallow_long(20)", "calls shallow_long: i.bit_length"),
    CALLS + ("calls recursion: descend(2", DOWN, DOWN, "calls descend: return bottom", "calls bottom_3: spin", "calls spin: total"),
    CALLS + ("calls ring: ring_0(39)", *RING, "calls ring_7: return ring_end", "calls ring_end: spin", "calls spin: total"),
    CALLS + ("calls generators: sum(pipe_2", "calls pipe_2: for value", "calls pipe_1: yield spin", "calls spin: total"),
    CALLS + ("calls through_c: sorted(values, key=by_sort)", "calls by_sort: spin", "calls spin: total"),
    CALLS + ("calls naps: nap_short", "calls nap_short: sleep", "hrtimer_nanosleep_[k]"),
    FRESH + ("thrown_away made_by_1: outer(", "made_5 outer_0: return", "made_5 inner_0: return"),
    CHANGED + ("thrown_away again_by_1: again(", "again_b again: leaf(units)", "thrown_away leaf_of_b: spin", "thrown_away spin: total"),
    TASKS + ("<task worker-2>", "worker_2 worker_0: await step_0", "worker_2 step_0: timed_0", "worker_2 timed_0: crunch"),
    ("thread 2", ROOT, "family_3 busy_0: leaf_0(", "family_3 leaf_0: total"),
]
FALSE = {
    "a frame is doubled": CALLS + ("calls ring: ring_0(39)", RING[0], RING[0], RING[1]),
    "another is called on this line": CALLS + ("calls shallow: shallow_long(20)", "calls shallow_short: i.bit_length"),
    "the line is another function's": CALLS + ("calls shallow: shallow_short(2)", "shallow_short (truth_calls.py:1)"),
    "a caller without a line": CALLS + ("shallow (truth_calls.py)", "calls shallow_short: i.bit_length"),
    "too few of a recursion": CALLS + ("calls recursion: descend(2", DOWN, "calls descend: return bottom", "calls bottom_3: spin"),
    "too many of a recursion": CALLS + ("calls recursion: descend(2", DOWN, DOWN, DOWN, "calls descend: return bottom", "calls bottom_3: spin"),
    "too few are left out": CALLS + ("calls far: far_down(599)", *[FAR] * 9, "[500 frames left out]", *[FAR] * 9,
                                     "calls far_down: return far_end", "calls far_end: spin"),
    "a generator is run where it is only made": CALLS + ("calls generators: sum(pipe_2", "calls pipe_1: yield spin"),
    "it sleeps where nothing sleeps": CALLS + ("calls ring: ring_0(39)", RING[0], "hrtimer_nanosleep_[k]"),
    "no such function": CALLS + ("nobody (truth_calls.py:9)",),
    "no such line in a library": TASKS + ("run (asyncio/runners.py:1)",),
    "no frame at all": CALLS + ("something", "calls shallow: shallow_short(2)"),
    "the root is missing": CALLS[1:],
    "another process": ("process 9", *CALLS),
    "wrong behind a mark": CALLS + ("[stale]", "calls ring_0: return ring_1", "calls ring_3: return ring_4"),
    "a made function of another caller": FRESH + ("thrown_away made_by_1: outer(", "made_6 outer_0: return"),
    "a name that is another file's": FRESH + ("thrown_away made_by_1: outer(", "outer_6 (made_5:6)"),
    "calls what another file made": FRESH + ("thrown_away made_by_1: outer(", "made_5 outer_0: return", "made_9 inner_0: return"),
    "the same name of another file": TWINS + ("thrown_away twin_by_0: outer(", "twin_7 outer: return"),
    "lines of what was there before": CHANGED + ("thrown_away again_by_1: again(", "again_a again: leaf(units)"),
    "a task's name on another's coroutine": TASKS + ("<task worker-2>", "worker_3 worker_0: await step_0"),
    "two tasks' coroutines in one": TASKS + ("<task worker-2>", "worker_2 worker_0: await step_0", "worker_3 step_0: timed_0"),
    "a task below one that does not await it": TASKS + ("<task upper>", "tasks upper: await asyncio.create_task", "<task lower>"),
    "another thread's frame": ("thread 2", ROOT, "family_1 busy_0: leaf_0("),
    "another thread's stack": ("thread 3", ROOT, "family_3 busy_0: leaf_0("),
}
MARKED = {
    "torn": CALLS + ("[torn]", "calls ring_0: return ring_1", "calls ring_5: return ring_6"),
    "stale": FRESH + ("thrown_away made_by_1: outer(", "[stale]", "made_5 inner_0: return"),
    "truncated": ("[truncated]", "calls ring_0: return ring_1", "calls ring_1: return ring_2"),
    "unreadable": CALLS[:2] + ("[unreadable]", "calls shallow: shallow_short(2)"),
    "no Python": ("[no Python thread]", "libc.so.6+0x1234"),
    "left out": CALLS + ("calls far: far_down(599)", *[FAR] * 9, "[581 frames left out]", *[FAR] * 9,
                         "calls far_down: return far_end", "calls far_end: spin"),
}
LIB = {"asyncio/runners.py": [["run", "run", 8, [8, 9]]]}


class Writer:
    """Turns frames as they are written here into frames as coroscope writes them."""

    def __init__(self):
        self.lines = {path.stem[len("truth_"):]: path.read_text(encoding="utf-8").splitlines() for path in TARGETS.glob("truth_*.py")}

    def _line(self, unit, function, text):
        lines = self.lines[unit]
        start = 0 if function == "<module>" else next(i for i, line in enumerate(lines) if f"def {function}(" in line)
        skip = 0 if function == "<module>" else 1
        return next(i for i in range(start + skip, len(lines)) if lines[i].lstrip().startswith(text) or (
            function != "<module>" and text in lines[i])) + 1

    def frame(self, text):
        if ": " not in text or text[0] in "<[":
            return text
        where, words = text.split(": ", 1)
        file, function = where.split(" ")
        stem, _, number = file.rpartition("_")
        if number.isdigit():
            return f"{function.replace('_0', '_' + number)} ({file}:{self._line(stem, function, words)})"
        shown = "again" if file.startswith("again") else f"/targets/truth_{file}.py"
        return f"{function} ({shown}:{self._line(file, function, words)})"

    def stack(self, frames):
        pid = {"calls": 1, "thrown_away": 11, "tasks": 21}.get(next((
            text.split(" ")[0] for text in frames if text.split(" ")[0] in ("calls", "thrown_away", "tasks")), ""), 31)
        tid = pid
        if frames[0].startswith("thread "):
            tid, frames = int(frames[0].split()[1]), frames[1:]
        elif frames[0].startswith("process "):
            pid, frames = 9, frames[1:]
        return [f"python [{pid}]", f"thread python [{tid}]"] + [self.frame(text) for text in frames]


def stack_cases(judge, writer):
    """Texts of what the judge got wrong."""
    for frames in TRUE:
        stack = writer.stack(frames)
        if judge.judge(stack) != ("true", None):
            yield f"called {judge.judge(stack)}, but true: {stack}"
        for i in range(2, len(stack) - 1):
            if judge.judge(stack[:i] + stack[i + 1:])[0] == "true":
                yield f"called true without {stack[i]}: {stack}"
    for what, frames in FALSE.items():
        if judge.judge(writer.stack(frames))[0] != "impossible":
            yield f"{what}: called {judge.judge(writer.stack(frames))}: {writer.stack(frames)}"
    for kind, frames in MARKED.items():
        if judge.judge(writer.stack(frames))[0] != kind:
            yield f"called {judge.judge(writer.stack(frames))}, but {kind}: {writer.stack(frames)}"


def share_cases():
    told = {"cpu": {"a": 1.0, "b": 3.0}, "inside": {}}
    for a, b, right in ((250, 750, True), (270, 730, True), (330, 670, False), (750, 250, False)):
        stacks = [(["a (x:1)"], a), (["b (x:2)"], b)]
        if all(share.error <= share.bound for share in shares(told, stacks, "cpu", 1.0)) != right:
            yield f"{a} and {b} samples for 1 and 3 s: called {'wrong' if right else 'right'}"


def run():
    codes = ask(sys.executable, *map(str, sorted(TARGETS.glob("truth_*.py"))))
    codes = {path: rows for path, rows in codes.items() if not path.endswith("truth_codes.py")}
    programs = [Program(1, "calls"), Program(11, "thrown_away"), Program(21, "tasks"),
                Program(31, "threads", {2: "root_3", 3: "root_1"})]
    judge = Judge(Grammar(codes, sys.version_info >= (3, 11), LIB), programs)
    wrong = [*stack_cases(judge, Writer()), *share_cases()]
    for text in wrong:
        print(f"FAIL {text}")
    print(f"{len(TRUE)} true stacks and each with a frame lost, {len(FALSE)} impossible, {len(MARKED)} marked: {len(wrong)} judged wrongly")
    return 1 if wrong else 0
