# SPDX-License-Identifier: Apache-2.0
"""exec_self.py [SECONDS [COMMAND ARGS...]]: burns CPU for SECONDS (default 1), then becomes another program.

The pid stays, everything known about the process is void. Default command: sleep 30.
"""
import os
import sys
import time


def burn(seconds):
    end = time.monotonic() + seconds
    while time.monotonic() < end:
        pass


def main():
    seconds = float(sys.argv[1]) if len(sys.argv) > 1 else 1.0
    command = sys.argv[2:] or ["sleep", "30"]
    print("ready", flush=True)
    burn(seconds)
    os.execvp(command[0], command)


main()
