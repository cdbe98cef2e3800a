# SPDX-License-Identifier: Apache-2.0
"""Judges one stack: true by the grammar, marked as incomplete, or impossible.

A mark is no excuse: what stands between two marks must be true all the same. Only "[torn]" says that a stack as a whole
is not to be believed.
"""
import re
from dataclasses import dataclass, field

from truth_grammar import ANONYMOUS, Step

# in order of weight: a stack counts under the first that it bears
MARKS = {"[torn]": "torn", "[unreadable]": "unreadable", "[truncated]": "truncated", "[stale]": "stale",
         "[tasks cut]": "other", "[unsupported Python]": "other", "[unknown]": "other", "[not seen]": "other",
         "[no Python thread]": "no Python"}
# "left out": a deep stack, true but for the middle, which is marked; "no Python": the thread runs none, or not yet
KINDS = ("true", "left out", "no Python", "truncated", "unreadable", "torn", "stale", "other", "impossible")
NOT_TRUE = KINDS[3:]
LEFT_OUT = re.compile(r"^\[(\d+) frames left out\]$")
FRAME = re.compile(r"^(?P<name>.+?) \((?P<file>[^()]*?)(?::(?P<line>\d+))?\)$")
TASK = re.compile(r"^<task (?P<name>.*?)(?: \(created\)| \(finished\))?(?: \(\d+ parents\))?>$")
UNNAMED = re.compile(r"^Task-\d+$")
HEAD = re.compile(r"^.* \[(\d+)\]$")
SLEEPS = ("nanosleep", "pipe_read", "select", "ep_poll", "epoll_wait")
MANY = 1 << 30
# whose callbacks run when a task, an asynchronous generator or a thread dies
WEAK = ("_weakrefset", "weakref")


class Impossible(Exception):
    pass


@dataclass
class Place:
    """What stands on the stack so far, as far as it decides what may follow. chains: None for anything."""
    chains: list
    text: str = "the root"
    unit: str = ""
    number: int = None
    code: object = None
    in_lib: bool = False


@dataclass
class Program:
    """One process: its main unit, and what it told: {thread id: name of its first function}."""
    pid: int
    unit: str
    threads: dict = field(default_factory=dict)


class Judge:
    def __init__(self, grammar, programs):
        self.grammar = grammar
        self.programs = {program.pid: program for program in programs}

    def judge(self, stack):
        """(kind of KINDS, reason or None) of a stack's frames, root first."""
        heads = [HEAD.match(text) for text in stack[:2]]
        program = self.programs.get(int(heads[0][1])) if len(heads) == 2 and all(heads) else None
        if not program:
            return "impossible", "of no process that was asked for"
        frames = stack[2:]
        while frames and frames[-1].endswith("_[k]"):
            frames = frames[:-1]
        if "[torn]" in frames:
            return "torn", None
        try:
            self._walk(program, int(heads[1][1]), frames, stack[2 + len(frames):])
        except Impossible as error:
            return "impossible", str(error)
        for mark, kind in MARKS.items():
            if mark in frames:
                return kind, None
        if any(map(LEFT_OUT.match, frames)):
            return "left out", None
        return ("true" if any(map(FRAME.match, frames)) else "no Python"), None

    def _walk(self, program, tid, frames, kernel):
        place = Place(self._first(program, tid))
        counts, gap, first = {}, 0, True
        for i, text in enumerate(frames):
            top = i == len(frames) - 1
            if text in MARKS or LEFT_OUT.match(text):
                gap += int(LEFT_OUT.match(text)[1]) if LEFT_OUT.match(text) else 1 if text == "[stale]" else MANY
                place = Place(None, text)
                continue
            if TASK.match(text):
                place = self._task(place, text)
                continue
            found = FRAME.match(text)
            if not found:
                if not top:  # alone it is native code, after a coroutine the type of what that awaits
                    raise Impossible(f"{text} is no frame")
                continue
            name, file, line = found["name"], found["file"], int(found["line"]) if found["line"] else None
            units, _ = self.grammar.units_of(file)
            if not units:
                place = self._lib(place, name, file, line)
                continue
            place = self._frame(place, text, (name, file, line), (counts, gap))
            counts[place.code] = counts.get(place.code, 0) + 1
            if first and not gap:
                self._check_thread(program, tid, name)
            first = False
        self._check_sleep(place, kernel)

    def _first(self, program, tid):
        if tid == program.pid:
            return [(Step("<module>", program.unit),)]
        roots = [Step(code.qualname, code.unit) for unit in self.grammar.units.values() for code in unit.threads]
        return [(root,) for root in roots] + [(Step("@threading"), root) for root in roots]

    def _check_thread(self, program, tid, name):
        if not program.threads:
            return
        told = program.threads.get(tid)
        if name.rsplit(".", 1)[-1] != told:
            raise Impossible(f"thread {tid} begins with {told}, not with {name}")

    def _lib(self, place, name, file, line):
        if not self.grammar.lib_has(name, file, line):
            raise Impossible(f"{name} has no line {line} in {file}")
        if place.chains is None or place.in_lib:
            return Place(place.chains, name, place.unit, place.number, in_lib=True)
        module = re.sub(r"\.py$", "", file).split("/")[0]
        wanted = ("@asyncio", "@threading") if module in WEAK else ("@" + module,)
        chains = [chain[1:] for chain in place.chains if chain and chain[0].name in wanted]
        if not chains:
            raise Impossible(f"{place.text} cannot call {name} ({file})")
        return Place(chains, name, place.unit, place.number, in_lib=True)

    def _task(self, place, text):
        told = TASK.match(text)["name"]
        name, number = self.grammar.task(told)
        if name is None and not UNNAMED.match(told):
            raise Impossible(f"there is no {text}")
        chains = place.chains if place.chains is not None else [(Step("<task *>"),)]
        allowed = [chain[0].name[len("<task "):-1] for chain in chains if chain and chain[0].name.startswith("<task ")]
        if place.number is not None and number is not None and place.number != number:
            allowed = []
        if name is None:  # up to 3.11 create_task() gives it its name when it is already there
            names = [one for one in self.grammar.tasks if one in allowed or "*" in allowed]
        else:
            names = [name] if name in allowed or "*" in allowed else []
        codes = [code for one in names for code in self.grammar.tasks[one]]
        if not codes:
            raise Impossible(f"{place.text} cannot be above {text}")
        return Place([(Step(code.qualname, code.unit),) for code in codes], text, codes[0].unit, number)

    def _frame(self, place, text, what, counted):
        """The place of a truth program's frame that may follow on `place`."""
        codes, number = self.grammar.codes_at(*what)
        if not codes:
            raise Impossible(f"no function has this name, file and line: {text}")
        if place.chains is None:
            return self._place(codes[0], what[2], number, text)
        for code in codes:
            rest = [chain[1:] for chain in place.chains
                    if chain and self._matches(chain[0], (code, what[2], number), place, counted)]
            if rest and code.name in ANONYMOUS:
                return Place(rest, text, code.unit, number, code)
            if rest:
                return self._place(code, what[2], number, text)
        raise Impossible(f"{place.text} cannot call {text}")

    def _place(self, code, line, number, text):
        chains = self.grammar.units[code.unit].calls.get(line, [])
        if code.name in ANONYMOUS:  # after a gap: which one of the line's it is, its name tells
            chains = [chain[k + 1:] for chain in chains for k, step in enumerate(chain) if step.name == code.name]
        return Place(chains, text, code.unit, number, code)

    def _matches(self, step, frame, place, counted):
        code, line, number = frame
        if (step.name not in (code.qualname, code.name) if code.name in ANONYMOUS else step.name != code.qualname):
            return False
        if code.unit != step.unit or (number is not None and number % step.modulus != step.rest):
            return False
        if (code.unit == place.unit and number != place.number) or (step.made and line not in (code.first, None)):
            return False
        if step.count is None:
            return True
        counts, gap = counted
        have = counts.get(place.code, 0)
        return have < step.count if step.less else have <= step.count <= have + gap

    def _check_sleep(self, place, kernel):
        asleep = [word for word in SLEEPS if any(word in text for text in kernel)]
        if not asleep or place.in_lib or not place.code:
            return
        line = FRAME.match(place.text)["line"]
        allowed = self.grammar.units[place.code.unit].sleeps.get(int(line) if line else None, [])
        if not set(asleep) & set(allowed):
            raise Impossible(f"{place.text} does not sleep in {asleep[0]}")
