#!/usr/bin/env python3
# SPDX-License-Identifier: Apache-2.0
"""No function of userspace/ or bpf/ is longer than LIMIT lines between its braces.

Relies on the format that `check/format` proves: a function's braces, and nothing else's, stand alone in
the first column.
"""
import check_common

LIMIT = 60


def check(root):
    for path in check_common.files(root):
        if path.parts[0] not in ("userspace", "bpf") or path.suffix not in (".c", ".h"):
            continue
        start, name = 0, ""
        for number, line in check_common.lines(root, path):
            if line == "{":
                start = number
            elif start and line.startswith("}"):
                if number - start - 1 > LIMIT:
                    yield f"{path}:{start}: {name} has {number - start - 1} lines, more than {LIMIT}"
                start = 0
            elif not start and "(" in line and (line[0].isalpha() or line[0] == "_"):
                name = line.split("(")[0].split()[-1].lstrip("*") + "()"


def function(nlines):
    return "static int f(int x)\n{\n" + "\tx++;\n" * nlines + "}\n"


CASES = [
    ({"userspace/core/a.c": function(LIMIT) + function(LIMIT), "tests/unit/a.c": function(LIMIT + 1)}, []),
    ({"bpf/a.bpf.c": "struct s {\n" + "\tint x;\n" * (LIMIT + 1) + "};\n" + function(1)}, []),
    ({"userspace/core/a.c": function(LIMIT + 1)}, ["userspace/core/a.c:2: f() has 61 lines"]),
    ({"bpf/a.bpf.h": function(3) + function(LIMIT + 9)}, ["bpf/a.bpf.h:8: f() has 69 lines"]),
]

if __name__ == "__main__":
    check_common.main(check, CASES)
