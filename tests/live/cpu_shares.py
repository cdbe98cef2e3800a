#!/usr/bin/env python3
# SPDX-License-Identifier: Apache-2.0
"""cpu_shares.py COROSCOPE INTERPRETER [full]: a and b burn 1 : 3; the profile says so within 3 points.

full: at 99 Hz over 10 s; otherwise as many samples in a third of the time.
"""
import sys

import live

RATE_HZ, DURATION_S = (99, 10) if sys.argv[3:] == ["full"] else (499, 3)


@live.noisy
def test_shares():
    with live.target(live.interpreter(), "burn_ratio.py") as program:
        done = live.record("-p", program.pid, "-r", RATE_HZ, "-d", DURATION_S, "--mode", "cpu", "-f", "collapsed")
    found = live.stacks(done.out)
    a = live.weight(found, lambda stack: stack.under("<module>", "main", "a"))
    b = live.weight(found, lambda stack: stack.under("<module>", "main", "b"))
    live.check("enough samples to tell", a + b > 0.3 * RATE_HZ * DURATION_S, (a, b))
    live.check("a : b is 1 : 3 within 3 points", abs(a / (a + b) - 0.25) <= 0.03, (a, b))
    live.check("nearly all is a or b", a + b >= 0.97 * live.weight(found), found)


live.main(test_shares)
