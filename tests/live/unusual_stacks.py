#!/usr/bin/env python3
# SPDX-License-Identifier: Apache-2.0
"""unusual_stacks.py COROSCOPE: deep recursion, many short tasks, reused code objects, many loops, threads that become
Python threads late, and a Python that is not supported."""
import glob
import os
import re
import pathlib
import subprocess

import live


def test_deep_recursion():
    """More frames than the limit: cut in the middle, marked, root and newest kept."""
    with live.target(live.interpreter(), "deep.py", 400) as program:
        done = live.record("-p", program.pid, "-d", 2, "--mode", "cpu", "-f", "collapsed")
    found = live.stacks(done.out)
    burning = [stack for stack in found if stack.has("burn")]
    live.check("the newest frames are there", live.weight(burning) >= 0.95 * live.weight(found) > 30, found)
    live.check("each stack is marked", all(stack.has("[147 frames left out]") for stack in burning), burning[0].frames)
    live.check("its root is there", all(stack.names[2:5] == ["<module>", "main", "descend"] for stack in burning), burning[0].names[:6])
    live.check("and has as many frames as fit", all(stack.names.count("descend") > 250 for stack in burning), burning)
    with live.target(live.interpreter(), "deep.py", 200) as program:
        done = live.record("-p", program.pid, "-d", 1, "--mode", "cpu", "-f", "collapsed")
    live.check("a stack that fits is not marked", "left out]" not in done.out and "descend" in done.out, done.out)


@live.noisy
def test_short_tasks():
    """Thousands of tasks a second, each alive for less than a sampling interval."""
    with live.target(live.interpreter(), "short_tasks.py", 6) as program:
        done = live.record("-p", program.pid, "-d", 4, "-f", "collapsed")
        out, err = program.communicate(timeout=20)
        live.check("the program is unharmed", program.returncode == 0 and "ops_per_s" in out and not err, (program.returncode, out, err))
    found = live.stacks(done.out)
    whole = live.weight(found)
    live.check("there are samples", whole > live.RATE_HZ, found)
    known = live.weight(found, lambda stack: stack.under("<module>", "run", "BaseEventLoop.run_forever"))
    live.check("most hang under the event loop", known >= 0.9 * whole, found)
    unknown = live.weight(found, lambda stack: any("[unreadable]" in name or name in ("?", "<task ?>") for name in stack.names))
    live.check("most have names", unknown <= 0.05 * whole, [stack for stack in found if "[unreadable]" in stack.names])


def thrown_away(version):
    """Code objects made and freed all the time: a name is the right one, or none."""
    with live.target(live.interpreter(version), "thrown_away.py") as program:
        done = live.record("-p", program.pid, "-d", 2, "-r", 999, "--mode", "cpu", "-f", "collapsed")
    found = live.stacks(done.out)
    named = wrong = 0
    for stack in found:
        outer = [name[-1] for name in stack.names if name.startswith("outer_")]
        inner = [name[-1] for name in stack.names if name.startswith("inner_")]
        if outer and inner:
            named += stack.count
            wrong += stack.count if outer != inner else 0
    live.check(f"{version}: no function has another's name", wrong == 0, found)
    live.check(f"{version}: most samples in them have names", named > 0.3 * live.weight(found), found)


def test_thrown_away_3_11():
    thrown_away("3.11")


def test_thrown_away_3_12():
    thrown_away("3.12")


def test_thrown_away_3_13():
    thrown_away("3.13")


def test_many_loops():
    """Every thread's running task is its own, however many event loops there are."""
    with live.target(live.interpreter(), "many_loops.py", 12) as program:
        done = live.record("-p", program.pid, "-d", 1, "-f", "collapsed")
        dumped = live.coroscope("dump", program.pid).out
    for n in range(12):
        live.check(f"inner-{n} is in the profile", f"<task inner-{n}>;inner " in done.out, done.out)
        live.check(f"inner-{n} is in the dump", f"in <task inner-{n}>" in dumped, dumped)


def test_late_thread():
    """A thread of C that becomes a Python thread after it has been sampled is found, also if it never changes its CPU."""
    python = live.versioned("3.12")
    prefix = pathlib.Path(python).resolve().parent.parent
    if not (prefix / "include/python3.12/Python.h").exists():
        raise live.Skip("needs Python 3.12's headers: pyenv install 3.12")
    with live.scratch() as folder:
        built = folder / "late_thread"
        subprocess.run(["cc", "-o", built, live.TARGETS / "late_thread.c", f"-I{prefix}/include/python3.12",
                        f"-L{prefix}/lib", "-lpython3.12", f"-Wl,-rpath,{prefix}/lib", "-lpthread"], check=True)
        with live.program("taskset", "-c", "0", "env", f"PYTHONHOME={prefix}", str(built)) as program:
            live.check("it runs", program.stdout.readline() == "ready\n")
            done = live.record("-p", program.pid, "-d", 5, "--mode", "cpu", "-f", "collapsed")
    found = live.stacks(done.out)
    python = live.weight(found, lambda stack: stack.has("burn_python"))
    late = live.weight(found, lambda stack: stack.has("[no Python thread]"))
    live.check("its Python time is named", python > 0.9 * (live.weight(found) - late) > live.RATE_HZ, found)
    live.check("what came before and the first 0.1 s of it are not", late < 0.6 * live.RATE_HZ, found)


def unsupported():
    found = glob.glob(os.path.join(os.environ.get("PYENV_ROOT") or os.path.expanduser("~/.pyenv"), "versions/3.[67].*/bin/python3.[67]"))
    if not found:
        raise live.Skip("needs a Python before 3.8: pyenv install 3.7")
    return found[0]


@live.noisy
def test_unsupported():
    with live.target(unsupported(), "burn_ratio.py") as program:
        done = live.record("-p", program.pid, "-d", 2, "-f", "collapsed")
    found = live.stacks(done.out)
    live.check("it is refused by name", re.search(r"Python 3\.[67] is not supported", done.err), done.err)
    live.check("its samples count", live.weight(found) > 0.3 * live.RATE_HZ, found)
    live.check("no Python frame is guessed", "burn_ratio.py" not in done.out, found)


live.main(test_deep_recursion, test_short_tasks, test_thrown_away_3_11, live.at_once(test_thrown_away_3_12, test_thrown_away_3_13), test_many_loops,
          test_late_thread, test_unsupported)
