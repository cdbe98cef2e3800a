# SPDX-License-Identifier: Apache-2.0
"""The few facts that the benches need of a raw capture. Names and numbers come from the C headers themselves."""
import mmap
import re
import struct
from pathlib import Path

INCLUDE = Path(__file__).resolve().parents[2] / "include" / "coroscope"
HEADER = struct.Struct("<IHHQII")    # struct cs_ev_hdr
STACK_COUNTS = struct.Struct("<HHB")  # nframes, nkernel, status of struct cs_ev_stack
STACK_COUNTS_AT = 56
NATIVE_COUNT = struct.Struct("<HB")  # n, status of struct cs_ev_native
PASS_COUNTS = struct.Struct("<III")  # ntasks, ndropped, coherence of struct cs_ev_pass
PASS_COUNTS_AT = 32


def header_numbers(name, pattern):
    return {found[1]: int(found[2])
            for found in re.finditer(pattern, (INCLUDE / name).read_text(encoding="utf-8"))}


KINDS = header_numbers("event.h", r"\bCS_EV_(\w+) =\s+(\d+),")
COMPLETE = 0  # the first of status.h
IN_TASK = header_numbers("event.h", r"\bCS_COHERENT_(\w+) = (\d+),")["IN_TASK"]
# status.h lists the ends of a walk first, then the accounts
COUNTERS = {name: number for name, number in
            re.findall(r"X\((\w+), (\d+), ",
                       (INCLUDE / "status.h").read_text(encoding="utf-8").split("define CS_COUNTER(X)")[1])}


class RawCapture:
    """counters: the accounts of the whole capture. first_ns: of the first sample, on the monotonic clock, or
    None. frames: Python frames of the CPU samples, as a sorted list. native_frames, created_frames: the same of native walks and of creations.
    passes: (moment in ns, tasks) of the passes over suspended tasks. held_us: for how long each pass that was copied at one instant
    held its loop. unwound: (moment in ns, process, whether to the root) of each native walk. samples: (moment in ns, process, Python frames) of each CPU
    sample, execs: (moment in ns, process)."""

    def __init__(self, path):
        self.counters = dict.fromkeys(COUNTERS, 0)
        self.first_ns = None
        self.loaded_ns = None
        self.frames, self.created_frames, self.passes = [], [], []
        self.samples, self.execs, self.held_us, self.native_frames, self.unwound = [], [], [], [], []
        self.bytes = Path(path).stat().st_size
        with open(path, "rb") as file, mmap.mmap(file.fileno(), 0, access=mmap.ACCESS_READ) as data:
            self._read(data)
        self.frames.sort()
        self.native_frames.sort()
        self.created_frames.sort()

    def _read(self, data):
        at = struct.unpack_from("<QII", data, 0)[2]
        tasks_of = {}  # of each process's last pass
        while at + HEADER.size <= len(data):
            size, kind, flags, ts_ns, pid, _ = HEADER.unpack_from(data, at)
            if size < HEADER.size:
                break
            if kind == KINDS["STACK"] and flags == 0:
                if self.first_ns is None:
                    self.first_ns = ts_ns
                self.frames.append(STACK_COUNTS.unpack_from(data, at + STACK_COUNTS_AT)[0])
                self.samples.append((ts_ns, pid, self.frames[-1]))
            elif kind == KINDS["NATIVE"]:
                count, status = NATIVE_COUNT.unpack_from(data, at + HEADER.size)
                self.native_frames.append(count)
                self.unwound.append((ts_ns, pid, status == COMPLETE))
            elif kind == KINDS["EXEC"]:
                self.execs.append((ts_ns, pid))
            elif kind == KINDS["TASK_CREATED"]:
                self.created_frames.append(STACK_COUNTS.unpack_from(data, at + STACK_COUNTS_AT)[0])
            elif kind == KINDS["PASS"]:
                tasks_of[pid], _, coherence = PASS_COUNTS.unpack_from(data, at + PASS_COUNTS_AT)
                if coherence == IN_TASK:
                    self.held_us.append(flags)
                self.passes.append((ts_ns, tasks_of[pid]))
            elif kind == KINDS["PASS_AGAIN"]:
                self.passes.append((ts_ns, tasks_of.get(pid, 0)))
            elif kind == KINDS["CAPTURE"]:
                self.loaded_ns = ts_ns
            elif kind == KINDS["STATS"] and pid == 0:
                self._read_counters(data, at + HEADER.size)
            at += size

    def _read_counters(self, data, at):
        (count,) = struct.unpack_from("<I", data, at)
        values = struct.unpack_from(f"<{count}Q", data, at + 8)
        for name, number in COUNTERS.items():
            if int(number) < count:
                self.counters[name] = values[int(number)]
