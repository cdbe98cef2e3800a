# SPDX-License-Identifier: Apache-2.0
"""knows_stack.py: burns CPU in inner(), called by outer(); a second thread sleeps in nap(), called by sleeper().

Each tells its stack first, as a line of JSON: {"sleep" or "burn": [[name, file, line], ...]}, root first. Neither
leaves the line that it told. Runs on every Python 3, also from a string, from standard input and from an archive.
"""
import _thread
import itertools
import json
import os
import sys
import time


def told(what, value):
    frame, stack = sys._getframe(1), []
    while frame:
        code = frame.f_code
        stack.append([getattr(code, "co_qualname", code.co_name), code.co_filename, frame.f_lineno])
        frame = frame.f_back
    os.write(1, (json.dumps({what: stack[::-1]}) + "\n").encode())
    return value


def nap():
    time.sleep(told("sleep", 3600))


def sleeper():
    nap()


def inner():
    for _ in told("burn", itertools.repeat(0)): pass


def outer():
    inner()


_thread.start_new_thread(sleeper, ())
time.sleep(0.02)
outer()
