#!/usr/bin/env python3
# SPDX-License-Identifier: Apache-2.0
"""Every .c and .h file is as clang-format writes it.
"""
import re
import subprocess

import check_common

FINDING = re.compile(r"(.*:\d+):\d+: error: (.*)")


def check(root):
    tool = check_common.require_llvm("clang-format")
    paths = [str(path) for path in check_common.files(root) if path.suffix in (".c", ".h")]
    if not paths:
        return
    style = f"--style=file:{check_common.ROOT / '.clang-format'}"
    done = subprocess.run([tool, style, "--dry-run", "-Werror", *paths], cwd=root,
                          capture_output=True, text=True)
    matches = map(FINDING.match, done.stderr.splitlines())
    yield from dict.fromkeys(f"{match.group(1)}: {match.group(2)}" for match in matches if match)


CASES = [
    ({"userspace/core/a.c": "int f(void)\n{\n\treturn 0;\n}\n"}, []),
    ({"bpf/a.bpf.h": "int f(void) {\n\treturn 0;\n}\n"}, ["bpf/a.bpf.h:1: code should be clang-formatted"]),
]

if __name__ == "__main__":
    check_common.main(check, CASES)
