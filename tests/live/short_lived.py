# SPDX-License-Identifier: Apache-2.0
"""short_lived.py COROSCOPE [INTERPRETER...]: processes that are gone before anybody could ask them for names.

A program of 100 ms is run again and again during a capture of the whole machine. What its samples show: the program's own
frames with names and lines, marks, or native code (the interpreter starting and ending has no Python frames).
"""
import collections
import re
import subprocess
import sys
import time

import live

MS, SECONDS = 100, 5
INTERPRETERS = sys.argv[2:] or ["3.8", "3.12", "debian-3.14", "3.13t", "system"]
SOURCE = (live.TARGETS / "short_life.py").read_text(encoding="utf-8").splitlines()


def lines(*texts):
    return [number for number, line in enumerate(SOURCE, 1) if line.strip().startswith(texts)]


FRAMES = {"<module>": lines("burn("), "burn": lines("inner("), "inner": lines("while", "any(")}


def is_named(text):
    """One of Python's frames: a name, a file and a line."""
    return re.fullmatch(r".+ \(.+:\d+\)", text) is not None


def kind(stack):
    """named: every Python frame has a name and a line. lost: it has Python frames, not all of which have. native: none."""
    frames = [text for text in stack.frames[2:] if not text.endswith("_[k]")]
    if any(text.startswith("[") and text.endswith("]") for text in frames):
        return "lost"
    return "named" if frames and all(map(is_named, frames)) else "native"


def is_true(stack):
    """Where the program's own functions stand, they stand as they were written, on a line that they execute."""
    mine = [re.fullmatch(r"(.+) \(.*short_life\.py:(\d+)\)", text) for text in stack.frames]
    names = [(found[1], int(found[2])) for found in mine if found]
    return [name for name, _ in names] == list(FRAMES)[:len(names)] and all(line in FRAMES[name] for name, line in names)


def lives(python):
    """Run the program again and again for a while. Returns how often."""
    end, count = time.monotonic() + SECONDS, 0
    while time.monotonic() < end:
        subprocess.run([python, "-I", "-S", str(live.TARGETS / "short_life.py"), str(MS)], check=True)
        count += 1
    return count


def judge(name):
    python = live.interpreter(name)
    with live.scratch() as folder:
        out = folder / "profile.collapsed"
        with live.program(live.COROSCOPE, "record", "-a", "-m", "cpu", "-r", "499", "-d", str(SECONDS + 2), "-o", str(out)) as recorder:
            time.sleep(1)
            count = lives(python)
            recorder.communicate(timeout=60)
        found = [stack for stack in live.stacks(out.read_text(encoding="utf-8")) if any("short_life" in text for text in stack.frames)
                 or re.match(r"(python|ld-linux|debian-|short)", stack.frames[0])]
    weights = collections.Counter()
    for stack in found:
        weights[kind(stack)] += stack.count
    whole = sum(weights.values())
    burning = live.weight(found, lambda stack: stack.has("inner"))
    print(f"     {name}: {count} lives of {MS} ms: {dict(weights)}; {weights['named'] / max(whole, 1):.1%} of all samples have names and lines")
    live.check(f"{name}: enough of them", count >= 20 and whole >= 0.5 * count * MS * 0.499, weights)
    live.check(f"{name}: at least 80% have names and lines", weights["named"] >= 0.8 * whole, weights)
    live.check(f"{name}: most are of what it burns in", burning >= 0.75 * whole, (burning, whole))
    wrong = [stack.frames for stack in found if not is_true(stack)]
    live.check(f"{name}: none shows what it did not do", not wrong, wrong[:5])


def test_short_lives():
    missing = []
    for name in INTERPRETERS:
        try:
            judge(name)
        except live.Skip as skip:
            missing.append(f"{name}: {skip}")
    for line in missing:
        print(f"SKIP: {line}")
    if len(missing) == len(INTERPRETERS):
        raise live.Skip("none of the interpreters is here")


live.main(test_short_lives)
