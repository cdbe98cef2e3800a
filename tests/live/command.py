#!/usr/bin/env python3
# SPDX-License-Identifier: Apache-2.0
"""command.py COROSCOPE [INTERPRETER]: `record -- COMMAND`.

With an interpreter: the first tasks of a program that coroscope started have their creators, on that one.
"""
import os
import signal

import live

NOBODY = {"SUDO_UID": "65534", "SUDO_GID": "65534"}


@live.noisy
def test_first_tasks():
    program = live.TARGETS / "example.py"
    done = live.record("-d", 4, "-f", "collapsed", "--", live.interpreter(), program)
    found = live.stacks(done.out)
    not_awaited = live.weight(found, lambda stack: stack.has("func_not_awaited"))
    right = live.weight(found, lambda stack: stack.under("parent", "<task Task-not_awaited (created)>", "func_not_awaited"))
    live.check("its tasks were seen", not_awaited > live.RATE_HZ, found)
    live.check("the first ones have a creator too", right >= 0.95 * not_awaited, found)
    live.check("-d ends the command", live.near(live.seconds(done), 4), done.err)


def test_exit_status():
    with live.scratch() as folder:
        for command, passed_on in (("exit 0", 0), ("exit 7", 7), ("kill -TERM $$", 128 + signal.SIGTERM)):
            arguments = ("-o", folder / "out.collapsed", "--", "sh", "-c", command)
            done = live.coroscope("record", "--exit-status", *arguments)
            live.check(f"{command}: its status is passed on", done.code == passed_on, done)
            live.check(f"{command}: without the option it is not", live.coroscope("record", *arguments).code == live.OK)


def test_output():
    """stdout is the command's; a profile that goes there comes after it."""
    with live.scratch() as folder:
        path = folder / "out.collapsed"
        done = live.record("-o", path, "--", "sh", "-c", "echo said; echo complained >&2")
        live.check("the command's output is untouched", done.out == "said\n" and "complained\n" in done.err, done)
        live.check("the profile is in its file", path.exists())


@live.noisy
def test_work_is_seen():
    done = live.record("-f", "collapsed", "--mode", "cpu", "--", live.interpreter(), live.TARGETS / "exits.py", 1.5, 0)
    text = done.out.replace("ready\n", "")
    live.check("the command's Python stack is there", live.weight(live.stacks(text), lambda stack: stack.under("main", "burn")) > 0.3 * live.RATE_HZ, text)
    live.check("the capture ends with it", live.seconds(done) < 4, done.err)


def test_duration():
    """SIGTERM, which the command may catch."""
    script = 'trap "echo caught; exit 3" TERM; while :; do sleep 0.1; done'
    with live.scratch() as folder:
        done = live.coroscope("record", "--exit-status", "-d", 1, "-o", folder / "out.collapsed", "--", "sh", "-c", script)
    live.check("-d ends the command by SIGTERM", done.code == 3 and "caught" in done.out, done)


def test_user():
    with live.scratch() as folder:
        path = folder / "out.collapsed"
        script = "id -u; id -g; nice; id -G"
        done = live.record("-o", path, "--", "sh", "-c", script, env=NOBODY)
        live.check("the command runs as the user behind sudo", done.out.split()[:2] == ["65534", "65534"], done.out)
        live.check("as urgent as it would be without coroscope", int(done.out.split()[2]) == os.nice(0), done.out)
        live.check("and in no group of root's", "0" not in done.out.split()[3:], done.out)
        live.check("whose the profile is", os.stat(path).st_uid == 65534, os.stat(path))
        done = live.coroscope("record", "-o", path, "--", "true", env={"SUDO_UID": "root", "SUDO_GID": "0"})
        live.check("a senseless user is refused, not taken for root", done.code == live.FAILURE and live.one_line(done), done)


if live.INTERPRETER:
    live.main(test_first_tasks)
live.main(test_exit_status, test_output, test_work_is_seen, test_duration, test_user)
