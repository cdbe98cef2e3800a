# SPDX-License-Identifier: Apache-2.0
"""What the kernel says a BPF program cost: how often it ran, and for how long.

Straight system calls, so that no bpftool is needed and a program can be held past the end of the process that
loaded it: its last numbers then agree with the accounts in the finished capture. The kernel's clock readings
around each run are part of the numbers (some 20 to 40 ns).
"""
import ctypes
import os
from pathlib import Path

SYS_BPF = 321  # x86-64, the only architecture supported so far
# enum bpf_cmd of linux/bpf.h
PROG_GET_FD_BY_ID = 13
OBJ_GET_INFO_BY_FD = 15
ENABLE_STATS = 32

libc = ctypes.CDLL(None, use_errno=True)


class IdAttr(ctypes.Structure):
    """union bpf_attr, the part of the *_GET_FD_BY_ID commands."""
    _fields_ = [("id", ctypes.c_uint32), ("next_id", ctypes.c_uint32), ("flags", ctypes.c_uint32)]


class InfoAttr(ctypes.Structure):
    """union bpf_attr, the part of OBJ_GET_INFO_BY_FD."""
    _fields_ = [("fd", ctypes.c_uint32), ("size", ctypes.c_uint32), ("info", ctypes.c_uint64)]


class ProgInfo(ctypes.Structure):
    """struct bpf_prog_info: the fields between are not of interest."""
    _fields_ = [("type", ctypes.c_uint32), ("id", ctypes.c_uint32), ("skip", ctypes.c_uint8 * 56),
                ("name", ctypes.c_char * 16), ("skip2", ctypes.c_uint8 * 112),
                ("run_time_ns", ctypes.c_uint64), ("run_cnt", ctypes.c_uint64)]


def bpf(command, attr):
    result = libc.syscall(SYS_BPF, command, ctypes.byref(attr), ctypes.sizeof(attr))
    if result < 0:
        error = ctypes.get_errno()
        raise OSError(error, os.strerror(error))
    return result


class Collecting:
    """The kernel keeps statistics while this is entered. Ends with the file descriptor, whatever happens."""

    def __enter__(self):
        self.fd = bpf(ENABLE_STATS, ctypes.c_uint32(0))
        return self

    def __exit__(self, *_):
        os.close(self.fd)


class Program:
    """A loaded program, held until close()."""

    def __init__(self, prog_id):
        self.fd = bpf(PROG_GET_FD_BY_ID, IdAttr(id=prog_id))
        self.name = self._info().name.decode()

    def _info(self):
        info = ProgInfo()
        bpf(OBJ_GET_INFO_BY_FD, InfoAttr(self.fd, ctypes.sizeof(info), ctypes.addressof(info)))
        return info

    def runs(self):
        """(times run, nanoseconds), of all CPUs together."""
        info = self._info()
        return info.run_cnt, info.run_time_ns

    def close(self):
        os.close(self.fd)


def programs_of(pid):
    """{name: Program} of the programs that a process has open; the caller closes them. One that it closes meanwhile is left out."""
    found = {}
    for entry in Path(f"/proc/{pid}/fdinfo").iterdir():
        try:
            fields = dict(line.split(":", 1) for line in entry.read_text().splitlines() if ":" in line)
            program = Program(int(fields["prog_id"])) if "prog_type" in fields and "prog_id" in fields else None
        except OSError:
            continue
        if program:
            found[program.name] = program
    return found
