# SPDX-License-Identifier: Apache-2.0
"""subinterpreters.py own|given: threads that each burn in an interpreter of their own, in functions of their own names. Each
thread, "sub N", makes its interpreter by itself, or is given one that the main thread made.

The first two share the main interpreter's lock; a third has its own where there is such a thing (3.12+). Each tells its
stacks as knows_stack.py does, {"run N": [[name, file, line], ...]} where it calls the interpreter, and {"burn N": ...} inside;
the main thread tells {"sleep": ...} and sleeps. They let go of the lock by themselves: until 3.12 an interpreter is not asked
to by threads of another.
"""
import json
import os
import sys
import threading
import time

try:
    import _interpreters
except ImportError:
    import _xxsubinterpreters as _interpreters

SOURCE = """
import itertools, os, sys, threading, time

def told(what, value):
    frame, stack = sys._getframe(1), []
    while frame:
        stack.append('["%s", "%s", %d]' % (getattr(frame.f_code, "co_qualname", frame.f_code.co_name), frame.f_code.co_filename, frame.f_lineno))
        frame = frame.f_back
    os.write(1, ('{"%s": [%s]}\\n' % (what, ", ".join(reversed(stack)))).encode())
    return value

def inner_N():
    for _ in told("burn N", itertools.repeat(0)): sum(range(20000)), time.sleep(0)

def outer_N():
    inner_N()

outer_N()
"""


def create(own_lock):
    if sys.version_info >= (3, 13):
        return _interpreters.create("isolated" if own_lock else "legacy")
    if sys.version_info >= (3, 12):
        return _interpreters.create(isolated=own_lock)
    return _interpreters.create()


def told(what, value):
    frame, stack = sys._getframe(1), []
    while frame:
        stack.append([getattr(frame.f_code, "co_qualname", frame.f_code.co_name), frame.f_code.co_filename, frame.f_lineno])
        frame = frame.f_back
    os.write(1, (json.dumps({what: stack[::-1]}) + "\n").encode())
    return value


def run(interpreter, number):
    interpreter = create(number == 2) if interpreter is None else interpreter
    _interpreters.run_string(told(f"run {number}", interpreter), SOURCE.replace("N", str(number)))


def main(whose):
    for number in range(3 if sys.version_info >= (3, 12) else 2):
        interpreter = create(number == 2) if whose == "given" else None
        threading.Thread(target=run, name=f"sub {number}", args=(interpreter, number), daemon=True).start()
    time.sleep(told("sleep", 3600))


main(sys.argv[1])
