# SPDX-License-Identifier: Apache-2.0
"""family.py [NAME]: a process and its descendants, each of which burns CPU in a function that tells who it is.

Without a NAME: burns in first() and has a child that burns in early(); half a second after it said "ready" it begins a program
that burns in begun(), and the child forks one that burns in late(). With one: burns in the function of that name, alone.
"""
import os
import subprocess
import sys
import time


def burn(seconds=5):
    end = time.monotonic() + seconds
    while time.monotonic() < end:
        any(map(bool, bytes(1000)))


def first():
    burn()


def early():
    burn(0.5)
    (burn if os.fork() else late)()


def late():
    burn()


def begun():
    burn()


def main():
    if len(sys.argv) > 1:
        print("ready", flush=True)
        return globals()[sys.argv[1]]()
    child = os.fork()
    if not child:
        os.setpgid(0, os.getppid())
        return early()
    print("ready", flush=True)
    burn(0.5)
    subprocess.Popen([sys.executable, __file__, "begun"], stdout=subprocess.DEVNULL)
    first()


if __name__ == "__main__":
    os.setpgid(0, 0)
    main()
