#!/usr/bin/env python3
# SPDX-License-Identifier: Apache-2.0
"""clang-tidy has nothing to say about userspace/; .clang-tidy holds the checks and their reasons.

Takes the build folder as its argument: its compile_commands.json says how each file is compiled, and
its generated headers (BPF skeleton, protobuf) must have been built.

To judge all files takes minutes, and most are as they were the last time. So a file about which there was nothing to say is
remembered by the contents of all that its compiler reads, the tool and its configuration, and not judged again.
"""
import concurrent.futures
import functools
import hashlib
import json
import os
import pathlib
import re
import shlex
import subprocess
import sys
import time

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


REMEMBERED = pathlib.Path.home() / ".cache" / "coroscope" / "tidy"
LASTS_S = 30 * 86400


@functools.lru_cache(maxsize=None)
def content(path):
    return hashlib.sha256(pathlib.Path(path).read_bytes()).hexdigest()


@functools.lru_cache(maxsize=None)
def version_of(tool):
    return subprocess.run([tool, "--version"], capture_output=True, text=True).stdout


def digest(tool, command):
    """Of all that a judgement about the file of this compile command depends on; None if its compiler cannot tell what it reads."""
    words = shlex.split(command["command"])
    flags = [word for word in words[1:] if word not in ("-c", "-o") and not word.endswith((".c", ".o"))]
    done = subprocess.run([words[0], *flags, "-M", "-MT", "x", command["file"]], capture_output=True, text=True, cwd=command["directory"])
    if done.returncode:
        return None
    read = done.stdout.removeprefix("x:").replace("\\\n", " ").split()
    options = [flag for flag in flags if not flag.startswith("-I")]
    parts = [version_of(tool), content(check_common.ROOT / ".clang-tidy"), *options,
             *(content(os.path.join(command["directory"], path)) for path in read)]
    return hashlib.sha256("\n".join(parts).encode()).hexdigest()


def digests(tool, folder):
    """{file: its digest} of all that are compiled in a build folder."""
    commands = json.loads(pathlib.Path(folder, "compile_commands.json").read_text(encoding="utf-8"))
    with concurrent.futures.ThreadPoolExecutor(os.cpu_count()) as pool:
        found = pool.map(lambda command: (command["file"], digest(tool, command)),
                         [command for command in commands if "/userspace/" in command["file"]])
        return dict(found)


def remember(key):
    REMEMBERED.mkdir(parents=True, exist_ok=True)
    (REMEMBERED / key).touch()


def is_remembered(key):
    known = bool(key) and (REMEMBERED / key).exists()
    if known:
        os.utime(REMEMBERED / key)
    return known


def forget_old(now):
    """What was not asked for in a month goes, so that the folder does not grow."""
    for path in REMEMBERED.glob("*") if REMEMBERED.is_dir() else ():
        if now - path.stat().st_mtime > LASTS_S:
            path.unlink(missing_ok=True)


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
    keys = digests(tool, sys.argv[1]) if root == check_common.ROOT else {}
    forget_old(time.time())

    def judge(path):
        key = keys.get(str(root / path))
        if is_remembered(key):
            return []
        found = tidy(tool, root, path, compilation)
        if key and not found:
            remember(key)
        return found
    with concurrent.futures.ThreadPoolExecutor(os.cpu_count()) as pool:
        results = pool.map(judge, paths)
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
    os.nice(19)  # with what others leave: CTest runs it beside tests that wait
    check_common.main(check, CASES)
