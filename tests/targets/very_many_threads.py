# SPDX-License-Identifier: Apache-2.0
"""very_many_threads.py COUNT: COUNT threads asleep in rest(), and one, begun first, that burns CPU in first_burn()."""
import sys
import threading
import time


def first_burn():
    while True:
        pass


def rest():
    time.sleep(600)


def main():
    sys.setswitchinterval(0.001)
    threading.stack_size(64 << 10)
    for _ in range(int(sys.argv[1])):
        threading.Thread(target=rest, daemon=True).start()
    threading.Thread(target=first_burn, daemon=True).start()
    print("ready", flush=True)
    rest()


main()
