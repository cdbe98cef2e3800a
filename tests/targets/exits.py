# SPDX-License-Identifier: Apache-2.0
"""exits.py [SECONDS [STATUS]]: burns CPU and ends after SECONDS (default 1) with exit status STATUS (0)."""
import sys
import time


def burn(seconds):
    end = time.monotonic() + seconds
    while time.monotonic() < end:
        pass


def main():
    print("ready", flush=True)
    burn(float(sys.argv[1]) if len(sys.argv) > 1 else 1.0)
    sys.exit(int(sys.argv[2]) if len(sys.argv) > 2 else 0)


main()
