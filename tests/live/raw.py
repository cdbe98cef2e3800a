# SPDX-License-Identifier: Apache-2.0
"""A second, independent reader of raw captures: just enough of include/coroscope/event.h to audit the accounts.

The names and numbers of kinds, flags and counters are read from the headers, so that they cannot differ.
"""
import collections
import pathlib
import re
import struct

INCLUDE = pathlib.Path(__file__).resolve().parent.parent.parent / "include" / "coroscope"
HEADER = struct.Struct("<IHHQII")

Record = collections.namedtuple("Record", "kind flags ts_ns pid tid body")


def numbers(header, pattern, after=""):
    text = (INCLUDE / header).read_text(encoding="utf-8")
    return {name: int(number) for name, number in re.findall(pattern, text[text.index(after):])}


KINDS = numbers("event.h", r"\bCS_EV_(\w+) =\s+(\d+),")
ORIGINS = numbers("event.h", r"\bCS_ORIGIN_(\w+) = (\d+),")
END_REASONS = numbers("event.h", r"\bCS_END_(\w+) = (\d+),")
COUNTERS = numbers("status.h", r"\bX\((\w+), (\d+), ", after="#define CS_COUNTER(X)")


def read(path):
    """The records of a capture, and whether it ends with a whole one."""
    data = pathlib.Path(path).read_bytes()
    magic, version, at = struct.unpack_from("<8sII", data)
    assert magic == b"COSRAW\0\0" and version == 1, (magic, version)
    records = []
    while at + HEADER.size <= len(data):
        size, kind, flags, ts_ns, pid, tid = HEADER.unpack_from(data, at)
        if size < HEADER.size or size % 8 or at + size > len(data):
            return records, False
        records.append(Record(kind, flags, ts_ns, pid, tid, data[at + HEADER.size:at + size]))
        at += size
    return records, at == len(data)


def of_kind(records, name):
    return [record for record in records if record.kind == KINDS[name]]


def weight_ns(stack):
    return struct.unpack_from("<Q", stack.body)[0]


def counters(record):
    n = struct.unpack_from("<I", record.body)[0]
    values = struct.unpack_from(f"<{n}Q", record.body, 8)
    return {name: values[number] for name, number in COUNTERS.items() if number < n}


def end_reason(record):
    number = struct.unpack_from("<I", record.body)[0]
    return next(name for name, value in END_REASONS.items() if value == number)
