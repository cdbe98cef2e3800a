#!/usr/bin/env python3
# SPDX-License-Identifier: Apache-2.0
"""agent.py COROSCOPE: the agent over periods, to a directory and a server; what ends it, what changes it, and who is told."""
import collections
import json
import pathlib
import random
import re
import signal
import socket
import time

import bpf_objects
import live
import receiver
from agent_process import Agent
from delivered import CREATED, TREE, comments, files, otlp_stacks, pprof_profile, pprof_stacks, under
from receiver import Receiver

README = pathlib.Path(__file__).resolve().parents[2] / "README.md"


def test_two_periods():
    with live.example(live.interpreter("3.12")) as program, live.scratch() as folder, Receiver() as server:
        target = folder / "profiles"
        with Agent("-p", program.pid, "--period", "3s", "--to", f"dir={target}", "--to", f"otlp={server.url}") as agent:
            live.until(lambda: len(files(target)) >= 2 and len(server.requests) >= 2, 60)
            alone = agent.process.poll() is None
        live.check("it goes on", alone)
        written = files(target)
        for number in range(2):
            for what, stacks in (("file", pprof_stacks(written[number])), ("request", otlp_stacks(server.requests[number]))):
                live.check(f"{what} {number} has the task tree", under(stacks, TREE) and under(stacks, CREATED), stacks)
        times = [(one[9][0], one[10][0]) for one in map(pprof_profile, written[:2])]
        live.check("a period is as long as told", all(2.9e9 < length < 4.5e9 for _, length in times), times)
        gap = times[1][0] - times[0][0] - times[0][1]
        live.check("the second begins where the first ends", abs(gap) < 0.3e9, gap)
        ticks = [next(int(line.split(": ")[1]) for line in comments(path) if line.startswith("CPU ticks seen: ")) for path in written[:2]]
        live.check("accounts are each period's own", 0.5 < ticks[1] / ticks[0] < 2, ticks)


def test_sigterm():
    with live.example(live.interpreter("3.12")) as program, live.scratch() as folder, Receiver() as server:
        target = folder / "profiles"
        with Agent("-p", program.pid, "--to", f"dir={target}", "--to", f"otlp={server.url}") as agent:
            agent.says("a profile every 60 s")
            time.sleep(3)
            before = len(files(target)) + len(server.requests)
            began = time.monotonic()
            code = agent.end()
            took = time.monotonic() - began
        live.check("nothing was delivered before the period's end", before == 0)
        live.check("SIGTERM ends it well and soon", code == live.OK and took < 9, (code, took))
        live.check("what was there is delivered to both", len(files(target)) == 1 and len(server.requests) == 1)
        live.check("with its tree", under(pprof_stacks(files(target)[0]), TREE) and under(otlp_stacks(server.requests[0]), TREE))


def test_sigterm_without_server():
    """A server that never answers holds the end up no longer than it may, and what it did not take is kept."""
    with live.example(live.interpreter("3.12")) as program, live.scratch() as folder, Receiver(receiver.stalls) as server:
        with Agent("-p", program.pid, "--period", "1s", "--flush", "2s", "--spool", folder / "spool", "--to", f"otlp={server.url}") as agent:
            live.until(lambda: server.requests, 30)
            began = time.monotonic()
            code = agent.end()
            took = time.monotonic() - began
        kept = list((folder / "spool" / "otlp").glob("*.parcel"))
        live.check("it ends when it must", code == live.OK and 1.5 < took < 8, (code, took))
        live.check("what was not taken is kept, and that is said", kept and "parcels are not delivered; they are kept in" in agent.text, agent.text)


def parcel_id(data):
    """Where a parcel's file has its id (userspace/deliver/parcel.c)."""
    return data[32:64].decode()


def test_sigkill():
    """Killed at any moment: nothing stays attached, and the spool is whole."""
    with live.example(live.interpreter("3.12")) as program, live.scratch() as folder:
        spool = folder / "spool"
        with Receiver() as server:
            gone = server.url
        for turn in range(3):
            have = len(list(spool.glob("otlp/*.parcel")))
            with Agent("-p", program.pid, "--period", "1s", "--spool", spool, "--to", f"otlp={gone}") as agent:
                live.until(lambda: len(list(spool.glob("otlp/*.parcel"))) >= have + 2, 60)
                time.sleep(random.uniform(0, 1.2))
                objects = bpf_objects.held(agent.process.pid)
                agent.end(signal.SIGKILL)
            live.check("it held something", len(objects) > 5)
            bpf_objects.check_gone(f"SIGKILL {turn}", objects)
        parcels = {parcel_id(path.read_bytes()) for path in spool.glob("otlp/*.parcel")}
        with Receiver() as server:
            with Agent("-p", program.pid, "--period", "60s", "--spool", spool, "--to", f"otlp={server.url}"):
                live.until(lambda: not list(spool.glob("otlp/*.parcel")), 60)
            got = collections.Counter(request.headers["coroscope-parcel"] for request in server.requests)
        live.check(f"all {len(parcels)} parcels of three killed runs arrive, each once",
                   len(parcels) >= 6 and parcels <= set(got) and set(got.values()) == {1}, got)


def test_reload():
    with live.example(live.interpreter("3.12")) as program, live.scratch() as folder:
        config, first, second = folder / "agent.yaml", folder / "first", folder / "second"
        config.write_text(f"pid: {program.pid}\nperiod: 1s\nrate: 50\nto: [dir={first}]\n", encoding="utf-8")
        with Agent("--config", config) as agent:
            live.until(lambda: files(first), 30)
            config.write_text(f"pid: {program.pid}\nperiod: 1s\nrat: 50\nto: [dir={second}]\n", encoding="utf-8")
            agent.process.send_signal(signal.SIGHUP)
            agent.says("agent.yaml:3: no option 'rat': did you mean 'rate'?")
            have = len(files(first))
            live.until(lambda: len(files(first)) > have + 1, 30)
            live.check("a bad configuration is refused, the old one stays", not files(second))
            config.write_text(f"pid: {program.pid}\nperiod: 1s\nrate: 20\nto: [dir={second}]\n", encoding="utf-8")
            agent.process.send_signal(signal.SIGHUP)
            agent.says("the configuration was read again")
            live.until(lambda: len(files(second)) >= 2, 30)
            live.check("the process is the same one", agent.process.poll() is None)
        rates = [round(1e9 / pprof_profile(path)[12][0]) for path in (files(first)[0], files(second)[-1])]
        live.check("destination and rate are new", rates == [50, 20], rates)
        live.check("the tree is there under the new one", any(under(pprof_stacks(path), TREE) for path in files(second)))


def test_budget():
    """A share that no agent can keep at 999 Hz: the rate goes down, once and far enough to be told, and profiles say it."""
    with live.target(live.interpreter("3.12"), "burn_task.py") as program, live.scratch() as folder:
        target = folder / "profiles"
        with Agent("-p", program.pid, "--period", "5s", "--rate", "999", "--cpu-budget", "0.5%", "--to", f"dir={target}") as agent:
            agent.says("rate lowered to", 40)
            time.sleep(7)
            said = agent.text
        live.check("it says what was used and what may be", re.search(
            r"rate lowered to [\d.]+ Hz(, of what sleeps [\d.]+ Hz)?: the agent used [\d.]+% of the machine \([\d.]+% in the kernel\) and \d+ MB; its budgets are 0.50% and 256 MB", said), said)
        live.check("the rate does not swing", said.count("rate lowered") <= 2 and "raised" not in said, said)
        profiles = files(target)
        rates = [round(1e9 / pprof_profile(path)[12][0]) for path in profiles]
        live.check("each profile has one rate, the first that was asked for", rates[0] == 999 and rates[-1] < 700, rates)
        notes = [line for line in comments(profiles[-1]) if line.startswith("sampled at ")]
        live.check("and says why it is lower", len(notes) == 1 and "instead of 999" in notes[0], notes)
        live.check("which others do not", not [line for line in comments(profiles[0]) if line.startswith("sampled at ")])


def test_answers():
    """Probes and Prometheus: what is asked for is there, and grows."""
    with live.example(live.interpreter("3.12")) as program, live.scratch() as folder, Receiver() as server:
        config, options = folder / "agent.yaml", f"pid: {program.pid}\nperiod: 1s\n"
        config.write_text(f"{options}listen: 0\n", encoding="utf-8")
        with Agent("--config", config, "--to", f"dir={folder / 'files'}", "--to", f"otlp={server.url}", listens=False) as agent:
            agent.says("a profile every 1 s to 2 destinations")
            live.until(lambda: agent.asked("/readyz") == (200, "ready\n"), 10)
            live.check("it is ready, and alive", agent.asked("/readyz") == (200, "ready\n") and agent.asked("/healthz") == (200, "ok\n"))
            labels = f'{{kind="otlp",to="{server.url}/v1development/profiles"}}'
            live.until(lambda: agent.metrics()[f"coroscope_deliver_delivered_total{labels}"] >= 2, 30)
            live.until(lambda: agent.metrics()["coroscope_cpu_share"] > 0, 30)
            before = agent.metrics()
            live.until(lambda: agent.metrics()["coroscope_profiles_total"] > before["coroscope_profiles_total"] + 1, 30)
            after = agent.metrics()
            shown = {name for name in after if name.endswith("_total") or "_total{" in name}
            live.check("what counts only grows", len(shown) > 30 and all(after[name] >= before[name] for name in shown),
                       {name: (before[name], after[name]) for name in shown if after[name] < before[name]})
            live.check("the process, its interpreter and its probe", after['coroscope_processes{interpreter="3.12",state="ready"}'] == 1
                       and after["coroscope_probes"] == 1, after)
            live.check("passes and ticks are counted", all(after[f'coroscope_account_total{{account="{name}"}}'] > before[
                f'coroscope_account_total{{account="{name}"}}'] for name in ("passes", "tasks", "ticks")), after)
            live.check("and losses by reason", sum(name.startswith("coroscope_lost_total{reason=") for name in after) > 20, after)
            live.check("what it uses, and may", 0 < after["coroscope_cpu_share"] < 1 and after["coroscope_cpu_budget_share"] == 0.01
                       and 10e6 < after["coroscope_memory_bytes"] < after["coroscope_memory_budget_bytes"] == 256 << 20, after)
            live.check("requests, their bytes and their time", all(after[f"coroscope_deliver_{name}{labels}"] > 0 for name in (
                "requests_total", "bytes_total", "request_seconds_total", "last_timestamp_seconds")), after)
            with Agent("-p", program.pid, "--listen", agent.port) as other:
                live.check("a port that is taken is said", other.process.wait(30) == live.FAILURE
                           and "cannot answer on 127.0.0.1 port" in other.text, other.text)
            config.write_text(f"{options}listen: off\n", encoding="utf-8")
            agent.process.send_signal(signal.SIGHUP)
            live.until(lambda: agent.asked("/healthz") is None, 10)
            live.check("told to be silent, it is", agent.asked("/healthz") is None)


def test_supervisor():
    """What systemd hears, and a log for machines."""
    with live.example(live.interpreter("3.12")) as program, live.scratch() as folder:
        heard = socket.socket(socket.AF_UNIX, socket.SOCK_DGRAM)
        heard.bind(str(folder / "notify"))
        heard.settimeout(30)
        env = {"NOTIFY_SOCKET": str(folder / "notify"), "WATCHDOG_USEC": "1000000"}
        messages = []

        def hear(word):
            while not any(word in message for message in messages):
                messages.append(heard.recv(4096).decode())
        with Agent("-p", program.pid, "--period", "1s", "--log-format", "json", "--log-level", "debug", "--to", f"dir={folder / 'x'}", env=env) as agent:
            hear("READY=1")
            hear("WATCHDOG=1")
            began = time.monotonic()
            messages.clear()
            hear("WATCHDOG=1")
            live.check("the watchdog hears of it in time", time.monotonic() - began < 1)
            agent.process.send_signal(signal.SIGHUP)
            hear("RELOADING=1\nMONOTONIC_USEC=")
            messages.clear()
            hear("READY=1")
            agent.end()
            hear("STOPPING=1")
            lines = agent.text.splitlines()
        heard.close()
        logged = [json.loads(line) for line in lines if line.startswith("{")]
        live.check("each line of the log is JSON", len(logged) == len(lines) > 3
                   and all(set(line) == {"time", "level", "message"} for line in logged), lines)
        live.check("with a level and a time of now", {"debug", "info"} <= {line["level"] for line in logged}
                   and all(re.fullmatch(r"20\d\d-\d\d-\d\dT\d\d:\d\d:\d\d\.\d{3}Z", line["time"]) for line in logged), logged)


def test_command_line():
    done = live.coroscope("agent", "--help", env={"ARGP_HELP_FMT": "rmargin=110"})
    block = re.search(r"```text\n\$ coroscope agent --help\n(.*?)```", README.read_text(encoding="utf-8"), re.S)
    live.check("the README has the options as --help tells them", block and block.group(1).strip() == done.out.strip(), done.out)
    done = live.coroscope("agent", "--print-config", "--rate", 7, "--to", "dir=/x", env={"COROSCOPE_PERIOD": "5m"})
    live.check("what is in effect is printed with its source", all(line in done.out.splitlines() for line in (
        "rate: 7  # --rate", "period: 5m  # COROSCOPE_PERIOD", "mode: wall  # default", "  - to: dir=/x  # --to")), done.out)
    for words in (["--rate", "0"], ["--config", "/nonexistent"], ["--to", "nowhere"], ["word"]):
        done = live.coroscope("agent", *words)
        live.check(f"{words} is refused in one line", done.code == live.USAGE and live.one_line(done), done)


# what judges an agent's use of the CPU by itself
live.main(test_command_line, live.at_once(test_two_periods, test_sigterm, test_sigterm_without_server, test_sigkill, test_reload, test_answers, test_supervisor),
          test_budget)
