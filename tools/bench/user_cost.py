# SPDX-License-Identifier: Apache-2.0
"""What coroscope itself uses: CPU, memory, time to attach and to end, time for each suspended task."""
import time
from contextlib import ExitStack
from statistics import median

from machine import CPUS, TARGETS, WORK, Target
from recording import Recording

# What the interrupts and uprobes of coroscope add to other people's time; `wall` runs on coroscope's own.
ELSEWHERE = ("on_cpu", "task_init", "proc_exec", "proc_exit")


def own_share(python, work, mode, seconds, everything=False, sleepers=0):
    """coroscope at 99 Hz with a busy program on every CPU, and so many programs whose event loop mostly sleeps.

    A dict: cpu and bpf in CPUs, creations a second, capture_kb, peak_kb, start_cpu_s, export_cpu_s, export_s.
    """
    with ExitStack() as stack:
        targets = [stack.enter_context(Target(python, *work, cpu=cpu)) for cpu in CPUS]
        for _ in range(sleepers):
            targets.append(stack.enter_context(Target(python, TARGETS / "idle_loop.py")))
        recording = stack.enter_context(Recording([target.pid for target in targets], mode=mode,
                                                  form="collapsed", everything=everything))
        recording.settle()
        bpf_before, created_before = recording.bpf_ns(*ELSEWHERE), recording.runs("task_init")[0]
        time.sleep(seconds)
        bpf = recording.bpf_ns(*ELSEWHERE) - bpf_before
        created = recording.runs("task_init")[0] - created_before
        recording.stop()
        return {"cpu": recording.capture_cpu_s / recording.capture_s,
                "bpf": bpf / 1e9 / recording.capture_s, "creations": created / recording.capture_s,
                "capture_kb": recording.capture_kb, "peak_kb": recording.peak_kb,
                "start_cpu_s": recording.start_cpu_s, "export_cpu_s": recording.export_cpu_s, "export_s": recording.export_s}


def suspended(python, tasks, wakeups, seconds):
    """A dict: cpu in CPUs, start_cpu_s, passes and tasks read a second; failed and quiet passes as shares."""
    arguments = (tasks, 5, wakeups)
    with Target(python, TARGETS / "many_tasks.py", *arguments, cpu=CPUS[-1]) as target, \
            Recording([target.pid], mode="wall", cpu=CPUS[0]) as recording:
        recording.settle(max(2, tasks / 2500))  # the first pass reads everything
        time.sleep(seconds)
        recording.stop()
        counters, passed_s = recording.raw.counters, recording.capture_s
        passes = [tasks_read for at, tasks_read in recording.raw.passes
                  if recording.ticking_ns <= at < recording.stop_ns]
        if not passes:
            return None
        return {"cpu": recording.capture_cpu_s / passed_s, "start_cpu_s": recording.start_cpu_s,
                "passes": len(passes) / passed_s, "tasks": sum(passes) / passed_s,
                "failed": counters["PASSES_FAILED"] / counters["PASSES"],
                "quiet": counters["PASSES_QUIET"] / counters["PASSES"]}


def task_ns(row, baseline):
    """CPU time for each suspended task of each pass, from a run with many and one with hardly any."""
    return (row["cpu"] - baseline["cpu"]) / (row["tasks"] - baseline["tasks"]) * 1e9


def launch(python):
    """A dict of ms: loaded, first_sample (since the start of the process), end, and cpu until the first tick."""
    with Target(python, WORK, "loop", 20, cpu=CPUS[-1]) as target, \
            Recording([target.pid], mode="wall") as recording:
        time.sleep(0.3)
        recording.stop()
        raw = recording.raw
        if raw.first_ns is None:
            return None
        return {"loaded": (raw.loaded_ns - recording.start_ns) / 1e6,
                "first_sample": (raw.first_ns - recording.start_ns) / 1e6,
                "cpu": recording.ticking_cpu_ns / 1e6, "end": recording.export_s * 1e3}


def medians(rows):
    """One dict of the medians of several."""
    return {key: median(row[key] for row in rows) for key in rows[0]} if rows else None
