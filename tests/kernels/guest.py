# SPDX-License-Identifier: Apache-2.0
"""guest.py COROSCOPE TARGETS NATIVE: what is done on each kernel. It judges nothing: each step's outcome is a line of JSON, for kernel.py.

COROSCOPE is the program, TARGETS the folder with the programs to profile, NATIVE native_stack.c's.
"""
import base64
import contextlib
import glob
import json
import os
import re
import signal
import subprocess
import sys
import time
import zlib

COROSCOPE, TARGETS, NATIVE = sys.argv[1:]
WAIT_S = 120
LOOKS = 10
GROUP = "/sys/fs/cgroup/chosen"


def tell(step, **what):
    print(json.dumps({"step": step, **what}), flush=True)


def until(condition):
    end = time.monotonic() + WAIT_S
    while not condition() and time.monotonic() < end:
        time.sleep(0.01)


def open_files(pid):
    """What its descriptors lead to, by number."""
    found = {}
    for link in glob.glob(f"/proc/{pid}/fd/*"):
        with contextlib.suppress(OSError):
            found[os.path.basename(link)] = os.readlink(link)
    return found


def attached(pid):
    """Which kinds of links it holds, and of its programs the kinds and how many instructions the verifier went through (from 5.16 on)."""
    links, programs = set(), []
    for number, name in open_files(pid).items():
        with contextlib.suppress(OSError), open(f"/proc/{pid}/fdinfo/{number}", encoding="ascii") as file:
            info = dict(re.findall(r"^(\w+):\s*(\S+)", file.read(), re.MULTILINE))
            if "link_type" in info:
                links.add(info["link_type"])
            elif "prog_type" in info:
                programs.append((int(info["prog_type"]), int(info.get("verified_insns", 0))))
    return {"links": sorted(links), "programs": sorted(programs)}


@contextlib.contextmanager
def program(*command, **options):
    """A process that has said "ready", and whoever descends from it."""
    with subprocess.Popen(command, stdout=subprocess.PIPE, text=True, start_new_session=True, **options) as process:
        try:
            process.stdout.readline()
            yield process
        finally:
            os.killpg(process.pid, signal.SIGKILL)


def target(script, *arguments, **options):
    return program(sys.executable, "-B", f"{TARGETS}/{script}", *map(str, arguments), **options)


def run(step, *arguments):
    """A command of coroscope. Returns its output."""
    done = subprocess.run([COROSCOPE, *map(str, arguments)], stdout=subprocess.PIPE, stderr=subprocess.PIPE, text=True, errors="replace",
                          stdin=subprocess.DEVNULL, timeout=WAIT_S, check=False)
    tell(step, code=done.returncode, out=done.stdout, err=done.stderr)
    return done.stdout


def capture(step, *options, seconds=3, then=lambda: None):
    """A raw capture of so many seconds from when it began, and what it held then. Its first record is written before its clock starts."""
    path, began, held = f"/{step.replace(' ', '_')}.raw", time.monotonic(), {}
    with open(path + ".err", "w+", encoding="utf-8", errors="replace") as messages, \
            subprocess.Popen([COROSCOPE, "record", "-v", "-o", path, *map(str, options)], stderr=messages, stdin=subprocess.DEVNULL) as recorder:
        until(lambda: recorder.poll() is not None or os.path.exists(path) and os.path.getsize(path))
        took = time.monotonic() - began
        then()
        with contextlib.suppress(subprocess.TimeoutExpired):
            recorder.wait(seconds)
        if recorder.poll() is None:
            held = attached(recorder.pid)
            recorder.send_signal(signal.SIGINT)
        recorder.wait(WAIT_S)
        messages.seek(0)
        err = messages.read()
    raw = ""
    with contextlib.suppress(OSError), open(path, "rb") as file:
        raw = base64.b64encode(zlib.compress(file.read(), 1)).decode()
    tell(step, code=recorder.returncode, err=err, raw=raw, start_s=took, **held)


def task_tree():
    """example.py never says "ready": it runs once its loop has a selector."""
    with subprocess.Popen([sys.executable, "-B", f"{TARGETS}/example.py"]) as process:
        until(lambda: "anon_inode:[eventpoll]" in open_files(process.pid).values())
        run("check process", "check", "-p", process.pid)
        capture("wall", "-p", process.pid, "-m", "wall", seconds=7)
        capture("no iterator", "-p", process.pid, "-m", "wall", "--no-iterator", seconds=7)
        run("pstree", "pstree", process.pid)
        run("dump", "dump", process.pid)
        process.kill()


def cpu():
    with target("burn_ratio.py") as process:
        capture("cpu", "-p", process.pid, "-m", "cpu", seconds=2)
        capture("everything", "-a", "-m", "wall", "--native", "on", "--gil", seconds=4)


def native():
    with subprocess.Popen([NATIVE, "deep", "1000", "40"]) as process:
        capture("native", "-p", process.pid, "-m", "cpu", "--native", "on", seconds=2)
        process.kill()


def is_born(argument):
    """Does a process with this last argument run its main(), which begins with a handler for SIGUSR1?"""
    for folder in glob.glob("/proc/[0-9]*"):
        with contextlib.suppress(OSError), open(f"{folder}/cmdline", encoding="utf-8") as words, open(f"{folder}/status", encoding="utf-8") as status:
            if words.read().split("\0")[-2:] == [argument, ""]:
                return int(re.search(r"^SigCgt:\s*(\w+)", status.read(), re.MULTILINE)[1], 16) >> signal.SIGUSR1 - 1 & 1
    return False


def births(group):
    os.killpg(group, signal.SIGUSR1)
    until(lambda: is_born("begun"))


def children():
    """Two are there before, one is forked and one begun during the capture."""
    with target("family.py") as process:
        capture("children", "-p", process.pid, "-s", "-m", "cpu", then=lambda: births(process.pid), seconds=4)


def begin_in_group(stack):
    def enter():
        with open(f"{GROUP}/cgroup.procs", "w", encoding="ascii") as file:
            file.write(str(os.getpid()))
    return lambda: stack.enter_context(target("family.py", "begun", preexec_fn=enter))


def cgroup():
    """A process that begins in the group during the capture, beside one that is in none."""
    os.mkdir(GROUP)
    with target("family.py", "stranger"), contextlib.ExitStack() as stack:
        capture("cgroup", "-G", GROUP, "-m", "cpu", then=begin_in_group(stack), seconds=3)


def busy_loop(looks):
    """A capture, and looks, which may wait for a copy for longer, until one is of one instant."""
    with target("rounds.py", 5, 1000) as process:
        capture("busy loop", "-p", process.pid, "-m", "wall", seconds=6)
        for _ in range(looks):
            if json.loads(run("busy look", "ps", process.pid, "--json"))["moment"] == "instant":
                break


def main():
    tell("kernel", release=os.uname().release)
    looks = LOOKS if "tasks are seen at one instant" in run("check", "check") else 1
    for name, step in {"task tree": task_tree, "cpu": cpu, "native": native, "children": children, "cgroup": cgroup,
                       "busy loop": lambda: busy_loop(looks)}.items():
        began = time.monotonic()
        try:
            step()
        except Exception as error:  # the others are of interest too
            tell(f"failure of {name}", error=f"{type(error).__name__}: {error}")
        tell(f"time of {name}", seconds=time.monotonic() - began)
    tell("end")


if __name__ == "__main__":
    main()
