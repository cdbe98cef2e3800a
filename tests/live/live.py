# SPDX-License-Identifier: Apache-2.0
"""What the live tests share: interpreters, programs to profile, runs of coroscope, collapsed stacks.

A test script is `NAME.py COROSCOPE [INTERPRETER]`, an interpreter being a name of tools/pythons, and ends with live.main(test, ...). It needs root and a kernel
with BPF and BTF. Exit status 0: passed, 1: failed, 77: skipped. Processes are ended by the handle that
started them, never by name, and everything is written below one scratch directory.
"""
import collections
import concurrent.futures
import contextlib
import functools
import glob
import json
import os
import pathlib
import re
import select
import shutil
import signal
import subprocess
import sys
import tempfile
import time

COROSCOPE = os.path.abspath(sys.argv[1]) if len(sys.argv) > 1 else ""
INTERPRETER = sys.argv[2] if len(sys.argv) > 2 else None
TARGETS = pathlib.Path(__file__).resolve().parent.parent / "targets"
SUPPORTED = ("3.11", "3.12", "3.13", "3.10", "3.9", "3.8")
RATE_HZ = 99
OK, FAILURE, USAGE, PERMISSION, NOTHING = range(5)

Run = collections.namedtuple("Run", "code out err")


class Skip(Exception):
    """The test cannot be done here; the text says what it lacks and how to get it."""


# Checks and the end of a script


def check(what, ok, seen=None):
    if not ok:
        raise AssertionError(f"{what}; seen: {seen}" if seen is not None else what)
    print(f"ok   {what}", flush=True)


def noisy(test):
    """For bounds that a busy machine can break: a second attempt, with the same bounds."""
    @functools.wraps(test)
    def twice(*arguments):
        try:
            return test(*arguments)
        except AssertionError as error:
            print(f"     again after: {error}", flush=True)
            return test(*arguments)
    return twice


def main(*tests):
    if os.geteuid() != 0 or not os.access("/sys/kernel/btf/vmlinux", os.R_OK):
        print("SKIP: needs root and a kernel with BPF and type information: sudo tools/test")
        sys.exit(77)
    judged(*tests)


def judged(*tests):
    """Likewise of tests that need neither."""
    passed = failed = 0
    for test in tests:
        began = time.monotonic()
        try:
            test()
            passed += 1
        except Skip as skip:
            print(f"SKIP: {test.__name__}: {skip}", flush=True)
        except (AssertionError, subprocess.TimeoutExpired) as error:
            failed += 1
            print(f"FAIL {test.__name__}: {error}", flush=True)
        print(f"     {test.__name__}: {time.monotonic() - began:.1f} s", flush=True)
    sys.exit(1 if failed else 0 if passed else 77)


def at_once(*tests):
    """One test of several that spend their time waiting: for periods, for another attempt, for an end that is due."""
    def all_of_them():
        with concurrent.futures.ThreadPoolExecutor(len(tests)) as pool:
            begun = [(test.__name__, time.monotonic(), pool.submit(test)) for test in tests]
            for name, began, test in begun:
                test.add_done_callback(lambda _, name=name, began=began: print(f"     {name}: {time.monotonic() - began:.1f} s", flush=True))
        wrong = [(name, test.exception()) for name, _, test in begun if test.exception()]
        for name, error in wrong:
            print(f"FAIL {name}: {error}", flush=True)
        # what was skipped does not hide what failed
        for error in sorted((error for _, error in wrong), key=lambda error: isinstance(error, Skip)):
            raise error
    all_of_them.__name__ = "_".join(["at_once", *(test.__name__.removeprefix("test_") for test in tests)])
    return all_of_them


# Interpreters


PYTHONS = pathlib.Path(__file__).resolve().parent.parent.parent / "tools" / "pythons"


@functools.lru_cache(maxsize=None)
def versioned(name):
    """The interpreter that tools/pythons knows by this name."""
    found = subprocess.run([PYTHONS, "--path", name], capture_output=True, text=True, check=False)
    if found.returncode:
        raise Skip(found.stderr.strip())
    return found.stdout.strip()


def distribution():
    return versioned("system")


def interpreter(name=None):
    """The one that the script was asked for; without one, whichever is here."""
    name = name or INTERPRETER
    if name:
        return versioned(name)
    for version in SUPPORTED:
        with contextlib.suppress(Skip):
            return versioned(version)
    return distribution()


# Programs


def run(command, timeout=60, **options):
    done = subprocess.run(command, stdout=subprocess.PIPE, stderr=subprocess.PIPE, text=True, errors="replace",
                          stdin=subprocess.DEVNULL, timeout=timeout, **options)
    return Run(done.returncode, done.stdout, done.stderr)


def stop(process, sig=signal.SIGTERM):
    if process.poll() is None:
        process.send_signal(sig)
    try:
        process.wait(10)
    except subprocess.TimeoutExpired:
        process.kill()
        process.wait()


@contextlib.contextmanager
def program(*command):
    """A process of the test; ended with it."""
    process = subprocess.Popen(command, stdout=subprocess.PIPE, stderr=subprocess.PIPE, stdin=subprocess.DEVNULL, text=True)
    try:
        yield process
    finally:
        stop(process)
        process.stdout.close()
        process.stderr.close()


@contextlib.contextmanager
def target(python, script, *arguments):
    """A program of tests/targets that has said "ready"."""
    with program(python, str(TARGETS / script), *map(str, arguments)) as process:
        ready, _, _ = select.select([process.stdout], [], [], 20)
        check(f"{script} runs on {os.path.basename(python)}", ready and process.stdout.readline() == "ready\n")
        yield process


@contextlib.contextmanager
def example(python):
    """example.py, which says nothing: it runs once its event loop has a selector."""
    with program(python, str(TARGETS / "example.py")) as process:
        until(lambda: "anon_inode:[eventpoll]" in open_files(process.pid))
        yield process


def until(condition, seconds=20):
    end = time.monotonic() + seconds
    while not condition():
        if time.monotonic() > end:
            raise AssertionError("waited in vain")
        time.sleep(0.005)


def open_files(pid):
    names = set()
    for link in glob.glob(f"/proc/{pid}/fd/*"):
        with contextlib.suppress(OSError):
            names.add(os.readlink(link))
    return names


@contextlib.contextmanager
def scratch():
    with tempfile.TemporaryDirectory(prefix="coroscope-live-", dir="/var/tmp") as path:
        os.chmod(path, 0o777)
        yield pathlib.Path(path)


@contextlib.contextmanager
def small_disk(size):
    """An empty file system that holds so much and no more."""
    with scratch() as path:
        mounted = run(["mount", "-t", "tmpfs", "-o", f"size={size}", "coroscope-live", str(path)])
        if mounted.code:
            raise Skip(f"may not mount a tmpfs here: {mounted.err.strip()}")
        try:
            yield path
        finally:
            run(["umount", str(path)])


# coroscope


def coroscope(*arguments, timeout=60, env=None):
    return run([COROSCOPE, *map(str, arguments)], timeout, env={**os.environ, **(env or {})})


def record(*arguments, **options):
    """A run that must succeed."""
    done = coroscope("record", *arguments, **options)
    check("record " + " ".join(map(str, arguments)) + " succeeds", done.code == OK, done)
    return done


def one_line(done):
    return done.err.startswith("coroscope: error: ") and done.err.count("\n") == 1 and done.err.endswith("\n")


def seconds(done):
    """How long the capture says that it was."""
    return float(re.search(r" samples in ([\d.]+) s ", done.err).group(1))


class Stack:
    """One collapsed line: texts of its frames, root first, and its weight in sampling intervals."""

    def __init__(self, line):
        stack, count = line.rsplit(" ", 1)
        self.frames, self.count = stack.split(";"), int(count)
        self.names = [text if text.startswith("<task ") else text.split(" (")[0] for text in self.frames]

    def has(self, name):
        return name in self.names

    def under(self, *names):
        """Whether these occur in this order, not necessarily next to each other."""
        rest = iter(self.names)
        return all(name in rest for name in names)

    def __repr__(self):
        return ";".join(self.names) + f" {self.count}"


def stacks(collapsed):
    return [Stack(line) for line in collapsed.splitlines()]


def weight(found, condition=lambda stack: True):
    return sum(stack.count for stack in found if condition(stack))


def page_data(html):
    """What an HTML page shows, as its script reads it."""
    return json.loads(re.search(r'<script [^>]*type="application/json"[^>]*>(.*?)</script>', html, re.S).group(1))


def near(value, truth, tolerance=0.1):
    return abs(value - truth) <= tolerance * truth
