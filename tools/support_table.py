#!/usr/bin/env python3
# SPDX-License-Identifier: Apache-2.0
"""The README's table of interpreters, from what the live tests (tests/live/supports.py) wrote.

    tools/support_table.py [FOLDER]           print it
    tools/support_table.py --write [FOLDER]   put it into README.md, between its markers

FOLDER is build/supports unless given. An interpreter without a file there has not been tested: it is not in the table, and
standard error says so. Why something is a "no" is listed below the table.
"""
import argparse
import json
import pathlib
import re
import subprocess
import sys

ROOT = pathlib.Path(__file__).resolve().parent.parent
README = ROOT / "README.md"
BEGIN, END = "<!-- supports -->\n", "<!-- /supports -->\n"
VERDICTS = ("cpu", "wall", "names", "lines", "threads", "subinterpreters")
LEGEND = "\nouter frames: a thread that runs a subinterpreter is shown with its frames outside it, which end at the call into it.\n"


def order(line):
    """By version, and the plain build first."""
    return [int(part) for part in line["version"].split(".")], line["built"], line["name"]


def row(*cells):
    return f"| {' | '.join(cells)} |\n"


def verdicts(folder):
    found = [json.loads(path.read_text(encoding="utf-8")) for path in folder.glob("*.json")]
    if not found:
        sys.exit(f"{folder} has no verdicts: ctest -R live/supports (as root)")
    listed = subprocess.run([ROOT / "tools" / "pythons", "--list"], stdout=subprocess.PIPE, text=True, check=True).stdout
    for name in (line.split()[0] for line in listed.splitlines()):
        if name not in {line["name"] for line in found}:
            print(f"not tested: {name}", file=sys.stderr)
    return sorted(found, key=order)


def table(lines):
    head = ("CPython", "how it is built", *VERDICTS)
    rows = [row(*(line[key] for key in ("version", "built", *VERDICTS))) for line in lines]
    reasons = [f"- {line['version']}, {line['built']}: {why}\n" for line in lines for why in line["why"]]
    return row(*head) + row(*("---" for _ in head)) + "".join(rows) + LEGEND + "".join(["\n", *reasons] if reasons else [])


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
    text = table(verdicts(arguments.folder))
    if arguments.write:
        write(text)
    else:
        print(text, end="")


if __name__ == "__main__":
    main()
