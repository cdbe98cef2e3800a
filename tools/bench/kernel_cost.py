# SPDX-License-Identifier: Apache-2.0
"""What the kernel side costs: a CPU sample, a task creation, a visit to a sleeping thread.

A BPF program's statistics do not tell samples from other ticks. So: a capture of a process that never runs, on a
machine that is otherwise the same, gives the price of a tick without a sample; it is subtracted.
"""
import time
from statistics import median

from machine import CPUS, TARGETS, WORK, Target
from recording import Recording

FRAMES_ABOVE = 3  # deep.py N has N + 3 Python frames: <module>, main, burn
HIGH_RATE = 999
BUSY_CPU = CPUS[-1]
OTHER_CPU = CPUS[0]


def record_for(seconds, pids, **options):
    """A finished raw capture of Python frames, its programs still held; to be used in a with block. native_cost.py has the cost of native frames."""
    recording = Recording(pids, cpu=OTHER_CPU, options=("--native", "off"), **options)
    try:
        time.sleep(seconds)
        recording.stop()
    except BaseException:
        recording.__exit__()
        raise
    return recording


def other_tick_ns(python, rate, seconds):
    """A tick that is no sample of ours: mean time."""
    with Target(python, TARGETS / "idle_loop.py", 1) as idle, \
            Target(python, TARGETS / "deep.py", 20, cpu=BUSY_CPU), \
            record_for(seconds, [idle.pid], rate=rate) as recording:
        count, ns = recording.runs("on_cpu")
        samples = recording.raw.counters["SAMPLES"]
        return None if samples > count / 100 else ns / count


def sample_ns(python, depth, rate, seconds, other_ns):
    """A CPU sample of a stack of `depth` Python frames: mean time, or None if the capture was no good."""
    with Target(python, TARGETS / "deep.py", depth - FRAMES_ABOVE, cpu=BUSY_CPU) as target, \
            record_for(seconds, [target.pid], rate=rate) as recording:
        count, ns = recording.runs("on_cpu")
        counters = recording.raw.counters
        samples = counters["SAMPLES"]
        if samples < 50 or abs(count - counters["TICKS"]) > count / 100:
            return None
        if median(recording.raw.frames) != depth:
            raise RuntimeError(f"expected {depth} frames, found {median(recording.raw.frames)}")
        return (ns - (count - samples) * other_ns) / samples


def sample_costs(pythons, depths, settings, repeats):
    """Rows of (python, rate, depth, [ns])."""
    rows = []
    for index, (name, path) in enumerate(pythons):
        plans = [(HIGH_RATE, settings.seconds)]
        if index == 0 and settings.low_rate_seconds:
            plans.append((99, settings.low_rate_seconds))
        for rate, seconds in plans:
            others = repeats.run(lambda p=path, r=rate, s=seconds: other_tick_ns(p, r, s))
            other = median(others)
            if index == 0:
                rows.append((name, rate, 0, others))
            for depth in depths:
                rows.append((name, rate, depth, repeats.run(
                    lambda p=path, d=depth, r=rate, s=seconds: sample_ns(p, d, r, s, other))))
    return rows


def creation(python, seconds):
    """(ns of BPF a creation, creations a second, median depth of the creator's stack)."""
    with Target(python, WORK, "tasks", cpu=BUSY_CPU) as target, \
            record_for(seconds, [target.pid]) as recording:
        count, ns = recording.runs("task_init")
        if not count:
            return None
        depth = median(recording.raw.created_frames) if recording.raw.created_frames else 0
        return ns / count, count / recording.capture_s, depth


def unmoved_visit(python, threads, seconds):
    """(ns of a visit to a thread that has not run, wall programs' visits a pass)."""
    with Target(python, TARGETS / "threads_sleep.py", threads) as target, \
            record_for(seconds, [target.pid], mode="wall") as recording:
        _, ns = recording.runs("wall")
        visits = recording.raw.counters["WALL_THREADS"]
        return ns / visits if visits > 10 * threads else None


def moved_visit(python, threads, seconds, unmoved_ns):
    """(ns of a visit to a sleeping thread that has run since the last pass)."""
    with Target(python, WORK, "threads", threads) as target, \
            record_for(seconds, [target.pid], mode="wall") as recording:
        _, ns = recording.runs("wall")
        counters = recording.raw.counters
        moved = counters["WALL_SAMPLES"] + counters["WALL_TORN"] + counters["WALL_RING_FULL"]
        if moved < threads:
            return None
        return (ns - (counters["WALL_THREADS"] - moved) * unmoved_ns) / moved
