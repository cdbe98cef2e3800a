#!/usr/bin/env python3
# SPDX-License-Identifier: Apache-2.0
"""Native stacks of programs without frame pointers: every one from where the program is to its root, in its true order."""
import contextlib
import re

import live

SECONDS = 3
# what the C library has between the entry and main, and between a callback and its caller, is its own business
START = ["_start", "...", "main"]
EXPECTED = {
    "deep": START + ["descend"] * 40 + ["burn"],
    "callback": START + ["sort_work", "...", "compare", "burn"],
    "signal": START + ["raise_signal", "raise", "...", "on_signal", "burn"],
    "kernel": START + ["read_zeroes", "read", "...", "vfs_read_[k]", "..."],
    "frame": START + ["aligned_frame", "burn"],
    "thread": ["...", "start_thread", "run_thread", "burn"],
}
# Of what a program does, not all is in the one function that it is about
ELSEWHERE = 0.1


def built(folder, *flags):
    """native_stack.c without frame pointers."""
    program = folder / "native_stack"
    done = live.run(["cc", "-O2", "-fomit-frame-pointer", *flags, "-o", program, live.TARGETS / "native_stack.c",
                     "-pthread"])
    if done.code:
        raise AssertionError(f"cc: {done.err}")
    return program


def names(stack):
    """Without the process, its thread, and a mark at the root."""
    return stack.names[2:]


def matches(seen, expected):
    """Is it this order, "..." standing for any frames?"""
    one = r"(?:[^;]*;)"
    pattern = "".join(f"{one}*" if name == "..." else f"{re.escape(name)};" for name in expected)
    return re.fullmatch(pattern, "".join(name + ";" for name in seen)) is not None


def is_whole(stack):
    """Down to the root of the program or of a thread."""
    return names(stack)[0] in ("_start", "clone3", "__clone3", "clone", "__clone")


def is_marked(stack):
    return names(stack)[0].startswith("[")


def recorded(pid, seconds=SECONDS):
    done = live.record("-p", pid, "--native", "on", "-m", "cpu", "-d", seconds, "-f", "collapsed")
    return live.stacks(done.out)


@contextlib.contextmanager
def running(program, name, depth):
    """Once it is no copy of this test any more."""
    with live.program(str(program), name, str(10 * SECONDS), str(depth)) as process:
        live.until(lambda: live.run(["cat", f"/proc/{process.pid}/comm"]).out.startswith("native_stack"))
        yield process


def check_stacks(what, found):
    every = live.weight(found)
    whole = live.weight(found, is_whole)
    right = live.weight(found, lambda stack: is_whole(stack) and matches(names(stack), EXPECTED[what]))
    live.check(f"{what}: it was seen", every >= 20, found)
    live.check(f"{what}: at least 99% of its stacks are whole", whole >= 0.99 * every, found)
    live.check(f"{what}: what is not whole says so", every == live.weight(found, lambda s: is_whole(s) or is_marked(s)),
               found)
    live.check(f"{what}: in the program's own order", right >= (1 - ELSEWHERE) * whole, found)


def test_dynamic():
    """All at once, for as long as each of them needs on two CPUs."""
    with live.scratch() as folder, contextlib.ExitStack() as stack:
        program = built(folder)
        processes = {name: stack.enter_context(running(program, name, 40)) for name in EXPECTED}
        found = recorded(",".join(str(process.pid) for process in processes.values()), seconds=len(EXPECTED) * SECONDS / 2)
    for name, process in processes.items():
        check_stacks(name, [one for one in found if one.frames[0].endswith(f" [{process.pid}]")])


def test_static():
    with live.scratch() as folder:
        with running(built(folder, "-static"), "deep", 40) as process:
            check_stacks("deep", recorded(process.pid))


def test_too_deep():
    """Deeper than what a record holds: the newest frames, and a mark where the root would be."""
    with live.scratch() as folder:
        with running(built(folder), "deep", 400) as process:
            found = recorded(process.pid)
        in_burn = [stack for stack in found if names(stack)[-1] == "burn"]
        live.check("deep stacks were seen", live.weight(in_burn) >= 20, found)
        live.check("every deep stack is marked and has its newest frames",
                   all(names(s) == ["[truncated]"] + ["descend"] * 255 + ["burn"] for s in in_burn), in_burn)


def test_stripped():
    """No symbols: addresses in the file, from which its debug file's tell the same functions."""
    with live.scratch() as folder:
        program = built(folder)
        symbols = live.run(["nm", program]).out
        live.run(["strip", program])
        with running(program, "deep", 10) as process:
            found = recorded(process.pid)
    whole = [stack for stack in found if is_unnamed(stack)]
    live.check("stripped: the stacks are whole", live.weight(whole) >= (1 - ELSEWHERE) * live.weight(found), found)
    wanted = {name: int(re.search(rf"^([0-9a-f]+) [tT] {name}$", symbols, re.M).group(1), 16) for name in ("descend", "burn")}
    offsets = [int(text.split("+")[1], 16) for text in names(whole[0]) if text.startswith("native_stack+")]
    live.check("stripped: the leaf is in burn, what calls it in descend",
               0 <= offsets[-1] - wanted["burn"] < 256 and 0 <= offsets[-2] - wanted["descend"] < 256, (offsets, wanted))


def is_unnamed(stack):
    return len(names(stack)) == 15 and "libc.so.6" in stack.frames[3] and names(stack)[-1].startswith("native_stack+")


def test_begun_by_record():
    """A program that record starts: known soon after its exec, and what came before is marked."""
    with live.scratch() as folder:
        done = live.record("--native", "on", "-m", "cpu", "-d", SECONDS, "-f", "collapsed", "--", built(folder), "deep",
                           10 * SECONDS, 40)
    found = live.stacks(done.out)
    inside = [stack for stack in found if stack.has("burn")]
    whole = live.weight(inside, is_whole)
    live.check("begun by record: all but the first moments is whole", whole >= live.weight(inside) - 5 and whole >= 20, found)
    live.check("begun by record: the rest is marked", all(is_whole(s) or is_marked(s) for s in inside), found)


def test_default():
    """Native frames without being asked for, of one process and of all; of these from when each is known, and what came before is marked."""
    with live.scratch() as folder:
        with live.program(str(built(folder)), "deep", str(20 * SECONDS), "10") as process:
            for which in (["-p", process.pid], ["-a"]):
                done = live.record(*which, "-m", "cpu", "-d", SECONDS, "-f", "collapsed")
                found = [stack for stack in live.stacks(done.out) if stack.frames[0].endswith(f" [{process.pid}]") and stack.has("burn")]
                whole = live.weight(found, is_whole)
                live.check(f"by default, {which[0]}: {whole} stacks are whole", whole >= 0.5 * live.weight(found) > 0, found)
                live.check(f"by default, {which[0]}: the rest is marked", all(is_whole(s) or is_marked(s) for s in found), found)


def test_off():
    with live.scratch() as folder:
        with live.program(str(built(folder)), "deep", str(10 * SECONDS), "10") as process:
            done = live.record("-p", process.pid, "--native", "off", "-m", "cpu", "-d", 1, "-f", "collapsed")
    live.check("--native off: the leaf's address only", all(len(names(s)) == 1 for s in live.stacks(done.out)
                                                                if not s.frames[-1].endswith("[k]")), done.out)


if __name__ == "__main__":
    # one CPU each
    live.main(test_dynamic, live.at_once(test_static, test_too_deep), live.at_once(test_stripped, test_begun_by_record), test_default, test_off)
