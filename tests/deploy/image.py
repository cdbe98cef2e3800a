#!/usr/bin/env python3
# SPDX-License-Identifier: Apache-2.0
"""image.py COROSCOPE BUILD [SUITE [ENGINE]]: the container image, built from tools/deploy/Dockerfile and run with what the DaemonSet gives, no more, by podman
or docker.

No registry is needed: both bases are made of Debian's packages, by mmdebstrap, of this system's release or another suite. What is made is kept below the user's cache, as images
that podman finds unchanged the next time.
"""
import contextlib
import os
import pathlib
import platform
import re
import sys
import time
import urllib.request

import deployed
import live
from delivered import CREATED, TREE, files, pprof_stacks, under

sys.path.insert(0, str(deployed.ROOT / "tools"))
import debian_suites
from engines import Docker, Podman

SUITE = sys.argv[3] if len(sys.argv) > 3 else platform.freedesktop_os_release()["VERSION_CODENAME"]
BASE, IMAGE = f"localhost/coroscope-base:{SUITE}", f"localhost/coroscope-test:{SUITE}"
NAME = f"coroscope-test-{os.getpid()}"
ENGINE = sys.argv[4] if len(sys.argv) > 4 else "podman"


def run(engine, *words):
    """Run the image; podman's default limits are more than root without CAP_SYS_RESOURCE may give."""
    return engine("run", "--ulimit", "nofile=1024:1024", "--ulimit", "nproc=1024:1024", *words)


def must(engine, what, *words, timeout=120):
    done = engine(*words, timeout=timeout)
    live.check(what, done.code == 0, (done.code, done.out[-1000:], done.err[-4000:]))
    return done


def make_base(podman):
    if podman("image", "exists", BASE).code == 0:
        return
    try:
        mirror = debian_suites.mirror()
    except debian_suites.Missing as missing:
        raise live.Skip(str(missing)) from missing
    with live.scratch() as folder:
        print("     the base and the image are made: minutes", flush=True)
        made = live.run(["mmdebstrap", "--variant=apt", "--quiet", SUITE, folder / "base.tar", mirror], timeout=900)
        live.check("mmdebstrap makes a base of Debian's packages", made.code == 0, made)
        must(podman, "podman takes it", "import", folder / "base.tar", BASE)


@contextlib.contextmanager
def engine_with_image():
    """What runs the image: podman, which has built it, or docker, which got it from there."""
    with Podman() as podman:
        make_base(podman)
        # the container may use the machine's network and needs no cgroup
        must(podman, "the image is built", "build", "--isolation", "chroot", "--network", "host", "--build-arg", f"BUILD_BASE={BASE}", "--build-arg",
             f"RUNTIME_BASE={BASE}", "--file", deployed.DEPLOY / "Dockerfile", "--tag", IMAGE, deployed.ROOT, timeout=3000)
        if ENGINE == "podman":
            yield podman
            return
        with Docker() as docker:
            steps = docker.take(podman, IMAGE)
            live.check("docker takes it", all(step.code == 0 for step in steps), steps)
            yield docker


def test_image():
    with engine_with_image() as engine:
        print("     size in bytes:", must(engine, "it is there", "image", "inspect", "--format", "{{.Size}}", IMAGE).out.strip())
        begins = must(engine, "it tells how it begins", "image", "inspect", "--format", "{{.Config.Entrypoint}} {{.Config.Cmd}}", IMAGE).out.strip()
        live.check("with the agent", begins == "[/usr/bin/coroscope] [agent]", begins)
        # without any privilege
        found = run(engine, "--rm", "--network", "none", "--cap-drop", "all", "--read-only", "--entrypoint", "/bin/sh", IMAGE, "-c",
                    "find /usr/include /usr/src /lib/modules /src /build /package -type f; command -v gcc clang bpftool; "
                    "test -s /etc/ssl/certs/ca-certificates.crt && echo certs")
        gone = run(engine, "--rm", "--network", "none", "--entrypoint", "/bin/sh", IMAGE, "-ec", "mkdir /var/lib/coroscope; dpkg --remove coroscope >&2; "
                   "cd /; ls -d usr/bin/coroscope etc/coroscope/* var/lib/coroscope || true; dpkg --purge coroscope >&2; "
                   "ls -d etc/coroscope var/lib/coroscope || echo gone")
    live.check("the package can be removed, and purged", gone.code == 0 and gone.out.split() == ["etc/coroscope/agent.yaml", "var/lib/coroscope", "gone"], gone)
    live.check("it has certificates, and neither headers nor what built it", found.out.split() == ["certs"], found)


class Container:
    """The image with the DaemonSet's privileges, but for some, as long as the with block lasts. The command is in the words after "--"."""

    def __init__(self, engine, *words, without=()):
        self.engine = engine
        at = words.index("--")
        added = [word for name in deployed.capabilities() if name not in without for word in ("--cap-add", name)]
        self.words = ("--detach", "--name", NAME, "--network", "host", "--pid", "host", "--read-only", *engine.only_its_own, "--cap-drop", "all", *added,
                      "--security-opt", "apparmor=unconfined", *words[:at], IMAGE, *words[at + 1:])

    def __enter__(self):
        started = run(self.engine, *self.words)
        live.check("it starts", started.code == 0, started)
        return self

    def __exit__(self, *_):
        self.engine("stop", "--time", "15", NAME)
        self.engine("rm", "--force", NAME)

    def said(self):
        done = self.engine("logs", NAME)
        return done.out + done.err

    def state(self, what):
        return self.engine("inspect", "--format", f"{{{{.State.{what}}}}}", NAME).out.strip()

    def alive(self):
        return self.state("Running") == "true"

    def status(self):
        text = pathlib.Path(f"/proc/{self.state('Pid')}/status").read_text(encoding="utf-8")
        return dict(re.findall(r"^(\w+):\s+(.*)$", text, re.MULTILINE))

    def answer(self, path):
        port = re.findall(r"answers on 127\.0\.0\.1 port (\d+)", self.said())[-1]
        with urllib.request.urlopen(f"http://127.0.0.1:{port}{path}", timeout=10) as page:
            return page.status, page.read().decode()


def test_runs():
    with engine_with_image() as engine, live.example(live.interpreter("3.12")), live.scratch() as folder:
        folder.chmod(0o755)
        # the DaemonSet's configuration, for the whole machine; what a node has and this machine has not is replaced
        with Container(engine, "--volume", f"{folder}:/var/lib/coroscope", "--volume",
                       f"{deployed.DEPLOY}/kubernetes/agent.yaml:/etc/coroscope/agent.yaml:ro", "--env", "COROSCOPE_LISTEN=127.0.0.1:0", "--env",
                       "COROSCOPE_PERIOD=3s", "--env", "COROSCOPE_TO=dir=/var/lib/coroscope/profiles", "--", "agent", "--config",
                       "/etc/coroscope/agent.yaml") as agent:
            live.until(lambda: len(files(folder / "profiles")) > 1 or not agent.alive(), 60)
            live.check("there are profiles", files(folder / "profiles"), agent.said())
            stacks, found = [stack for path in files(folder / "profiles") for stack in pprof_stacks(path)], agent.status()
            ready, metrics = agent.answer("/readyz"), agent.answer("/metrics")[1]
            began = time.monotonic()
            must(engine, "it is told to end", "stop", "--time", "20", NAME)
            code = agent.state("ExitCode")
            text, took = agent.said(), time.monotonic() - began
    bits = sum(1 << {"DAC_READ_SEARCH": 2, "SYS_PTRACE": 19, "SYS_ADMIN": 21, "SYSLOG": 34}[name] for name in deployed.capabilities())
    live.check("it had what is documented and no more", int(found["CapBnd"], 16) == int(found["CapPrm"], 16) == bits, found)
    live.check("below the engine's filter and its own", found["Seccomp"] == "2" and int(found["Seccomp_filters"]) > 1, found)
    live.check("it sees the tasks of a process on the host", under(stacks, TREE) and under(stacks, CREATED), stacks)
    live.check("it was ready, and knew the process", ready[0] == 200 and re.search(r'interpreter="3.12",state="ready"} [1-9]', metrics), (ready, metrics))
    live.check("it misses no capability, and its filter is in force", "CAP_" not in text and "not filtered" not in text, text)
    live.check("it ends well and soon", code == "0" and took < 15, (code, took, text))


def agent_of_one(program, folder):
    return ("--volume", f"{folder}:/var/lib/coroscope", "--", "agent", "-p", program.pid, "--listen", "off", "--period", "3s", "--to",
            "dir=/var/lib/coroscope/profiles")


def test_fewer():
    """With less than the DaemonSet gives: what is missing is said, and costs what tools/deploy/README.md says."""
    with engine_with_image() as engine, live.example(live.interpreter("3.12")) as program, live.scratch() as folder:
        folder.chmod(0o755)
        with Container(engine, *agent_of_one(program, folder), without=["SYSLOG"]) as agent:
            live.until(lambda: files(folder / "profiles") or not agent.alive(), 60)
            stacks, text = pprof_stacks(files(folder / "profiles")[0]) if files(folder / "profiles") else [], agent.said()
        live.check("without CAP_SYSLOG it works, and says so", "CAP_SYSLOG" in text and under(stacks, TREE) and under(stacks, CREATED), (text, stacks[:3]))
        for path in files(folder / "profiles"):
            path.unlink()
        with Container(engine, *agent_of_one(program, folder), without=["SYS_PTRACE"]) as agent:
            live.until(lambda: "CAP_SYS_PTRACE" in agent.said() or not agent.alive(), 60)
            time.sleep(4)
            stacks = [stack for path in files(folder / "profiles") for stack in pprof_stacks(path)]
            text = agent.said()
        live.check("without CAP_SYS_PTRACE it says what that costs", "capability to read processes: no CAP_SYS_PTRACE" in text, text)
        live.check("and nothing is guessed", not under(stacks, TREE), stacks[:3])
        with Container(engine, *agent_of_one(program, folder), without=deployed.capabilities()) as agent:
            live.until(lambda: not agent.alive(), 60)
            code, text = agent.state("ExitCode"), agent.said()
        live.check("without any it says what is missing, and ends", code == str(live.PERMISSION) and "capability to load BPF: " in text, (code, text))


def test_own_pids():
    """Without the machine's process ids it says so, and how to give them."""
    with engine_with_image() as engine:
        done = run(engine, "--rm", "--network", "none", IMAGE, "agent", "--listen", "off")
    live.check("it says what is missing", done.code != 0 and "hostPID: true" in done.err, done)


live.main(test_image, test_runs, test_fewer, test_own_pids)
