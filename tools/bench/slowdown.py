# SPDX-License-Identifier: Apache-2.0
"""What coroscope takes from a program: its speed with and without, in turns, on one process that never stops.

One process, because two runs of the same program differ by more (addresses, hash seeds) than coroscope costs. Each
phase with coroscope is compared with the mean of the two phases around it, so a drift of the machine cancels.
"""
import random
import time
from statistics import mean, median

from bare_clock import BareClock
from machine import CPUS, WORK, Target
from recording import Recording

SETTLE_S = 0.5  # coroscope's first moments (names, tasks met for the first time) are no steady state


def interval(values, rounds=2000):
    """95% bootstrap interval of the median."""
    chance = random.Random(1)
    drawn = sorted(median(chance.choices(values, k=len(values))) for _ in range(rounds))
    return drawn[int(rounds * 0.025)], drawn[int(rounds * 0.975)]


def phase(target, seconds):
    time.sleep(SETTLE_S)
    start = time.monotonic_ns()
    time.sleep(seconds)
    return target.between(start, time.monotonic_ns())


def disturbed(mode, rate, pid):
    """What a phase is disturbed by: coroscope, or with the mode "bare" only its interrupts."""
    return BareClock(rate) if mode == "bare" else Recording([pid], mode=mode, rate=rate)


def turns(python, work, mode, rate, pairs, seconds):
    """(rates without, rates with): lists of (work per CPU second, work per second), one longer than the other."""
    with Target(python, WORK, *work, cpu=CPUS[-1]) as target:
        time.sleep(1)
        without, with_ = [phase(target, seconds)], []
        for _ in range(pairs):
            with disturbed(mode, rate, target.pid):
                with_.append(phase(target, seconds))
            without.append(phase(target, seconds))
    return without, with_


def slowdown(python, work, mode, rate, pairs, seconds):
    """A dict: without and with (units per CPU second), and for cpu and wall time the slowdown as a share, with its
    interval. noise: the same computed between phases that are all without coroscope."""
    without, with_ = turns(python, work, mode, rate, pairs, seconds)
    result = {"without": median(one[0] for one in without), "with": median(one[0] for one in with_)}
    for index, name in enumerate(("cpu", "wall")):
        lost = [1 - with_[i][index] / mean((without[i][index], without[i + 1][index]))
                for i in range(pairs)]
        result[name] = median(lost)
        result[name + "_interval"] = interval(lost)
    steps = [abs(1 - without[i + 1][0] / without[i][0]) for i in range(pairs)]
    result["noise"] = median(steps)
    return result
