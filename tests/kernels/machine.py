# SPDX-License-Identifier: Apache-2.0
"""A virtual machine of any kernel: its whole disk is an archive in memory, made of files of this system at their own paths.

QEMU without KVM, which needs no privilege. What is written to the second serial port is the result; the first one is the kernel's console.
"""
import collections
import contextlib
import json
import os
import pathlib
import re
import shlex
import shutil
import subprocess

import live

QEMU, BUSYBOX, CPIO = "qemu-system-x86_64", "busybox", "cpio"
INIT = pathlib.Path(__file__).resolve().parent / "init"
CPUS, MEMORY_MB = 2, 1024
BOOT_S = 400
# Of a standard library: what no program of the tests imports, and most of it is large.
UNUSED = ("test", "tests", "idlelib", "tkinter", "turtledemo", "ensurepip", "lib2to3", "pydoc_data", "site-packages", "dist-packages")
# What a kernel says when something is wrong with it, or with what it was told to run.
COMPLAINT = re.compile(r"WARNING:|BUG:|Oops|general protection|Call Trace|RCU stall|rcu_sched|soft lockup|Kernel panic|Out of memory")

Boot = collections.namedtuple("Boot", "results console")


def require(*programs):
    missing = [program for program in programs if not shutil.which(program)]
    if missing:
        raise live.Skip(f"there is no {', '.join(missing)}: apt install qemu-system-x86 busybox-static cpio")


def libraries(programs):
    """What these are linked with, the loader included. A static program has none."""
    said = live.run(["ldd", *programs]).out
    return re.findall(r"(/\S+) \(0x", said)


def of_python(python):
    """An interpreter with its standard library."""
    done = live.run([python, "-I", "-S", "-c", "import sys, sysconfig; print(sys.executable, sysconfig.get_path('stdlib'), sep='\\n')"])
    if done.code:
        raise AssertionError(f"{python}: {done.err}")
    program, library = done.out.split("\n")[:2]
    files = [python, program]
    for folder, inner, names in os.walk(library):
        inner[:] = [name for name in inner if name not in UNUSED and not name.startswith("config-")]
        files += [os.path.join(folder, name) for name in names if ".opt-" not in name and not name.endswith(".a")]
    return files + libraries([name for name in files if name in (python, program) or name.endswith(".so")])


def with_parents(path, wanted):
    """Note a file, and before it every folder and link on the way to it."""
    at = "/"
    parts = pathlib.PurePath(path).parts[1:]
    for number, part in enumerate(parts, 1):
        at = os.path.join(at, part)
        wanted[at] = True
        if os.path.islink(at):
            to = os.path.normpath(os.path.join(os.path.dirname(at), os.readlink(at), *parts[number:]))
            if os.path.exists(to):
                with_parents(to, wanted)
            return


def archive(root, names):
    return subprocess.run([CPIO, "--create", "--format=newc", "--quiet", "--null"], input="\0".join(names).encode(), stdout=subprocess.PIPE,
                          cwd=root, check=True).stdout


def disk(folder, files, command):
    """The file system that the machine has: these files, and what begins it all. The kernel joins the two archives."""
    own, wanted, busybox = folder / "own", {}, shutil.which(BUSYBOX)
    own.mkdir()
    shutil.copy(busybox, own / "busybox")
    shutil.copy(INIT, own / "init")
    (own / "init").chmod(0o755)
    (own / "command").write_text("exec " + shlex.join(map(str, command)) + "\n", encoding="utf-8")
    for path in map(str, [*files, *libraries([busybox])]):
        with_parents(path, wanted)
    path = folder / "disk"
    path.write_bytes(archive("/", [name.lstrip("/") for name in wanted]) + archive(own, sorted(os.listdir(own))))
    return path


def boot(image, files, command):
    """Boot, run the command, and end. Returns what it wrote, one object a line of JSON, and what the kernel said."""
    require(QEMU, BUSYBOX, CPIO)
    with live.scratch() as folder:
        arguments = ["-accel", "tcg,thread=multi", "-cpu", "max", "-smp", CPUS, "-m", MEMORY_MB, "-nodefaults", "-no-user-config", "-display",
                     "none", "-no-reboot", "-kernel", image, "-initrd", disk(folder, files, command), "-serial", f"file:{folder}/console",
                     "-serial", f"file:{folder}/results", "-append", "console=ttyS0 loglevel=5 panic=-1"]
        ended = ""
        with contextlib.suppress(subprocess.TimeoutExpired):
            done = live.run([QEMU, *map(str, arguments)], timeout=BOOT_S)
            ended = "" if done.code == 0 else f"qemu: {done.err}"
        console, results = ((folder / name).read_text(encoding="utf-8", errors="replace") for name in ("console", "results"))
    found = [json.loads(line) for line in results.splitlines() if line.startswith("{") and line.endswith("}")]
    live.check("the machine ran to its end", found and found[-1]["step"] == "end",
               "\n".join([ended, f"done: {[one['step'] for one in found]}", *complaints(console)[:5], console[-8000:]]))
    return Boot({one["step"]: one for one in found}, console)


def complaints(console):
    return [line for line in console.splitlines() if COMPLAINT.search(line)]
