# SPDX-License-Identifier: Apache-2.0
"""What coroscope takes from a real aiohttp server under load: requests a second, CPU time of a request, and latency.

One server and one client that never stop; coroscope comes and goes (see slowdown.py). The client asks again as soon as it is
answered, so the server is saturated and its requests a second are its throughput. The client and coroscope share a CPU that
the server does not use: what is measured is what the server loses, not what a busy machine loses.
"""
import subprocess
import sys
import time
from statistics import mean, median

from machine import CPUS, ROOT, TARGETS, Target
from recording import Recording
from slowdown import SETTLE_S, interval

CONNECTIONS = 32
RATE = 99
AIM_LOSS = 0.01
P99 = 0.99
PORT_S = 10
PYTHONS = ROOT / "tools" / "pythons"


class Missing(Exception):
    """Says why there is no server to measure, and how to get one."""


def tool(*arguments):
    result = subprocess.run([PYTHONS, *arguments], capture_output=True, text=True, check=False)
    if result.returncode:
        raise Missing(result.stderr.strip())
    return result.stdout.strip()


def interpreter(name):
    """(program, folder of packages) of an interpreter of tools/pythons that has aiohttp. Raises Missing."""
    return tool("--path", name), tool("--package", name, "aiohttp")


class Server(Target):
    """The server. Says its port between "ready" and its progress."""

    port = 0

    def _read(self):
        self.port = int(self.process.stdout.readline().split()[1])
        super()._read()

    def wait_for_port(self):
        end = time.monotonic() + PORT_S
        while not self.port:
            if time.monotonic() > end:
                raise RuntimeError("the server does not say its port")
            time.sleep(0.01)
        return self.port


class Client(Target):
    """The client swarm. Its progress is (monotonic ns, latencies in us)."""

    def _read(self):
        for line in self.process.stdout:
            if line.endswith("\n"):
                now, *latencies = map(int, line.split())
                self.progress.append((now, latencies))

    def p99(self, start_ns, end_ns):
        """Of the answers between two moments, in us; None without any."""
        seen = sorted(latency for at, latencies in self.progress if start_ns < at <= end_ns for latency in latencies)
        return seen[int(len(seen) * P99)] if seen else None


def phase(server, client, seconds):
    """(requests per CPU second, requests a second, p99 in us), or None if the server stood still."""
    time.sleep(SETTLE_S)
    start = time.monotonic_ns()
    time.sleep(seconds)
    end = time.monotonic_ns()
    work, p99 = server.between(start, end), client.p99(start, end)
    return (*work, p99) if work and p99 else None


def rounds(python, packages, tasks, task_events, pairs, seconds):
    """(phases without, phases with): one more without than with. RuntimeError if the load broke down."""
    with Server(python, TARGETS / "bench_server.py", tasks, packages, cpu=CPUS[-1]) as server, \
            Client(sys.executable, TARGETS / "bench_client.py", server.wait_for_port(), CONNECTIONS, cpu=CPUS[0]) as client:
        time.sleep(1)
        without, with_ = [phase(server, client, seconds)], []
        for _ in range(pairs):
            with Recording([server.pid], mode="wall", rate=RATE, cpu=CPUS[0], task_events=task_events):
                time.sleep(tasks / 10_000)  # the first pass reads everything: no steady state
                with_.append(phase(server, client, seconds))
            without.append(phase(server, client, seconds))
    if None in without + with_:
        raise RuntimeError("the server answered nothing in a whole phase")
    return without, with_


def lost(python, packages, tasks, task_events, pairs, seconds):
    """A dict: requests and p99_us without coroscope (medians), and as shares, with 95% intervals (name_interval): cpu (dearer
    requests), wall (fewer requests a second) and p99 (later answers). noise: requests a second between phases without."""
    without, with_ = rounds(python, packages, tasks, task_events, pairs, seconds)
    result = {"requests": median(one[1] for one in without), "p99_us": median(one[2] for one in without)}
    for index, name, sign in ((0, "cpu", 1), (1, "wall", 1), (2, "p99", -1)):
        shares = [sign * (1 - with_[i][index] / mean((without[i][index], without[i + 1][index]))) for i in range(pairs)]
        result[name], result[name + "_interval"] = median(shares), interval(shares)
    result["noise"] = median(abs(1 - without[i + 1][1] / without[i][1]) for i in range(pairs))
    return result
