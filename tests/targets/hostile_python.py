# SPDX-License-Identifier: Apache-2.0
"""hostile_python.py LIBRARY SEED (hostile|harmless) (lives|forks): a program that damages its own interpreter while it is profiled.

LIBRARY is hostile_damage.c, built. lives: its threads stay in C, so it survives, and begins anew every few seconds. forks: its
children go on in Python, and are replaced when they have crashed. harmless: the same without the damage, to compare with.
"""
import asyncio
import ctypes
import os
import random
import resource
import signal
import sys
import threading
import time
import types

RUNTIME, INTERPRETER, THREAD, FRAME, CODE, TEXT, TASK, COROUTINE, CONTAINER, TYPE, OBJECT, LOOP = range(12)
HEAD = object.__basicsize__
PARKED = 3
CHILDREN = 2
TASKS = 40

library, seed, harm, how = sys.argv[1], int(sys.argv[2]), sys.argv[3], sys.argv[4]
seed += int(time.time() * 1000)  # another run of the same life would be no news
lib = ctypes.CDLL(library)
with_gil = ctypes.PyDLL(library)
lib.hostile_add.argtypes = [ctypes.c_uint, ctypes.c_uint64, ctypes.c_uint64]
for function in (lib.hostile_begin, lib.hostile_live, with_gil.hostile_live):
    function.argtypes = [ctypes.c_uint64, ctypes.c_void_p, ctypes.c_double, ctypes.c_int]
chance = random.Random(seed)
told = set()


def tell(kind, address, size):
    if address and address not in told:
        told.add(address)
        lib.hostile_add(kind, address, size)


def words(address, count):
    return (ctypes.c_uint64 * count).from_address(address)


def tell_pointees(kind, what, size):
    """What its own fields lead to; what lies behind it may be the address of a stack. No small number is an address."""
    for word in words(id(what) + HEAD, (type(what).__basicsize__ - HEAD) // 8):
        if word >> 32 and word < 1 << 47 and word % 8 == 0:
            tell(kind, word, size)


def tell_object(kind, what, size=0):
    if what is not None:
        tell(kind, id(what), size or max(what.__sizeof__(), 64))


def tell_container(what):
    """And the tables that it leads to."""
    tell_object(CONTAINER, what, 128)
    tell_pointees(CONTAINER, what, 512)


def tell_code(code):
    tell_object(CODE, code)
    tell_object(OBJECT, code.co_consts)
    for text in (code.co_name, code.co_filename, getattr(code, "co_qualname", None)):
        tell_object(TEXT, text)
    tell_pointees(TEXT, code, 64)  # the line table among them


def tell_frame(frame):
    while frame:
        tell_object(FRAME, frame, 160)
        if sys.version_info >= (3, 11):
            tell(FRAME, words(id(frame) + HEAD + 8, 1)[0], 128)
        tell_code(frame.f_code)
        frame = frame.f_back


def tell_task(task):
    tell_object(TASK, task, 256)
    tell_object(TEXT, task.get_name())
    coroutine = task.get_coro()
    while isinstance(coroutine, types.CoroutineType):
        tell_object(COROUTINE, coroutine, 256)
        tell_frame(coroutine.cr_frame)
        coroutine = coroutine.cr_await
    tell_object(OBJECT, getattr(task, "_fut_waiter", None), 256)


def tell_threads():
    api = ctypes.pythonapi
    for name in ("PyInterpreterState_Head", "PyInterpreterState_Next", "PyInterpreterState_ThreadHead", "PyThreadState_Next"):
        getattr(api, name).restype = ctypes.c_void_p
    interpreter = api.PyInterpreterState_Head()
    while interpreter:
        thread = api.PyInterpreterState_ThreadHead(ctypes.c_void_p(interpreter))
        while thread:
            tell(THREAD, thread, 1024)
            thread = api.PyThreadState_Next(ctypes.c_void_p(thread))
        tell(INTERPRETER, interpreter, 65536)
        interpreter = api.PyInterpreterState_Next(ctypes.c_void_p(interpreter))


def tell_everything():
    tell(RUNTIME, ctypes.addressof(ctypes.c_char.in_dll(ctypes.pythonapi, "_PyRuntime")), 1024)
    tell_threads()
    for frame in sys._current_frames().values():
        tell_frame(frame)
    for task in asyncio.all_tasks():
        tell_task(task)
    loop = asyncio.get_running_loop()
    tell_object(LOOP, loop, 64)
    for what in (vars(loop), asyncio.tasks._current_tasks, sys.modules, vars(asyncio.tasks)):
        tell_container(what)
    for name in ("_all_tasks", "_scheduled_tasks"):
        for tasks in (getattr(asyncio.tasks, name, None), getattr(getattr(asyncio, "_asyncio", None), name, None)):
            if tasks is not None:
                tell_object(OBJECT, tasks, 64)
                tell_container(getattr(tasks, "data", tasks))
    for kind in (asyncio.Task, asyncio.Future, types.CoroutineType, types.CodeType, type(loop), str, dict, set):
        tell_object(TYPE, kind, 512)


def deep(depth, work):
    return deep(depth - 1, work) if depth else work()


def rage_in_c():
    """Never returns: Python is damaged from here on, so no thread may be in it."""
    while lib.hostile_parked() < PARKED:
        time.sleep(0.001)
    tell_everything()
    with open("/proc/self/cmdline", "rb") as file:
        command = [os.fsencode(os.readlink("/proc/self/exe")), *file.read().split(b"\0")[:-1]]
    arguments = (ctypes.c_char_p * (len(command) + 1))(*command, None)
    (lib if chance.random() < 0.5 else with_gil).hostile_live(
        seed + os.getpid(), ctypes.addressof(arguments), chance.uniform(1, 4), harm == "harmless")


def child():
    """Goes on in Python for as long as it works, and for a second at most."""
    lib.hostile_begin(seed + os.getpid(), None, 0, harm == "harmless")
    signal.alarm(2)  # damage may as well end in a loop
    end = time.monotonic() + 1
    while time.monotonic() < end:
        sum(range(1000))
        time.sleep(0.002)
    os._exit(0)


def rage_in_children():
    resource.setrlimit(resource.RLIMIT_CORE, (0, 0))
    tell_everything()  # nothing moves by a fork
    alive = 0
    while True:
        while alive < CHILDREN:
            if os.fork() == 0:
                try:
                    os.dup2(os.open(os.devnull, os.O_WRONLY), 2)
                    child()
                finally:
                    os._exit(1)
            alive += 1
        os.wait()
        alive -= 1
        time.sleep(0.05)


async def waits(depth, event):
    await (waits(depth - 1, event) if depth else event.wait())


async def gathers(event):
    await asyncio.gather(*[waits(2, event) for _ in range(3)])


async def main():
    event = asyncio.Event()
    tasks = [asyncio.ensure_future(waits(i % 8, event) if i % 4 else gathers(event)) for i in range(TASKS)]
    tasks.append(asyncio.ensure_future(asyncio.wait(tasks[:5])))
    await asyncio.sleep(0.05)
    deep(chance.randrange(60), rage_in_c if how == "lives" else rage_in_children)


if how == "lives":
    for _ in range(PARKED):
        threading.Thread(target=deep, args=(chance.randrange(20), lib.hostile_park), daemon=True).start()
if os.environ.get("HOSTILE_READY") is None:
    os.environ["HOSTILE_READY"] = "told"  # an execution later nobody listens
    print("ready", flush=True)
asyncio.run(main())
