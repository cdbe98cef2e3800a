#!/usr/bin/env python3
# SPDX-License-Identifier: Apache-2.0
"""What the running interpreter says of its own location tables, one code object a line:

    FIRSTLINENO TABLE-IN-HEX LINE*UNITS,LINE*UNITS,...

LINE is 0 where there is none, UNITS counts code units of two bytes. Without arguments the code objects are
those of the function below, otherwise of every Python file in the directories named. linetable.txt holds the output
for 3.11.7, 3.12.1 and 3.13.0, each also under -X no_debug_ranges (which drops the columns):

    for v in 3.11.7 3.12.1 3.13.0; do python$v gen_linetable.py; python$v -X no_debug_ranges gen_linetable.py; done
"""
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
            match item:
                case {"a": 1, **rest} if rest: await rest["f"](*args, **kwargs)
                case [1, 2, *_] | (3 | 4):
                    return await item
                case _:
                    continue
    while True:
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


def describe(code):
    lines = []
    for start, end, line in code.co_lines():
        lines += [line or 0] * ((end - start) // 2)
    assert lines == [position[0] or 0 for position in code.co_positions()]
    runs = ((line, len(list(group))) for line, group in itertools.groupby(lines))
    text = ",".join(f"{line}*{units}" for line, units in runs)
    return f"{code.co_firstlineno} {code.co_linetable.hex()} {text}"


warnings.simplefilter("ignore")
source = from_files(sys.argv[1:]) if sys.argv[1:] else codes(compile(SNIPPET, "snippet", "exec"))
for found in source:
    print(describe(found))
