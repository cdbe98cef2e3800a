#!/usr/bin/env python3
# SPDX-License-Identifier: Apache-2.0
"""What the running interpreter says of its own location tables, one code object a line:

    KIND FIRSTLINENO TABLE-IN-HEX LINE*UNITS,LINE*UNITS,...

KIND is one of enum cs_py_linetable. LINE is 0 where there is none, UNITS counts code units of two bytes. Without arguments the code objects are
those of the function below, otherwise of every Python file in the directories named. linetable.txt holds the output
of these interpreters, from 3.11 on also under -X no_debug_ranges (which drops the columns):

    for v in 3.8 3.9 3.10 3.11 3.12 3.13 debian-3.14 debian-3.15; do p=$(tools/pythons --path $v)
        $p gen_linetable.py; case $v in 3.8|3.9|3.10) ;; *) $p -X no_debug_ranges gen_linetable.py;; esac; done
"""
import dis
import itertools
import pathlib
import sys
import types
import warnings

SNIPPET = '''


import contextlib, \\
    itertools


def far(seq,

        default=None):
    total = (
        seq[0]
        + sum(x * y for x, y in
              zip(seq, seq))


































































    )
    return [value
            for value in seq
            if value
            if total] or default


@contextlib.contextmanager
def manager():
    try:
        yield 1; yield 2
    except (KeyError,
            ValueError) as error:
        raise RuntimeError("a" "b"
                           "c") from error
    finally:
        print("done")


async def main(queue, *args, **kwargs):
    async with queue as q, q.lock:
        async for item in q:
MATCH    while True:
        with open(__file__) as f: pass
        return lambda: (yield)


class Deep:
    class Deeper: x: int = 1; y = [lambda: 0, lambda: \\
        1]
    def loop(self):
        for i in range(3):
            if i: break
        else: del self.x
        assert (self.x ==
                1), f"{self.x!r:>{10}}"
'''


MATCH = '''            match item:
                case {"a": 1, **rest} if rest: await rest["f"](*args, **kwargs)
                case [1, 2, *_] | (3 | 4):
                    return await item
                case _:
                    continue
''' if sys.version_info >= (3, 10) else '''            if item: await item["f"](*args, **kwargs)
            else:
                    continue
'''


def codes(code):
    yield code
    for const in code.co_consts:
        if isinstance(const, types.CodeType):
            yield from codes(const)


def from_files(directories):
    for directory in directories:
        for path in sorted(pathlib.Path(directory).rglob("*.py")):
            try:
                yield from codes(compile(path.read_bytes(), str(path), "exec"))
            except (SyntaxError, ValueError):
                pass  # the standard library's tests contain files that are wrong on purpose


def lines_of(code):
    """The line of each code unit."""
    if not hasattr(code, "co_lines"):  # until 3.9
        starts = dict(dis.findlinestarts(code))
        return list(itertools.accumulate((starts.get(at, 0) for at in range(0, len(code.co_code), 2)),
                                         lambda before, line: line or before))
    lines = []
    for start, end, line in code.co_lines():
        lines += [line or 0] * ((end - start) // 2)
    if hasattr(code, "co_positions"):
        assert lines == [position[0] or 0 for position in code.co_positions()]
    return lines


def describe(code):
    lines = lines_of(code)
    runs = ((line, len(list(group))) for line, group in itertools.groupby(lines))
    text = ",".join(f"{line}*{units}" for line, units in runs)
    kind = 1 if sys.version_info < (3, 10) else 2 if sys.version_info < (3, 11) else 0
    table = code.co_lnotab if kind == 1 else code.co_linetable
    return f"{kind} {code.co_firstlineno} {table.hex() or '-'} {text}"


warnings.simplefilter("ignore")
source = from_files(sys.argv[1:]) if sys.argv[1:] else codes(compile(SNIPPET.replace("MATCH", MATCH), "snippet", "exec"))
for found in source:
    print(describe(found))
