# SPDX-License-Identifier: Apache-2.0
"""The grammar of the truth programs (tests/targets/truth_*.py): who may call whom, read from comments beside the calls.

    step(3)  #> step, other.<locals>.name, common:Spent.start      whom this line calls; `unit:` for another file's
    max(map(lambda n: leaf(n), ns))  #> <lambda> / leaf            a chain: the line's lambda, then what that calls
    return down(n - 1)  #> down{<5}, bottom{5}                     if so many frames of this function are on the stack
    made = numbers(3)  #> numbers()                                a generator or coroutine that is made here, not run
    sorter.run(leaf)  #> @sorter / leaf                            any functions of the standard library in between
    outer(3)  #> made:outer_0[1 of 4]                              a made function whose number is 1 modulo 4
    await task  #> <task worker-0>                                 a task, awaited or created here
    def root():  #^ thread, task worker-0                          what may stand first in a thread or in a task
    time.sleep(1)  #! nanosleep                                    in what kernel function this line may sleep

A unit is one truth_UNIT.py. Some are compiled many times as files UNIT_NUMBER with the number for 0 in their names
(`family_3`: `leaf_3`); a name in such a file belongs to this number only. `again` is one of two units: lines tell which.
Which lines a function has is not guessed: the interpreter itself says so (tests/targets/truth_codes.py).
"""
import ast
import re
from dataclasses import dataclass, field
from pathlib import Path
from typing import Optional

MARK = re.compile(r"  #([>^!]) (.+)$")
STEP = re.compile(r"^(?:(?P<unit>[a-z_]+):)?(?P<name>[^{\[()]+)(?P<made>\(\))?(?:\{(?P<less><?)(?P<count>\d+)\})?"
                  r"(?:\[(?P<rest>\d+) of (?P<modulus>\d+)\])?$")
ANONYMOUS = ("<listcomp>", "<setcomp>", "<dictcomp>", "<genexpr>", "<lambda>")
INLINED = ANONYMOUS[:3]  # since Python 3.12, in functions
NUMBERED = re.compile(r"^([a-z_]+)_(\d+)$")


@dataclass(frozen=True)
class Code:
    unit: str
    name: str
    qualname: str
    first: int
    lines: frozenset  # None among them: instructions without a line

    def has(self, line):
        return line in self.lines or line == self.first


@dataclass(frozen=True)
class Step:
    """One link of a chain: a function, an anonymous one, `@module` or `<task NAME>`."""
    name: str
    unit: str = ""
    less: bool = False
    count: Optional[int] = None
    rest: int = 0
    modulus: int = 1
    made: bool = False


@dataclass
class Unit:
    name: str
    codes: list = field(default_factory=list)
    calls: dict = field(default_factory=dict)    # line -> chains
    sleeps: dict = field(default_factory=dict)   # line -> parts of kernel functions' names
    threads: list = field(default_factory=list)  # codes that may stand first in a thread
    tasks: dict = field(default_factory=dict)    # task name -> codes that may stand first in it


def read_codes(unit, rows):
    """rows: of tests/targets/truth_codes.py."""
    return [Code(unit, name, qualname, first, frozenset(line or None for line in lines))
            for name, qualname, first, lines in rows]


def lists_of_names(text):
    """{name: names} of the module's lists of plain names."""
    found = {}
    for node in ast.parse(text).body:
        if isinstance(node, ast.Assign) and isinstance(node.value, ast.List):
            if all(isinstance(one, ast.Name) for one in node.value.elts):
                found[node.targets[0].id] = [one.id for one in node.value.elts]
    return found


def read_step(text, unit):
    if text[0] == "@" or text in ANONYMOUS or text.startswith("<task "):
        return Step(text, unit)
    found = STEP.match(text)
    if not found:
        raise ValueError(f"{unit}: cannot read {text!r}")
    return Step(found["name"], found["unit"] or unit, found["less"] == "<",
                int(found["count"]) if found["count"] else None, int(found["rest"] or 0), int(found["modulus"] or 1),
                bool(found["made"]))


def read_chains(text, unit, lists, inlined):
    for part in re.split(r",\s*", text):
        for name in lists.get(part, [part]):
            steps = [read_step(one, unit) for one in name.split(" / ")]
            yield tuple(one for one in steps if one.name not in inlined)


def read_unit(name, text, rows):
    unit = Unit(name, read_codes(name, rows))
    lists = lists_of_names(text)
    for number, line in enumerate(text.split("\n"), 1):
        found = MARK.search(line)
        if not found:
            continue
        kind, words = found.groups()
        inlined = [one for one in INLINED if not any(
            code.name == one and code.has(number) for code in unit.codes)]
        if kind == ">":
            unit.calls[number] = list(read_chains(words, name, lists, inlined))
        elif kind == "!":
            unit.sleeps[number] = re.split(r",\s*", words)
        else:
            codes = [code for code in unit.codes if code.first == number]
            for word in re.split(r",\s*", words):
                if word == "thread":
                    unit.threads += codes
                else:
                    unit.tasks.setdefault(word[len("task "):], []).extend(codes)
    return unit


class Grammar:
    """All units as one interpreter compiles them. codes: {path: rows} of the truth programs, lib: the same of the
    standard library's files, by the names that coroscope shows. qualnames: frames have qualified names (3.11+)."""

    def __init__(self, codes, qualnames, lib=None):
        self.qualnames = qualnames
        self.units = {}
        for path, rows in codes.items():
            name = unit_of_path(path)
            self.units[name] = read_unit(name, Path(path).read_text(encoding="utf-8"), rows)
        self.lib = {file: read_codes(file, rows) for file, rows in (lib or {}).items()}
        self.tasks = {}
        for unit in self.units.values():
            for task, found in unit.tasks.items():
                self.tasks.setdefault(task, []).extend(found)
        self._check()

    def _check(self):
        """Every function that a comment names is there."""
        for unit in self.units.values():
            for line, chains in unit.calls.items():
                for step in (step for chain in chains for step in chain):
                    if step.name[0] in "@<" and step.name != "<module>":
                        continue
                    if step.unit not in self.units:
                        continue  # of a program that is not asked for
                    if not any(code.qualname == step.name for code in self.units[step.unit].codes):
                        raise ValueError(f"truth_{unit.name}.py:{line}: there is no {step.unit}:{step.name}")

    def units_of(self, file):
        """(units, number or None) of a file as coroscope shows it; no units if it is not a truth program's."""
        base = file.rsplit("/", 1)[-1]
        names, number = [base], None
        if base.startswith("truth_") and base.endswith(".py"):
            names = [unit_of_path(base)]
        elif base == "again":
            names = ["again_a", "again_b"]
        elif NUMBERED.match(base):
            names, number = [NUMBERED.match(base)[1]], int(NUMBERED.match(base)[2])
        return [self.units[name] for name in names if name in self.units], number

    def _named(self, codes, name, line, number=None):
        plain = re.sub(rf"_{number}\b", "_0", name) if number else name
        if number and re.search(r"_0\b", name):
            return []
        return [code for code in codes
                if (code.qualname if self.qualnames else code.name) == plain and code.has(line)]

    def codes_at(self, name, file, line):
        """(codes that a frame can be of, number). line: None if it has none."""
        units, number = self.units_of(file)
        return [code for unit in units for code in self._named(unit.codes, name, line, number)], number

    def lib_has(self, name, file, line):
        return file not in self.lib or bool(self._named(self.lib[file], name, line))

    def task(self, name):
        """(declared name, number) of a task's name, or (None, None)."""
        found = re.match(r"^(.*)-(\d+)$", name)
        if found and found[1] + "-0" in self.tasks:
            return found[1] + "-0", int(found[2])
        return (name if name in self.tasks else None), None


def unit_of_path(path):
    return re.sub(r"^truth_|\.py$", "", str(path).rsplit("/", 1)[-1])
