# SPDX-License-Identifier: Apache-2.0
"""Source that truth_thrown_away.py compiles as file twin_NUMBER: the same names on the same lines, whatever the number."""


def outer(units):
    return inner(units)  #> inner


def inner(units):
    total = 0
    for i in range(units * 50):
        total += i * i
    return total
