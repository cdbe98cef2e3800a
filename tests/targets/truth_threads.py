# SPDX-License-Identifier: Apache-2.0
"""truth_threads.py: threads that each have functions of their own, and threads that live for a moment.

A frame of one in a stack of another cannot be. See truth_common.py.
"""
import _thread
import os
import re
import threading
import time

import truth_common as common

clock = time.thread_time
LASTING = 4
spent = common.Spent()  #> common:Spent.__init__


def make_root(k):
    space = {}
    exec(compile(re.sub(r"_0\b", "_%d" % k, FAMILY), "family_%d" % k, "exec"), space)  #> @re, family:<module>
    return space["root_%d" % k]


with open(os.path.join(os.path.dirname(os.path.abspath(__file__)), "truth_family.py")) as source:
    FAMILY = source.read()
ROOTS = [make_root(k) for k in range(LASTING)]  #> <listcomp> / make_root


def brief_by_class():  #^ thread
    spent.begin_thread("brief_by_class")  #> common:Spent.begin_thread
    brief_spin(40)  #> brief_spin


def brief_by_function():  #^ thread
    spent.begin_thread("brief_by_function")  #> common:Spent.begin_thread
    ended.acquire()
    brief_spin(60)  #> brief_spin
    ended.release()


def brief_spin(units):
    total = 0
    for i in range(units * 50):
        total += i * i
    return total


ended = threading.Lock()


def start_brief():
    thread = threading.Thread(target=brief_by_class)  #> @threading
    thread.start()  #> @threading
    thread.join()  #> @threading
    _thread.start_new_thread(brief_by_function, ())
    time.sleep(0.005)  #! nanosleep, select


def main():
    spent.begin_thread("<module>")  #> common:Spent.begin_thread
    seconds, seed = common.wait_for_go()  #> common:wait_for_go
    end = time.monotonic() + seconds
    threads = [threading.Thread(target=root, args=(spent, end, seed + k)) for k, root in enumerate(ROOTS)]  #> <listcomp> / @threading
    for thread in threads:  #> @threading
        thread.start()  #> @threading
    while time.monotonic() < end:  #> @threading
        start_brief()  #> start_brief, @threading
    for thread in threads:  #> @threading
        thread.join()  #> @threading
    del thread, threads  #> @threading
    time.sleep(0.05)  #! nanosleep, select
    common.tell_and_wait(spent)  #> common:tell_and_wait


main()  #> main
