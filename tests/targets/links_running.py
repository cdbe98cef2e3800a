# SPDX-License-Identifier: Apache-2.0
"""Tasks that burn CPU in turns: burner.N, whatever made it, runs the function spin_N, two coroutines deep."""
import asyncio
import time

from links_python import PythonTask, Subclass

KINDS = [None, None, PythonTask, Subclass]  # None: as the loop makes them


def make_spin(number):
    space = {"time": time.monotonic}
    exec("def spin_%d(seconds):\n    end = time() + seconds\n    while time() < end:\n        pass" % number, space)
    return space["spin_%d" % number]


async def burn(spin):
    while True:
        await burn_inner(spin)
        await asyncio.sleep(0)


async def burn_inner(spin):
    spin(0.01)


def start():
    loop = asyncio.get_running_loop()
    made = []
    for number, kind in enumerate(KINDS):
        coroutine, name = burn(make_spin(number)), "burner.%d" % number
        made.append(kind(coroutine, loop=loop, name=name) if kind else loop.create_task(coroutine, name=name))
    vars(made[-1])["more"] = "attributes"
    return made
