# SPDX-License-Identifier: Apache-2.0
"""Makes functions and throws them away, so that code objects' memory is reused all the time.

Usage: thrown_away.py [SECONDS]. Each round compiles outer_K and inner_K (K = 0 to 9) and calls them: on a true
stack outer_I never stands right below inner_J with J other than I.
"""

import sys
import time

SOURCE = """
def outer_{k}(n):
    return inner_{k}(n)
def inner_{k}(n):
    total = 0
    for i in range(n):
        total += i * {k}
    return total
"""


def one_round(k):
    namespace = {}
    exec(compile(SOURCE.format(k=k), "thrown_away", "exec"), namespace)
    namespace[f"outer_{k}"](2000)


def main():
    end = time.monotonic() + (float(sys.argv[1]) if len(sys.argv) > 1 else 60)
    print("ready", flush=True)
    k = 0
    while time.monotonic() < end:
        one_round(k % 10)
        k += 1


main()
