# SPDX-License-Identifier: Apache-2.0
"""stormy.py SECONDS RATE: RATE forks and execs a second for SECONDS, each a short Python process that burns CPU.

Every other one is a fork that burns in forked_burn, the others execute this interpreter again and burn in executed_burn.
"""
import os
import subprocess
import sys
import time


def forked_burn(seconds):
    end = time.thread_time() + seconds
    while time.thread_time() < end:
        pass


def reap(children):
    """Those that have ended."""
    return [pid for pid in children if os.waitpid(pid, os.WNOHANG)[0] == 0]


def main():
    seconds, rate = float(sys.argv[1]), float(sys.argv[2])
    script = "import time\ndef executed_burn():\n  end = time.thread_time() + 0.002\n  while time.thread_time() < end:\n    pass\nexecuted_burn()"
    children, begun = [], 0
    print("ready", flush=True)
    start = time.monotonic()
    while time.monotonic() - start < seconds:
        children = reap(children)
        if begun >= (time.monotonic() - start) * rate or len(children) > 100:
            time.sleep(0.002)
            continue
        begun += 1
        pid = os.fork()
        if pid:
            children.append(pid)
        elif begun % 2:
            forked_burn(0.005)
            os._exit(0)
        else:
            os.execv(sys.executable, [sys.executable, "-I", "-S", "-c", script])
    while children:
        children = reap(children)
        time.sleep(0.01)
    print(begun, flush=True)


main()
