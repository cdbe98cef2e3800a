#!/usr/bin/env python3
# SPDX-License-Identifier: Apache-2.0
"""waiting.py COROSCOPE: what waits with the GIL released is shown with its Python stack."""
import contextlib
import os
import re

import live


def idle_loop(*options):
    with live.target(live.interpreter(), "idle_loop.py", 10) as program:
        done = live.record("-p", program.pid, "-d", 3, "--mode", "wall", "-f", "collapsed", *options)
    found, due = live.stacks(done.out), live.RATE_HZ * live.seconds(done)
    waiting = live.weight(found, lambda stack: stack.under("<module>", "BaseEventLoop._run_once", "EpollSelector.select"))
    live.check("the loop's thread waits in its selector all the time", live.near(waiting, due), found)
    for i in range(10):
        task = [stack for stack in found if stack.under("BaseEventLoop.run_forever", f"<task idle-{i}>", "outer", "middle", "inner")]
        live.check(f"idle-{i} shows its await chain all the time", live.near(live.weight(task), due), found)


@live.noisy
def test_idle_loop():
    idle_loop()


def sleepers_of(found):
    """thread id -> weight of the threads that sleep below worker()."""
    threads = {}
    for stack in found:
        if stack.under("worker", "sleep_long"):
            tid = re.search(r"\[(\d+)\]$", stack.frames[1]).group(1)
            threads[tid] = threads.get(tid, 0) + stack.count
    return threads


def sleeping_threads(*options):
    with live.target(live.interpreter(), "threads_sleep.py", 100) as program:
        done = live.record("-p", program.pid, "-d", 3, "--mode", "wall", "-f", "collapsed", *options)
    found, due = live.stacks(done.out), live.RATE_HZ * live.seconds(done)
    threads = sleepers_of(found)
    live.check("all 100 threads are shown", len(threads) == 100, len(threads))
    live.check("each of them all the time", all(live.near(value, due) for value in threads.values()), threads)
    live.check("and the main thread", live.near(live.weight(found, lambda s: s.under("main", "sleep_long")), due), found)


@live.noisy
def test_sleeping_threads():
    sleeping_threads()


@live.noisy
def test_without_the_iterator():
    """Kernels before 5.18 have no sleepable task iterator: the same picture, read from user space."""
    idle_loop("--no-iterator")
    sleeping_threads("--no-iterator")


@live.noisy
def test_sleepers_that_end():
    """What was found of a thread and not told yet is not lost with it: it sleeps for as long as another waits for it."""
    with live.target(live.interpreter(), "short_naps.py") as program:
        done = live.record("-p", program.pid, "-s", "-d", 5, "--mode", "wall", "-f", "collapsed")
    found = live.stacks(done.out)
    for end in ("end", "exit", "exec"):
        slept = live.weight(found, lambda stack, end=end: stack.under(f"nap_then_{end}"))
        waited = live.weight(found, lambda stack, end=end: stack.under(f"wait_for_{end}") and not stack.under(f"nap_then_{end}"))
        live.check(f"sleepers that {end} are shown until they do", waited > live.RATE_HZ and live.near(slept, waited, 0.25), (slept, waited))


def cpu_seconds(pid):
    """Since the process began."""
    with open(f"/proc/{pid}/schedstat", encoding="utf-8") as file:
        return int(file.read().split()[0]) / 1e9


@live.noisy
def test_busy_threads():
    """A thread is either on a CPU or waits for one: on a full machine too its time is the clock's, not more."""
    with contextlib.ExitStack() as stack:
        programs = [stack.enter_context(live.target(live.interpreter(), "deep.py", 3)) for _ in range(os.cpu_count())]
        done = live.record("-p", ",".join(str(program.pid) for program in programs), "-d", 4, "--mode", "wall", "-f", "collapsed")
        used = [cpu_seconds(program.pid) for program in programs]
    found, due = live.stacks(done.out), live.RATE_HZ * live.seconds(done)
    if min(used) < 0.8 * live.seconds(done):
        raise live.Skip(f"needs a machine that does nothing else: the programs got {used} s of {live.seconds(done)}")
    for program in programs:
        burning = live.weight(found, lambda s, program=program: s.frames[0].endswith(f"[{program.pid}]"))
        live.check(f"process {program.pid} is shown for as long as it ran", live.near(burning, due), (burning, due))


@live.noisy
def hashing(mode):
    with live.target(live.interpreter(), "hashlib_gil.py") as program:
        done = live.record("-p", program.pid, "-d", 3, "--mode", mode, "-f", "collapsed")
    found = live.stacks(done.out)
    hasher = live.weight(found, lambda stack: stack.under("Thread._bootstrap", "Thread.run", "hash_forever"))
    live.check(f"{mode}: the thread that hashes without the GIL shows its Python stack",
               hasher > 0.3 * live.RATE_HZ * live.seconds(done), found)
    if mode == "wall":
        joining = live.weight(found, lambda stack: stack.under("<module>", "main", "Thread.join"))
        live.check("wall: the main thread waits for it", live.near(joining, live.RATE_HZ * live.seconds(done)), found)
    else:
        live.check("cpu: nothing else runs", hasher >= 0.97 * live.weight(found), found)


def test_hashing_in_cpu_mode():
    hashing("cpu")


def test_hashing_in_wall_mode():
    hashing("wall")


live.main(live.at_once(test_idle_loop, test_sleeping_threads, test_sleepers_that_end), test_busy_threads, test_hashing_in_cpu_mode, test_hashing_in_wall_mode,
          test_without_the_iterator)
