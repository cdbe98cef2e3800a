# SPDX-License-Identifier: Apache-2.0
"""The account of a whole raw capture, however long it is: read without the gigabyte of records before it, and balanced."""
import re
import struct

import live
import raw

DUE = re.compile(r"due ticks (\d+) = (\d+) samples \+ (\d+) idle \+ (\d+) of other processes \+ (\d+) missed \+ (\d+) lost")


def headers(file):
    """(header of each record, where its body begins). A capture that is cut ends with an error."""
    _, _, at = struct.unpack("<8sII", file.read(16))
    while True:
        file.seek(at)
        head = file.read(raw.HEADER.size)
        if not head:
            return
        header = raw.HEADER.unpack(head)
        yield header, at + raw.HEADER.size
        at += header[0]


def read(path):
    """{counter: value} of the whole. The capture must be whole, and what is counted of passes must add up."""
    total = last = None
    with open(path, "rb") as file:
        for (size, kind, flags, ts_ns, pid, tid), at in headers(file):
            last = kind
            if kind == raw.KINDS["STATS"] and pid == 0:
                file.seek(at)
                total = raw.counters(raw.Record(kind, flags, ts_ns, pid, tid, file.read(size - raw.HEADER.size)))
    live.check("the capture is whole, and all its passes are accounted for", last == raw.KINDS["END"] and total and
               total["PASSES"] == sum(total["PASSES_" + kind] for kind in ("QUIET", "IN_TASK", "PER_TASK", "FAILED")), total)
    return total


def check_said(err):
    """What a summary says of due ticks adds up."""
    due, *parts = map(int, DUE.search(err).groups())
    live.check("due ticks are all accounted for", due == sum(parts), err)
