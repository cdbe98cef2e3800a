# SPDX-License-Identifier: Apache-2.0
"""blocked.py SECONDS: threads that each wait in one way, and measure it.

Off the CPU is what a thread's clock has gone on without its CPU clock. Ends with one line of JSON: of each function the nanoseconds that its thread was
off the CPU, how many rounds it made, and how often it was woken to go on.
"""
import asyncio
import json
import os
import resource
import socket
import subprocess
import sys
import tempfile
import threading
import time

SECONDS = float(sys.argv[1])
PAUSE = 0.02
LOOP_PAUSE = 0.1
END = time.monotonic() + SECONDS
told = {}


def wakings():
    return resource.getrusage(resource.RUSAGE_THREAD).ru_nvcsw


class Measure:
    """Time off the CPU from here to there."""

    def __enter__(self):
        self.wall, self.cpu = time.monotonic_ns(), time.thread_time_ns()
        return self

    def __exit__(self, *_):
        self.ns = (time.monotonic_ns() - self.wall) - (time.thread_time_ns() - self.cpu)


def tell(name, ns, rounds):
    told[name] = {"ns": ns, "rounds": rounds, "wakings": wakings()}


def repeat(function):
    """The thread of `function`: one call after the other until the end."""
    total = rounds = 0
    while time.monotonic() < END:
        with Measure() as measure:
            function()
        total += measure.ns
        rounds += 1
    tell(function.__name__, total, rounds)


def sleeps():
    time.sleep(PAUSE)


PIPE = os.pipe()


def reads_pipe():
    os.read(PIPE[0], 1)


SOCKETS = socket.socketpair()


def receives():
    SOCKETS[0].recv(1)


LOCK, LET_GO = threading.Lock(), threading.Event()


def takes_lock():
    with LOCK:
        pass
    time.sleep(PAUSE / 10)


FILE = tempfile.TemporaryFile(dir="/var/tmp")


def syncs_file():
    os.pwrite(FILE.fileno(), os.urandom(1 << 18), 0)
    os.fsync(FILE.fileno())


def waits_for_child():
    child = subprocess.Popen(["sleep", "0.05"])
    os.waitpid(child.pid, 0)
    child.returncode = 0


def feeds():
    """What the others wait for."""
    while time.monotonic() < END + 0.5:
        with LOCK:
            time.sleep(PAUSE)
        os.write(PIPE[1], b"x")
        SOCKETS[1].send(b"x")


async def blocks_loop():
    with Measure() as measure:
        time.sleep(LOOP_PAUSE)
    told["blocks_loop"]["ns"] += measure.ns
    told["blocks_loop"]["rounds"] += 1


async def between():
    await asyncio.create_task(blocks_loop(), name="blocks")


async def loop_main():
    while time.monotonic() < END:
        await asyncio.sleep(LOOP_PAUSE)
        await asyncio.create_task(between(), name="between")


def runs_loop():
    tell("blocks_loop", 0, 0)
    with Measure() as measure:
        asyncio.run(loop_main())
    tell("runs_loop", measure.ns, 1)


def main():
    threads = [threading.Thread(target=repeat, args=(function,)) for function in
               (sleeps, reads_pipe, receives, takes_lock, syncs_file, waits_for_child)]
    threads += [threading.Thread(target=runs_loop), threading.Thread(target=feeds)]
    for thread in threads:
        thread.start()
    for thread in threads:
        thread.join()
    print(json.dumps(told), flush=True)


main()
