# SPDX-License-Identifier: Apache-2.0
"""What coroscope takes from an aiohttp server that ddtrace traces, and what ddtrace's own profiler does: requests a second, CPU time of a
request, and latency, in turns.

Two servers of one worker, the one profiled by ddtrace from its start, are on the same CPU, of which only the one whose turn it is runs: the other one and its client are
stopped. Clients, coroscope and the sink for what ddtrace sends share another CPU. Two processes of one program differ, so both
are begun anew several times.
"""
import contextlib
import signal
import sys
import time
from statistics import mean, median

from machine import CPUS, TARGETS
from recording import Recording
from slowdown import interval
from task_server import CONNECTIONS, Client, Server, phase

RATE = 99
MODE = "wall"  # of coroscope, all that exists, as ddtrace's profiler shows it
SETTLE_S = 1.5  # all processes are met, and what spans look like is learned; phase() waits another moment
MEASURES = ("CPU time of a request", "requests a second", "p99")
KINDS = ("usual", "all_told", "profiler")


class Place:
    """A server and its client, which run only inside the with block of turn()."""

    def __init__(self, stack, python, kind, sink_port, folders):
        self.server = stack.enter_context(Server(python, TARGETS / "bench_traced.py", kind, sink_port, *folders, cpu=CPUS[-1]))
        self.client = stack.enter_context(Client(sys.executable, TARGETS / "bench_client.py", self.server.wait_for_port(), CONNECTIONS, cpu=CPUS[0]))
        time.sleep(1)
        self._signal(signal.SIGSTOP)

    def _signal(self, number):
        for target in (self.server, self.client):
            target.process.send_signal(number)

    @contextlib.contextmanager
    def turn(self):
        self._signal(signal.SIGCONT)
        try:
            yield self
        finally:
            self._signal(signal.SIGSTOP)

    def measured(self, seconds):
        """(CPU seconds a request, requests a second, p99 in us); None: on a busy machine server or client stood still."""
        found = phase(self.server, self.client, seconds)
        return (1 / found[0], *found[1:]) if found else None


def turn(place, seconds, events=None):
    """One phase, under coroscope if events says which --span-events and --task-events."""
    with place.turn():
        if not events:
            return place.measured(seconds)
        with Recording([], mode=MODE, rate=RATE, cpu=CPUS[0], everything=True, options=["--span-events", events],
                       task_events=events):
            time.sleep(SETTLE_S)
            return place.measured(seconds)


def block(python, folders, rounds, seconds):
    """Fresh servers. Returns phases alone, and for each of KINDS (phase, mean of the phases alone around it)."""
    found = {kind: [] for kind in KINDS}
    with contextlib.ExitStack() as stack:
        sink = stack.enter_context(Server(sys.executable, TARGETS / "span_sink.py", cpu=CPUS[0]))
        ports = sink.wait_for_port()
        plain, profiled = (Place(stack, python, kind, ports, folders) for kind in ("alone", "profiled"))
        turns = {"usual": lambda: turn(plain, seconds, "auto"), "all_told": lambda: turn(plain, seconds, "on"),
                 "profiler": lambda: turn(profiled, seconds)}
        alone = [turn(plain, seconds)]
        for _ in range(rounds):
            for kind in KINDS:
                with_ = turns[kind]()
                alone.append(turn(plain, seconds))
                if None not in (with_, *alone[-2:]):
                    found[kind].append((with_, tuple(mean(pair) for pair in zip(*alone[-2:]))))
    return alone, found


def compared(python, folders, blocks, rounds, seconds):
    """A dict: alone, a tuple in the order of MEASURES (medians); noise, the same of its changes between phases alone; each of KINDS, in that order (change, its 95%
    interval), shares. RuntimeError if the machine let too few phases be."""
    alone, pairs, changes = [], {kind: [] for kind in KINDS}, []
    for _ in range(blocks):
        phases, found = block(python, folders, rounds, seconds)
        alone += filter(None, phases)
        changes += [tuple(abs(b / a - 1) for a, b in zip(*both)) for both in zip(phases, phases[1:]) if None not in both]
        for kind in KINDS:
            pairs[kind] += found[kind]
    if min(map(len, pairs.values())) <= blocks * rounds / 2:
        raise RuntimeError("the servers answered nothing in too many phases")
    result = {"alone": tuple(map(median, zip(*alone))), "noise": tuple(map(median, zip(*changes)))}
    for kind in KINDS:
        shares = list(zip(*(tuple(w / a - 1 for w, a in zip(*pair)) for pair in pairs[kind])))
        result[kind] = [(median(values), interval(values)) for values in shares]
    return result
