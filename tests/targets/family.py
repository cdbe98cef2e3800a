# SPDX-License-Identifier: Apache-2.0
"""family.py [NAME [PYTHON]]: a process and its descendants, each of which burns CPU in a function that tells who it is, until it is ended.

NAME "all", or none: burns in first() and has a child that burns in early(). When it is told to (SIGUSR1), it begins a program that burns
in begun(), on the interpreter PYTHON, else its own; and the child, told too, forks one that burns in late(). "soon": the same, told at
once. Another NAME: burns in the function of that name, alone.
"""
import os
import signal
import subprocess
import sys
import time

LIFE_S = 100  # of one that nobody ends
told = []


def burn(until=()):
    end = time.monotonic() + LIFE_S
    while not until and time.monotonic() < end:
        any(map(bool, bytes(1000)))


def first(python):
    burn(told)
    subprocess.Popen([python, "-B", __file__, "begun"], stdout=subprocess.DEVNULL)
    burn()


def early():
    burn(told)
    (burn if os.fork() else late)()


def late():
    burn()


def begun():
    burn()


def stranger():
    burn()


def main(name="all", python=sys.executable):
    signal.signal(signal.SIGUSR1, lambda *_: told.append(True))
    if name == "soon":
        told.append(True)
    elif name != "all":
        print("ready", flush=True)
        return globals()[name]()
    if not os.fork():
        return early()
    print("ready", flush=True)
    first(python)


if __name__ == "__main__":
    main(*sys.argv[1:])
