#!/usr/bin/env python3
# SPDX-License-Identifier: Apache-2.0
"""The README's table of kernels, from what the tests that boot them (tests/kernels/kernel.py) wrote.

    tools/kernel_table.py [FOLDER]           print it
    tools/kernel_table.py --write [FOLDER]   put it into README.md, between its markers

FOLDER is build/kernels unless given. A kernel without a file there has not been tested: it is not in the table, and
standard error says so. Why something is a "no" is listed below the table.
"""
import re
import sys

sys.dont_write_bytecode = True  # root leaves no files in the user's tree

import readme_table

NO_VERDICTS = ("name", "kernel", "verified", "why")


def order(line):
    return [int(part) for part in re.findall(r"\d+", line["kernel"])]


def made(folder):
    """A kernel a column: there are fewer of them than verdicts."""
    lines = sorted(readme_table.results(folder, "ctest -L kernels", "kernels"), key=order)
    verdicts = list(dict.fromkeys(key for line in lines for key in line if key not in NO_VERDICTS))
    rows = [[what, *(line.get(what, "not tested") for line in lines)] for what in verdicts]
    rows.append(["instructions verified, at most", *(f"{line['verified']:,}" if line["verified"] else "not told" for line in lines)])
    reasons = [f"- {line['kernel']}: {why}\n" for line in lines for why in line["why"]]
    return readme_table.table(("", *(line["kernel"].removesuffix("-cloud-amd64") for line in lines)), rows) + "".join(["\n", *reasons] if reasons else [])


if __name__ == "__main__":
    readme_table.main(__doc__, "kernels", made)
