#!/usr/bin/env python3
# SPDX-License-Identifier: Apache-2.0
"""Every source file says its licence in its first lines, in one spelling, and the one of its folder.

User space is Apache-2.0. What runs in the kernel is `Dual BSD/GPL`, as its licence string says. The
headers that both sides read may be used under either.
"""
import check_common

USER = "Apache-2.0"
KERNEL = "GPL-2.0-only OR BSD-2-Clause"
BOTH = f"{USER} OR {KERNEL}"
LICENCES = {"bpf": (KERNEL,), "vmlinux": (KERNEL, USER), "include": (BOTH,)}
SUFFIXES = (".c", ".h", ".inc", ".py", ".sh", ".cmake", ".proto")
TAG = "SPDX-License-" + "Identifier:"


def is_source(root, path):
    if path.suffix in SUFFIXES:
        return True
    with open(root / path, "rb") as file:
        return file.read(2) == b"#!"


def check(root):
    for path in check_common.files(root):
        if not is_source(root, path) or (root / path).stat().st_size == 0:
            continue
        tags = [line for number, line in check_common.lines(root, path) if number <= 3 and TAG in line]
        if not tags:
            yield f"{path}:1: no line '{TAG} ...' among the first three"
            continue
        said = tags[0].split(TAG)[1].replace("*/", "").strip()
        wanted = LICENCES.get(path.parts[0], (USER, BOTH))
        if said not in wanted:
            yield f"{path}:1: licence '{said}', expected '{wanted[0]}'"


CASES = [
    ({"userspace/core/a.c": f"/* {TAG} {USER} */\n", "bpf/a.bpf.c": f"/* {TAG} {KERNEL} */\n",
      "include/coroscope/a.h": f"/* {TAG} {BOTH} */\n", "tools/x": f"#!/bin/sh\n# {TAG} {USER}\n",
      "README.md": "no licence line needed\n"}, []),
    ({"userspace/core/a.c": "int x;\n"}, ["userspace/core/a.c:1: no line"]),
    ({"tools/run": "#!/bin/sh\ntrue\n"}, ["tools/run:1: no line"]),
    ({"bpf/a.bpf.c": f"/* {TAG} {USER} */\n"}, ["bpf/a.bpf.c:1: licence 'Apache-2.0'"]),
    ({"userspace/core/a.c": f"/* {TAG} MIT */\n"}, ["userspace/core/a.c:1: licence 'MIT'"]),
]

if __name__ == "__main__":
    check_common.main(check, CASES)
