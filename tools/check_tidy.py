#!/usr/bin/env python3
# SPDX-License-Identifier: Apache-2.0
"""clang-tidy has nothing to say about userspace/; .clang-tidy holds the checks and their reasons.

Takes the build folder as its argument: its compile_commands.json says how each file is compiled, and
its generated headers (BPF skeleton, protobuf) must have been built.
"""
import concurrent.futures
import os
import re
import subprocess
import sys

import check_common

FINDING = re.compile(r"(\S+:\d+):\d+: (?:error|warning): (.*)")
EXPANSION = re.compile(r"(\S+):\d+:\d+: note: expanded from macro")
STEP = re.compile(r"\S+:\d+:\d+: note: ")


def findings(output):
    """(path:line, text) of each finding, without what the analyzer says about the inside of uthash's macros.

    It does not know that a linked element has a table, and cannot follow the hash function over a key.
    """
    current, inside = None, False
    for line in output.splitlines():
        match = FINDING.match(line)
        if match:
            if current:
                yield current
            current, inside = match.groups(), True
        elif EXPANSION.match(line):
            in_uthash = EXPANSION.match(line).group(1).endswith("/uthash.h")
            if current and inside and in_uthash and "clang-analyzer" in current[1]:
                current = None
        elif STEP.match(line):
            inside = False  # from here on: how the analyzer got there
    if current:
        yield current


def tidy(tool, root, path, compilation):
    """Findings about one file, and its headers, as a list."""
    config = f"--config-file={check_common.ROOT / '.clang-tidy'}"
    command = [tool, "--quiet", config, *compilation[0], str(root / path), *compilation[1]]
    done = subprocess.run(command, capture_output=True, text=True)
    if done.returncode and not FINDING.search(done.stdout):
        return [f"{path}:1: {tool} failed: {done.stderr.strip()}"]
    return [f"{where.removeprefix(f'{root}/')}: {text}" for where, text in findings(done.stdout)]


def check(root):
    tool = check_common.require_llvm("clang-tidy")
    compilation = (["-p", sys.argv[1]], []) if root == check_common.ROOT else ([], ["--"])
    paths = [path for path in check_common.files(root)
             if path.parts[0] == "userspace" and path.suffix == ".c"]
    with concurrent.futures.ThreadPoolExecutor(os.cpu_count()) as pool:
        results = pool.map(lambda path: tidy(tool, root, path, compilation), paths)
        # A header's finding comes back from every file that includes it.
        yield from sorted({finding for found in results for finding in found})


UTHASH = """#include <stdlib.h>
#include <uthash.h>
struct s {
	unsigned long key[4];
	UT_hash_handle hh;
};
struct s *find(struct s *all, unsigned long a)
{
	unsigned long key[4] = {a, a, a, a};
	struct s *found;

	HASH_FIND(hh, all, &key, sizeof(key), found);
	return found;
}
"""
CASES = [
    ({"userspace/core/a.c": UTHASH}, []),
    ({"userspace/core/a.c": "int f(int x)\n{\n\treturn x;\n}\n"}, []),
    ({"userspace/core/a.c": "int f(int x)\n{\n\tint y = 0;\n\treturn x / y;\n}\n"},
     ["userspace/core/a.c:4: Division by zero"]),
    ({"userspace/core/a.c": "int f(void)\n{\n\treturn undeclared;\n}\n"},
     ["userspace/core/a.c:3: use of undeclared"]),
]

if __name__ == "__main__":
    if len(sys.argv) != 2:
        sys.exit("usage: check_tidy.py BUILD_FOLDER | --self-test")
    check_common.main(check, CASES)
