# SPDX-License-Identifier: Apache-2.0
"""slow_callback.py [UVLOOP]: an event loop that is held again and again for known times, and says after each round how long it was.

After every line of its stdin it runs one round: a task that burns a CPU for 300 ms, one that blocks in time.sleep for 250 ms, a callback of no task that
burns for 200 ms, and between them three tasks that hold the loop for 5 ms at a time, side by side. A line of its stdout holds as JSON
for how many seconds each of the three, and the short ones together,
held the loop, and for how many of those they ran. After the line "yields" it runs another kind of round: one task that yields again and
again for half a second, a hundred times a millisecond or so, then burns for 150 ms in one step, and yields as before; how often it yielded is in the
answer. UVLOOP: the folder with that package, whose loop is used then.
"""
import asyncio
import json
import sys
import time

PAUSE = 0.15
measured = {}


def burn(seconds):
    end = time.perf_counter() + seconds
    while time.perf_counter() < end:
        pass


def timed(name, function, seconds):
    start, ran = time.perf_counter(), time.thread_time()
    function(seconds)
    before = measured.get(name, (0, 0))
    measured[name] = before[0] + time.perf_counter() - start, before[1] + time.thread_time() - ran


async def burns():
    timed("burns", burn, 0.3)


async def blocks():
    timed("blocks", time.sleep, 0.25)


def callback(done):
    timed("callback", burn, 0.2)
    done.set_result(None)


async def short():
    for _ in range(20):
        timed("short", burn, 0.005)
        await asyncio.sleep(0.005)


async def named(name, function):
    """The parameter name= of create_task is not needed then."""
    await asyncio.create_task(function(), name=name)
    await asyncio.sleep(PAUSE)


async def round_of_holds():
    loop = asyncio.get_running_loop()
    await asyncio.sleep(PAUSE)
    await named("burner", burns)
    await asyncio.gather(*[asyncio.create_task(short(), name=f"short-{i}") for i in range(3)])
    await asyncio.sleep(PAUSE)
    await named("blocker", blocks)
    done = loop.create_future()
    loop.call_soon(callback, done)
    await done
    await asyncio.sleep(PAUSE)


async def yields(seconds):
    end, n = time.perf_counter() + seconds, 0
    while time.perf_counter() < end:
        n += 1
        await asyncio.sleep(0)
    return n


async def yielder():
    before = await yields(0.5)
    timed("burns", burn, 0.15)
    return before + await yields(0.5)


async def round_of_yields():
    await asyncio.sleep(PAUSE)
    measured["yields"] = await asyncio.create_task(yielder(), name="yielder")
    await asyncio.sleep(PAUSE)


async def main():
    loop = asyncio.get_running_loop()
    await loop.run_in_executor(None, time.sleep, 0)  # its thread is there before anybody looks
    print("ready", flush=True)
    while line := await loop.run_in_executor(None, sys.stdin.readline):
        measured.clear()
        await (round_of_yields() if line == "yields\n" else round_of_holds())
        print(json.dumps(measured), flush=True)


if len(sys.argv) > 1:
    sys.path.append(sys.argv[1])
    import uvloop
    uvloop.install()
asyncio.run(main())
