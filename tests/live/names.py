#!/usr/bin/env python3
# SPDX-License-Identifier: Apache-2.0
"""names.py COROSCOPE [INTERPRETER]: names, files and lines of every kind of code, against what the interpreter says of itself.

The target (tests/targets/names.py) tells every stack that it will ever have below work(); each must be in the profile, and
next to nothing else.
"""
import gzip
import os
import re
import shutil
import unicodedata

import known
import live

RATE = 2999
MAX_NAME, MAX_PATH = 1024, 4096  # limits.h


def capture(group, path, seconds):
    """A raw capture of the target's steady state, and what it told."""
    with known.program(live.interpreter(), live.TARGETS / "names.py", group, wanted=["ready"]) as program:
        done = live.coroscope("record", "-p", program.pid, "-d", seconds, "-r", RATE, "-m", "cpu", "--native", "off", "-o", path)
    live.check(f"{group}: recorded", done.code == live.OK, done.err)
    return [stack for stacks in program.stacks.values() for stack in stacks]


def report(raw, form):
    path = raw.with_suffix(f".{form}")
    done = live.coroscope("report", raw, "-f", form, "-o", path)
    live.check(f"{form} can be written", done.code == live.OK, done.err)
    return path.read_text(encoding="utf-8")


def compare(group, seconds):
    with live.scratch() as folder:
        told = capture(group, folder / "all.raw", seconds)
        found = live.stacks(report(folder / "all.raw", "collapsed"))
    check_told(found, told)
    return found, told


def is_shown(stack, told):
    """Where the interpreter itself has lost the callers (3.9: of a generator that throw() goes through), that is marked."""
    if told[0][0] == "<module>":
        return known.is_stack(stack, told)
    frames = known.python_frames(stack)
    return frames[0] == "[torn]" and len(frames) == len(told) + 1 and all(map(known.is_frame, frames[1:], told))


def check_told(found, told, whole=True):
    """The profile has each stack that was told. whole: and it has no other."""
    seen = [0] * len(told)
    unknown = []
    for stack in found:
        alike = [number for number, one in enumerate(told) if is_shown(stack, one)]
        for number in alike:
            seen[number] += stack.count
        if not alike:
            unknown.append(stack)
    missing = [one[2:] for number, one in enumerate(told) if not seen[number]]
    live.check(f"each of {len(told)} stacks is there", not missing, missing[:5])
    known_weight = live.weight(found) - live.weight(unknown)
    live.check(f"{known_weight} of {live.weight(found)} samples are one of them", not whole or known_weight >= 0.95 * live.weight(found),
               sorted(unknown, key=lambda stack: -stack.count)[:5])


def names_of(told):
    return {name for stack in told for name, _, _ in stack}


@live.noisy
def test_calls():
    """Modules, lambdas, comprehensions, methods, classes, generators, coroutines."""
    _, told = compare("calls", 1.5)
    names, newer = names_of(told), told_version() >= (3, 11)
    prefix = "comprehensions.<locals>." if newer else ""
    inlined = told_version() >= (3, 12)
    for name in ("<listcomp>", "<setcomp>", "<dictcomp>"):
        live.check(f"{name} is a frame until 3.11", (prefix + name in names) != inlined, names)
    for name in (prefix + "<genexpr>", "<module>", "lambdas.<locals>.<lambda>" if newer else "<lambda>",
                 "Methods.Inner.method.<locals>.nested" if newer else "nested"):
        live.check(f"{name} is there", name in names, names)


def told_version():
    out = live.run([live.interpreter(), "-c", "import sys; print(*sys.version_info[:2])"]).out
    return tuple(map(int, out.split()))


@live.noisy
def test_lines():
    """The line of the instruction that runs, in statements of several lines and far down in a file."""
    _, told = compare("lines", 2)
    places = {(name, line) for stack in told for name, _, line in stack}
    for place in (("far_down", 40001), ("far_down", 80001), ("far_back", 2), ("far_back", 40002), ("far_back", 80003)):
        live.check(f"{place[0]} runs line {place[1]}", place in places)


def shown(text):
    """What a profile makes of it: U+FFFD for what is no character."""
    return "".join("\ufffd" if "\ud800" <= c <= "\udfff" else c for c in text)


def is_printable(text):
    return not any(unicodedata.category(c) == "Cc" for c in text)


def check_collapsed(text, told):
    *lines, last = text.split("\n")
    wrong = [line for line in lines if not re.fullmatch(r"\S.* \d+", line) or not is_printable(line)]
    live.check("each line is one of collapsed stacks", not last and not wrong, wrong[:3])
    check_told([live.Stack(line) for line in lines], told)


def check_page(html, told):
    data = live.page_data(html)
    missing = names_of(told) - {data["strings"][frame[0]] for frame in data["frames"]}
    live.check("the page has all names", not missing, missing)


def check_pprof(folder, told):
    live.coroscope("report", folder / "all.raw", "-o", folder / "all.pb.gz")
    strings = gzip.decompress((folder / "all.pb.gz").read_bytes())
    missing = [name for name in names_of(told) if is_printable(name) and name.encode() not in strings]
    live.check("pprof's file has the names", not missing, missing)
    if not shutil.which("go"):
        raise live.Skip("what reads it needs go: apt install golang-go")
    done = live.run(["go", "tool", "pprof", "-top", "-nodecount=9999", str(folder / "all.pb.gz")],
                    env={**os.environ, "PPROF_TMPDIR": str(folder)})
    live.check("go tool pprof reads it", done.code == 0, done.err)


@live.noisy
def test_texts():
    """Names and paths that are not ASCII, not characters, or part of a format's syntax."""
    with live.scratch() as folder:
        told = [[(shown(name), shown(file), line) for name, file, line in stack] for stack in capture("texts", folder / "all.raw", 1.5)]
        check_collapsed(report(folder / "all.raw", "collapsed"), told)
        check_page(report(folder / "all.raw", "html"), told)
        live.check("a line of the tree is a line", all(map(is_printable, report(folder / "all.raw", "tree").split("\n"))))
        check_pprof(folder, told)


def check_cut(texts, whole, limit):
    found = [text for text in texts if text.startswith(whole[:50])]
    live.check(f"{whole[:10]}... is cut and marked", found and all(
        text.endswith("...") and whole.startswith(text[:-3]) and limit / 2 < len(text.encode()) <= limit + 3 for text in found),
        [text[:20] + ".." + text[-20:] for text in found])


@live.noisy
def test_extremes():
    """Names and paths that are very long, or hold a zero byte."""
    with live.scratch() as folder:
        told = capture("extremes", folder / "all.raw", 0.5)
        data = live.page_data(report(folder / "all.raw", "html"))
        collapsed = report(folder / "all.raw", "collapsed")
    texts = {data["strings"][index] for frame in data["frames"] for index in frame[:2]}
    for name, file, _ in (stack[-2] for stack in told):
        if len(name) > MAX_NAME:
            check_cut(texts, name, MAX_NAME)
        elif len(file) > MAX_PATH:
            check_cut(texts, file, MAX_PATH)
        else:
            live.check(f"{name[:20]!r} is whole", {name, file} <= texts, [text[:50] for text in texts])
    check_told(live.stacks(collapsed), [stack for stack in told if stack[-3][0] == "zeros"], whole=False)


live.main(test_calls, test_lines, test_texts, test_extremes)
