# SPDX-License-Identifier: Apache-2.0
"""Python that calls C that calls Python, three times over: native_python.py LIBRARY, native_calls.c built."""
import ctypes
import sys
import time

library = ctypes.CDLL(sys.argv[1])
CALL = ctypes.CFUNCTYPE(ctypes.c_int, ctypes.c_int)


def burn(n):
    total = n
    for i in range(30000):
        total += i * i
    return total & 1


def through(function, callee):
    """A Python function that calls callee by way of C."""
    callback = CALL(callee)
    return lambda n: function(callback, n)


def third(n):
    return call_burn(n) + 1


def second(n):
    return call_third(n) + 1


def first(n):
    return call_second(n) + 1


def items():
    """A generator's frame is between."""
    while True:
        yield first(1)


call_burn = through(library.through_three, burn)
call_third = through(library.through_two, third)
call_second = through(library.through_one, second)


def main():
    for _ in items():
        if time.monotonic() > end:
            return


end = time.monotonic() + 60
print("ready", flush=True)
main()
