# SPDX-License-Identifier: Apache-2.0
"""short_life.py MS: lives as long as it takes to burn so much CPU time in burn() and inner(); then it is gone."""
import sys
import time


def inner(end):
    while time.process_time() < end:
        any(map(bool, bytes(200)))


def burn(ms):
    inner(time.process_time() + ms / 1000)


burn(float(sys.argv[1]))
