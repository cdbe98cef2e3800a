#!/usr/bin/env python3
# SPDX-License-Identifier: Apache-2.0
"""Python and native frames in one stack, in their true order: Python that calls C that calls Python, three times over."""
import re

import live

SECONDS = 5
# What ctypes and libffi have between is their own business
ORDER = ("main", "items", "first", "through_one", "second", "through_two", "third",
         "through_three", "burn")
# Of debian-3.14 and debian-3.15, stripped, nine tenths of the loop lie where no symbol is; the system's 3.11 has some of it elsewhere
INTERPRETERS = ("3.8", "3.10", "3.11", "3.12", "3.13", "system", "debian-3.13", "debian-3.14", "debian-3.15", "debug-3.14", "debug-3.15")


def library(folder):
    built = live.run(["cc", "-O2", "-fomit-frame-pointer", "-shared", "-fPIC", "-o", folder / "native_calls.so",
                      live.TARGETS / "native_calls.c"])
    if built.code:
        raise AssertionError(f"cc: {built.err}")
    return folder / "native_calls.so"


def left_out(done):
    """Of how many stacks it says that the two did not match."""
    found = re.search(r"(\d+) of \d+ Python stacks are without their native frames", done.err)
    return int(found.group(1)) if found else 0


def check_interpreter(name, calls):
    with live.target(live.versioned(name), "native_python.py", calls) as program:
        done = live.record("-p", program.pid, "--native", "on", "-m", "cpu", "-d", SECONDS, "-r", "199", "-f", "collapsed")
    found = live.stacks(done.out)
    in_burn = [stack for stack in found if stack.has("burn")]
    every = live.weight(in_burn)
    live.check(f"{name}: it was seen", every >= 20, found)
    merged = [stack for stack in in_burn if stack.has("through_three")]
    live.check(f"{name}: at least 99% of the stacks have their native frames", live.weight(merged) >= 0.99 * every, done.err)
    live.check(f"{name}: what has none is told of", left_out(done) >= every - live.weight(merged), done.err)
    wrong = [stack for stack in merged if not stack.under(*ORDER) or stack.names.count("through_two") != 1]
    live.check(f"{name}: all of them in their true order", not wrong, wrong)
    live.check(f"{name}: the interpreter's own frames are folded away",
               not [stack for stack in merged if any(text.startswith(("_PyEval", "PyObject_", "_PyObject_"))
                                                     for text in stack.names)], merged)


def test_calls():
    with live.scratch() as folder:
        calls = library(folder)
        for name in (live.INTERPRETER,) if live.INTERPRETER else INTERPRETERS:
            try:
                check_interpreter(name, calls)
            except live.Skip as skip:
                print(f"SKIP: {name}: {skip}", flush=True)


live.main(test_calls)
