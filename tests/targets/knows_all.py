# SPDX-License-Identifier: Apache-2.0
"""knows_all.py: a program that knows all that a profile should show of it, for tests/live/supports.py. Runs on 3.8 and later.

Its main thread, a second one and one in a subinterpreter burn CPU in turns; one thread sleeps; an event loop has a task that
awaits another one. Each tells, as a line of JSON on standard output, {WHAT: {"thread": id, "stack": [[name, file, line], ...]}}
for each place where it will stay, root first.
"""
import asyncio
import json
import os
import sys
import threading
import time

try:
    import _interpreters as interpreters
except ImportError:
    try:
        import _xxsubinterpreters as interpreters
    except ImportError:
        interpreters = None

FAR = 40000
SLICE_S = 0.003
known = set()


def write(**what):
    os.write(1, json.dumps(what).encode() + b"\n")


def tell(what, value, whole=True):
    """The stack of the caller, or only its own frame. Returns value: told on the line that stays."""
    if what not in known:
        known.add(what)
        frame, stack = sys._getframe(1), []
        while frame:
            if frame.f_code is not burning.__code__:
                name = getattr(frame.f_code, "co_qualname", frame.f_code.co_name)
                stack.append([name, frame.f_code.co_filename, frame.f_lineno])
            frame = frame.f_back if whole else None
        write(**{what: {"thread": threading.get_native_id(), "stack": stack[::-1]}})
    return value


def burning(what):
    """any() of it takes a slice of CPU time and does not leave C."""
    return tell(what, map((time.thread_time() + SLICE_S).__lt__, iter(time.thread_time, -1)))


# On a CPU. A burner ends its slice by letting go of the lock: until 3.12 no thread of another interpreter can ask it to.


class Names:
    def method(self):
        any(burning("method")); time.sleep(0.001)

    anonymous = lambda self: (any(burning("lambda")), time.sleep(0.001))

    def outer(self):
        def nested():
            any(burning("nested")); time.sleep(0.001)
        nested()


def größe_名前():
    any(burning("not ascii")); time.sleep(0.001)


def two_lines():
    return [any(burning("first line")), time.sleep(0.001),
            any(burning("second line")), time.sleep(0.001)]


def compiled_far():
    """A function that burns FAR lines below its first."""
    space = {}
    source = "def far():\n" + "\n" * (FAR - 1) + "    any(burning('far')); sleep(0.001)\n"
    exec(compile(source, "/generated/far.py", "exec"), {"burning": burning, "sleep": time.sleep}, space)
    return space["far"]


def second():
    while True:
        any(burning("second thread")); time.sleep(0.001)


def inside():
    """What the subinterpreter runs."""
    while True:
        any(burning("inside")); time.sleep(0.001)


def outside(interpreter):
    folder = os.path.dirname(os.path.abspath(__file__))
    run, code = interpreters.run_string, f"import sys; sys.path.insert(0, {folder!r}); import knows_all; knows_all.inside()"
    run(tell("outside", interpreter), code)


# Waiting


def nap():
    time.sleep(tell("nap", 3600))


def sleeper():
    nap()


async def suspended():
    await tell("suspended", asyncio.sleep(3600), whole=False)


async def awaiter():
    await tell("awaiter", asyncio.create_task(suspended(), name="suspended"), whole=False)


def loop():
    asyncio.run(awaiter())


def main():
    write(version=sys.version_info[:3], subinterpreters=interpreters is not None)
    threads = [threading.Thread(target=work, daemon=True) for work in (second, sleeper, loop)]
    if interpreters:
        threads.append(threading.Thread(target=outside, args=(interpreters.create(),), daemon=True))
    for thread in threads:
        thread.start()
    names, far = Names(), compiled_far()
    while True:
        for burner in (names.method, names.anonymous, names.outer, größe_名前, two_lines, far):
            burner()


if __name__ == "__main__":
    main()
