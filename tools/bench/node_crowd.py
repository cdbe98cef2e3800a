# SPDX-License-Identifier: Apache-2.0
"""The processes of a node: many services that are mostly asleep (tests/targets/node.py), on several interpreters; some of them come and go."""
import collections
import fcntl
import os
import random
import subprocess
import time

from machine import ROOT, TARGETS, cpu_ns, note

PYTHONS = ("3.8", "3.9", "3.10", "3.11", "3.12", "3.13", "debian-3.14", "system")
STEADY = ("service", "threads", "service", "service", "threads")
FLEETING = ("service", "threads", "forks", "execs", "makes", "service", "threads", "execs")
LIFE_S = (10, 60)
AT_ONCE = 4  # begun in one turn: a start takes 0.1 s of CPU time
BEGIN_S = 120
LETTERS = {"r": "ready", "f": "forked", "e": "executed another", "t": "threads begun", "m": "functions made"}


def pythons():
    """[(name, path)] of those of tools/pythons that are here."""
    found = []
    for name in PYTHONS:
        done = subprocess.run([ROOT / "tools" / "pythons", "--path", name], capture_output=True, text=True, check=False)
        if done.returncode:
            note(f"  without {name}: {done.stderr.strip()}")
        else:
            found.append((name, done.stdout.strip()))
    return found


class Crowd:
    """So many processes, of which a share comes and goes, as turn() is called once a second. All end with the with block, and if this process
    ends in any other way: then their input does."""

    def __init__(self, interpreters, size, fleeting=0):
        self.interpreters = [path for _, path in interpreters]
        self.size, self.fleeting = size, fleeting
        self.steady, self.brief = [], []  # the latter: (when it is to be killed, process)
        self.happened = collections.Counter()

    def __enter__(self):
        self.leash_end, self.leash = os.pipe()
        self.tally, self.tally_end = os.pipe()
        os.set_blocking(self.tally, False)
        fcntl.fcntl(self.tally, fcntl.F_SETPIPE_SZ, 1 << 20)
        return self

    def __exit__(self, *_):
        for process in self.processes():
            process.kill()
        for process in self.processes():
            process.wait()
        for end in self.leash, self.leash_end, self.tally, self.tally_end:
            os.close(end)

    def processes(self):
        return self.steady + [process for _, process in self.brief]

    def pids(self):
        return [process.pid for process in self.processes()]

    def cpu_s(self):
        return sum(map(cpu_ns, self.pids())) / 1e9

    def _begin(self, kind, life_s):
        number = self.happened["begun"]
        python, other = (self.interpreters[(number + step) % len(self.interpreters)] for step in (0, 1))
        self.happened["begun"] += 1
        return subprocess.Popen([python, str(TARGETS / "node.py"), kind, str(life_s), other],
                                stdin=self.leash_end, stdout=self.tally_end, start_new_session=True)

    def _begin_brief(self):
        """Most end by themselves, every third is killed."""
        life_s, number = random.uniform(*LIFE_S), self.happened["begun"]
        kind = FLEETING[self.happened["brief"] % len(FLEETING)]
        self.happened["brief"] += 1
        process = self._begin(kind, life_s * (2 if number % 3 == 0 else 1))
        self.brief.append((time.monotonic() + life_s if number % 3 == 0 else float("inf"), process))

    def _reap(self, now):
        for due, process in self.brief:
            if now >= due:
                process.kill()
        gone = [process for _, process in self.brief if process.poll() is not None]
        self.happened["ended"] += len(gone)
        self.brief = [(due, process) for due, process in self.brief if process.returncode is None]
        for process in self.steady:
            if process.poll() is not None:
                note(f"  a service that was to stay has ended with {process.returncode}: {process.args}")
                self.happened["died"] += 1
        self.steady = [process for process in self.steady if process.returncode is None]

    def _count(self):
        """What they said since the last time."""
        try:
            for letter in os.read(self.tally, 1 << 20).decode():
                self.happened[LETTERS[letter]] += 1
        except BlockingIOError:
            pass

    def turn(self):
        self._count()
        self._reap(time.monotonic())
        for _ in range(AT_ONCE):
            if len(self.steady) < self.size - self.fleeting:
                self.steady.append(self._begin(STEADY[len(self.steady) % len(STEADY)], 0))
            elif len(self.brief) < self.fleeting:
                self._begin_brief()

    def fill(self):
        """Until all are there and ready."""
        end = time.monotonic() + BEGIN_S
        while len(self.steady) + len(self.brief) < self.size or self.happened["ready"] < self.size:
            self.turn()
            time.sleep(0.3)
            if time.monotonic() > end:
                raise RuntimeError(f"not all processes begin: {dict(self.happened)}")

    def came_and_went(self):
        """{what: how often so far}; forked children count as processes."""
        self._count()
        return {"processes that came": self.happened["begun"] + self.happened["forked"],
                **{what: self.happened[what] for what in ("begun", "ended", "forked", "executed another", "threads begun", "functions made", "died")}}
