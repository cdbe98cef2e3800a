#!/usr/bin/env python3
# SPDX-License-Identifier: Apache-2.0
"""privilege.py COROSCOPE: what the agent keeps of what it is given, that it suffices, and what each missing capability costs, as it says itself."""
import contextlib
import pathlib
import re

import live
from agent_process import Agent
from delivered import CREATED, TREE, files, pprof_stacks, under

# include/uapi/linux/capability.h
CAPABILITIES = {"dac_override": 1, "dac_read_search": 2, "sys_ptrace": 19, "sys_admin": 21, "sys_resource": 24, "syslog": 34, "perfmon": 38, "bpf": 39}
KEPT = set(CAPABILITIES) - {"dac_override"}  # as far as this machine gives them
DOCUMENTED = {"sys_admin", "sys_ptrace", "dac_read_search", "syslog"}
PARANOID = pathlib.Path("/proc/sys/kernel/perf_event_paranoid")


# the example, which its user may not read, as somebody else's
NOBODY = """
import asyncio, os, sys
code = compile(open(sys.argv[1]).read(), sys.argv[1], "exec")
os.setgroups([])
os.setgid(65534)
os.setuid(65534)
exec(code)
"""


@contextlib.contextmanager
def of_nobody():
    with live.program(live.interpreter("3.12"), "-c", NOBODY, str(live.TARGETS / "example.py")) as process:
        live.until(lambda: "anon_inode:[eventpoll]" in live.open_files(process.pid))
        yield process


def mask(names):
    return sum(1 << CAPABILITIES[name] for name in names)


def status(pid):
    return dict(re.findall(r"^(\w+):\s+(.*)$", pathlib.Path(f"/proc/{pid}/status").read_text(encoding="utf-8"), re.MULTILINE))


class Limited(Agent):
    """With these capabilities and no others, as root still: what a container gives."""

    def __init__(self, names, *arguments):
        listed = ",".join(["-all", *(f"+{name}" for name in sorted(names))])
        super().__init__(*arguments, run=["setpriv", f"--bounding-set={listed}", "--inh-caps=-all"])


def watch(agent, target):
    live.until(lambda: files(target) or agent.process.poll() is not None, 40)
    live.check("a profile is there", files(target), agent.text)
    return pprof_stacks(files(target)[0])


def options(program, target):
    return ("-p", program.pid, "--period", "3s", "--to", f"dir={target}")


def test_all_given():
    """Started as root: what it does not need is gone, and it works."""
    with live.example(live.interpreter("3.12")) as program, live.scratch() as folder, \
            Agent(*options(program, folder / "files")) as agent:
        stacks = watch(agent, folder / "files")
        found = status(agent.process.pid)
        threads = [status(path.name) for path in pathlib.Path(f"/proc/{agent.process.pid}/task").iterdir()]
    live.check("it keeps what it needs", int(found["CapEff"], 16) == int(found["CapPrm"], 16) == mask(KEPT) & int(status("self")["CapPrm"], 16), found)
    live.check("it cannot get more, nor call what it need not", found["NoNewPrivs"] == "1" and found["Seccomp"] == "2", found)
    live.check("nor can any of its threads", len(threads) > 1 and all(
        (one["CapPrm"], one["Seccomp"], one["NoNewPrivs"]) == (found["CapPrm"], "2", "1") for one in threads), threads)
    live.check("it sees all", under(stacks, TREE) and under(stacks, CREATED), stacks)
    live.check("it misses nothing", "CAP_" not in agent.text, agent.text)


def test_documented():
    """What the README and the manifests name is enough."""
    with of_nobody() as program, live.scratch() as folder, \
            Limited(DOCUMENTED, *options(program, folder / "files")) as agent:
        stacks = watch(agent, folder / "files")
        found = status(agent.process.pid)
    live.check("it has no more", int(found["CapPrm"], 16) == mask(DOCUMENTED), found)
    live.check("it sees all of another user's program", under(stacks, TREE) and under(stacks, CREATED), stacks)
    live.check("it misses nothing", "CAP_" not in agent.text, agent.text)


def test_no_ptrace():
    with of_nobody() as program, live.scratch() as folder, \
            Limited(DOCUMENTED - {"sys_ptrace"}, "--period", "3s", "--to", f"dir={folder / 'files'}") as agent:
        stacks = watch(agent, folder / "files")
    live.check("it says what is missing, and what that costs", "capability to read processes: no CAP_SYS_PTRACE; names and tasks of other "
               "users' processes cannot be read" in agent.text, agent.text)
    live.check("it goes on without these", stacks and not under(stacks, TREE), (program.pid, stacks))


def test_no_uprobe():
    """CAP_BPF and CAP_PERFMON in place of CAP_SYS_ADMIN: what awaits what is seen, what was created by whom is not."""
    paranoid = PARANOID.read_text(encoding="utf-8")
    live.check("the sysctl is set for this test", int(paranoid) <= 2 or PARANOID.write_text("2", encoding="utf-8"))
    try:
        with live.example(live.interpreter("3.12")) as program, live.scratch() as folder, \
                Limited({"bpf", "perfmon", "sys_ptrace", "dac_read_search", "syslog"}, *options(program, folder / "files")) as agent:
            stacks = watch(agent, folder / "files")
    finally:
        PARANOID.write_text(paranoid, encoding="utf-8")
    live.check("it says so", "capability to attach uprobes: no CAP_SYS_ADMIN; no creation links" in agent.text, agent.text)
    live.check("awaits are seen", under(stacks, TREE), stacks)
    live.check("creations are not, and nothing is guessed", not under(stacks, CREATED), stacks)


def test_nothing():
    with live.example(live.interpreter("3.12")) as program, live.scratch() as folder, \
            Limited(set(), *options(program, folder / "files")) as agent:
        code = agent.process.wait(30)
    live.check("without any it says what is missing, and ends", code == live.PERMISSION
               and "capability to load BPF: " in agent.text, (code, agent.text))


live.main(test_all_given, test_documented, test_no_ptrace, test_no_uprobe, test_nothing)
