#!/usr/bin/env python3
# SPDX-License-Identifier: Apache-2.0
"""truth.py COROSCOPE: the short form of tools/bench/truth: two interpreters, both modes; its figures are printed."""
import os
import pathlib
import sys

import live

BENCH = pathlib.Path(__file__).resolve().parents[2] / "tools" / "bench" / "truth"


def interpreters():
    """How many the bench has to choose from."""
    pythons = BENCH.parents[1] / "pythons"
    return sum(live.run([sys.executable, "-B", str(pythons), "--path", name]).code == 0 for name in ("3.12", "3.9", "system", "3.13"))


def test_truth():
    if interpreters() < 2:
        raise live.Skip("needs two of the interpreters 3.12, 3.9, 3.13 and the system's: tools/pythons 3.12 3.9")
    done = live.run([sys.executable, "-B", str(BENCH), "--short", "--coroscope", os.path.abspath(live.COROSCOPE)], timeout=120)
    print(done.out, flush=True)
    live.check("no stack is impossible, and every share is within its bound", done.code == live.OK, done.err)


live.main(test_truth)
