# SPDX-License-Identifier: Apache-2.0
"""The machine as the benches need it: interpreters, programs to profile, CPU time, and how quiet it is."""
import os
import pwd
import subprocess
import sys
import threading
import time
from pathlib import Path

ROOT = Path(__file__).resolve().parents[2]
TARGETS = ROOT / "tests" / "targets"
WORK = Path(__file__).resolve().parent / "work.py"
SUPPORTED = ((3, 11), (3, 12), (3, 13))
CPUS = sorted(os.sched_getaffinity(0))
TICK_S = 1 / os.sysconf("SC_CLK_TCK")
QUIET_CPUS = 0.15  # CPUs that others may use in a run that counts as quiet


def note(text):
    print(text, file=sys.stderr, flush=True)


def python_version(path):
    result = subprocess.run([path, "-c", "import sys; print(*sys.version_info[:3])"],
                            capture_output=True, text=True, check=False)
    return tuple(map(int, result.stdout.split())) if result.returncode == 0 else None


def pythons(given=()):
    """[(name, path)] of the supported interpreters: those given, or the distribution's and pyenv's."""
    paths = list(given)
    if not paths:
        user = os.environ.get("SUDO_USER")
        homes = {Path.home(), *([Path(pwd.getpwnam(user).pw_dir)] if user else [])}
        paths = ["/usr/bin/python3"] + sorted(
            str(path) for home in homes for path in home.glob(".pyenv/versions/*/bin/python3"))
    found = []
    for path in paths:
        version = python_version(path) if Path(path).exists() else None
        if version and version[:2] in SUPPORTED:
            flavour = "" if path not in ("/usr/bin/python3",) else " (distribution)"
            found.append((".".join(map(str, version)) + flavour, path))
    return found


def cpu_ns(pid):
    """User and system time of a process so far; 0 when it is gone."""
    try:
        threads = list(Path(f"/proc/{pid}/task").iterdir())
        return sum(int((thread / "schedstat").read_text().split()[0]) for thread in threads)
    except (OSError, IndexError):
        return 0


def status_kb(pid, field):
    """A line of /proc/PID/status in KiB; 0 when it is gone."""
    try:
        for line in Path(f"/proc/{pid}/status").read_text().splitlines():
            if line.startswith(field + ":"):
                return int(line.split()[1])
    except OSError:
        pass
    return 0


def busy_s():
    """CPU time that all of the machine used so far."""
    fields = Path("/proc/stat").read_text().split("\n", 1)[0].split()[1:9]
    user, nice, system, _, _, irq, softirq, steal = map(int, fields)
    return (user + nice + system + irq + softirq + steal) * TICK_S


class Target:
    """A program to profile, killed at the end of the with block. cpu: run it on this one only."""

    alive = set()

    def __init__(self, python, script, *arguments, cpu=None):
        pin = ["taskset", "-c", str(cpu)] if cpu is not None else []
        self.process = subprocess.Popen([*pin, python, str(script), *map(str, arguments)],
                                        stdout=subprocess.PIPE, text=True)
        self.pid = self.process.pid
        Target.alive.add(self.pid)
        self.progress = []  # (monotonic ns, CPU ns, units of work)
        while True:
            line = self.process.stdout.readline()
            if not line:
                raise RuntimeError(f"{script} ended at once")
            if line.strip() == "ready":
                break
        self.reader = threading.Thread(target=self._read, daemon=True)
        self.reader.start()

    def _read(self):
        for line in self.process.stdout:
            if line.endswith("\n"):  # the last one may be cut
                work, cpu, now = map(int, line.split())
                self.progress.append((now, cpu, work))

    def between(self, start_ns, end_ns):
        """(work per CPU second, work per second) between two moments, or None."""
        inside = [point for point in self.progress if start_ns <= point[0] <= end_ns]
        if len(inside) < 2 or inside[-1][1] == inside[0][1]:
            return None
        (t0, c0, w0), (t1, c1, w1) = inside[0], inside[-1]
        return (w1 - w0) / (c1 - c0) * 1e9, (w1 - w0) / (t1 - t0) * 1e9

    def __enter__(self):
        return self

    def __exit__(self, *_):
        self.process.kill()
        self.process.wait()
        self.reader.join()
        Target.alive.discard(self.pid)


class Noise:
    """CPU time that neither we nor our targets used, as CPUs, while the with block ran: `.cpus` after it."""

    def __init__(self, extra_pid=lambda: None):
        self.extra_pid = extra_pid
        self.cpus = 0.0

    def _now(self):
        busy = busy_s()
        own = os.times()
        extra = self.extra_pid()
        pids = Target.alive | ({extra} if extra else set())
        ours = sum(own[:4]) + sum(map(cpu_ns, pids)) / 1e9
        return time.monotonic(), busy - ours

    def __enter__(self):
        self.start = self._now()
        return self

    def __exit__(self, *_):
        now = self._now()
        self.cpus = max(0.0, (now[1] - self.start[1]) / (now[0] - self.start[0]))


class Repeats:
    """Runs a measurement until enough of its runs were quiet, or too often; keeps the quietest."""

    def __init__(self, wanted, patience_s):
        self.wanted = wanted
        self.patience_s = patience_s
        self.noise = []

    def wait_for_quiet(self):
        end = time.monotonic() + self.patience_s
        while time.monotonic() < end:
            with Noise() as noise:
                time.sleep(0.5)
            if noise.cpus <= QUIET_CPUS:
                return

    def run(self, measure):
        """measure() -> result, or None if it failed. Returns the results of the quietest runs."""
        runs = []
        for _ in range(2 * self.wanted):
            self.wait_for_quiet()
            with Noise() as noise:
                result = measure()
            if result is not None:
                runs.append((noise.cpus, len(runs), result))
            if sum(cpus <= QUIET_CPUS for cpus, _, _ in runs) >= self.wanted:
                break
        kept = sorted(runs)[:self.wanted]
        self.noise += [cpus for cpus, _, _ in kept]
        return [result for _, _, result in kept]
