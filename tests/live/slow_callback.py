#!/usr/bin/env python3
# SPDX-License-Identifier: Apache-2.0
"""slow_callback.py COROSCOPE [INTERPRETER [LOOP]]: what held an event loop for long, for how long, and what waited for it meanwhile.

The truth is the program's: tests/targets/slow_callback.py, which measures itself. LOOP: asyncio or uvloop.
"""
import collections
import json
import os
import re
import shutil
import subprocess
import sys
import time

import live

LOOP = sys.argv[3] if len(sys.argv) > 3 else "asyncio"
INTERVAL = 1 / live.RATE_HZ
HOLD = re.compile(r"(?m)^coroscope:   (\d+) ms \((\d+) (?:to (\d+)|or more)\)( if it was one step)?(?:, (\d+) off the CPU)?, at ([\d.]+) s, (?:task ([^,]+)|a callback), thread [^:]*: (.*)$")
STRETCHES = re.compile(r"(?m)^coroscope: (\d+) stretches of as long, ([\d.]+) s in all, may be steps or not")
LAG = re.compile(r"(?m)^coroscope: event loop in thread .*? ([\d.]+)% of ([\d.]+) s.*; what becomes ready (?:then )?waits (less than )?(\d+) ms \(p50\), (less than )?(\d+) ms \(p99\)")

# Times in seconds; most: None without a bound; sure: that it was one step; off: off the CPU, None if it is not told; task: None for a callback.
Hold = collections.namedtuple("Hold", "time least most sure off at task stack")


def hold(match):
    time, least, most, off = (int(text) / 1000 if text else None for text in match.group(1, 2, 3, 5))
    return Hold(time, least, most, not match.group(4), off, float(match.group(6)), match.group(7), match.group(8))


def package():
    """The folder of uvloop, if the test was asked for it."""
    if LOOP != "uvloop":
        return []
    found = live.run([live.PYTHONS, "--package", live.INTERPRETER, LOOP])
    if found.code:
        raise live.Skip(found.err.strip())
    return [found.out.strip()]


def recorded(folder, mode, *options, kind=""):
    """One round of this kind of the program -> (what record said, the program's own measurements, the capture)."""
    raw = folder / "capture.raw"
    process = subprocess.Popen([live.interpreter(), str(live.TARGETS / "slow_callback.py"), *package()],
                               stdin=subprocess.PIPE, stdout=subprocess.PIPE, stderr=subprocess.PIPE, text=True)
    try:
        live.check("the program runs", process.stdout.readline() == "ready\n")
        recorder = subprocess.Popen([live.COROSCOPE, "record", "-p", str(process.pid), "-m", mode, "-o", str(raw), *options],
                                    stdout=subprocess.DEVNULL, stderr=subprocess.PIPE, text=True)
        live.until(lambda: raw.exists() and raw.stat().st_size)
        time.sleep(0.5)  # its clock starts right after that
        process.stdin.write(kind + "\n")
        process.stdin.flush()
        truth = json.loads(process.stdout.readline())
        process.stdin.close()  # it ends, and the capture with it
        said = recorder.communicate(timeout=30)[1]
        live.check(f"record --mode {mode} succeeds", recorder.returncode == live.OK, said)
    finally:
        live.stop(process)
        process.stdout.close()
        process.stderr.close()
    return said, truth, raw


def check_claims(found, truth):
    """On a busy machine too: a hold may be told in pieces, but nothing is claimed that is not so. There a visit's time is as wrong as it was kept waiting."""
    late = 2 * INTERVAL
    names = {"burner": "burns", "blocker": "blocks", None: "callback"}
    live.check("only what held the loop is listed", {one.task for one in found} <= set(names), found)
    for one in found:
        held = truth[names[one.task]][0]
        live.check(f"what held it for {held:.3f} s, within what is said", one.least <= held + late and (one.most is None or one.most >= held - late), one)


def undisturbed(folder, mode, share):
    """The same, of a round in which the program had its CPU for this share of what it burned: who waits for one is sampled less often."""
    for _ in range(5):
        said, truth, raw = recorded(folder, mode, "--slow-callback", "100ms")
        if mode == "wall":
            check_claims([hold(match) for match in HOLD.finditer(said)], truth)
        if all(ran >= share * held for held, ran in (truth["burns"], truth["callback"], truth["short"])):
            return said, truth, raw
    raise live.Skip(f"needs a machine that does nothing else: the program did not get its CPU: {truth}")


def check_hold(found, function, truth):
    """truth: how long it held the loop, and for how much of that it ran."""
    held, ran = truth
    live.check(f"{function} held the loop once", len(found) == 1, (found, truth))
    one = found[0]
    live.check(f"for {held:.3f} s, between its bounds", one.least <= held + 0.002 and one.most and one.most >= held - 0.002, one)
    live.check("which are two intervals of each other, or what a busy machine makes of them", one.most - one.least < 6 * INTERVAL, one)
    live.check("and the time given lies in them", one.least <= one.time <= one.most and abs(one.time - held) < 3 * INTERVAL, one)
    live.check("with the stack of the step and no more", re.search(rf"\b{function} \([^)]*slow_callback\.py:\d+\)$", one.stack), one)
    live.check("certainly one step", one.sure, one)
    if one.off is not None:
        live.check(f"off the CPU for {held - ran:.3f} s of it", abs(one.off - (held - ran)) < 4 * INTERVAL, one)


def by_task(found, task):
    return [one for one in found if one.task == task]


@live.noisy
def test_wall():
    with live.scratch() as folder:
        said, truth, raw = undisturbed(folder, "wall", 0.9)
        found = [hold(match) for match in HOLD.finditer(said)]
        check_hold(by_task(found, "burner"), "burns", truth["burns"])
        check_hold(by_task(found, "blocker"), "blocks", truth["blocks"])
        check_hold(by_task(found, None), "callback", truth["callback"])
        live.check("nothing else held it for so long", len(found) == 3, said)
        live.check("in the order of their lengths", found == sorted(found, key=lambda one: -one.time), found)
        check_lag(said, truth)
        check_report(folder, raw, found)


def quantile(holds, watched, share):
    """The wait that a share of what becomes ready exceeds: where the rests of the holds make up that share of the time."""
    low, high = 0, max(holds)
    while high - low > 1e-4:
        middle = (low + high) / 2
        if sum(max(0, one - middle) for one in holds) > share * watched:
            low = middle
        else:
            high = middle
    return low


def check_lag(said, truth):
    match = LAG.search(said)
    live.check("one line about the loop", match, said)
    held, watched = float(match.group(1)) / 100, float(match.group(2))
    long = [truth[name][0] for name in ("burns", "blocks", "callback")]
    live.check("the share of time in steps is the program's", live.near(held * watched, sum(long) + truth["short"][0], 0.1), (match.group(0), truth))
    live.check("half of what becomes ready waits for nothing", match.group(3) and int(match.group(4)) == round(1000 * INTERVAL), match.group(0))
    p99 = quantile(long, watched, 0.01)
    live.check(f"one in a hundred waits {p99:.3f} s", abs(int(match.group(6)) / 1000 - p99) < 3 * INTERVAL, match.group(0))


def check_report(folder, raw, found):
    """The same from the stored capture, with another threshold; and in the profile, if asked for."""
    again = live.coroscope("report", raw, "--slow-callback", "280ms", "-o", folder / "slow.pb.gz")
    listed = [hold(match) for match in HOLD.finditer(again.err)]
    live.check("report lists those that are longer", listed == [one for one in found if one.time >= 0.28], again.err)
    plain = live.coroscope("report", raw, "-o", folder / "plain.pb.gz")
    live.check("and none unless asked, but the line about the loop", not HOLD.search(plain.err) and LAG.search(plain.err), plain.err)
    hidden = live.coroscope("report", raw, "--thread", "nobody", "--slow-callback", "100ms", "-o", folder / "hidden.pb.gz")
    live.check("nor of threads that are not shown", not HOLD.search(hidden.err) and not LAG.search(hidden.err), hidden.err)
    if not shutil.which("go"):
        return
    top = live.run(["go", "tool", "pprof", "-top", "-cum", "-unit=ms", "-sample_index=slow_callback", str(folder / "slow.pb.gz")],
                   env={**os.environ, "PPROF_TMPDIR": str(folder)})
    total = re.search(r"of ([\d.]+)ms total", top.out)
    live.check("the profile has it as a sample type", total and "burns" in top.out and "blocks" not in top.out, top)
    live.check("of the time that is listed", live.near(float(total.group(1)) / 1000, sum(one.time for one in listed), 0.1), top.out)
    missing = live.run(["go", "tool", "pprof", "-top", "-sample_index=slow_callback", str(folder / "plain.pb.gz")],
                       env={**os.environ, "PPROF_TMPDIR": str(folder)})
    live.check("only if asked for", "must be one of" in missing.err, missing)


@live.noisy
def test_cpu():
    """The CPU clock sees nothing of a step that sleeps: a gap, and no hold."""
    with live.scratch() as folder:
        said, truth, _ = undisturbed(folder, "cpu", 0.97)
    found = [hold(match) for match in HOLD.finditer(said)]
    check_hold(by_task(found, "burner"), "burns", truth["burns"])
    check_hold(by_task(found, None), "callback", truth["callback"])
    live.check("what blocks is not claimed", len(found) == 2 and "blocking calls are not seen" in said, said)


@live.noisy
def test_yields():
    """A task that yields again and again takes many steps, one slow step among them is told."""
    with live.scratch() as folder:
        for _ in range(5):
            said, truth, _ = recorded(folder, "wall", "--slow-callback", "100ms", kind="yields")
            held, ran = truth["burns"]
            if ran >= 0.9 * held and truth["yields"] > 10000:
                break
        else:
            raise live.Skip(f"needs a machine that does nothing else: the program did not get its CPU: {truth}")
    found = [hold(match) for match in HOLD.finditer(said)]
    live.check("one step held the loop for so long", len(found) == 1, said)
    one = found[0]
    live.check(f"for {held:.3f} s, between its bounds", one.least <= held + 0.002 and (one.most is None or one.most >= held - 0.002), one)
    live.check("and not for the time of those beside it", abs(one.time - held) < 3 * INTERVAL and one.sure, one)
    live.check("the slow one", "burns" in one.stack or "burn " in one.stack, one)
    live.check("of this task", one.task == "yielder", one)
    untold = STRETCHES.search(said)
    # a step's handle may lie where the last sampled one's did, by chance even ten times in a row; uvloop has none to look at
    live.check("most of what it yielded is told", LOOP == "uvloop" or not untold or float(untold.group(2)) < 0.3, said)


def test_refused():
    for text in ("0", "soon", "-5ms"):
        done = live.coroscope("report", "capture.raw", f"--slow-callback={text}")
        live.check(f"--slow-callback={text} is refused in one line", done.code == live.USAGE and live.one_line(done), done)


live.main(test_wall, test_cpu, test_yields, test_refused)
