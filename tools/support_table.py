#!/usr/bin/env python3
# SPDX-License-Identifier: Apache-2.0
"""The README's table of interpreters, from what the live tests (tests/live/supports.py) wrote.

    tools/support_table.py [FOLDER]           print it
    tools/support_table.py --write [FOLDER]   put it into README.md, between its markers

FOLDER is build/supports unless given. An interpreter without a file there has not been tested, and is not in the table.
"""
import argparse
import json
import pathlib
import re
import sys

ROOT = pathlib.Path(__file__).resolve().parent.parent
README = ROOT / "README.md"
BEGIN, END = "<!-- supports -->\n", "<!-- /supports -->\n"
VERDICTS = ("cpu", "wall", "names", "lines", "threads", "subinterpreters")


def order(line):
    """By version, and the plain build first."""
    return [int(part) for part in line["version"].split(".")], line["built"], line["name"]


def row(*cells):
    return f"| {' | '.join(cells)} |\n"


def table(folder):
    lines = [json.loads(path.read_text(encoding="utf-8")) for path in folder.glob("*.json")]
    if not lines:
        sys.exit(f"{folder} has no verdicts: ctest -R live/supports (as root)")
    head = ("CPython", "how it is built", *VERDICTS)
    rows = [row(*(line[key] for key in ("version", "built", *VERDICTS))) for line in sorted(lines, key=order)]
    return row(*head) + row(*("---" for _ in head)) + "".join(rows)


def write(text):
    readme = README.read_text(encoding="utf-8")
    changed, found = re.subn(f"({BEGIN}).*({END})", lambda match: match[1] + text + match[2], readme, flags=re.DOTALL)
    if found != 1:
        sys.exit(f"README.md has not one pair of {BEGIN.strip()} and {END.strip()}")
    if changed != readme:
        README.write_text(changed, encoding="utf-8")


def main():
    parser = argparse.ArgumentParser(description=__doc__.split("\n", maxsplit=1)[0])
    parser.add_argument("folder", nargs="?", type=pathlib.Path, default=ROOT / "build" / "supports", help="where the verdicts are")
    parser.add_argument("--write", action="store_true", help="put it into README.md")
    arguments = parser.parse_args()
    text = table(arguments.folder)
    if arguments.write:
        write(text)
    else:
        print(text, end="")


if __name__ == "__main__":
    main()
