#!/usr/bin/env python3
# SPDX-License-Identifier: Apache-2.0
"""The README's table of interpreters, from what the live tests (tests/live/supports.py) wrote.

    tools/support_table.py [FOLDER]           print it
    tools/support_table.py --write [FOLDER]   put it into README.md, between its markers

FOLDER is build/supports unless given. An interpreter without a file there has not been tested: it is not in the table, and
standard error says so. Why something is a "no" is listed below the table.
"""
import sys

sys.dont_write_bytecode = True  # root leaves no files in the user's tree

import readme_table

VERDICTS = ("cpu", "wall", "names", "lines", "threads", "subinterpreters")
LEGEND = "\nouter frames: a thread that runs a subinterpreter is shown with its frames outside it, which end at the call into it.\n"


def order(line):
    """By version, and the plain build first."""
    return [int(part) for part in line["version"].split(".")], line["built"], line["name"]


def made(folder):
    lines = sorted(readme_table.results(folder, "ctest -R live/supports (as root)", "pythons"), key=order)
    rows = [[line[key] for key in ("version", "built", *VERDICTS)] for line in lines]
    reasons = [f"- {line['version']}, {line['built']}: {why}\n" for line in lines for why in line["why"]]
    return readme_table.table(("CPython", "how it is built", *VERDICTS), rows) + LEGEND + "".join(["\n", *reasons] if reasons else [])


if __name__ == "__main__":
    readme_table.main(__doc__, "supports", made)
