# SPDX-License-Identifier: Apache-2.0
"""By how much a task's creation gets dearer while coroscope watches: CPU time of the program, with and without, in turns.

The uprobe on Task.__init__, its trap included, and what the sampling interrupts take while one task is made, run and awaited:
at 99 Hz some nanoseconds.
"""
from statistics import mean, median

from slowdown import interval, turns

RATE = 99
AIM_US = 0.7
WORK = ("tasks",)


def dearer(python, pairs, seconds):
    """A dict, in us of CPU time a task: without and with (medians), extra and its 95% interval."""
    without, with_ = turns(python, WORK, "wall", RATE, pairs, seconds)
    without_us = [1e6 / one[0] for one in without]
    with_us = [1e6 / one[0] for one in with_]
    extra = [with_us[i] - mean(without_us[i:i + 2]) for i in range(pairs)]
    return {"without": median(without_us), "with": median(with_us), "extra": median(extra), "interval": interval(extra)}
