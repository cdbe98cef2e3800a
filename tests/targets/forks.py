# SPDX-License-Identifier: Apache-2.0
"""forks.py fork|spawn|os PYTHON: a parent that waits and a child that burns CPU, by os.fork() or a way of multiprocessing,
which starts PYTHON if it starts anything.

forks.py storm: a parent that forks one child after the other, each of which burns 0.1 s of CPU time and ends. The child tells
its stack as knows_stack.py does, {"burn": [[name, file, line], ...], "child": its process id}.
"""
import itertools
import json
import multiprocessing
import os
import sys
import time


def told(value):
    frame, stack = sys._getframe(1), []
    while frame:
        stack.append([getattr(frame.f_code, "co_qualname", frame.f_code.co_name), frame.f_code.co_filename, frame.f_lineno])
        frame = frame.f_back
    os.write(1, (json.dumps({"burn": stack[::-1], "child": os.getpid()}) + "\n").encode())
    return value


def burn():
    for _ in told(itertools.repeat(0)): pass


def burn_short():
    any(map((0.1).__lt__, told(iter(time.process_time, -1))))
    os._exit(0)


def fork(work):
    pid = os.fork()
    if not pid:
        work()
    os.waitpid(pid, 0)


def main(way, python=sys.executable):
    while way == "storm":
        fork(burn_short)
    if way == "os":
        fork(burn)
    multiprocessing.set_executable(python)
    child = multiprocessing.get_context(way).Process(target=burn)
    child.start()
    child.join()


if __name__ == "__main__":
    main(*sys.argv[1:])
