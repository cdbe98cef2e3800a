# SPDX-License-Identifier: Apache-2.0
"""An agent for long among processes that come and go: does anything grow, does it keep its budget, do its accounts balance?"""
import time
from statistics import mean

import node_agent
from machine import CPUS, busy_s, note
from markdown import percent, table
from node_crowd import Crowd

PROCESSES, FLEETING = 200, 80
LOOK_EVERY_S = 5
TELL_EVERY_S = 300
SETTLE_S = 30
# Over the second half: 2% of the budget of 256 MB. What a period's profile takes comes and goes by more, a leak of 2 kB a process would be seen.
RSS_GROWTH_KB = 5 * 1024
# Descriptors and mappings go with the processes and threads that are there at the moment, whose number is not quite the same in both thirds.
SPREAD, FEW = 0.02, 8
HELD = {"pythons": ("Python processes watched", 1), "rss_kb": ("resident memory, MB", 1024), "files": ("open files", 1),
        "links": ("BPF links", 1), "probes": ("probes where tasks are created", 1), "mappings": ("mappings", 1),
        "map_kb": ("BPF maps, MB", 1024), "program_kb": ("BPF programs, MB", 1024)}
# The equations of include/coroscope/status.h; the first is counted in interrupts, which may come while it is read.
EQUATIONS = {
    "ticks": ("samples", "idle", "other", "ring_full", "nested"),
    "wall_threads": ("wall_samples", "wall_same", "wall_running", "wall_idle", "wall_torn", "wall_ring_full"),
    "passes": ("passes_quiet", "passes_in_task", "passes_per_task", "passes_failed"),
}


class Plan:
    """How long, and how often a profile is made; "minutes" are shorter when it is tried."""

    def __init__(self, seconds, period_s):
        self.seconds, self.period_s = seconds, period_s
        self.warm_up_s = min(seconds / 6, 300)
        self.minute_s = 60 if seconds >= 600 else seconds / 10
        self.look_every_s = LOOK_EVERY_S if seconds >= 600 else 1


def watch(agent, crowd, plan):
    """Looks at the agent, the first and last ones at both ends of the time."""
    looks, began, due = [], time.monotonic(), 0.0
    told = began
    while time.monotonic() - began < plan.seconds:
        crowd.turn()
        if time.monotonic() - began >= due:
            due += plan.look_every_s
            looks.append(agent.look())
        if time.monotonic() - told >= TELL_EVERY_S:
            told = time.monotonic()
            note(f"  {told - began:.0f} s: {looks[-1]['rss_kb'] / 1024:.1f} MB, {looks[-1]['files']} files, "
                 f"{percent(sum(node_agent.share(looks[0], looks[-1])))} of the machine, "
                 f"{crowd.came_and_went()['processes that came']} processes came")
        time.sleep(1)
    return looks


def slope(looks, what):
    """Per second, by least squares."""
    times, values = [look["at"] for look in looks], [look[what] for look in looks]
    middle, level = mean(times), mean(values)
    return sum((at - middle) * (value - level) for at, value in zip(times, values)) / sum((at - middle) ** 2 for at in times)


def thirds(looks, what):
    """((mean, most) of the first third, the same of the last)"""
    length = len(looks) // 3
    return tuple((mean(look[what] for look in part), max(look[what] for look in part)) for part in (looks[:length], looks[-length:]))


def minutes(looks, minute_s):
    """Shares of the machine, (own, in the kernel), minute by minute."""
    found, first = [], looks[0]
    for look in looks[1:]:
        if look["at"] - first["at"] >= minute_s:
            found.append(node_agent.share(first, look))
            first = look
    return found


def settle(agent):
    """Metrics and what the sinks took, at a moment when nothing is under way."""
    end = time.monotonic() + SETTLE_S
    while True:
        metrics, received = agent.delivered(SETTLE_S), agent.received()
        if all(metrics.of("deliver_requests_total", kind) == requests for kind, (requests, _) in received.items()) or time.monotonic() > end:
            return metrics, received
        time.sleep(0.5)


def judge_growth(looks, budget_bytes):
    """[(whether it is well, sentence)]"""
    most_kb = max(look["rss_kb"] for look in looks)
    half = looks[len(looks) // 2:]
    grown_kb = slope(half, "rss_kb") * (half[-1]["at"] - half[0]["at"])
    found = [(grown_kb <= RSS_GROWTH_KB,
              f"memory is flat: over the second half it grew by {grown_kb / 1024:+.2f} MB (at most {RSS_GROWTH_KB / 1024:.0f})"),
             (most_kb * 1024 <= budget_bytes, f"and keeps its budget of {budget_bytes / (1 << 20):.0f} MB: at most {most_kb / 1024:.1f}")]
    for what in "files", "mappings", "links", "map_kb":
        (first, _), (last, _) = thirds(looks, what)
        text, scale = HELD[what]
        found.append((last <= first * (1 + SPREAD) + FEW, f"{text}: no growth: {first / scale:.2f}, in the last third {last / scale:.2f} "
                                                            f"(at most {SPREAD:.0%} and {FEW}{' kB' if scale > 1 else ''} more)"))
    return found


def judge_cpu(shares, budget):
    average, high = mean(map(sum, shares)), percentile(list(map(sum, shares)))
    return [(average <= budget, f"CPU time within the budget of {percent(budget)}: {percent(average)}"),
            (high <= budget, f"and in 95% of all minutes: {percent(high)}")]


def percentile(values, part=0.95):
    return sorted(values)[int(part * (len(values) - 1))]


def dropped(metrics, kind):
    return sum(metrics.of(f"deliver_{what}_total", kind) for what in ("passed_over", "failed", "refused", "lost", "rejected"))


def judge_accounts(metrics, received):
    found = []
    for whole, parts in EQUATIONS.items():
        apart = metrics.account(whole) - sum(map(metrics.account, parts))
        found.append((abs(apart) <= (len(CPUS) if whole == "ticks" else 0), f"{whole} = {' + '.join(parts)}: {apart:.0f} apart"))
    for kind, profiles in metrics.labels("deliver_profiles_total").items():
        lost = dropped(metrics, kind)
        found.append((lost == 0, f"{kind}: {profiles:.0f} profiles handed over, {lost:.0f} lost or refused"))
    for kind, (requests, size) in received.items():
        told = [metrics.of(f"deliver_{what}_total", kind) for what in ("parcels", "delivered", "requests", "bytes")]
        found.append((told == [requests, requests, requests, size],
                      f"{kind}: parcels, delivered, requests, bytes {told} are the {requests} requests of {size} bytes that arrived"))
    return found


def held_table(looks):
    shown = []
    for what, (text, scale) in HELD.items():
        parts = [f"{value / scale:.{2 if scale > 1 else 1}f}" for third in thirds(looks, what) for value in third]
        shown.append((text, *parts, f"{slope(looks, what) * 3600:+.1f}{' kB' if scale > 1 else ''}"))
    return table("What the agent held, after warm-up", ("", "first third, mean", "most", "last third, mean", "most", "slope an hour"), shown)


def cpu_table(shares, told, budget):
    columns = [("in user space and system calls", [own for own, _ in shares]), ("its programs in the kernel", [kernel for _, kernel in shares]),
               ("together", list(map(sum, shares))), ("as it says of itself, every 10 s", told)]
    return table(f"CPU, share of the machine's {len(CPUS)} CPUs, {len(shares)} minutes; budget {percent(budget)}", ("", "mean", "95%", "most"),
                 [(text, percent(mean(values)), percent(percentile(values)), percent(max(values))) for text, values in columns])


def done_table(figures):
    return table("What was done", ("", ""), [(what, f"{value:,.4g}" if isinstance(value, float) and value % 1 else f"{value:,.0f}")
                                             for what, value in figures.items() if value])


def accounts_of(metrics):
    figures = {"profiles made": metrics.of("profiles_total")}
    for kind in metrics.labels("deliver_profiles_total"):
        figures[f"{kind}: parcels delivered"] = metrics.of("deliver_delivered_total", kind)
        figures[f"{kind}: MB delivered"] = metrics.of("deliver_bytes_total", kind) / 1e6
        figures[f"{kind}: profiles or parcels dropped"] = dropped(metrics, kind)
    for name in "ticks", "samples", "wall_threads", "wall_samples", "wall_same", "passes", "tasks", "creates", "codes_at_sight":
        figures["account " + name] = metrics.of("account_total", name)
    for reason, value in metrics.labels("lost_total").items():
        figures["lost: " + reason] = value
    return figures


def soak(plan, interpreters, out):
    """Lines to print. Whether all is well stands in out["ok"]."""
    with Crowd(interpreters, PROCESSES, FLEETING) as crowd, node_agent.Agent(plan.period_s) as agent:
        crowd.fill()
        note(f"  {PROCESSES} processes are there")
        crowd.happened.clear()
        busy, began = busy_s(), time.monotonic()
        looks = watch(agent, crowd, plan)
        busy = (busy_s() - busy) / (time.monotonic() - began) / len(CPUS)
        metrics, received = settle(agent)
        moved, log, code = crowd.came_and_went(), agent.log, agent.end()
    warm = [look for look in looks if look["at"] >= looks[0]["at"] + plan.warm_up_s]
    shares, budget = minutes(warm, plan.minute_s), metrics.of("cpu_budget_share")
    figures = {**moved, **accounts_of(metrics), "lowest rate, Hz": min(look["rate_hz"] for look in looks),
               "mean rate, Hz": mean(look["rate_hz"] for look in looks),
               "lowest rate of what sleeps, Hz": min(look["asleep_hz"] for look in looks),
               "mean rate of what sleeps, Hz": mean(look["asleep_hz"] for look in looks),
               "rate lowered": log.count("rate lowered"), "rate raised": log.count("rate raised")}
    verdicts = judge_growth(warm, metrics.of("memory_budget_bytes")) + judge_cpu(shares, budget) + judge_accounts(metrics, received)
    verdicts.append((moved["died"] == 0, f"{moved['died']} of the services that were to stay have ended"))
    verdicts.append((code == 0 and " error: " not in log, f"the agent ended with {code}, without an error in its log"))
    out["soak"] = {"seconds": plan.seconds, "period_s": plan.period_s, "looks": looks, "minutes": shares, "figures": figures, "busy": busy,
                   "verdicts": verdicts, "log": log[-20000:]}
    out["ok"] = all(well for well, _ in verdicts)
    lines = [f"\n# {plan.seconds:.0f} s, {PROCESSES} processes, of which {FLEETING} come and go; a profile every {plan.period_s} s"]
    lines += held_table(warm) + cpu_table(shares, [look["told_cpu"] for look in warm], budget) + done_table(figures)
    lines.append(f"\nThe machine was busy to {percent(busy, 0)} of its CPU time.\n")
    return lines + [f"- {'ok' if well else 'FAILED'}: {text}" for well, text in verdicts]
