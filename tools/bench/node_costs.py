# SPDX-License-Identifier: Apache-2.0
"""What an agent costs a node, by the number of its processes: CPU, memory, bytes a minute to each kind of destination."""
import os
import time

import node_agent
from machine import Repeats, busy_s, note
from markdown import percent, table
from node_crowd import Crowd

KINDS = (*node_agent.SERVERS, "dir")
QUIET_S = 20  # to wait for it at most
PERIOD_S = 60  # the agent's default
PATIENCE = 3  # periods without a profile that is delivered
# What is asked of the agent: by default, and at a full rate however much that takes.
FULL = ("--rate", "99", "--cpu-budget", "100", "--memory-budget", "1G")
WAYS = {"default": (),
        "cpu at 99 Hz": ("--mode", "cpu", *FULL),
        "cpu at 99 Hz, native": ("--mode", "cpu", "--native", "on", *FULL),
        "wall at 99 Hz": FULL,
        "wall at 99 Hz, native": ("--native", "on", *FULL)}


class Pace:
    """The rates are settled if they are the same for so long: what is somewhat too much is lowered after a minute, a raise that lasted is followed by
    another after 30 s, one that did not by the next try after a minute, two, and so on (userspace/agent/budget.c)."""

    def __init__(self, seconds, quick):
        self.seconds, self.period_s = seconds, min(PERIOD_S, seconds)
        self.same_s, self.most_s = (12, 30) if quick else (120, 600)


def at_a_profile(agent, seconds):
    """(look, metrics) as soon as a profile has been delivered that ended so many seconds from now or later."""
    due, end = time.time() + seconds, time.monotonic() + seconds + PATIENCE * agent.period_s + node_agent.BEGIN_S
    while True:
        metrics = agent.metrics()
        if metrics.of("last_profile_timestamp_seconds") >= due and metrics.is_delivered():
            return agent.look(), metrics
        if time.monotonic() > end:
            raise RuntimeError(f"no profile is delivered: {agent.log[-2000:]}")
        time.sleep(0.2)


def rates(metrics):
    """Of what runs and of what sleeps, Hz."""
    return metrics.of("rate_hertz"), metrics.of("asleep_rate_hertz")


def settle(agent, pace):
    """Wait until its rates are. Returns after how many seconds it had come to that; None: it was not."""
    began = changed = time.monotonic()
    rate = rates(agent.metrics())
    while (now := time.monotonic()) - changed < pace.same_s:
        if now - began > pace.most_s:
            return None
        time.sleep(1)
        if (other := rates(agent.metrics())) != rate:
            rate, changed = other, now
    return changed - began


def others_s(agent, crowd):
    """CPU time of whoever is no part of this."""
    return busy_s() - sum(os.times()[:4]) - crowd.cpu_s() - agent.cpu_s()[0]


def measure(crowd, way, pace):
    """From the end of one profile to the end of another, at least so many seconds later."""
    with node_agent.Agent(pace.period_s, WAYS[way]) as agent:
        settled_s = settle(agent, pace)
        before, earlier = at_a_profile(agent, 0)
        others = others_s(agent, crowd)
        after, later = at_a_profile(agent, pace.seconds - 1)  # a period's end is not to the moment
        others = (others_s(agent, crowd) - others) / (after["at"] - before["at"])
        log = agent.log
    told_s = later.of("last_profile_timestamp_seconds") - earlier.of("last_profile_timestamp_seconds")
    own, kernel = node_agent.share(before, after)
    sent = {kind: (later.of("deliver_bytes_total", kind) - earlier.of("deliver_bytes_total", kind)) * 60 / told_s for kind in KINDS}
    return {"processes": crowd.size, "way": way, "seconds": after["at"] - before["at"], "profiles": later.of("profiles_total") - earlier.of("profiles_total"),
            "settled_s": settled_s, "pythons": after["pythons"], "own": own, "kernel": kernel,
            "rates_hz": sorted({rates(earlier), rates(later)}), "rss_kb": after["rss_kb"], "map_kb": after["map_kb"],
            "files": after["files"], "bytes_a_minute": sent, "others_cpus": others, "log": log}


def row_of(cost):
    cpu = percent(cost["own"]), percent(cost["kernel"], 3), percent(cost["own"] + cost["kernel"])
    sent = [f"{cost['bytes_a_minute'][kind] / 1000:.1f}" for kind in KINDS]
    settled = "no" if cost["settled_s"] is None else f"{cost['settled_s']:.0f}"
    found = " to ".join(f"{clock:.1f} / {asleep:.2f}" for clock, asleep in cost["rates_hz"])
    return (cost["processes"], cost["way"], f"{cost['pythons']:.0f}", settled, found, *cpu, f"{cost['rss_kb'] / 1024:.1f}", f"{cost['map_kb'] / 1024:.1f}",
            *sent, f"{cost['others_cpus']:.2f}")


def costs(interpreters, counts, ways, pace, out):
    """Lines to print."""
    out["costs"] = []
    for count in counts:
        Repeats(1, QUIET_S).wait_for_quiet()
        with Crowd(interpreters, count) as crowd:
            crowd.fill()
            for way in ways:
                note(f"  {count} processes, {way}")
                out["costs"].append(measure(crowd, way, pace))
    return table(f"What an agent costs, over {pace.seconds:.0f} s each, a profile every {pace.period_s:.0f} s; shares of the machine's CPU time",
                 ("processes", "asked for", "Python, with others'", "rate settled after, s", "rate, Hz: of what runs / sleeps", "CPU, agent", "its programs in the kernel", "together",
                  "resident, MB", "BPF maps, MB", *(f"{kind}, kB/min" for kind in KINDS), "others used, CPUs"), map(row_of, out["costs"]))
