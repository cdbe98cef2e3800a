# SPDX-License-Identifier: Apache-2.0
"""What a CPU sample costs with native frames: of a C program, by the number of its frames, and of Python on native frames.

As in kernel_cost.py, a tick without a sample is measured apart and subtracted. The C program is built without frame pointers.
"""
import subprocess
import time
from pathlib import Path
from statistics import median

from kernel_cost import BUSY_CPU, FRAMES_ABOVE, OTHER_CPU, other_tick_ns
from machine import TARGETS, Target
from recording import Recording

RATE = 1999
NATIVE = ("--native", "on")
BEGUN_S = 0.3
FRAMES_OF_C = 5  # of native_stack: _start, two of glibc's, main; and burn


def build(folder, name="native_stack", *flags):
    """tests/targets/native_stack.c as an ordinary optimized program; its path."""
    program = Path(folder) / name
    subprocess.run(["cc", "-O2", "-fomit-frame-pointer", *flags, "-o", program, TARGETS / "native_stack.c", "-pthread"], check=True)
    return program


def sample_ns(pid, seconds, other_ns, is_right):
    """A sample of this process: mean time, or None if there were too few. is_right(raw): does the capture show the stack that was meant?"""
    with Recording([pid], rate=RATE, cpu=OTHER_CPU, options=NATIVE) as recording:
        time.sleep(seconds)
        recording.stop()
        count, ns = recording.runs("on_cpu")
        counters = recording.raw.counters
        samples = counters["SAMPLES"]
        if samples < 50 or abs(count - counters["TICKS"]) > count / 100:
            return None
        if not is_right(recording.raw):
            raise RuntimeError(f"{median(recording.raw.native_frames)} native frames, {median(recording.raw.frames)} of Python")
        return (ns - (count - samples) * other_ns) / samples


def c_sample_ns(program, depth, seconds, other_ns):
    """Of `depth` native frames."""
    process = subprocess.Popen(["taskset", "-c", str(BUSY_CPU), program, "deep", str(10 * seconds + 10), str(depth - FRAMES_OF_C)])
    try:
        time.sleep(BEGUN_S)
        return sample_ns(process.pid, seconds, other_ns, lambda raw: median(raw.native_frames) == depth)
    finally:
        process.kill()
        process.wait()


def python_sample_ns(python, depth, seconds, other_ns):
    """Of `depth` Python frames, and the native ones below, between and above them."""
    with Target(python, TARGETS / "deep.py", depth - FRAMES_ABOVE, cpu=BUSY_CPU) as target:
        return sample_ns(target.pid, seconds, other_ns, lambda raw: median(raw.frames) == depth)


def costs(program, python, settings, repeats):
    """Rows of (what, frames, [ns])."""
    rows, seconds = [], settings.seconds
    other = median(repeats.run(lambda: other_tick_ns(python, RATE, seconds)))
    for depth in (10, 30, 60):
        rows.append(("C", depth, repeats.run(lambda d=depth: c_sample_ns(program, d, seconds, other))))
    for depth in (22, 60):
        rows.append(("Python", depth, repeats.run(lambda d=depth: python_sample_ns(python, d, seconds, other))))
    return rows
