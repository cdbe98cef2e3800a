# SPDX-License-Identifier: Apache-2.0
"""What the checkers of `ctest -L check` share: which files are ours, and how a checker runs.

A checker is a generator `check(root)` of findings, texts of the form "path:line: what is wrong", and
CASES: made-up trees with the findings they must give. `--self-test` runs the cases, so a checker that
has gone blind fails by itself. Exit status: 0 clean, 1 findings, 77 (CTest's skip) if a tool is missing.
"""
import subprocess
import sys
import tempfile
from pathlib import Path

LLVM_VERSION = "14"
ROOT = Path(__file__).resolve().parent.parent


class Skip(Exception):
    """The check cannot run here; the text says what is missing."""


def files(root):
    """Paths, relative to root, of the files that git tracks or would track; without git, of all."""
    command = ["git", "-c", "safe.directory=*", "-C", str(root), "ls-files", "-z",
               "--cached", "--others", "--exclude-standard"]
    try:
        listing = subprocess.run(command, capture_output=True, check=True).stdout.decode()
        names = [Path(name) for name in listing.split("\0") if name]
    except (OSError, subprocess.CalledProcessError):
        names = [path.relative_to(root) for path in root.rglob("*")
                 if not any(part.startswith("build") or part == "__pycache__"
                            for part in path.relative_to(root).parts)]
    return sorted(path for path in set(names) if (root / path).is_file())


def lines(root, path):
    """(number from 1, line) of one file."""
    text = (root / path).read_text(encoding="utf-8", errors="replace")
    return enumerate(text.splitlines(), start=1)


def failed_cases(check, cases):
    """Yields one text per case whose findings differ from the expected beginnings of findings."""
    for number, (tree, expected) in enumerate(cases):
        with tempfile.TemporaryDirectory() as folder:
            root = Path(folder)
            for name, text in tree.items():
                (root / name).parent.mkdir(parents=True, exist_ok=True)
                (root / name).write_text(text, encoding="utf-8")
            found = list(check(root))
        if len(found) != len(expected) or not all(map(str.startswith, found, expected)):
            yield f"self-test: CASES[{number}]: expected {expected}, found {found}"


def require_llvm(tool):
    """Name of an LLVM tool of LLVM_VERSION; raises Skip if there is none.

    Versions disagree about corner cases and learn new warnings: one judges, so that what passes here
    passes everywhere.
    """
    for name in (f"{tool}-{LLVM_VERSION}", tool):
        try:
            said = subprocess.run([name, "--version"], capture_output=True, text=True,
                                  check=True).stdout
        except (OSError, subprocess.CalledProcessError):
            continue
        if f"version {LLVM_VERSION}." in said:
            return name
    raise Skip(f"{tool} {LLVM_VERSION} is not installed, and other versions judge differently "
               f"(Debian 12 and Ubuntu 24.04 have {tool}-{LLVM_VERSION}; Debian 13 has not)")


def main(check, cases):
    """The command line of every checker."""
    try:
        found = list(failed_cases(check, cases) if "--self-test" in sys.argv[1:] else check(ROOT))
    except Skip as reason:
        print(f"SKIP: {reason}")
        sys.exit(77)
    for finding in found:
        print(finding)
    sys.exit(1 if found else 0)
