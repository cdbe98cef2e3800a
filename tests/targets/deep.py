# SPDX-License-Identifier: Apache-2.0
"""deep.py [DEPTH]: burns CPU below DEPTH (default 50) calls of one recursive Python function."""
import sys


def burn():
    while True:
        pass


def descend(levels):
    if levels <= 1:
        print("ready", flush=True)
        burn()
    descend(levels - 1)


def main():
    depth = int(sys.argv[1]) if len(sys.argv) > 1 else 50
    sys.setrecursionlimit(depth + 1000)
    descend(depth)


main()
