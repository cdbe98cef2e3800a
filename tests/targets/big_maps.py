# SPDX-License-Identifier: Apache-2.0
"""big_maps.py MAPPINGS: maps 3 GB in one piece and as many small pieces as asked for, then burns CPU in burn()."""
import mmap
import sys


def burn():
    while True:
        pass


def main():
    big = mmap.mmap(-1, 3 << 30)
    big[0], big[-1] = 1, 1
    # neighbours of different protection do not become one mapping
    small = [mmap.mmap(-1, 4096, prot=mmap.PROT_READ | (mmap.PROT_WRITE if i % 2 else 0)) for i in range(int(sys.argv[1]))]
    print("ready", flush=True)
    burn()
    return small


main()
