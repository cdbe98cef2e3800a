# SPDX-License-Identifier: Apache-2.0
"""churn.py FILE: processes, threads with event loops, tasks, and functions made at run time come and go, several a second, for as long as it runs. FILE
tells how many there were. Prints "ready"."""
import asyncio
import os
import subprocess
import sys
import threading
import time

CHILD = """
import asyncio
async def child_task(n):
    await asyncio.sleep(0.05 * n)
async def child_main():
    await asyncio.gather(*(child_task(n) for n in range(5)))
asyncio.run(child_main())
"""


async def leaf(seconds):
    await asyncio.sleep(seconds)


async def several(name):
    await asyncio.gather(*(asyncio.create_task(leaf(0.02 * n), name="%s-%d" % (name, n)) for n in range(10)))


def made_at_run_time(number):
    """A function of its own: other names, another code object."""
    names = {}
    exec(compile("def made_%d():\n    end = time.monotonic() + 0.02\n    while time.monotonic() < end:\n        sum(range(500))\n" % number,
                 "/made/%d.py" % number, "exec"), {"time": time}, names)
    return names["made_%d" % number]


def main(path):
    number = 0
    while True:
        child = subprocess.Popen([sys.executable, "-c", CHILD])
        thread = threading.Thread(target=asyncio.run, args=(several("thread-%d" % number),), name="worker-%d" % number)
        thread.start()
        made_at_run_time(number)()
        asyncio.run(several("main-%d" % number))
        thread.join()
        child.wait()
        number += 1
        with open(path + ".new", "w") as file:
            file.write(str(number))
        os.rename(path + ".new", path)


print("ready", flush=True)
main(sys.argv[1])
