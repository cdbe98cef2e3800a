#!/usr/bin/env python3
# SPDX-License-Identifier: Apache-2.0
"""task_tree.py COROSCOPE INTERPRETER: the task tree of the README's program, attached to while it runs."""
import time

import live

DURATION_S = 5
CREATED = "<task Task-not_awaited (created)>"


def wait_for_round(pid):
    """Until asyncio.run() begins anew: each round's loop has sockets of its own."""
    def sockets():
        return {name for name in live.open_files(pid) if name.startswith("socket:")}
    before = sockets()
    live.until(lambda: sockets() and not sockets() & before)


def attach_at(program, phase):
    """Wait until a capture that is begun now is there at this phase of a round, which is a second: how long that takes depends on the machine."""
    begun = time.monotonic()
    live.record("-p", program.pid, "-d", 0.1, "--mode", "wall", "-f", "collapsed")
    lasts = time.monotonic() - begun - 0.1  # up to 0.15 s of it at its end
    wait_for_round(program.pid)
    time.sleep((phase - lasts) % 1)


def in_loop(stack, *path):
    """Whether these hang under the event loop. Names are not qualified before 3.11."""
    return any(stack.under("<module>", "main", "run", loop, *path) for loop in ("BaseEventLoop.run_forever", "run_forever"))


def wrong(found, *path):
    """Weight of the stacks with the last of these names that do not have all of them, in this order."""
    return live.weight(found, lambda stack: stack.has(path[-1]) and not stack.under(*path))


def check_links(found):
    """Every task below the one that awaits it, or else created it. Returns the weights of both."""
    not_awaited = live.weight(found, lambda stack: stack.has("func_not_awaited"))
    awaited = live.weight(found, lambda stack: stack.has("func_awaited"))
    live.check("func_not_awaited hangs below parent, which created it",
               wrong(found, "parent", CREATED, "func_not_awaited") <= 0.05 * not_awaited, found)
    live.check("func_awaited hangs below parent, which awaits it",
               wrong(found, "parent", "<task Task-awaited>", "func_awaited") <= 0.05 * awaited, found)
    for name in ("func_not_awaited", "func_awaited"):
        live.check(f"no {name} outside parent", wrong(found, "parent", name) == 0, found)
    return not_awaited, awaited


@live.noisy
def test_tree():
    """Attached in the second half of a round: func_not_awaited has ended, so every task of it has a known creator."""
    with live.example(live.interpreter()) as program:
        attach_at(program, 0.8)
        done = live.record("-p", program.pid, "-d", DURATION_S, "--mode", "wall", "-f", "collapsed")
    found = live.stacks(done.out)
    not_awaited, awaited = check_links(found)
    live.check("the capture took its time", live.near(live.seconds(done), DURATION_S, 0.04), done.err)
    live.check("func_not_awaited takes 0.5 s of each second",
               live.near(not_awaited, 0.5 * live.RATE_HZ * live.seconds(done)), not_awaited)
    live.check("func_awaited takes 1 s of each second",
               live.near(awaited, live.RATE_HZ * live.seconds(done)), awaited)
    parents = [stack for stack in found if stack.has("parent")]
    right = live.weight(parents, lambda stack: in_loop(stack, "parent"))
    live.check("parent hangs under its event loop", right >= 0.95 * live.weight(parents), parents)


@live.noisy
def test_before_the_attach():
    """Attached in the first half of a round: that round's func_not_awaited has no known creator, later ones
    do. Of those the capture has all of the next two rounds'."""
    with live.example(live.interpreter()) as program:
        attach_at(program, 0.3)
        done = live.record("-p", program.pid, "-d", 2.4, "--mode", "wall", "-f", "collapsed")
    found = live.stacks(done.out)
    outside = [stack for stack in found if stack.has("func_not_awaited") and not stack.has("parent")]
    live.check("a task older than the attach hangs under its loop, for its half second",
               0 < live.weight(outside) <= 0.5 * live.RATE_HZ, outside)
    live.check("it is one task, not called created", all(
        in_loop(stack, "<task Task-not_awaited>") for stack in outside), outside)
    live.check("the later ones hang below parent",
               live.near(live.weight(found, lambda s: s.under("parent", CREATED, "func_not_awaited")), live.RATE_HZ, 0.15), found)
    live.check("func_awaited is below parent even so", wrong(found, "parent", "func_awaited") == 0, found)


if __name__ == "__main__":
    live.main(test_tree, test_before_the_attach)
