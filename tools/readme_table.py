# SPDX-License-Identifier: Apache-2.0
"""Tables of the README that tests' results make: one JSON file a row, between a pair of markers."""
import argparse
import json
import pathlib
import re
import subprocess
import sys

ROOT = pathlib.Path(__file__).resolve().parent.parent
README = ROOT / "README.md"


def row(*cells):
    return f"| {' | '.join(map(str, cells))} |\n"


def table(head, rows):
    return row(*head) + row(*("---" for _ in head)) + "".join(row(*cells) for cells in rows)


def results(folder, how, tool):
    """What the tests left; what `tool --list` names and they did not leave is said on standard error."""
    found = [json.loads(path.read_text(encoding="utf-8")) for path in folder.glob("*.json")]
    if not found:
        sys.exit(f"{folder} has no verdicts: {how}")
    listed = subprocess.run([ROOT / "tools" / tool, "--list"], stdout=subprocess.PIPE, text=True, check=True).stdout
    for name in (line.split()[0] for line in listed.splitlines()):
        if name not in {line["name"] for line in found}:
            print(f"not tested: {name}", file=sys.stderr)
    return found


def write(marker, text):
    begin, end = f"<!-- {marker} -->\n", f"<!-- /{marker} -->\n"
    readme = README.read_text(encoding="utf-8")
    changed, found = re.subn(f"({begin}).*({end})", lambda match: match[1] + text + match[2], readme, flags=re.DOTALL)
    if found != 1:
        sys.exit(f"README.md has not one pair of {begin.strip()} and {end.strip()}")
    if changed != readme:
        README.write_text(changed, encoding="utf-8")


def main(doc, marker, made):
    """`made` makes the table from the folder with the results, which is below build/ unless given."""
    parser = argparse.ArgumentParser(description=doc.split("\n", maxsplit=1)[0])
    parser.add_argument("folder", nargs="?", type=pathlib.Path, default=ROOT / "build" / marker, help="where the verdicts are")
    parser.add_argument("--write", action="store_true", help="put it into README.md")
    arguments = parser.parse_args()
    text = made(arguments.folder)
    if arguments.write:
        write(marker, text)
    else:
        print(text, end="")
