# SPDX-License-Identifier: Apache-2.0
"""coroscope's clock without coroscope: what the interrupts alone cost on this machine (in a VM, far more than a sample)."""
import ctypes
import os
import struct
from contextlib import ExitStack

from machine import CPUS

SYS_PERF_EVENT_OPEN = 298  # x86-64
PERF_TYPE_SOFTWARE = 1
PERF_COUNT_SW_CPU_CLOCK = 0
ATTR = struct.Struct("<IIQQ")  # type, size, config, sample_period of struct perf_event_attr
ATTR_SIZE = 112                # PERF_ATTR_SIZE_VER5

libc = ctypes.CDLL(None, use_errno=True)


class BareClock:
    """A perf event on every CPU that interrupts `rate` times a second and does nothing, while entered."""

    def __init__(self, rate):
        self.rate = rate

    def __enter__(self):
        with ExitStack() as stack:
            for cpu in CPUS:
                attr = ctypes.create_string_buffer(ATTR.pack(
                    PERF_TYPE_SOFTWARE, ATTR_SIZE, PERF_COUNT_SW_CPU_CLOCK, 10**9 // self.rate), ATTR_SIZE)
                fd = libc.syscall(SYS_PERF_EVENT_OPEN, attr, -1, cpu, -1, 0)
                if fd < 0:
                    error = ctypes.get_errno()
                    raise OSError(error, os.strerror(error))
                stack.callback(os.close, fd)
            self.open = stack.pop_all()
        return self

    def __exit__(self, *_):
        self.open.close()
