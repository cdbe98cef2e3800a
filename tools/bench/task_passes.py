# SPDX-License-Identifier: Apache-2.0
"""What passes over suspended tasks cost coroscope, by how many tasks there are and what changes among them.

CPU time of a pass: that of the coroscope process, less what it uses on a program without asyncio, divided by the passes. It
includes what a pass brings about later: records, names, the capture file.
"""
import time
from statistics import median

from machine import CPUS, TARGETS, Target, cpu_ns
from recording import Recording

KINDS = ("asleep", "heartbeat", "changing", "busy")
RATE = 99
AIM_RATE = 10  # passes a second that the aims speak of
AIM_TASKS = 10_000
AIM_SHARES = {"asleep": 0.01, "changing": 0.03}
RESOLUTION = 0.003  # CPUs: two runs of the same differ by so much
TASKS_PER_SETTLE_S = 5_000  # the first pass reads everything, and the next ones wait for its share to be paid off
SETTLE_S = 2


def without_passes(python, seconds):
    """The CPUs that coroscope uses when there is nothing to pass over."""
    with Target(python, TARGETS / "threads_sleep.py", 1, cpu=CPUS[-1]) as target, \
            Recording([target.pid], mode="wall", rate=RATE, cpu=CPUS[0]) as recording:
        recording.settle()
        time.sleep(seconds)
        recording.stop()
        return {"cpu": recording.capture_cpu_s / recording.capture_s}


def passing(python, kind, tasks, seconds):
    """One capture. A dict: cpu (CPUs), passes and readings (a second), start_cpu_s, target_cpu (CPUs), the capture's size in
    bytes a second, the shares quiet, in_task, per_task and failed of the passes and lost of the readings, and for how long copies
    held the loop (held_us, held_most_us; 0 without copies). None: no pass was seen."""
    with Target(python, TARGETS / "bench_tasks.py", kind, tasks, cpu=CPUS[-1]) as target, \
            Recording([target.pid], mode="wall", rate=RATE, cpu=CPUS[0]) as recording:
        recording.settle(SETTLE_S + tasks / TASKS_PER_SETTLE_S)
        target_before = cpu_ns(target.pid)
        time.sleep(seconds)
        target_ns = cpu_ns(target.pid) - target_before
        recording.stop()
        raw, counters, passed_s = recording.raw, recording.raw.counters, recording.capture_s
        read = [count for at, count in raw.passes if recording.ticking_ns <= at < recording.stop_ns]
        if not read:
            return None
        return {"cpu": recording.capture_cpu_s / passed_s, "passes": len(read) / passed_s, "readings": sum(read) / passed_s,
                "tasks_read": median(read), "start_cpu_s": recording.start_cpu_s, "target_cpu": target_ns / 1e9 / passed_s,
                "quiet": counters["PASSES_QUIET"] / counters["PASSES"],
                "in_task": counters["PASSES_IN_TASK"] / counters["PASSES"],
                "held_us": median(raw.held_us or [0]), "held_most_us": max(raw.held_us, default=0),
                "per_task": counters["PASSES_PER_TASK"] / counters["PASSES"],
                "failed": counters["PASSES_FAILED"] / counters["PASSES"],
                "lost": counters["TASKS_DROPPED"] / max(1, counters["TASKS_DROPPED"] + counters["TASKS"])}


def priced(row, base_cpu):
    """The same row with pass_us and task_ns (CPU time of a pass, and of a task in it, the pass's own share included) and at_aim,
    the CPUs for ten passes a second, with at_aim_interval. base_cpu: see without_passes. What is less than can be told
    from noise is given as the most that it can be, and bounded is true."""
    used = row["cpu"] - base_cpu
    bounded = used < RESOLUTION
    pass_s = max(RESOLUTION, used) / row["passes"]
    low, high = max(0.0, used - RESOLUTION), pass_s * row["passes"] + (0 if bounded else RESOLUTION)
    return {**row, "pass_us": pass_s * 1e6, "task_ns": pass_s / max(1, row["tasks_read"]) * 1e9, "at_aim": pass_s * AIM_RATE,
            "at_aim_interval": (low / row["passes"] * AIM_RATE, high / row["passes"] * AIM_RATE), "bounded": bounded}


def aim(kind, tasks):
    """The share of a CPU that ten passes a second may take, or None if no aim speaks of this."""
    return AIM_SHARES.get(kind) if tasks == AIM_TASKS else None
