# SPDX-License-Identifier: Apache-2.0
"""Runs the truth programs on one interpreter below coroscope, and counts what it said of them."""
import collections
import json
import math
import mmap
import os
import re
import struct
import subprocess
import time
from dataclasses import dataclass, field

from machine import TARGETS
from raw_capture import HEADER, PASS_COUNTS, PASS_COUNTS_AT
from raw_capture import KINDS as RECORDS
from recording import Recording
from truth_grammar import Grammar
from truth_judge import KINDS, Judge, Program

PROGRAMS = ("calls", "thrown_away", "threads", "tasks")
SIGMAS = 3.5
ALLOWANCE = 0.002  # of a share: the reading of clocks, the interrupts themselves
SETTLE_S = 0.5
PATIENCE_S = 60
STACK = re.compile(r"^(.*) (\d+)$")
FEW = 10
WEIGHTS = (RECORDS["STACK"], RECORDS["SAME"], RECORDS["PASS"])  # they begin with a weight


@dataclass
class Share:
    """How much of its program's time a function took: by its own clock, and by the samples."""
    name: str
    told: float
    seen: float
    bound: float

    @property
    def error(self):
        return abs(self.seen - self.told)


@dataclass
class Result:
    python: str
    mode: str
    kinds: collections.Counter = field(default_factory=collections.Counter)
    impossible: list = field(default_factory=list)  # (count, reason, stack), the most frequent few
    by_program: dict = field(default_factory=dict)  # program -> Counter of kinds
    shares: list = field(default_factory=list)
    counters: dict = field(default_factory=dict)

    @property
    def total(self):
        return sum(self.kinds.values())

    def worst_share(self):
        return max(self.shares, key=lambda share: share.error / share.bound, default=None)


class Target:
    """A truth program that waits for "go". The with block ends it."""

    def __init__(self, python, name):
        self.name = name
        self.process = subprocess.Popen([python, "-B", str(TARGETS / f"truth_{name}.py")], stdin=subprocess.PIPE,
                                        stdout=subprocess.PIPE, text=True)
        self.pid = self.process.pid
        self.told = None

    def wait_ready(self):
        if self.process.stdout.readline() != "ready\n":
            raise RuntimeError(f"truth_{self.name}.py does not run")

    def go(self, seconds, seed):
        self.process.stdin.write(f"go {seconds} {seed}\n")
        self.process.stdin.flush()

    def wait_told(self):
        line = self.process.stdout.readline()
        if not line:
            raise RuntimeError(f"truth_{self.name}.py ended before it told what it did")
        self.told = json.loads(line)

    def __enter__(self):
        return self

    def __exit__(self, *_):
        self.process.kill()
        self.process.wait()
        self.process.stdin.close()
        self.process.stdout.close()


def ask(python, *files):
    done = subprocess.run([python, "-B", str(TARGETS / "truth_codes.py"), *files], capture_output=True, text=True,
                          check=True, timeout=PATIENCE_S)
    return json.loads(done.stdout)


def has_qualnames(python):
    done = subprocess.run([python, "-c", "import sys; print(sys.version_info >= (3, 11))"], capture_output=True,
                          text=True, check=True, timeout=PATIENCE_S)
    return done.stdout == "True\n"


def read_stacks(collapsed):
    """[(frames, count)]"""
    found = map(STACK.match, collapsed.splitlines())
    return [(one[1].split(";"), int(one[2])) for one in found if one]


def grammar_for(python, stacks):
    files = {text.rsplit(" (", 1)[1].rsplit(":", 1)[0] for frames, _ in stacks for text in frames if ".py:" in text}
    codes = ask(python, *map(str, sorted(TARGETS.glob("truth_*.py"))))
    codes = {path: rows for path, rows in codes.items() if not path.endswith("truth_codes.py")}
    lib = ask(python, *sorted(file for file in files if not file.startswith("/")))
    return Grammar(codes, has_qualnames(python), lib)


def bare(text):
    return text.split(" (")[0].rsplit(".", 1)[-1]


def clumps(path, rate):
    """{pid: intervals that one look at a thread or task stands for}, weighted by themselves: what makes samples of
    unequal weight as good as fewer equal ones."""
    sums = collections.defaultdict(lambda: [0.0, 0.0])
    with open(path, "rb") as file, mmap.mmap(file.fileno(), 0, access=mmap.ACCESS_READ) as data:
        at = struct.unpack_from("<QII", data, 0)[2]
        while at + HEADER.size <= len(data):
            size, kind, _, _, pid, _ = HEADER.unpack_from(data, at)
            if size < HEADER.size:
                break
            if kind in WEIGHTS:
                (weight,) = struct.unpack_from("<Q", data, at + HEADER.size)
                times = PASS_COUNTS.unpack_from(data, at + PASS_COUNTS_AT)[0] if kind == RECORDS["PASS"] else 1
                sums[pid][0] += weight * times
                sums[pid][1] += weight * weight * times
            at += size
    return {pid: max(1.0, squares / plain * rate / 1e9) for pid, (plain, squares) in sums.items() if plain}


def shares(told, stacks, mode, clump):
    """The shares of one program's functions. clump: see clumps()."""
    times, inside = told[mode], told["inside"]
    seen = collections.Counter()
    for frames, count in stacks:
        for name in {bare(text) for text in frames} & set(times):
            seen[name] += count
    whole_told = sum(value for name, value in times.items() if name not in inside)
    whole_seen = sum(value for name, value in seen.items() if name not in inside)
    for name, value in times.items():
        parent = inside.get(name)
        base_told, base_seen = (times[parent], seen[parent]) if parent else (whole_told, whole_seen)
        if not base_told or not base_seen:
            continue
        share = value / base_told
        sigma = math.sqrt(share * (1 - share) * clump / base_seen)
        yield Share(name, share, seen[name] / base_seen, SIGMAS * sigma + ALLOWANCE)


def judge(result, python, targets, stacks, clump):
    programs = [Program(target.pid, target.name, {int(tid): name for tid, name in target.told["threads"].items()})
                for target in targets]
    judge_one = Judge(grammar_for(python, stacks), programs)
    of_target = {target.pid: [] for target in targets}
    impossible = []
    for frames, count in stacks:
        kind, reason = judge_one.judge(frames)
        result.kinds[kind] += count
        pid = int(re.search(r"\[(\d+)\]$", frames[0])[1])
        of_target.setdefault(pid, []).append((frames, count))
        result.by_program.setdefault(next((t.name for t in targets if t.pid == pid), "?"),
                                     collections.Counter())[kind] += count
        if kind == "impossible":
            impossible.append((count, reason, frames))
    result.impossible = sorted(impossible, key=lambda one: -one[0])[:FEW]
    for target in targets:
        result.shares += shares(target.told, of_target[target.pid], result.mode, clump.get(target.pid, 1.0))


def measure(name, python, mode, rate, seconds, seed, programs=PROGRAMS, keep=None):
    """A Result of all programs at once on one interpreter. keep: a folder for the collapsed stacks."""
    result = Result(name, mode)
    targets = [Target(python, program) for program in programs]
    try:
        for target in targets:
            target.wait_ready()
        with Recording([target.pid for target in targets], mode, rate, options=("--native", "off")) as recording:
            time.sleep(SETTLE_S)
            for target in targets:
                target.go(seconds, seed)
            for target in targets:
                target.wait_told()
            recording.stop()
            result.counters, clump = recording.raw.counters, clumps(recording.path, rate)
            done = subprocess.run([Recording.binary, "report", str(recording.path), "-f", "collapsed", "-o", "-"],
                                  capture_output=True, text=True, check=True, errors="replace")
            if keep:
                os.makedirs(keep, exist_ok=True)
                with open(os.path.join(keep, f"{name}-{mode}-{seed}.collapsed"), "w", encoding="utf-8") as file:
                    file.write(done.stdout)
                subprocess.run(["cp", str(recording.path), os.path.join(keep, f"{name}-{mode}-{seed}.raw")], check=True)
        stacks = read_stacks(done.stdout)
        judge(result, python, targets, stacks, clump)
        return result
    finally:
        for target in targets:
            target.__exit__()
