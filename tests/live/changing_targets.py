#!/usr/bin/env python3
# SPDX-License-Identifier: Apache-2.0
"""changing_targets.py COROSCOPE: targets that are no Python, that end and that become another program."""
import re

import live


def cpu_share(found, condition, done):
    """Share of one CPU over the capture."""
    return live.weight(found, condition) / live.RATE_HZ / live.seconds(done)


def notes(done):
    return [line for line in done.err.splitlines() if "due ticks" not in line and "wrote" not in line]


def test_not_python():
    with live.program("sh", "-c", "while :; do :; done") as program:
        done = live.record("-p", program.pid, "-d", 2, "-f", "collapsed")
    found = live.stacks(done.out)
    live.check("its native samples count", cpu_share(found, lambda stack: True, done) > 0.3, found)
    live.check("nothing is taken for Python", not any(".py" in frame for stack in found for frame in stack.frames), found)
    live.check("a note says that it is no Python", any(
        str(program.pid) in note and "not a Python" in note for note in notes(done)), done.err)


@live.noisy
def test_exits():
    """Ends after a second of a capture of ten: a whole result of the part that there was."""
    with live.target(live.interpreter(), "exits.py", 1.5) as program:
        done = live.record("-p", program.pid, "-d", 10, "-f", "collapsed")
    found = live.stacks(done.out)
    live.check("the capture ends with its target", live.seconds(done) < 4, done.err)
    live.check("it is said that it ended early", re.search("ended|partial", done.err), done.err)
    live.check("what it did is there", live.weight(found, lambda stack: stack.under("<module>", "main", "burn")) > 0.3 * live.RATE_HZ, found)
    live.check("the target ended by itself", program.returncode == 0, program.returncode)


def test_one_of_two_exits():
    with live.target(live.interpreter(), "idle_loop.py") as second, live.target(live.interpreter(), "exits.py", 1.5) as first:
        done = live.record("-p", f"{first.pid},{second.pid}", "-d", 3, "-f", "collapsed")
    live.check("the capture goes on with the other", live.near(live.seconds(done), 3), done.err)
    found = live.stacks(done.out)
    live.check("both are there", any(stack.has("burn") for stack in found) and any(stack.has("inner") for stack in found), found)


def execs(*command):
    with live.target(live.interpreter(), "exec_self.py", 1.5, *command) as program:
        done = live.record("-p", program.pid, "-d", 4, "-f", "collapsed")
        found = live.stacks(done.out)
        before = [stack for stack in found if stack.under("<module>", "main", "burn")]
        live.check("the first program is there", live.weight(before) > 0.3 * live.RATE_HZ, found)
        live.check("and no longer than it ran", live.weight(before) < 1.7 * live.RATE_HZ, found)
        live.check("the capture goes on", live.near(live.seconds(done), 4), done.err)
        live.check("hardly a frame is unreadable",
                   live.weight(found, lambda stack: stack.has("[unreadable]")) <= 0.05 * live.weight(found) + 1, found)
        return [stack for stack in found if stack not in before], done


@live.noisy
def test_becomes_another_python():
    """Another version even, with other offsets."""
    found, done = execs(live.distribution(), str(live.TARGETS / "burn_ratio.py"))
    after = live.weight(found, lambda stack: stack.under("<module>", "main", "a") or stack.under("<module>", "main", "b"))
    live.check("the second program's Python stack is there", after > 0.7 * live.RATE_HZ, found)
    live.check("not called by the first one's", not any(stack.has("burn") for stack in found), found)


@live.noisy
def test_becomes_an_asyncio_program():
    found, done = execs(live.distribution(), str(live.TARGETS / "example.py"))
    not_awaited = live.weight(found, lambda stack: stack.has("func_not_awaited"))
    right = live.weight(found, lambda stack: stack.under("parent", "<task Task-not_awaited (created)>", "func_not_awaited"))
    live.check("its tasks are there, with their creators", right > 0.5 * live.RATE_HZ and right >= 0.95 * not_awaited, found)


@live.noisy
def test_becomes_native():
    found, done = execs("sh", "-c", "while :; do :; done")
    live.check("the native program's samples count", cpu_share(found, lambda stack: not stack.has("main"), done) > 0.15, found)
    live.check("without Python frames", live.weight(found, lambda s: "burn" in s.names[-1]) == 0, found)


@live.noisy
def test_becomes_sleep():
    """4 s of capture, 1.5 s of them Python: whatever of the program's Python is seen must end with it."""
    found, _ = execs("sleep", "30")
    late = [stack for stack in found if any(".py" in frame for frame in stack.frames)]
    live.check("sleep has no Python frames", live.weight(late) < 0.5 * live.RATE_HZ, late)


@live.noisy
def test_exec_by_thread():
    """It takes over the first thread's number and start: its times are its own all the same."""
    with live.target(live.interpreter(), "exec_by_thread.py") as process:
        done = live.record("-p", process.pid, "-d", 2, "-f", "collapsed")
    heaviest = max(stack.count for stack in live.stacks(done.out))
    live.check("no stack weighs more than the capture was long", heaviest <= 1.1 * live.RATE_HZ * live.seconds(done), heaviest)


# one CPU each
live.main(live.at_once(test_exec_by_thread, test_not_python), test_exits, test_one_of_two_exits,
          live.at_once(test_becomes_another_python, test_becomes_an_asyncio_program), live.at_once(test_becomes_native, test_becomes_sleep))
