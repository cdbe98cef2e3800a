# SPDX-License-Identifier: Apache-2.0
"""pairs.py: runs through left_1(), which calls left_2(), which calls left_3(), then through right_1() to right_3(), and so on without a rest.

At no instant does a stack have a left one and a right one, or a third without a second. Prints "ready".
"""


def left_3():
    for _ in range(10):
        pass


def left_2():
    left_3()


def left_1():
    left_2()


def right_3():
    for _ in range(10):
        pass


def right_2():
    right_3()


def right_1():
    right_2()


print("ready", flush=True)
while True:
    left_1()
    right_1()
