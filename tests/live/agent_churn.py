#!/usr/bin/env python3
# SPDX-License-Identifier: Apache-2.0
"""agent_churn.py COROSCOPE: processes, threads, tasks, loops and functions come and go under an agent; its memory and descriptors stay as they were."""
import glob
import re
import time

import live
from agent_process import Agent

PERIOD_S = 2
WARM_UP_S, WATCHED_S = 24, 56


def resident(pid):
    with open(f"/proc/{pid}/status", encoding="utf-8") as status:
        return int(re.search(r"^VmRSS:\s*(\d+) kB", status.read(), re.M).group(1))


def watch(agent, seconds):
    """Memory (kB) and open files, once a second."""
    memory, files = [], []
    for _ in range(seconds):
        time.sleep(1)
        if agent.process.poll() is not None:
            raise AssertionError(f"the agent has ended: {agent.text}")
        memory.append(resident(agent.process.pid))
        files.append(len(glob.glob(f"/proc/{agent.process.pid}/fd/*")))
    return memory, files


def test_flat():
    with live.scratch() as folder, live.target(live.interpreter("3.12"), "churn.py", folder / "rounds") as program:
        with Agent("-p", program.pid, "--subprocesses", "--period", f"{PERIOD_S}s", "--cpu-budget", "50%", "--max-size", "1M",
                   "--to", f"dir={folder / 'profiles'}") as agent:
            agent.says("profiles at")
            watch(agent, WARM_UP_S)
            memory, files = watch(agent, WATCHED_S)
            rounds = int((folder / "rounds").read_text())
            text = agent.text
        third = WATCHED_S // 3
        first, last = sum(memory[:third]) / third, sum(memory[-third:]) / third
        fewest, later = min(files[:third]), min(files[-third:])  # each process that is there has some
        print(f"     resident {first / 1024:.1f} MB, {WATCHED_S * 2 // 3} s later {last / 1024:.1f} MB; {fewest} and {later} open files; {rounds} processes, threads and functions each")
        live.check("there was churn", rounds > WATCHED_S, rounds)
        live.check("memory is flat", last < first * 1.04 + 512, memory)
        live.check("open files are as many as before", later <= fewest + 4, files)
        live.check("nothing went wrong", "error" not in text, text)


live.main(test_flat)
