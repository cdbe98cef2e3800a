# SPDX-License-Identifier: Apache-2.0
"""truth_thrown_away.py: functions are made, called and thrown away, so that others take over their memory.

Who calls them is not thrown away, and each of these callers calls its kind only: so a name, a file or a line that was the
memory's former or next owner's shows itself. See truth_common.py.
"""
import os
import random
import re
import time

import truth_common as common

clock = time.thread_time
FOLDER = os.path.dirname(os.path.abspath(__file__))


def source(name):
    with open(os.path.join(FOLDER, name)) as file:
        return file.read()


MADE, TWIN = source("truth_made.py"), source("truth_twin.py")
AGAIN = [source("truth_again_a.py"), source("truth_again_b.py")]


def make(text, name, space):
    exec(compile(text, name, "exec"), space)  #> made:<module>, twin:<module>, again_a:<module>, again_b:<module>


def numbered(k):
    return re.sub(r"_0\b", "_%d" % k, MADE)  #> @re


# Other names


def fresh(until):
    """Each with globals of its own."""
    k = 0
    while clock() < until:
        space = {}
        make(numbered(k), "made_%d" % k, space)  #> numbered, make
        MADE_CALLERS[k % 4](space["outer_%d" % k])  #> made_by_0, made_by_1, made_by_2, made_by_3
        k += 1


def alternating(until):
    """Two take turns at one address, below the same globals."""
    space = {}
    while clock() < until:
        for k in (0, 1):
            make(TWO[k], "made_%d" % k, space)  #> make
            MADE_CALLERS[k](space.pop("outer_%d" % k))  #> made_by_0, made_by_1
            space.clear()


def made_by_0(outer):
    outer(30)  #> made:outer_0[0 of 4]


def made_by_1(outer):
    outer(30)  #> made:outer_0[1 of 4]


def made_by_2(outer):
    outer(30)  #> made:outer_0[2 of 4]


def made_by_3(outer):
    outer(30)  #> made:outer_0[3 of 4]


MADE_CALLERS = [made_by_0, made_by_1, made_by_2, made_by_3]
TWO = [numbered(0), numbered(1)]  #> numbered


# The same names on the same lines of other files


def twins(until):
    k = 0
    while clock() < until:
        space = {}
        make(TWIN, "twin_%d" % k, space)  #> make
        TWIN_CALLERS[k % 2](space["outer"])  #> twin_by_0, twin_by_1
        k += 1


def twin_by_0(outer):
    outer(80)  #> twin:outer[0 of 2]


def twin_by_1(outer):
    outer(80)  #> twin:outer[1 of 2]


TWIN_CALLERS = [twin_by_0, twin_by_1]


# The same name on the same line of the same file, and other code below


def changed(until):
    turn = 0
    while clock() < until:
        space = {}
        make(AGAIN[turn], "again", space)  #> make
        AGAIN_CALLERS[turn](space["again"])  #> again_by_0, again_by_1
        turn = 1 - turn


def again_by_0(again):
    again(40, leaf_of_a)  #> again_a:again


def again_by_1(again):
    again(40, leaf_of_b)  #> again_b:again


AGAIN_CALLERS = [again_by_0, again_by_1]


def leaf_of_a(units):
    return spin(units)  #> spin


def leaf_of_b(units):
    return spin(units)  #> spin


def spin(units):
    total = 0
    for i in range(units * 50):
        total += i * i
    return total


def lasting(until):
    """For comparison: nothing is thrown away."""
    while clock() < until:
        leaf_of_a(20)  #> leaf_of_a


FAMILIES = [fresh, alternating, twins, changed, lasting]


def main():
    spent = common.Spent()  #> common:Spent.__init__
    spent.begin_thread("<module>")  #> common:Spent.begin_thread
    seconds, seed = common.wait_for_go()  #> common:wait_for_go
    lengths = random.Random(seed)  #> @random
    end = time.monotonic() + seconds
    while time.monotonic() < end:
        for family in FAMILIES:
            length = lengths.uniform(0.01, 0.04)  #> @random
            start = spent.start()  #> common:Spent.start
            family(start[0] + length)  #> FAMILIES
            spent.stop(family.__name__, start)  #> common:Spent.stop
    common.tell_and_wait(spent)  #> common:tell_and_wait


main()  #> main
