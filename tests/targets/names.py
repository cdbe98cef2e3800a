# SPDX-License-Identifier: Apache-2.0
"""names.py calls | lines | texts | extremes: calls work() from every kind of code there is, one after the other, for ever.

work() burns 1 ms of CPU time. The first round tells each stack at work()'s line, as lines of JSON, {CASE: [[[name, file,
line], ...], ...]}, root first, with the interpreter's own lines (f_lineno), and "ready" at its end. Runs on 3.8 and later.
"""
import functools
import json
import os
import sys
import time
import types

CASES = {"calls": {}, "lines": {}, "texts": {}, "extremes": {}}
stacks = []
telling = True


def stack_of(frame):
    stack = []
    while frame:
        code = frame.f_code
        stack.append([getattr(code, "co_qualname", code.co_name), code.co_filename, frame.f_lineno])
        frame = frame.f_back
    return stack[::-1]


def work(*values):
    """All on one line. Returns its first value."""
    telling and stacks.append(stack_of(sys._getframe())); any(map((time.thread_time() + 0.001).__lt__, iter(time.thread_time, -1)))
    return values[0] if values else 0


def case(group):
    def add(function):
        CASES[group][function.__name__] = function
        return function
    return add


@functools.lru_cache(maxsize=None)
def compiled(text):
    return compile(text, "<generated>", "exec")


def generated(text):
    """Runs a module of this text. Its code is kept: profiles do not name what is gone."""
    exec(compiled(text), {"work": work})


class Calls:
    """Calls work() for everything that can be done to it."""

    def __init__(self, times=1):
        self.left = self.times = times

    def __getitem__(self, key):
        return work(self)

    def __setitem__(self, key, value):
        work()

    def __delitem__(self, key):
        work()

    def __getattr__(self, name):
        return work(self)

    def __mod__(self, other):
        return work(self)

    def __radd__(self, other):
        return work(other)

    def __lt__(self, other):
        return work(True)

    def __bool__(self):
        return bool(work(True))

    def __contains__(self, item):
        return work(True)

    def __neg__(self):
        return work(self)

    def __iadd__(self, other):
        return work(self)

    def __format__(self, spec):
        return work("")

    def __iter__(self):
        self.left = self.times
        return work(self)

    def __next__(self):
        self.left -= 1
        if self.left < 0:
            raise StopIteration
        return work(self.left)

    def __call__(self, *values):
        return work(self)

    def __enter__(self):
        return work(self)

    def __exit__(self, *exception):
        return work(True)

    def __del__(self):
        if self.times < 0:
            work()


# What code is called


@case("calls")
def module():
    generated("work()")


@case("calls")
def lambdas():
    (lambda: work())()
    (lambda: (lambda: work())())()


@case("calls")
def comprehensions():
    [work() for _ in range(1)]
    {work() for _ in range(1)}
    {work(): 0 for _ in range(1)}
    list(work() for _ in range(1))


@case("calls")
def nested_comprehensions():
    [[work() for _ in range(1)] for _ in range(1)]
    [x for x in range(1) if not work()]
    [(lambda: work())() for _ in range(1)]
    list(x for x in [work() for _ in range(1)])


class Methods:
    def method(self):
        return work()

    @classmethod
    def class_method(cls):
        return work()

    @staticmethod
    def static_method():
        return work()

    @property
    def attribute(self):
        return work()

    class Inner:
        def method(self):
            def nested():
                return work()
            return nested()


@case("calls")
def methods():
    Methods().method()
    Methods.class_method()
    Methods.static_method()
    Methods().attribute
    Methods.Inner().method()


@case("calls")
def classes():
    class Body:
        value = work()
        values = [work() for _ in range(1)]

        def __init_subclass__(cls):
            work()

        def __init__(self):
            work()

    class Sub(Body):
        pass
    Sub()


class Made:
    def __init__(self):
        work()


@case("calls")
def constructors():
    """From 3.12 on, a frame of the interpreter's own stands between the two, once the call is specialised."""
    for _ in range(4):
        Made()


@case("calls")
def generators():
    def plain():
        try:
            yield work()
        finally:
            work()

    def delegating():
        yield from plain()

    for _ in plain():
        work()
    next(delegating())
    thrown = delegating()
    next(thrown)
    try:
        thrown.throw(ValueError)
    except ValueError:
        work()


def drive(coroutine):
    """Runs a coroutine to its end without an event loop."""
    try:
        while True:
            coroutine.send(None)
    except StopIteration:
        pass


@types.coroutine
def pause():
    work()
    yield


@case("calls")
def coroutines():
    class Manager:
        async def __aenter__(self):
            await pause()
            work()

        async def __aexit__(self, *exception):
            work()

    async def numbers():
        for number in range(2):
            await pause()
            yield work(number)

    async def main():
        await pause()
        async with Manager():
            async for _ in numbers():
                work()
        return [work() async for _ in numbers()]

    drive(main())


@case("calls")
def recursion(depth=3):
    return recursion(depth - 1) if depth else work()


@case("calls")
def from_c():
    list(map(lambda x: work(), [0]))
    sorted([0], key=work)
    max([2, 1], key=lambda x: work(x))


# The line that runs


@case("lines")
def spread():
    work(
        work(1),
        work(
            2,
        ),
        *[
            work(3)],
    )
    (work
     ())
    (Calls()
     .a
     .b
     (1)
     [2])
    Calls()(
        0,
        1)(
        2)


@case("lines")
def operators():
    (Calls()
     % 1
     % 2)
    c = Calls()
    (1
     + c)
    (c
     < 1
     < 2)
    (0 in
     c)
    (
        -
        c)
    c += (
        1)
    f"""
    {c}
    {c:x}
    """
    c[
        0
    ] = 1
    del c[
        0]


@case("lines")
def conditions():
    c = Calls()
    if (c and
            c):
        work()
    (work(1)
     if
     c else
     work(2))
    while (work(1) and
           not work(0)):
        if work(1):
            break
    assert (
        c), \
        "message"


@case("lines")
def loops():
    for _ in \
            Calls(2):
        work()
    else:
        work()
    a, b = \
        Calls(2)
    [x
     for x
     in Calls(2)
     if
     work(True)]


@case("lines")
def managers():
    with Calls():
        work()
    with Calls() as _, \
            Calls() as _:

        work()
        raise ValueError


@case("lines")
def exceptions():
    def fails():
        try:
            work()
            raise ValueError(
                work())
        except (
                work(KeyError),
                work(ValueError)):
            work()
            raise
        finally:
            work()

    def returns():
        try:
            return work()
        finally:
            work()

    try:
        fails()
    except ValueError as error:
        error.kept = Calls(-1)
    else:
        work()
    returns()


@case("lines")
def decorators():
    def decorator(value):
        work()

        def decorate(function):
            work()
            return function
        return decorate

    @decorator(
        1)
    @decorator(2)
    def function(a=work(),
                 b: work() = 0,
                 *, c=work(
                     1)):
        return work()

    @decorator(3)
    class Body(
            work(object)):
        pass
    function()


@case("lines")
def ends():
    x = Calls(-1)
    x = \
        0
    y = Calls(-1)
    del y
    z = Calls(-1)
    return (
        x)


@case("lines")
def far():
    gap = "\n" * 40000
    generated(f"def far_down():{gap}  work(){gap}  work()\nfar_down()")
    generated(f"def far_back():\n  work({gap}work({gap}))\n  work()\nfar_back()")
    generated(f"def steps():\n" + "".join(f"  {'x = 0;' * 40} x = (x +{gap[:130]}work())\n  work()\n" for _ in range(3)) + "steps()")


@case("lines")
def none():
    """A table that says of each instruction that it has no line. Until 3.9 there is no such thing."""
    if sys.version_info >= (3, 10):
        entry = b"\xff" if sys.version_info >= (3, 11) else b"\xfe\x80"
        work_of("no_lines", "<generated>", co_linetable=entry * 20)()


@case("lines")
def newer_syntax():
    if sys.version_info >= (3, 10):
        generated("match (work(1),\n        work(2)):\n  case (1, y) if (\n      work(True)):\n    work()\n")
    if sys.version_info >= (3, 11):
        generated("try:\n  raise ExceptionGroup('', [ValueError()])\nexcept* (\n    work(ValueError)):\n  work()\n")
    if sys.version_info >= (3, 12):
        generated("def f[T: work()](x: T):\n  work()\nf.__type_params__[0].__bound__\nf(0)\ntype X = (\n  work())\nX.__value__\n")


@case("lines")
def traced():
    """A debugger's line events change the code on 3.12 and later."""
    def lines():
        work()
        work(
            1)

    def tracer(frame, event, arg):
        return tracer if frame.f_code is lines.__code__ else None
    previous = sys.gettrace()
    sys.settrace(tracer)
    lines()
    sys.settrace(previous)
    lines()


@case("lines")
def leaves():
    """What runs is a function of C: the line of its caller, as a profile function hears it."""
    if telling:
        sys.setprofile(lambda frame, event, arg: event == "c_call" and arg is sum and stacks.append(stack_of(frame)))
    sum(range(30000))
    sum(
        range(30000))
    (sum(range(30000))
     +
     sum(range(30000)))
    for _ in range(1):
        sum(
            range(30000),
            0)
    sys.setprofile(None)


# Texts

TEXTS = (
    "plain", "größe", "λόγος", "名前", "\U00020000", "mixé_名_\U00020000", "a;b", "semi;colon 5", "quo\"te's", "new\nline", "tab\there",
    "\x1b[31mred", "<b>&amp;", "</script><!--", "\x85\x9b", "\u2028", "\u202eright", "\udcff\udc80", "x (y.py:3)", "(z.py)", "back\\slash",
    "\\x0a", "%s%n", " leading", "trailing ", "{}[]", "<task x>", "[stale]", "_[k]", "lib/python3.12/x", "a" * 1000)


@functools.lru_cache(maxsize=None)
def work_of(name, file, **changes):
    """A function of this name in this file, kept as well."""
    code = compile("def f():\n    return work()\n", "", "exec").co_consts[0]
    changes.update({"co_name": name, "co_filename": file})
    if hasattr(code, "co_qualname"):
        changes["co_qualname"] = name
    return types.FunctionType(code.replace(**changes), globals())


@case("texts")
def names():
    for text in TEXTS:
        work_of(text, "/names.py")()


@case("texts")
def files():
    for text in TEXTS:
        work_of("in_file", "/dir " + text + "/" + text.replace("/", "") + ".py")()


@case("extremes")
def long():
    work_of("n" * 10000, "/long_name.py")()
    work_of("é" * 10000, "/long_name.py")()
    work_of("long_path", "/" + "d/" * 2000 + "end.py")()
    work_of("longer_path", "/" + "e/" * 10000 + "end.py")()


@case("extremes")
def zeros():
    work_of("nul\x00nul", "/zeros.py")()
    work_of("in_file", "/nul\x00nul.py")()


def main(group):
    global telling
    while True:
        for name, function in CASES[group].items():
            function()
            if telling:
                os.write(1, (json.dumps({name: stacks}) + "\n").encode())
                stacks.clear()
        if telling:
            os.write(1, b'{"ready": []}\n')
        telling = False


main(sys.argv[1])
