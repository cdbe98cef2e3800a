#!/usr/bin/env python3
# SPDX-License-Identifier: Apache-2.0
"""spool.py COROSCOPE: what waits on the disk: delivered in order later, damaged files counted, and nothing of it lost or sent twice
without a mark though coroscope is killed at any moment."""
import collections
import random
import re
import signal
import subprocess
import time

import live
from receiver import Receiver, answers, takes

KILLS = 60


def capture(folder):
    path = folder / "capture.raw"
    with live.example(live.interpreter("3.12")) as program:
        live.record("-p", program.pid, "-d", 2, "-o", path)
    return path


def files(spool):
    return sorted((spool / "otlp").glob("*.parcel"))


def parcel_id(data):
    """Where a parcel's file has its id (userspace/deliver/parcel.c)."""
    return data[32:64].decode()


def seen(server):
    """Parcels by the time at which their requests began: (id, which attempt)."""
    requests = sorted(server.requests, key=lambda request: request.time)
    return [(request.headers["coroscope-parcel"], int(request.headers["coroscope-attempt"])) for request in requests]


def push(*arguments, code):
    done = live.coroscope("push", *arguments)
    live.check(f"push ends with {code}", done.code == code, done)
    return done


def test_waits():
    with live.scratch() as folder:
        raw, spool = capture(folder), folder / "spool"
        with Receiver() as server:
            gone = server.url
        for _ in range(3):
            done = push(raw, "--keep-trying", "1s", "--spool", spool, "--to", f"otlp={gone}", code=live.FAILURE)
        live.check("three wait, and how they are sent is said", len(files(spool)) == 3 and f"push --spool {spool} --to otlp=" in done.err, done.err)
        live.check("they are ours alone", (spool / "otlp").stat().st_mode & 0o777 == 0o700
                   and all(path.stat().st_mode & 0o777 == 0o600 for path in files(spool)))
        order = [parcel_id(path.read_bytes()) for path in files(spool)]
        damaged = files(spool)[1]
        damaged.write_bytes(damaged.read_bytes()[:-1] + b"?")
        with Receiver(answers(503), takes) as server:
            done = push("--spool", spool, "--to", f"otlp={server.url}", code=live.FAILURE)
            live.check("the others arrive in order, marked as perhaps not the first time",
                       [one for one, _ in seen(server)] == [order[0], order[0], order[2]] and all(number > 1 for _, number in seen(server)[:2]), seen(server))
        live.check("the damaged one is counted", "3 parcels = 2 delivered" in done.err and "1 lost" in done.err and "1 damaged" in done.err, done.err)
        live.check("nothing is left", not files(spool))
        with Receiver() as server:
            push(raw, "--spool", spool, "--to", f"otlp={server.url}", code=live.OK)
            live.check("what arrives at once is marked as the first", [number for _, number in seen(server)] == [1], seen(server))


def test_full_disk():
    with live.scratch() as folder, live.small_disk("64k") as disk:
        raw = capture(folder)
        with Receiver() as server:
            gone = server.url
        (disk / "ballast").write_bytes(b"x" * 40000)
        codes = set()
        for _ in range(8):
            done = live.coroscope("push", raw, "--keep-trying", "1ms", "--spool", disk / "spool", "--to", f"otlp={gone}")
            codes.add(done.code)
            if "No space left" in done.err:
                break
        live.check("a full disk is told", codes == {live.FAILURE} and "No space left" in done.err and "1 lost" in done.err, done)
        waiting = len(files(disk / "spool"))
        live.check("what was kept before is there", waiting > 0, waiting)
        with Receiver() as server:
            push("--spool", disk / "spool", "--to", f"otlp={server.url}", code=live.OK)
            live.check("and is delivered", len(seen(server)) == waiting, seen(server))


def test_killed():
    """Answers are slow and sometimes a no, so that a kill meets every moment of a delivery."""
    def moody(connection, keep):
        body = connection.body()
        time.sleep(random.random() * 0.03)
        keep(body)  # it has arrived; whether the sender learns of it is another matter
        connection.answer(random.choice((200, 200, 503)))

    kept, killed = set(), collections.Counter()
    with live.scratch() as folder, Receiver(moody) as server:
        raw, spool = capture(folder), folder / "spool"
        for _ in range(KILLS):
            process = subprocess.Popen([live.COROSCOPE, "push", raw, "--spool", spool, "--to", f"otlp={server.url}"],
                                       stdout=subprocess.DEVNULL, stderr=subprocess.DEVNULL)
            end = time.monotonic() + random.random() * 0.12
            while time.monotonic() < end and process.poll() is None:
                time.sleep(0.001)
            process.send_signal(signal.SIGKILL)
            killed["killed" if process.wait() == -signal.SIGKILL else "done"] += 1
            kept |= {parcel_id(path.read_bytes()) for path in files(spool)}
        server.behaviour = [takes]
        done = push("--spool", spool, "--keep-trying", "unlimited", "--to", f"otlp={server.url}", code=live.OK)
        live.check("nothing is left of what was kept", not list(spool.rglob("*parcel*")))
        arrived = seen(server)
    live.check("many were killed, and some of their parcels were kept", killed["killed"] >= KILLS / 3 and len(kept) >= 5, (killed, len(kept)))
    live.check("no file was damaged", "0 lost" in done.err and "damaged" not in done.err, done.err)
    live.check("everything that was on the disk has arrived", kept <= {one for one, _ in arrived}, len(kept))
    first = collections.Counter(one for one, number in arrived if number == 1)
    live.check("nothing arrives twice without a mark", max(first.values(), default=0) <= 1, first)
    by_parcel = collections.defaultdict(list)
    for one, number in arrived:
        by_parcel[one].append(number)
    live.check("attempts count up", all(numbers == sorted(set(numbers)) for numbers in by_parcel.values()), by_parcel)
    print(f"     {killed['killed']} of {KILLS} killed, {len(kept)} parcels seen on the disk, {len(by_parcel)} arrived, "
          f"{sum(len(numbers) > 1 for numbers in by_parcel.values())} of them more than once, marked; {re.sub('.*profiles: ', '', done.err.strip())}")


live.main(test_waits, test_full_disk, test_killed)
