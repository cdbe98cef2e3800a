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
    """Memory (kB) once a second."""
    seen = []
    for _ in range(seconds):
        time.sleep(1)
        if agent.process.poll() is not None:
            raise AssertionError(f"the agent has ended: {agent.text}")
        seen.append(resident(agent.process.pid))
    return seen


def test_flat():
    with live.scratch() as folder, live.target(live.interpreter("3.12"), "churn.py", folder / "rounds") as program:
        with Agent("-p", program.pid, "--subprocesses", "--period", f"{PERIOD_S}s", "--cpu-budget", "50%", "--max-size", "1M",
                   "--to", f"dir={folder / 'profiles'}") as agent:
            agent.says("profiles at")
            watch(agent, WARM_UP_S)
            files = len(glob.glob(f"/proc/{agent.process.pid}/fd/*"))
            seen = watch(agent, WATCHED_S)
            later = len(glob.glob(f"/proc/{agent.process.pid}/fd/*"))
            rounds = int((folder / "rounds").read_text())
            text = agent.text
        third = len(seen) // 3
        first, last = sum(seen[:third]) / third, sum(seen[-third:]) / third
        print(f"     resident {first / 1024:.1f} MB, {WATCHED_S * 2 // 3} s later {last / 1024:.1f} MB; {files} and {later} descriptors; {rounds} processes, threads and functions each")
        live.check("there was churn", rounds > WATCHED_S, rounds)
        live.check("memory is flat", last < first * 1.05 + 512, seen)
        live.check("descriptors are as many as before", later <= files + 8, (files, later))
        live.check("nothing went wrong", "error" not in text, text)


live.main(test_flat)
