# SPDX-License-Identifier: Apache-2.0
"""What the tests of tools/deploy share: where things are, and what the files there say of privileges."""
import pathlib
import re
import sys

ROOT = pathlib.Path(__file__).resolve().parents[2]
sys.path.insert(0, str(ROOT / "tests" / "live"))

import live

DEPLOY = ROOT / "tools" / "deploy"
UNIT = DEPLOY / "systemd" / "coroscope-agent.service"
DAEMONSET = DEPLOY / "kubernetes" / "daemonset.yaml"
BUILD = pathlib.Path(sys.argv[2])


def unit_settings():
    """(key, value) of every line of the unit; a key may be there several times."""
    return re.findall(r"^(\w+)=(.*)$", UNIT.read_text(encoding="utf-8"), re.MULTILINE)


def capabilities():
    """What the DaemonSet adds: names as container engines have them."""
    return re.search(r"add: \[([^]]*)\]", DAEMONSET.read_text(encoding="utf-8")).group(1).split(", ")


def calls():
    """The system calls of the agent's own filter."""
    return set(re.findall(r"SCMP_SYS\((\w+)\)", (ROOT / "userspace" / "agent" / "privilege.c").read_text(encoding="utf-8")))


def accepted(coroscope, config, env=None):
    """Judge a configuration by the agent itself; returns what is in effect, as lines without their sources."""
    done = live.run([coroscope, "agent", "--config", config, "--print-config"], env=env)
    live.check(f"{config.name} is accepted", done.code == live.OK and not done.err, done)
    return [line.split("  # ")[0].strip() for line in done.out.splitlines()]
