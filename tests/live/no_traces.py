#!/usr/bin/env python3
# SPDX-License-Identifier: Apache-2.0
"""no_traces.py COROSCOPE: signals end a capture with its output, and nothing stays attached after any exit.

The BPF programs, maps and links are those that coroscope itself held, by id, so other users of BPF do not
matter; a uprobe shows as a changed byte in the target's code.
"""
import contextlib
import hashlib
import os
import re
import signal
import subprocess
import time

import live
from bpf_objects import check_gone, existing, held

PROGRAMS = {"on_cpu", "wall", "task_init", "proc_exec", "proc_exit"}


def code_digest(pid):
    """Of all code that the target has mapped from files."""
    digest = hashlib.sha256()
    with open(f"/proc/{pid}/maps", encoding="utf-8") as maps, open(f"/proc/{pid}/mem", "rb") as memory:
        for line in maps:
            match = re.match(r"([0-9a-f]+)-([0-9a-f]+) r-xp .* (/.*)$", line)
            if match:
                start, end = (int(text, 16) for text in match.groups()[:2])
                memory.seek(start)
                digest.update(memory.read(end - start))
    return digest.digest()


@contextlib.contextmanager
def recording(*arguments):
    """A capture whose spool goes away with the test, since SIGKILL leaves it behind."""
    with live.scratch() as spools:
        process = subprocess.Popen([live.COROSCOPE, "record", *map(str, arguments)], stdout=subprocess.PIPE,
                                   stderr=subprocess.PIPE, text=True, env={**os.environ, "TMPDIR": str(spools)})
        try:
            yield process
        finally:
            live.stop(process)
            process.stdout.close()
            process.stderr.close()


def ends(what, arguments, end):
    """Start a capture, see what it holds, end it, and see that it is gone. Returns (exit status, stdout, stderr)."""
    with live.target(live.interpreter(), "idle_loop.py") as program:
        clean = code_digest(program.pid)
        with recording("-p", program.pid, "-f", "collapsed", *arguments) as process:
            live.until(lambda: code_digest(program.pid) != clean)
            time.sleep(0.5)
            objects = held(process.pid)
            names = {name for key, name in existing().items() if key in objects and key[0] == "prog"}
            live.check(f"{what}: all programs are loaded", PROGRAMS <= names, names)
            end(process)
            out, err = process.communicate(timeout=20)
        check_gone(what, objects)
        live.until(lambda: code_digest(program.pid) == clean, 2)
        live.check(f"{what}: the target's code is as it was, and it runs", program.poll() is None)
    return process.returncode, out, err


def test_duration():
    code, out, _ = ends("normal end", ("-d", 2), lambda process: None)
    live.check("normal end: output", code == live.OK and "inner" in out, (code, out))


def test_signals():
    for sig in (signal.SIGINT, signal.SIGTERM):
        code, out, err = ends(sig.name, (), lambda process, sig=sig: process.send_signal(sig))
        live.check(f"{sig.name}: the output is written", code == live.OK and "inner" in out, (code, err))


def test_kill():
    code, _, _ = ends("SIGKILL", (), lambda process: process.kill())
    live.check("SIGKILL: it was killed", code == -signal.SIGKILL, code)


def test_busy_loop():
    """A loop that never rests is asked for copies of its memory: whoever asks may be killed at any moment of that."""
    if "tasks are seen at one instant" not in live.run([live.COROSCOPE, "check"]).out:
        raise live.Skip("this kernel makes no copies in a thread's own context: boot 6.18 or later")
    with live.target(live.interpreter(), "rounds.py", 60, 60) as program:
        for turn in range(5):
            with recording("-p", program.pid, "-f", "collapsed") as process:
                def objects(process=process):
                    return held(process.pid)
                live.until(lambda: "take_instant" in {name for key, name in existing().items() if key in objects()})
                time.sleep(0.1 + turn * 0.013)
                left = objects()
                process.kill()
                process.wait()
            check_gone("SIGKILL beside a busy loop", left)
        live.check("the busy loop goes on", program.poll() is None)


def test_failure():
    """The profile cannot be written, after a whole capture."""
    with live.small_disk("4k") as full:
        code, _, err = ends("failed output", ("-d", 2, "-f", "html", "-o", full / "page.html"), lambda process: None)
        live.check("failed output: it failed", code == live.FAILURE, (code, err))


live.main(live.at_once(test_duration, test_signals, test_kill, test_failure), test_busy_loop)
