#!/usr/bin/env python3
# SPDX-License-Identifier: Apache-2.0
"""agent_faults.py COROSCOPE [--long]: what becomes of an agent's profiles when servers, disks, files or clocks fail, or it is killed.

Every request tells of one period. "All" is proved by the periods themselves: each begins where the one before it ends, so one that is lost
leaves a gap. Usually 10 kills and a server that is away for some seconds; with --long 100 kills and ten minutes.
"""
import collections
import contextlib
import glob
import os
import pathlib
import random
import shutil
import signal
import sys
import time

import bpf_objects
import live
import receiver
from agent_process import Agent
from delivered import files, pprof_profile
from periods import all_told, arrived, check_all, gaps, parcel_id, parcels, settled, to
from receiver import Receiver, answers, takes

LONG = "--long" in sys.argv
KILLS = 100 if LONG else 10
AWAY_S, AWAY_PERIOD_S = (600, 10) if LONG else (3, 1)
PERIODS = 5
HOUR_NS = 3600 * 10 ** 9


@contextlib.contextmanager
def profiled(*arguments, period_s=1, **options):
    """An agent that looks at one program; with a budget that does not change its rate, and so end a period before its time."""
    with live.example(live.interpreter("3.12")) as program:
        with Agent("-p", program.pid, "--period", f"{period_s}s", "--cpu-budget", "50%", *arguments, **options) as agent:
            yield agent


def nobody():
    """A port at which nobody listens."""
    with Receiver() as server:
        return server.port


def away(port):
    return f"http://localhost:{port}"


# Killed


class Moody:
    """Answers late and sometimes no; and knows how many requests are under way."""

    def __init__(self):
        self.under_way = 0  # an agent has one at a time

    def __call__(self, connection, keep):
        body = connection.body()
        self.under_way += 1
        time.sleep(random.random() * 0.05)
        keep(body)  # it has arrived; whether the sender learns of it is another matter
        self.under_way -= 1
        connection.answer(random.choice((200, 503)))


def wait_for_moment(turn, agent, spool, moody):
    """Of two agents one has begun to capture. Then any moment; one in a delivery; one at which a file is written or renamed."""
    if turn % 2:
        live.until(lambda: "profiles at" in agent.text)
    before = set(os.listdir(spool)) if spool.is_dir() else set()
    met = (lambda: False, lambda: moody.under_way, lambda: spool.is_dir() and set(os.listdir(spool)) - before)[turn // 2 % 3]
    with contextlib.suppress(AssertionError):
        live.until(met, 2 if turn // 2 % 3 else random.uniform(0, 1.5))
    time.sleep(random.random() * 0.005)


def kill(agent, moody):
    """Stopped first, so that what it holds, and whether a request is under way, is known for the moment of its end."""
    agent.process.send_signal(signal.SIGSTOP)
    live.until(lambda: pathlib.Path(f"/proc/{agent.process.pid}/stat").read_text(encoding="utf-8").split()[2] == "T")
    delivering = moody.under_way > 0
    held = bpf_objects.held(agent.process.pid)
    agent.end(signal.SIGKILL)
    return held, delivering


def test_killed():
    moody, kept, held, moments = Moody(), set(), set(), collections.Counter()
    with live.scratch() as folder, live.example(live.interpreter("3.12")) as program, Receiver(moody) as server:
        spool = folder / "spool"
        arguments = ["-p", program.pid, "--period", "1s", "--spool", spool, *to(server), "--to", f"dir={folder / 'files'}"]
        for turn in range(KILLS):
            with Agent(*arguments) as agent:
                wait_for_moment(turn, agent, spool / "otlp", moody)
                objects, delivering = kill(agent, moody)
            left = set(map(parcel_id, parcels(spool)))
            moments.update({"attached": len(objects) > 20, "in a delivery": delivering, "with something in the spool": bool(left),
                            "in a write": any(spool.glob("otlp/*.half"))})
            held, kept = held | objects, kept | left
        bpf_objects.check_gone(f"{KILLS} kills", held)
        server.behaviour = [takes]
        with Agent(*arguments) as agent:
            counted = settled(agent, server.url, lambda seen: seen["delivered"] >= 2 and not seen["waiting"])
            text = agent.text
        found = all_told(server)
        live.check("files are whole", all(pprof_profile(path)[9] for path in files(folder / "files")))
    live.check("it recovers by itself, and no file was damaged", not counted["lost"] and "error" not in text, (counted, text))
    live.check("kills met all moments", moments["attached"] >= KILLS / 3 and moments["in a delivery"] >= KILLS / 10
               and moments["with something in the spool"] >= KILLS / 3, moments)
    live.check("whatever stood in the spool has arrived", kept <= {one.parcel for one in found}, kept)
    check_marks(found)
    print(f"     {KILLS} kills, {dict(moments)}, {len(kept)} parcels seen in the spool, {len({one.parcel for one in found})} arrived, "
          f"{len(found) - len({one.parcel for one in found})} requests more, all marked")


def check_marks(found):
    attempts = collections.defaultdict(list)
    for one in found:
        attempts[one.parcel].append(one.attempt)
    live.check("what arrives again is marked: attempts count up", all(numbers == sorted(set(numbers)) for numbers in attempts.values()), attempts)
    live.check("no two parcels tell of one period", len({one.start for one in found}) == len(attempts), found)


# Servers


def test_away():
    with live.scratch() as folder:
        spool, port = folder / "spool", nobody()
        url = away(port)
        with profiled("--spool", spool, *to(url), period_s=AWAY_PERIOD_S) as agent:
            live.until(lambda: "will try again" in agent.text, AWAY_PERIOD_S + 30)
            time.sleep(AWAY_S)
            before = settled(agent, url, lambda seen: seen["waiting"] >= AWAY_S / AWAY_PERIOD_S)
            live.check("while it is away all wait, in files", before["waiting"] == before["parcels"] and len(parcels(spool)) >= before["waiting"]
                       and before["profiles"] - before["parcels"] in (0, 1), before)  # one may wait to be packed
            with Receiver(port=port) as back:
                seen = settled(agent, url, lambda seen: seen["delivered"] > before["waiting"] and not seen["waiting"], 120)
                found = arrived(back)
            said = agent.text
        check_all(f"after {AWAY_S} s", found, before["waiting"] + 1, AWAY_PERIOD_S)
        live.check("nothing is lost, and both ends are told once", not seen["lost"] + seen["refused"] + seen["failed"] + seen["passed_over"]
                   and said.count("will try again") == said.count("takes profiles again") == 1, (seen, said))
        print(f"     {len(found)} periods; {int(seen['requests'])} requests, {int(seen['repeated'])} of them repeated")


def test_name_gone():
    """DNS does not know the server, and then does: a file of names of the agent's own."""
    with live.scratch() as folder, Receiver() as server:
        names, url = folder / "hosts", f"http://backend.invalid:{server.port}"
        names.write_text("127.0.0.1 localhost\n", encoding="utf-8")
        alone = ["unshare", "-m", "sh", "-c", f'mount --bind {names} /etc/hosts && exec "$@"', "sh"]
        with profiled(*to(url), run=alone) as agent:
            before = settled(agent, url, lambda seen: seen["requests"] >= 2 and seen["waiting"] >= 2)
            names.write_text("127.0.0.1 backend.invalid\n", encoding="utf-8")
            seen = settled(agent, url, lambda seen: seen["delivered"] > before["waiting"] and not seen["waiting"], 60)
            live.check("why is said", "resolve" in agent.text and not seen["lost"], (seen, agent.text))
        check_all("once the name is known", arrived(server), before["waiting"] + 1)


def test_bounded():
    """More waits than may: the oldest go, counted."""
    with live.scratch() as folder:
        spool, port, bound = folder / "spool", nobody(), 4000
        with profiled("--max-size", bound, "--spool", spool, *to(away(port))) as agent:
            settled(agent, away(port), lambda seen: seen["lost"] >= 2)
            size, oldest = sum(path.stat().st_size for path in parcels(spool)), int(parcels(spool)[0].name.split("-")[0])
            with Receiver(port=port) as back:
                seen = settled(agent, away(port), lambda seen: seen["delivered"] >= 2 and not seen["waiting"], 60)
                found = arrived(back)
            said = agent.text
        live.check("the spool is within its bound, the oldest are gone", 0 < size <= bound and oldest >= 2, (size, oldest))
        check_all("the youngest arrive", found, 2)
        live.check("the others are counted, and why is said", seen["parcels"] - seen["lost"] == seen["delivered"]
                   and f"the spool has lost {int(seen['lost'])} parcels so far: {int(seen['lost'])} over its size" in said, (seen, said))


@live.noisy
def test_one_bad():
    """Six destinations misbehave, each in its own way; the two others get all, and in time."""
    with live.scratch() as folder, contextlib.ExitStack() as stack:
        certificates = receiver.Certificates(folder)

        def server(*behaviour, **options):
            return stack.enter_context(Receiver(*behaviour, **options))
        bad = {
            "busy": server(answers(429, b"slow", Retry_After=2), answers(503, b"slow", Retry_After=2), takes),
            "refuses": server(answers(400, b"\x08\x03\x12\x05never")),
            "resets": server(receiver.resets, receiver.resets, takes),
            "stalls": server(receiver.stalls),
            "untrusted": server(tls=certificates.context()),
            "unknown": "http://nobody.invalid",
        }
        good, target = server(), folder / "profiles"
        arguments = [word for name, one in bad.items() for word in to(one, "--timeout", "1s", "--spool", folder / name)]
        urls = {name: getattr(one, "url", one) for name, one in bad.items()}
        agent = stack.enter_context(profiled("--flush", "1s", *arguments, *to(good), "--to", f"dir={target}"))
        live.until(lambda: len(good.requests) >= PERIODS, 60)
        check_good(good, target)
        for name in "busy", "resets":
            seen = settled(agent, urls[name], lambda seen: seen["delivered"] >= PERIODS and not seen["waiting"])
            live.check(f"{name}: delivered, repeated and not lost", seen["repeated"] == 2 and not seen["lost"] + seen["refused"], seen)
            check_all(name, arrived(bad[name]), PERIODS)
        times = [request.time for request in bad["busy"].requests[:3]]
        live.check("as late as the server asks", all(2 <= after - before < 3.5 for before, after in zip(times, times[1:])), times)
        check_never(agent, urls, bad)
        live.check("SIGTERM ends it well", agent.end() == live.OK)
        check_kept(agent, folder)


def check_good(good, target):
    found = arrived(good)
    check_all("the good server", found, PERIODS)
    late = max(one.arrived - one.end for one in found) / 1e9
    live.check(f"and in time: {late:.2f} s late at most", late < 1)
    live.until(lambda: len(files(target)) >= len(found))
    starts = {pprof_profile(path)[9][0] for path in files(target)}
    live.check("the directory has the same periods", {one.start for one in found} <= starts, starts)


def check_never(agent, urls, bad):
    seen = settled(agent, urls["refuses"], lambda seen: seen["refused"] >= PERIODS)
    live.check("refused: counted, asked once each, said with the server's words", seen["requests"] == seen["refused"] and not seen["repeated"]
               and "refuses a parcel with 400: never" in agent.text, seen)
    for name, words in ("stalls", "cannot be reached, will try again: "), ("untrusted", "certificate"), ("unknown", "resolve"):
        seen = settled(agent, urls[name], lambda seen: seen["requests"] >= 2 and seen["waiting"] >= PERIODS)
        live.check(f"{name}: tried again, nothing delivered, all wait", seen["repeated"] and not seen["delivered"] + seen["lost"], seen)
        said = [line for line in agent.text.splitlines() if f"{urls[name]}/" in line]
        live.check(f"{name}: said once", len(said) == 1 and words in said[0], said)
    live.check("nothing was told to the untrusted one", not bad["untrusted"].requests)
    marks = [one.attempt for one in all_told(bad["stalls"])]
    live.check("what stalled comes again marked", marks == list(range(1, len(marks) + 1)) and len(marks) >= 2, marks)


def check_kept(agent, folder):
    for name in "stalls", "untrusted", "unknown":
        live.check(f"{name}: what was not delivered is kept, and that is said",
                   len(parcels(folder / name)) >= PERIODS and f"kept in {folder / name}/otlp" in agent.text, agent.text)


# The disk


def fill(path):
    with contextlib.suppress(OSError), open(path, "wb", buffering=0) as file:
        while True:
            file.write(bytes(4096))


def test_full_disk():
    """Of two servers one is away: what cannot be kept for it waits in memory, until the disk has room again. The other gets all at once."""
    with live.small_disk("64k") as disk, Receiver() as good:
        port = nobody()
        with profiled("--spool", disk / "spool", *to(away(port)), "--to", f"pyroscope={good.url}") as agent:
            live.until(lambda: parcels(disk / "spool"), 30)
            fill(disk / "ballast")
            kept = len(parcels(disk / "spool"))
            before, had = settled(agent, away(port), lambda seen: seen["waiting"] >= kept + 3), len(good.requests)
            live.until(lambda: len(good.requests) >= had + 2)
            live.check("where it is full nothing is written", len(parcels(disk / "spool")) <= kept + 1, parcels(disk / "spool"))
            (disk / "ballast").unlink()
            live.until(lambda: len(parcels(disk / "spool")) > before["waiting"], 30)
            with Receiver(port=port) as back:
                seen = settled(agent, away(port), lambda seen: seen["delivered"] > before["waiting"] and not seen["waiting"], 60)
                found = arrived(back)
            said = agent.text
        check_all("all that waited, on the disk and in memory", found, before["waiting"] + 1)
        live.check("nothing is lost", not seen["lost"], (seen, said))
        live.check("the disk is said once for each, and once that it works again", all(
            said.count(f"{words} {disk / 'spool' / kind}") == 1 for kind in ("otlp", "pyroscope") for words in ("cannot be kept in", "are kept in"))
            and "No space left on device" in said, said)


def test_full_disk_to_the_end():
    """The agent ends while the disk is full and the server away: what is lost is counted and said."""
    with live.small_disk("64k") as disk:
        port = nobody()
        with profiled("--spool", disk / "spool", "--flush", "1s", *to(away(port))) as agent:
            live.until(lambda: parcels(disk / "spool"), 30)
            fill(disk / "ballast")
            kept = len(parcels(disk / "spool"))
            settled(agent, away(port), lambda seen: seen["waiting"] >= kept + 2)
            live.check("SIGTERM ends it well", agent.end() == live.OK)
            lost = [int(line.split(" parcels are lost")[0].split()[-1]) for line in agent.text.splitlines() if " parcels are lost: they cannot be kept" in line]
            here = len(parcels(disk / "spool"))
        live.check("what is lost is counted, what is kept is said", len(lost) == 1 and lost[0] >= 2
                   and f"{here} parcels are not delivered; they are kept in" in agent.text, (lost, here, agent.text))


def test_read_only_disk():
    """Attempts cannot be noted there, so what is there waits; what came later does not wait for it."""
    with live.small_disk("64k") as disk:
        def remount(how):
            live.check(f"the disk is {how}", live.run(["mount", "-o", f"remount,{how}", str(disk)]).code == 0)
        port = nobody()
        with profiled("--spool", disk / "spool", *to(away(port))) as agent:
            live.until(lambda: len(parcels(disk / "spool")) >= 2, 30)
            remount("ro")
            kept = list(map(parcel_id, parcels(disk / "spool")))
            settled(agent, away(port), lambda seen: seen["waiting"] >= len(kept) + 2)
            with Receiver(port=port) as back:
                settled(agent, away(port), lambda seen: seen["delivered"] >= 4, 60)
                early = [one.parcel for one in arrived(back)]
                remount("rw")
                seen = settled(agent, away(port), lambda seen: not seen["waiting"], 60)
                found = sorted(arrived(back), key=lambda one: one.start)
            said = agent.text
        live.check("what came later arrives meanwhile, what is on the disk does not", len(early) >= 4 and not set(early) & set(kept), (early, kept))
        check_all("in the end", found, len(kept) + 4)
        live.check("nothing is lost, and why is said", not seen["lost"] and "Read-only file system" in said, (seen, said))


def change_byte(path):
    data = bytearray(path.read_bytes())
    data[-1] ^= 1
    path.write_bytes(data)


def make_link(path):
    path.unlink()
    path.symlink_to("/etc/passwd")


def make_folder(path):
    path.unlink()
    path.mkdir()


# of a file that is found like one of the last three nobody knows
DAMAGES = (change_byte, lambda path: os.truncate(path, 70), lambda path: os.truncate(path, 0), pathlib.Path.unlink, make_link, make_folder)


def copy_behind(spool, n):
    """More parcels, as the agent would have named them: copies of the last one. Returns where they are."""
    last = parcels(spool)[-1]
    behind = [last.with_name(f"{int(last.name.split('-')[0]) + 1 + i:020}-0000000000.parcel") for i in range(n)]
    for path in behind:
        shutil.copy(last, path)
    return behind


def test_corrupted():
    """Of what an agent finds some is damaged, some is while it runs."""
    with live.scratch() as folder:
        spool, port = folder / "spool", nobody()
        arguments = ["--spool", spool, *to(away(port))]
        with profiled(*arguments) as agent:
            live.until(lambda: len(parcels(spool)) >= 2, 30)
            agent.end(signal.SIGKILL)
        real, copies = parcels(spool), copy_behind(spool, 2 * len(DAMAGES))
        for path, harm in zip(copies, DAMAGES):
            harm(path)
        (spool / "otlp" / "notes.txt").write_text("keep", encoding="utf-8")
        (spool / "otlp" / "00000000000000000099-0000000000.parcel.half").write_bytes(b"half")
        expected = [parcel_id(path) for path in real]
        with profiled(*arguments) as agent:
            live.until(lambda: "profiles at" in agent.text)
            for path, harm in zip(copies[len(DAMAGES):], DAMAGES):
                harm(path)
            live.until(lambda: parcels(spool)[-1].name > copies[-1].name)
            with Receiver(port=port) as back:
                seen = settled(agent, away(port), lambda seen: seen["delivered"] >= len(real) + 1 and not seen["waiting"], 60)
                found = arrived(back)
            text = agent.text
        live.check("the whole ones arrive, in order", [one.parcel for one in found[:len(real)]] == expected, (expected, found))
        live.check("and what came after them", not any(gaps(found[len(real):])), found)
        live.check("each damaged one is counted once, and said", seen["lost"] == 2 * len(DAMAGES) - 3 and "9 damaged" in text, (seen, text))
        live.check("files of others stay, halves go", {path.name for path in (spool / "otlp").iterdir()} - {path.name for path in parcels(spool)}
                   == {"notes.txt"}, os.listdir(spool / "otlp"))


def test_removed():
    """With the directory that it is in, while the agent runs."""
    with live.scratch() as folder, Receiver() as server:
        with profiled("--spool", folder / "spool", *to(server)) as agent:
            settled(agent, server.url, lambda seen: seen["delivered"])
            time.sleep(0.3)  # between two periods
            shutil.rmtree(folder / "spool")
            seen = settled(agent, server.url, lambda seen: seen["delivered"] >= 3)
            live.check("it is made again, and nothing is lost", not seen["lost"] and "error" not in agent.text, (seen, agent.text))


# The clock


class Clock:
    """A wall clock of the agent's own (libfaketime), which can be set while it runs. All others, the machine's too, are as they are."""

    def __init__(self, folder):
        found = glob.glob("/usr/lib/*/faketime/libfaketimeMT.so.1")
        if not found:
            raise live.Skip("needs libfaketime: apt install libfaketime")
        self.path = folder / "clock"
        self.set(0)
        self.env = {"LD_PRELOAD": found[0], "FAKETIME_TIMESTAMP_FILE": str(self.path), "FAKETIME_CACHE_DURATION": "1",
                    "FAKETIME_DONT_FAKE_MONOTONIC": "1", "NO_FAKE_STAT": "1"}

    def set(self, hours):
        new = self.path.with_suffix(".new")
        new.write_text(f"{hours * 3600:+d}\n", encoding="utf-8")
        new.rename(self.path)


def hours_ahead(one):
    """How far the agent's clock was ahead of this machine's when a period ended."""
    return round((one.end - one.arrived) / HOUR_NS)


@live.noisy
def test_clock():
    """An hour forward, then two back: the time stamps follow, and nothing else."""
    with live.scratch() as folder, Receiver() as good:
        clock, url = Clock(folder), away(nobody())
        with profiled(*to(good), *to(url, "--spool", folder / "spool", "--max-age", "30m"), env=clock.env) as agent:
            for hours in 0, 1, -1:
                clock.set(hours)
                have = len(good.requests)
                live.until(lambda have=have: len(good.requests) >= have + 3, 30)
                now = agent.metrics()["coroscope_last_profile_timestamp_seconds"]
                live.check(f"the agent's clock is {hours:+d} h", abs(now - time.time() - hours * 3600) < 5, now - time.time())
            found = arrived(good)
            seen = settled(agent, url, lambda seen: seen["parcels"] >= len(found))
        lengths = [(one.end - one.start) / 1e9 for one in found]
        live.check("no period is longer or shorter", all(0.9 < length < 1.5 for length in lengths), lengths)
        pace = [(after.arrived - before.arrived) / 1e9 for before, after in zip(found, found[1:])]
        live.check("they go on at their pace", all(0.5 < step < 1.6 for step in pace), pace)
        hours = [hours_ahead(one) for one in found]
        live.check("their time is the wall clock's", [hour for hour, last in zip(hours, [None, *hours]) if hour != last] == [0, 1, -1], hours)
        live.check("nothing that waits is old for that", not seen["lost"], (seen, agent.text))


live.main(test_killed, test_one_bad, test_clock,
          live.at_once(test_away, test_name_gone, test_bounded, test_full_disk, test_full_disk_to_the_end, test_read_only_disk, test_corrupted, test_removed))
