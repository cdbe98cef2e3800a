# SPDX-License-Identifier: Apache-2.0
"""Source that truth_thrown_away.py compiles again and again, each time with another number for _0, as file made_NUMBER."""


def outer_0(units):
    return inner_0(units)  #> inner_0


def inner_0(units):
    return sum(leaf_0(units) for _ in range(3))  #> <genexpr> / leaf_0


def leaf_0(units):
    total = 0
    for i in range(units * 50):
        total += i * i
    return total
