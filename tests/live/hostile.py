#!/usr/bin/env python3
# SPDX-License-Identifier: Apache-2.0
"""hostile.py COROSCOPE [INTERPRETER] [--long] [--seconds N]: programs that damage their own interpreters while they are profiled.

Programs of several versions overwrite their runtime, thread states, frames, code objects and tasks with random, cyclic and enormous
values (hostile_python.py) for 20 s, with --long for 5 minutes, in both modes. What coroscope uses is compared with the same programs
without the damage. COROSCOPE may be built with -DCS_SANITIZE=ON: a report of a sanitizer is a failure.
"""
import collections
import contextlib
import os
import pathlib
import re
import subprocess
import sys
import tempfile
import time

import known
import live
import raw

PYTHONS = [live.INTERPRETER] if live.INTERPRETER and live.INTERPRETER[0] != "-" else ["3.8", "3.12", "debian-3.14", "3.13t"]
SECONDS = int(sys.argv[sys.argv.index("--seconds") + 1]) if "--seconds" in sys.argv else 300 if "--long" in sys.argv else 20
# Of the run without damage; CPU is compared by the second.
USUAL_SECONDS = min(SECONDS, 60)
BPF_STATS = pathlib.Path("/proc/sys/kernel/bpf_stats_enabled")
MARKS = ("[unreadable]", "[truncated]", "[torn]", "[stale]")
# A hang: from its start to its end it takes so many times what was asked for, and so much more. It counts its samples at the end, which
# sanitizers make slow, while the programs go on with what they do; how much CPU all of it takes is judged by itself.
HANG_TIMES, GRACE_S = 3, 15
# How much it keeps depends on how many children are alive at once, which differs; what a number read from them can ask for is far more.
ROOM_KB = 48 * 1024
SNAPSHOT_S = 10
COMMANDS = ("dump", "pstree", "check")

# Memory of its own, the most of it in the first half of the recording, in all of it, and in the whole run, when the capture is read
# again, too; the capture is a file, whose pages are not counted. cpu_s: user and system time; bpf_s: run time of its programs in the
# kernel, the iterator's too
Usage = collections.namedtuple("Usage", "half_kb recording_kb whole_kb cpu_s bpf_s wall_s")


@contextlib.contextmanager
def programs(folder, harm):
    """Of each version one that stays in C and one whose children crash; a healthy one besides. Yields (healthy, others)."""
    library = folder / "hostile_damage.so"
    built = live.run(["cc", "-O1", "-shared", "-fPIC", "-o", library, live.TARGETS / "hostile_damage.c", "-lpthread"])
    live.check("hostile_damage.c can be built", built.code == 0, built.err)
    with contextlib.ExitStack() as stack:
        others = []
        for number, name in enumerate(PYTHONS):
            for how in ("lives", "forks"):
                others.append(stack.enter_context(session(live.versioned(name), library, number + 1, harm, how)))
        yield stack.enter_context(known.program(live.interpreter(PYTHONS[0]), known.TARGET)), others


@contextlib.contextmanager
def session(python, library, *arguments):
    """hostile_python.py and its children, which may be stuck: all are killed at the end."""
    command = [python, str(live.TARGETS / "hostile_python.py"), str(library), *map(str, arguments)]
    errors = tempfile.TemporaryFile("w+")
    process = subprocess.Popen(command, stdin=subprocess.DEVNULL, stdout=subprocess.PIPE, stderr=errors, start_new_session=True, text=True)
    process.errors = errors
    try:
        live.check(f"{' '.join(map(str, arguments[1:]))} runs on {os.path.basename(python)}", process.stdout.readline() == "ready\n")
        yield process
    finally:
        with contextlib.suppress(ProcessLookupError):
            os.killpg(process.pid, 9)
        process.wait()
        process.stdout.close()
        errors.close()


# What coroscope uses


@contextlib.contextmanager
def run_times_of_programs():
    before = BPF_STATS.read_text(encoding="ascii")
    BPF_STATS.write_text("1", encoding="ascii")
    try:
        yield
    finally:
        BPF_STATS.write_text(before, encoding="ascii")


def resident_kb(pid):
    """Now, without mapped files; 0 when it is gone."""
    with contextlib.suppress(OSError), open(f"/proc/{pid}/status", encoding="utf-8") as file:
        found = re.search(r"RssAnon:\s+(\d+)", file.read())
        return int(found.group(1)) if found else 0
    return 0


def bpf_s(pid):
    """Run time of the programs that it holds; None when it is gone."""
    times = {}
    try:
        for descriptor in os.listdir(f"/proc/{pid}/fdinfo"):
            with contextlib.suppress(OSError), open(f"/proc/{pid}/fdinfo/{descriptor}", encoding="utf-8") as file:
                info = dict(line.split(":", 1) for line in file.read().splitlines() if ":" in line)
                if "run_time_ns" in info:
                    times[int(info["prog_id"])] = int(info["run_time_ns"])
    except OSError:
        return None
    return sum(times.values()) / 1e9 if times else None


def watched(command, seconds):
    """Run it to its end. Returns (its Run, its Usage); one that does not end in time is killed, its exit status then -9."""
    with tempfile.TemporaryFile("w+") as out, tempfile.TemporaryFile("w+") as err:
        start = time.monotonic()
        process = subprocess.Popen(list(map(str, command)), stdin=subprocess.DEVNULL, stdout=out, stderr=err)
        half = recording = whole = in_kernel = used = status = 0
        while True:
            ended, status, used = os.wait4(process.pid, os.WNOHANG)
            if ended:
                break
            whole, in_kernel = max(whole, resident_kb(process.pid)), bpf_s(process.pid) or in_kernel
            if time.monotonic() - start < seconds:
                recording = whole
            if time.monotonic() - start < seconds / 2:
                half = whole
            if time.monotonic() - start > HANG_TIMES * seconds + GRACE_S:
                process.kill()
            time.sleep(0.1)
        process.returncode = os.waitstatus_to_exitcode(status)
        wall = time.monotonic() - start
        out.seek(0)
        err.seek(0)
        done = live.Run(process.returncode, out.read(), err.read())
    return done, Usage(half, recording, whole, used.ru_utime + used.ru_stime, in_kernel, wall)


def last_words(process):
    process.errors.seek(0)
    return process.args, process.returncode, process.errors.read()[-1000:]


def check_ended(what, done, allowed=(0,)):
    live.check(f"{what} ends well and in time", done.code in allowed and not re.search(r"Sanitizer|runtime error:", done.err),
               (done.code, done.err[-3000:]))


def cpu_s(pid):
    with open(f"/proc/{pid}/stat", encoding="utf-8") as file:
        fields = file.read().rsplit(")", 1)[1].split()
    return (int(fields[11]) + int(fields[12])) / os.sysconf("SC_CLK_TCK")


# What it says


def check_healthy(mode, found, program, burnt_s, seconds):
    """Its threads are there as much as they should be, with their own stacks. burnt_s: CPU time that it had during the capture."""
    mine = [stack for stack in found if known.process_id(stack) == program.pid]
    told = [program.stacks["burn"]] + ([program.stacks["sleep"]] if mode == "wall" else [])
    right = live.weight(mine, lambda stack: any(known.is_stack(stack, one) for one in told))
    wrong = [stack.frames for stack in mine if not any(known.is_stack(stack, one) for one in told)]
    live.check(f"{mode}: the healthy program's stacks, {right} of {live.weight(mine)} samples",
               right >= 0.95 * live.weight(mine) and right > 0, wrong[:3])
    if mode == "cpu":
        live.check(f"{mode}: and as many as it burnt, {burnt_s:.2f} s", live.near(right / live.RATE_HZ, burnt_s, 0.25), right)
    else:
        both = live.RATE_HZ * seconds * 2
        live.check(f"{mode}: both its threads at nearly every tick, {right} of {both}", right >= 0.9 * both, right)


def check_accounts(mode, path, seconds):
    """As accounts.py does: each identity of status.h that concerns every tick."""
    records, whole = raw.read(path)
    live.check(f"{mode}: the capture is whole", whole and records[-1].kind == raw.KINDS["END"])
    total, = [raw.counters(record) for record in raw.of_kind(records, "STATS") if record.pid == 0]
    for name, parts in (("TICKS", ("SAMPLES", "IDLE", "OTHER", "RING_FULL", "NESTED")),
                        ("WALL_THREADS", ("WALL_SAMPLES", "WALL_SAME", "WALL_RUNNING", "WALL_TORN", "WALL_RING_FULL"))):
        live.check(f"{mode}: {name} = {' + '.join(parts)}", total[name] == sum(total[part] for part in parts), total)
    longest = max(raw.weight_ns(record) for kind in ("STACK", "SAME", "PASS") for record in raw.of_kind(records, kind)) / 1e9
    live.check(f"{mode}: no sample stands for more time than there was, {longest:.2f} s at most", longest < seconds, longest)
    samples = sum(record.flags == raw.ORIGINS["CPU"] for record in raw.of_kind(records, "STACK"))
    live.check(f"{mode}: SAMPLES is the number of their records", total["SAMPLES"] == samples, (total["SAMPLES"], samples))
    return total


def check_damage(mode, found, healthy):
    """It is met, and not all of it at the root: of the others' stacks some are marked and some are whole."""
    theirs = [stack for stack in found if known.process_id(stack) != healthy.pid and any(stack.has(name) for name in ("deep", *MARKS))]
    marked = {mark: live.weight(theirs, lambda stack, mark=mark: stack.has(mark)) for mark in MARKS}
    whole = live.weight(theirs, lambda stack: not any(stack.has(mark) for mark in MARKS))
    live.check(f"{mode}: the damage is met, {marked}, and {whole} whole", sum(marked.values()) > 0.02 * whole > 0)


def captured(mode, folder, harm, seconds):
    """One capture and what its profile says; Usage of it."""
    path = folder / f"{mode}-{harm}.raw"
    with programs(folder, harm) as (healthy, others):
        before = cpu_s(healthy.pid)
        done, usage = watched([live.COROSCOPE, "record", "-a", "-m", mode, "-d", seconds, "-o", path], seconds)
        check_ended(f"{mode}, {harm}: record -a", done)
        burnt_s = (cpu_s(healthy.pid) - before) * live.seconds(done) / usage.wall_s
        ended = [last_words(process) for process in others if process.poll() is not None]
        live.check(f"{mode}, {harm}: the healthy program is alive", healthy.process.poll() is None)
    total = check_accounts(mode, path, seconds)
    for form in ("collapsed", "html", "pprof"):
        output = folder / f"profile.{form}"
        report, _ = watched([live.COROSCOPE, "report", path, "-f", form, "-o", output], max(30, seconds))
        check_ended(f"{mode}, {harm}: report as {form}", report)
    found = live.stacks((folder / "profile.collapsed").read_text(encoding="utf-8"))
    check_healthy(mode, found, healthy, burnt_s, seconds)
    if harm == "hostile":
        check_damage(mode, found, healthy)
    print(f"     {mode}, {harm}: {usage.cpu_s:.2f} s of CPU, {usage.bpf_s:.2f} s in the kernel's programs, at most "
          f"{usage.half_kb} KB, then {usage.recording_kb} KB, {usage.whole_kb} KB at the end, {usage.wall_s:.1f} s in all; {total['SAMPLES']} samples, "
          f"{total['PASSES']} passes over {total['TASKS']} tasks, {total['PASSES_FAILED']} failed, {path.stat().st_size} bytes", flush=True)
    live.check(f"{mode}: the end takes no more memory than there is in the capture", usage.whole_kb <= usage.recording_kb +
               ROOM_KB + path.stat().st_size // 1024, usage)
    # last, so that the others are judged too: a program may die of the damage that it does itself
    live.check(f"{mode}, {harm}: the programs are all alive", not ended, ended)
    return usage


def judge(mode):
    with live.scratch() as folder, run_times_of_programs():
        usual = captured(mode, folder, "harmless", USUAL_SECONDS)
        hostile = captured(mode, folder, "hostile", SECONDS)
    ours, others = ((usage.cpu_s + usage.bpf_s) / seconds for usage, seconds in ((hostile, SECONDS), (usual, USUAL_SECONDS)))
    live.check(f"{mode}: at most twice the usual CPU, {ours:.2%} of one and {others:.2%}", ours <= 2 * others, (hostile, usual))
    live.check(f"{mode}: memory is bounded", hostile.recording_kb <= usual.recording_kb + ROOM_KB, (hostile, usual))
    live.check(f"{mode}: memory grows little in the second half", hostile.recording_kb <= hostile.half_kb + ROOM_KB, hostile)


def test_wall():
    judge("wall")


def test_cpu():
    judge("cpu")


def test_snapshots():
    """dump, pstree and check of each, again and again: an answer or a reason."""
    answers = collections.Counter()
    with live.scratch() as folder, programs(folder, "hostile") as (_, others):
        for other in others * 3:
            for command in COMMANDS:
                done, usage = watched([live.COROSCOPE, command, "-p", other.pid], SNAPSHOT_S)
                check_ended(f"{command} -p", done, (live.OK, live.FAILURE, live.NOTHING))
                live.check(f"{command} is no large program", usage.whole_kb < 512 * 1024, usage)
                answers[command, done.code] += 1
    print(f"     {dict(answers)}")


live.main(test_snapshots, test_wall, test_cpu)
