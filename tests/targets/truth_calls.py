# SPDX-License-Identifier: Apache-2.0
"""truth_calls.py: one thread; calls of every kind, a family of functions for each. See truth_common.py."""
import contextlib
import functools
import gc
import operator
import random
import re
import time
import weakref

import truth_common as common

clock = time.thread_time


# Flat, deep, recursive


def spin(units):
    total = 0
    for i in range(units * 50):
        total += i * i
    return total


def shallow(until):
    while clock() < until:
        shallow_short(2)  #> shallow_short
        shallow_long(20)  #> shallow_long


def shallow_short(units):
    for i in range(units):
        i.bit_length()


def shallow_long(units):
    for i in range(units):
        i.bit_length()


def ring(until):
    """Eight functions that call each other in a circle: a lost or doubled frame breaks it."""
    while clock() < until:
        ring_0(39)  #> ring_0


def ring_0(n):
    return ring_1(n - 1)  #> ring_1


def ring_1(n):
    return ring_2(n - 1)  #> ring_2


def ring_2(n):
    return ring_3(n - 1)  #> ring_3


def ring_3(n):
    return ring_4(n - 1)  #> ring_4


def ring_4(n):
    return ring_5(n - 1)  #> ring_5


def ring_5(n):
    return ring_6(n - 1)  #> ring_6


def ring_6(n):
    return ring_7(n - 1)  #> ring_7


def ring_7(n):
    if n > 0:
        return ring_0(n - 1)  #> ring_0{<5}
    return ring_end(10)  #> ring_end{5}


def ring_end(units):
    return spin(units)  #> spin


def recursion(until):
    while clock() < until:
        descend(2, bottom_3)  #> descend
        descend(16, bottom_17)  #> descend
        descend(199, bottom_200)  #> descend


def descend(n, bottom):
    if n:
        return descend(n - 1, bottom)  #> descend{<200}
    return bottom(n)  #> bottom_3{3}, bottom_17{17}, bottom_200{200}


def bottom_3(n):
    return spin(n + 10)  #> spin


def bottom_17(n):
    return spin(n + 10)  #> spin


def bottom_200(n):
    return spin(n + 10)  #> spin


def far(until):
    """Deeper than a record holds: the middle is left out, and how many frames is known."""
    while clock() < until:
        far_down(599)  #> far_down


def far_down(n):
    if n:
        return far_down(n - 1)  #> far_down{<600}
    return far_end(100)  #> far_end{600}


def far_end(units):
    return spin(units)  #> spin


def parity(until):
    while clock() < until:
        even(20)  #> even
        even(11)  #> even


def even(n):
    if n:
        return odd(n - 1)  #> odd
    return even_end(n)  #> even_end{11}


def odd(n):
    if n:
        return even(n - 1)  #> even
    return odd_end(n)  #> odd_end{6}


def even_end(n):
    return spin(n + 5)  #> spin


def odd_end(n):
    return spin(n + 5)  #> spin


# Generators


def generators(until):
    while clock() < until:
        for value in chain_1(3):  #> chain_1
            between_items(value % 3)  #> between_items
        sum(pipe_2(pipe_1(3)))  #> pipe_2, pipe_1()
        sum(in_expression(i) for i in range(3))  #> <genexpr> / in_expression
        talk_to_generator()  #> talk_to_generator


def chain_1(n):
    yield from chain_2(n)  #> chain_2
    yield before_yield(n)  #> before_yield


def chain_2(n):
    yield from chain_3(n)  #> chain_3


def chain_3(n):
    for i in range(n):
        yield in_chain(i)  #> in_chain


def in_chain(n):
    return spin(n + 2)  #> spin


def before_yield(n):
    return spin(n + 2)  #> spin


def between_items(n):
    return spin(n + 2)  #> spin


def in_expression(n):
    return spin(n + 2)  #> spin


def pipe_1(n):
    for i in range(n):
        yield spin(i + 2)  #> spin


def pipe_2(source):
    for value in source:  #> pipe_1
        yield in_pipe(value)  #> in_pipe


def in_pipe(value):
    return spin(3) + value  #> spin


def talk_to_generator():
    generator = listener()  #> listener()
    next(generator)  #> listener
    generator.send(4)  #> listener
    try:
        generator.throw(KeyError("thrown"))  #> listener
    except KeyError:
        after_throw(2)  #> after_throw
    other = listener()  #> listener()
    next(other)  #> listener
    other.close()  #> listener


def listener():
    try:
        got = yield
        while True:
            got = yield heard(got)  #> heard
    except GeneratorExit:
        at_close(3)  #> at_close
    finally:
        at_end(2)  #> at_end


def heard(n):
    return spin(n)  #> spin


def after_throw(n):
    return spin(n)  #> spin


def at_close(n):
    return spin(n)  #> spin


def at_end(n):
    return spin(n)  #> spin


# Exceptions


class Thrown(Exception):
    pass


def exceptions(until):
    while clock() < until:
        try:
            climb(24)  #> climb
        except Thrown:
            caught(5)  #> caught
        try:
            guarded(10)  #> guarded
        except ValueError:
            caught_other(5)  #> caught_other
        with contextlib.suppress(KeyError):  #> @contextlib
            {}["missing"]  #> @contextlib


def climb(n):
    try:
        if n:
            climb(n - 1)  #> climb{<25}
        thrower(n)  #> thrower{25}
    finally:
        if n % 8 == 0:
            while_flying(3)  #> while_flying


def thrower(n):
    spin(n + 2)  #> spin
    raise Thrown(n)


def while_flying(n):
    return spin(n)  #> spin


def caught(n):
    return spin(n)  #> spin


def caught_other(n):
    return spin(n)  #> spin


class Guard:
    def __enter__(self):
        return entering(2)  #> entering

    def __exit__(self, kind, value, traceback):
        leaving(2)  #> leaving


def guarded(n):
    with Guard():  #> Guard.__enter__, Guard.__exit__
        within_guard(n)  #> within_guard, Guard.__exit__


def within_guard(n):
    with managed(n):  #> @contextlib / managed
        spin(n)  #> spin, @contextlib / managed
        raise_chained()  #> raise_chained, @contextlib / managed


@contextlib.contextmanager
def managed(n):
    try:
        yield entering(n)  #> entering
    finally:
        leaving(n)  #> leaving


def raise_chained():
    try:
        raise Thrown("first")
    except Thrown as error:
        raise ValueError("second") from error


def entering(n):
    return spin(n)  #> spin


def leaving(n):
    return spin(n)  #> spin


# Comprehensions, lambdas, calls through C


def comprehensions(until):
    while clock() < until:
        [in_list(i) for i in range(4)]  #> <listcomp> / in_list
        {in_set(i) for i in range(4)}  #> <setcomp> / in_set
        {i: in_dict(i) for i in range(4)}  #> <dictcomp> / in_dict
        [[in_nested(k) for k in range(2)] for i in range(2)]  #> <listcomp> / <listcomp> / in_nested
        max(map(lambda i: in_lambda(i), range(4)))  #> <lambda> / in_lambda


def in_list(n):
    return spin(n + 2)  #> spin


def in_set(n):
    return spin(n + 2)  #> spin


def in_dict(n):
    return spin(n + 2)  #> spin


def in_nested(n):
    return spin(n + 2)  #> spin


def in_lambda(n):
    return spin(n + 2)  #> spin


def through_c(until):
    values = [5, 3, 8, 1]
    partial = functools.partial(by_partial, 3)
    while clock() < until:
        sorted(values, key=by_sort)  #> by_sort
        sorted(values, key=lambda v: by_lambda_key(v))  #> <lambda> / by_lambda_key
        functools.reduce(by_reduce, values)  #> by_reduce
        list(map(by_map, values))  #> by_map
        list(filter(by_filter, values))  #> by_filter
        re.sub("b", by_regex, "abab")  #> @re / by_regex
        partial()  #> by_partial
        operator.attrgetter("looked_up")(Lookup())  #> Lookup.looked_up
        sorted([Compared(2), Compared(1)])  #> Compared.__init__, Compared.__lt__
        list(iter(by_iter, 0))  #> by_iter


def by_sort(value):
    return spin(value)  #> spin


def by_lambda_key(value):
    return spin(value)  #> spin


def by_reduce(left, right):
    return spin(2) * 0 + left + right  #> spin


def by_map(value):
    return spin(value)  #> spin


def by_filter(value):
    return spin(value)  #> spin


def by_regex(match):
    return str(spin(4))  #> spin


def by_partial(value):
    return spin(value)  #> spin


def by_iter():
    return spin(3) * 0  #> spin


class Lookup:
    @property
    def looked_up(self):
        return spin(4)  #> spin


class Compared:
    def __init__(self, value):
        self.value = value

    def __lt__(self, other):
        return compare(self.value, other.value)  #> compare


def compare(left, right):
    return spin(left) < spin(right)  #> spin


# Classes and decorators


class Base:
    def __init__(self, value):
        self.value = made(value)  #> made

    def method(self, value):
        return in_method(value)  #> in_method

    @classmethod
    def of_class(cls, value):
        return cls(value)  #> Derived.__init__

    @staticmethod
    def without_self(value):
        return in_static(value)  #> in_static

    def __getattr__(self, name):
        return in_getattr(len(name))  #> in_getattr

    def __add__(self, other):
        return in_operator(other)  #> in_operator

    def __call__(self, value):
        return in_call(value)  #> in_call


class Derived(Base):
    def __init__(self, value):
        super().__init__(value + 1)  #> Base.__init__

    def method(self, value):
        return super().method(value)  #> Base.method


def classes(until):
    while clock() < until:
        one = Derived.of_class(3)  #> Base.of_class
        one.method(3)  #> Derived.method
        one.without_self(3)  #> Base.without_self
        one.missing_attribute  #> Base.__getattr__
        one + 3  #> Base.__add__
        one(3)  #> Base.__call__
        class_body()  #> class_body


def class_body():
    class Made:  #> class_body.<locals>.Made
        value = in_body(3)  #> in_body
    return Made


def made(n):
    return spin(n)  #> spin


def in_method(n):
    return spin(n)  #> spin


def in_static(n):
    return spin(n)  #> spin


def in_getattr(n):
    return spin(n)  #> spin


def in_operator(n):
    return spin(n)  #> spin


def in_call(n):
    return spin(n)  #> spin


def in_body(n):
    return spin(n)  #> spin


def outer_decorator(function):
    @functools.wraps(function)
    def outer_wrapper(*arguments):
        return function(*arguments)  #> inner_decorator.<locals>.inner_wrapper
    return outer_wrapper


def inner_decorator(function):
    @functools.wraps(function)
    def inner_wrapper(*arguments):
        before_decorated(2)  #> before_decorated
        return function(*arguments)  #> decorated
    return inner_wrapper


@outer_decorator
@inner_decorator
def decorated(n):
    return spin(n)  #> spin


def before_decorated(n):
    return spin(n)  #> spin


@functools.lru_cache(maxsize=4)
def cached(n):
    return spin(n % 7 + 3)  #> spin


def closure(step):
    def add(value):
        return in_closure(value + step)  #> in_closure
    return add


def in_closure(n):
    return spin(n)  #> spin


def decorators(until):
    add = closure(2)  #> closure
    n = 0
    while clock() < until:
        decorated(4)  #> outer_decorator.<locals>.outer_wrapper
        cached(n)  #> cached
        add(3)  #> closure.<locals>.add
        n += 1


# What the collector and the last reference call


class Dies:
    def __del__(self):
        in_del(3)  #> in_del


class DiesInCycle:
    def __init__(self):
        self.self = self

    def __del__(self):
        in_cycle_del(3)  #> in_cycle_del


def collected(until):
    gc.callbacks.append(on_gc)
    while clock() < until:
        one = Dies()
        del one  #> Dies.__del__
        drop(Dies())  #> Dies.__del__, drop
        other = DiesInCycle()  #> DiesInCycle.__init__
        watch = weakref.ref(other, on_death)
        del other
        gc.collect(0)  #> on_gc, DiesInCycle.__del__, on_death
        del watch
    gc.callbacks.remove(on_gc)


def drop(one):
    spin(2)  #> spin


def in_del(n):
    return spin(n)  #> spin


def in_cycle_del(n):
    return spin(n)  #> spin


def on_death(reference):
    spin(3)  #> spin


def on_gc(phase, info):
    spin(2)  #> spin


# Shares, and sleep


def shares(until):
    """Four functions in the ratio 1 : 2 : 4 : 8, each with its own time measured."""
    while clock() < until:
        for name, function, units in SHARES:
            start = spent.start()  #> common:Spent.start
            function(units)  #> share_1, share_2, share_4, share_8
            spent.stop(name, start)  #> common:Spent.stop


def share_1(units):
    for i in range(units):
        i.bit_length()


def share_2(units):
    for i in range(units):
        i.bit_length()


def share_4(units):
    for i in range(units):
        i.bit_length()


def share_8(units):
    for i in range(units):
        i.bit_length()


def naps(until):
    for _ in range(4):
        nap_short(0.0007)  #> nap_short
        nap_long(0.004)  #> nap_long


def nap_short(seconds):
    time.sleep(seconds)  #! nanosleep, select


def nap_long(seconds):
    time.sleep(seconds)  #! nanosleep, select


SHARES = [("share_1", share_1, 3000), ("share_2", share_2, 6000), ("share_4", share_4, 12000), ("share_8", share_8, 24000)]
FAMILIES = [shallow, ring, recursion, far, parity, generators, exceptions, comprehensions, through_c, classes,
            decorators, collected, shares, naps]
spent = common.Spent((name, "shares") for name, _, _ in SHARES)  #> common:Spent.__init__, common:Spent.__init__ / <genexpr>


def one_round(lengths):
    for family in FAMILIES:
        length = lengths.uniform(0.004, 0.03)  #> @random
        start = spent.start()  #> common:Spent.start
        family(start[0] + length)  #> FAMILIES
        spent.stop(family.__name__, start)  #> common:Spent.stop


def main():
    spent.begin_thread("<module>")  #> common:Spent.begin_thread
    seconds, seed = common.wait_for_go()  #> common:wait_for_go
    lengths = random.Random(seed)  #> @random
    end = time.monotonic() + seconds
    while time.monotonic() < end:
        one_round(lengths)  #> one_round
    common.tell_and_wait(spent)  #> common:tell_and_wait


main()  #> main
