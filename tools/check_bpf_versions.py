#!/usr/bin/env python3
# SPDX-License-Identifier: Apache-2.0
"""No Python version in bpf/: what differs between versions reaches the kernel as offsets and traits.

Comments count too: one that needs a version to explain itself belongs to userspace/python/.
"""
import re

import check_common

PATTERNS = (
    (re.compile(r"(?<![\w.])3\.\d"), "a Python version number"),
    (re.compile(r"\b0x03[01][0-9a-fA-F]", re.IGNORECASE), "a PY_VERSION_HEX number"),
    (re.compile(r"PY_(VERSION|MAJOR|MINOR)|\bpy_?(version|major|minor)", re.IGNORECASE), "a test of Python's version"),
    (re.compile(r"(?<![a-z0-9])(py|python|cpython)_?3(_?\d+)?(?![a-z0-9])", re.IGNORECASE), "a name made for one Python version"),
)


def check(root):
    for path in check_common.files(root):
        if path.parts[0] != "bpf":
            continue
        for number, line in check_common.lines(root, path):
            for pattern, what in PATTERNS:
                match = pattern.search(line)
                if match:
                    yield f"{path}:{number}: {match.group()!r}: {what}"
                    break


CASES = [
    ({"bpf/a.bpf.c": "/* kernel 5.18 and later; 13.3.1 */\nint py_frames[3];\nlong x = 0x30;\n",
      "userspace/python/interp.c": "/* 3.12 */\n"}, []),
    ({"bpf/a.bpf.c": "/* CPython 3.12 */\n"}, ["bpf/a.bpf.c:1: '3.1'"]),
    ({"bpf/a.bpf.c": "\nif (v >= 0x030c0000)\n"}, ["bpf/a.bpf.c:2: '0x030"]),
    ({"bpf/a.bpf.h": "int walk_py311(void);\n"}, ["bpf/a.bpf.h:1: 'py311'"]),
    ({"bpf/a.bpf.h": "if (proc->py_minor > 11)\n"}, ["bpf/a.bpf.h:1: 'py_minor'"]),
    ({"bpf/CMakeLists.txt": "find_package(Python3)\n"}, ["bpf/CMakeLists.txt:1: 'Python3'"]),
]

if __name__ == "__main__":
    check_common.main(check, CASES)
