# SPDX-License-Identifier: Apache-2.0
"""One running `coroscope record`, looked at from outside."""
import os
import signal
import subprocess
import tempfile
import time
from pathlib import Path

import bpf_stats
from machine import cpu_ns, status_kb
from raw_capture import RawCapture

START_S = 10
EXPORT_S = 120
SETTLE_S = 2


class Recording:
    """coroscope at work on some processes, by default whatever that costs them (--task-events on); ended, and its files removed, at the end of the with block.

    settle() lets the first moments pass and counts them apart: start_cpu_s (from the start of the process).
    stop() fills in: capture_cpu_s, capture_s (from the first tick, or settle(), on), export_cpu_s, export_s (from the signal to
    the exit), capture_kb, peak_kb, and with the raw format `raw`. runs(name) works until the with block ends.
    """

    binary = None

    def __init__(self, pids, mode="cpu", rate=99, form="raw", cpu=None, everything=False, options=(), task_events="on"):
        self.folder = tempfile.TemporaryDirectory(prefix="coroscope-bench-")
        self.path = Path(self.folder.name) / "out"
        self.form = form
        self.raw = None
        self.programs = {}
        self.hook = "off_out" if mode == "offcpu" else "on_cpu"  # has run: it has begun
        pin = ["taskset", "-c", str(cpu)] if cpu is not None else []
        who = ["-a"] if everything else ["-p", ",".join(map(str, pids))]
        self.start_ns = time.monotonic_ns()
        self.process = subprocess.Popen(
            [*pin, self.binary, "record", *who, "--mode", mode, "-F", str(rate), "-q", "--task-events", task_events, *options,
             "-f", form, "-o", str(self.path)], stderr=subprocess.PIPE)
        self.pid = self.process.pid
        try:
            self._wait_for_tick()
        except BaseException:
            self.__exit__()
            raise

    def _wait_for_tick(self):
        end = time.monotonic() + START_S
        while time.monotonic() < end:
            if self.process.poll() is not None:
                raise RuntimeError(f"coroscope failed: {self.process.stderr.read().decode().strip()}")
            self._close_programs()  # they are loaded one after the other: look until the clock ticks
            self.programs = bpf_stats.programs_of(self.pid)
            if self.runs(self.hook)[0]:
                self.ticking_ns = time.monotonic_ns()
                self.ticking_cpu_ns = cpu_ns(self.pid)
                return
            time.sleep(0.002)
        raise RuntimeError("coroscope does not begin to sample")

    def _close_programs(self):
        for program in self.programs.values():
            program.close()
        self.programs = {}

    def runs(self, name):
        """(times run, nanoseconds) of a program so far; zeroes if it was not loaded. Those of spans come when a tracer has been met."""
        if name not in self.programs:
            for found, program in bpf_stats.programs_of(self.pid).items():
                if found in self.programs:
                    program.close()
                else:
                    self.programs[found] = program
        return self.programs[name].runs() if name in self.programs else (0, 0)

    def bpf_ns(self, *names):
        return sum(self.runs(name)[1] for name in names)

    def settle(self, seconds=SETTLE_S):
        time.sleep(seconds)
        self.ticking_ns = time.monotonic_ns()
        self.ticking_cpu_ns = cpu_ns(self.pid)
        self.start_cpu_s = self.ticking_cpu_ns / 1e9

    def stop(self):
        captured_cpu_ns = cpu_ns(self.pid)
        self.capture_kb = status_kb(self.pid, "VmHWM")
        self.stop_ns = time.monotonic_ns()
        self.capture_s = (self.stop_ns - self.ticking_ns) / 1e9
        self.capture_cpu_s = (captured_cpu_ns - self.ticking_cpu_ns) / 1e9
        self.peak_kb = self.capture_kb
        self.process.send_signal(signal.SIGINT)
        end = time.monotonic() + EXPORT_S
        while True:
            self.peak_kb = max(self.peak_kb, status_kb(self.pid, "VmHWM"))
            pid, status, usage = os.wait4(self.pid, os.WNOHANG)
            if pid:
                break
            if time.monotonic() > end:
                raise RuntimeError("coroscope does not end")
            time.sleep(0.001)
        self.export_s = (time.monotonic_ns() - self.stop_ns) / 1e9
        self.process.returncode = os.waitstatus_to_exitcode(status)
        self.export_cpu_s = max(0.0, usage.ru_utime + usage.ru_stime - captured_cpu_ns / 1e9)
        if self.process.returncode:
            raise RuntimeError(f"coroscope failed: {self.process.stderr.read().decode().strip()}")
        if self.form == "raw":
            self.raw = RawCapture(self.path)

    def __enter__(self):
        return self

    def __exit__(self, *_):
        if self.process.poll() is None:
            self.process.kill()
            self.process.wait()
        self.process.stderr.close()
        self._close_programs()
        self.folder.cleanup()

