#!/usr/bin/env python3
# SPDX-License-Identifier: Apache-2.0
"""kinds.py COROSCOPE [INTERPRETER]: every way in which an interpreter runs. Each time the program knows its stack, and the
profile must show it: at least 95% of what it did on a CPU, and its sleeping thread in wall mode (known.py).
"""
import functools
import json
import os
import pathlib
import re
import shlex
import shutil
import zipfile

import known
import live

SCRIPT = str(known.TARGET)
LOADERS = ("/lib64/ld-linux-x86-64.so.2", "/lib/ld-linux-aarch64.so.1")
NOBODY = 65534
ASK = """
import json, sys, sysconfig
value = sysconfig.get_config_var
print(json.dumps({"version": sys.version_info[:2], "prefix": sys.base_prefix, "folder": value("LIBDIR"),
                  "shared": value("INSTSONAME"), "static": value("LIBPL") + "/" + value("LIBRARY"),
                  "needs": " ".join(value(name) or "" for name in ("LIBS", "SYSLIBS", "LINKFORSHARED"))}))
"""


class Interpreter:
    """What must be known of an interpreter to run it in another place."""

    def __init__(self, python):
        facts = json.loads(live.run([python, "-c", ASK]).out)
        self.python, self.prefix, self.version = pathlib.Path(python), pathlib.Path(facts["prefix"]), tuple(facts["version"])
        self.static, self.needs = pathlib.Path(facts["static"]), shlex.split(facts["needs"])
        shared = "libpython" in live.run(["ldd", python]).out
        self.library = pathlib.Path(facts["folder"]) / facts["shared"] if shared else None
        self.env = {**os.environ, "PYTHONHOME": str(self.prefix)}

    def moved(self, folder, home=None):
        """Environment of a copy in this folder."""
        return {**self.env, "LD_LIBRARY_PATH": f"{folder}/lib", "PYTHONHOME": str(home or self.prefix)}

    def program(self):
        """The interpreter's own file."""
        if self.python.read_bytes()[:4] != b"\x7fELF":
            raise live.Skip(f"{self.python} only starts the interpreter: done with those that are one")
        return self.python

    def copy(self, folder):
        """The interpreter, its library and the script in folder/bin and folder/lib; folder/home is for its modules."""
        for name in ("bin", "lib", "home"):
            (folder / name).mkdir(parents=True)
        shutil.copy(SCRIPT, folder / "bin/script.py")
        shutil.copy(self.program(), folder / "bin/python")
        if self.library:
            shutil.copy(self.library, folder / "lib")
        return folder / "bin/python"


@functools.lru_cache(maxsize=None)
def described(python):
    return Interpreter(python)


def interpreter():
    return described(live.interpreter())


def another():
    """An interpreter of another version."""
    for name in ("3.12", "3.13", "3.11"):
        other = described(live.interpreter(name))
        if other.version != interpreter().version:
            return other
    raise live.Skip("needs interpreters of two versions: pyenv install 3.12 3.13")


def test_plain():
    with known.program(interpreter().python, SCRIPT) as program:
        known.check_program("a plain program", program)


def test_virtual_environments():
    for kind in ("symlinks", "copies"):
        with live.scratch() as folder:
            made = live.run([interpreter().program(), "-m", "venv", "--without-pip", f"--{kind}", folder / "venv"])
            if made.code:
                raise live.Skip(f"no virtual environments here: apt install python3-venv: {made.err}")
            with known.program(folder / "venv/bin/python", SCRIPT) as program:
                known.check_program(f"a virtual environment of {kind}", program)


def test_dynamic_loader():
    """/proc/PID/exe is the loader."""
    loader = next((path for path in LOADERS if os.path.exists(path)), None)
    if not loader:
        raise live.Skip("needs glibc's dynamic loader")
    with known.program(loader, interpreter().program(), SCRIPT, env=interpreter().env) as program:
        live.check("the program is the loader", "ld-" in os.readlink(f"/proc/{program.pid}/exe"))
        known.check_program("through the dynamic loader", program)


# Sources of code


def test_sources():
    """Code from a string, standard input, exec(), -m, an archive and a compiled file, all in one capture."""
    python = interpreter().python
    text = known.TARGET.read_text(encoding="utf-8")
    with live.scratch() as folder:
        with zipfile.ZipFile(folder / "archive.pyz", "w") as archive:
            archive.writestr("__main__.py", text)
        compiled = f"import py_compile; py_compile.compile({SCRIPT!r}, {str(folder / 'compiled.pyc')!r}, doraise=True)"
        live.check("compiled", live.run([python, "-c", compiled]).code == 0)
        ways = {
            "a string": (["-S", "-I", "-c", text], ["<module>", "outer", "inner"]),
            "exec()": (["-c", f"exec({text!r})"], ["<module>", "<module>", "outer", "inner"]),
            "standard input": ([], ["<module>", "outer", "inner"]),
            "-m": (["-m", "knows_stack"], ["_run_module_as_main", "_run_code", "<module>", "outer", "inner"]),
            "an archive": ([folder / "archive.pyz"], ["_run_module_as_main", "_run_code", "<module>", "outer", "inner"]),
            "a compiled file": ([folder / "compiled.pyc"], ["<module>", "outer", "inner"]),
        }
        programs = {}
        with known.programs() as start:
            for way, (arguments, names) in ways.items():
                with open(SCRIPT, encoding="utf-8") as script:
                    programs[way] = start(python, *arguments, stdin=script, cwd=live.TARGETS)
                told = [name for name, _, _ in programs[way].stacks["burn"]]
                live.check(f"{way}: names", told == names, told)
                known.stop(programs[way])
            check_all(programs)


def check_all(programs):
    """All, which are stopped, in one capture of each mode."""
    for program in programs.values():
        known.go(program)
    pids = ",".join(str(program.pid) for program in programs.values())
    found, asleep = known.capture("cpu", 1, "-p", pids), known.capture("wall", 0.4, "-p", pids)
    for name, program in programs.items():
        known.check_cpu(name, found, program.pid, program.stacks["burn"])
        known.check_sleep(name, asleep, program.pid, program.stacks["sleep"])


# Embedded


def embedded(folder, *flags):
    """tests/targets/embedded.c, built so."""
    built = live.run(["cc", "-o", folder / "embedded", live.TARGETS / "embedded.c", *flags, "-lpthread", "-ldl"])
    if built.code:
        raise AssertionError(f"cc: {built.err}")
    return folder / "embedded"


def library():
    if not interpreter().library or not interpreter().library.exists():
        raise live.Skip(f"{interpreter().python} has no libpython: done with those that have, tools/pythons 3.12")
    return interpreter().library


def check_embedded(what, program):
    with known.program(program, 0, SCRIPT, env=interpreter().env) as running:
        live.check(f"{what}: the Python thread is not the first", len(os.listdir(f"/proc/{running.pid}/task")) == 3)
        known.check_program(what, running)


def check_late(what, command):
    """Python begins half a second after the capture."""
    with known.program(*command, wanted=()) as program:
        found = known.capture("cpu", 1.2, "-p", program.pid)
        stacks = known.read_stacks(program.process, ["burn", "sleep"])
        known.check_began(what, found, program.pid, stacks["burn"])
        known.check_cpu(f"{what}, later", known.capture("cpu", 0.3, "-p", program.pid), program.pid, stacks["burn"])


def test_embedded():
    with live.scratch() as folder:
        program = embedded(folder, library(), f"-Wl,-rpath,{library().parent}")
        check_embedded("embedded", program)
        check_late("embedded, initialised late", ["env", f"PYTHONHOME={interpreter().prefix}", program, 0.5, SCRIPT])


def test_embedded_static():
    static = interpreter().static
    if not static.exists():
        raise live.Skip(f"needs {static}: apt install libpython3-dev")
    with live.scratch() as folder:
        check_embedded("embedded, static", embedded(folder, static, *interpreter().needs))


def test_library_loaded_late():
    with live.scratch() as folder:
        program = embedded(folder, f'-DLIBPYTHON="{library()}"')
        check_embedded("dlopen()", program)
        check_late("dlopen(), late", ["env", f"PYTHONHOME={interpreter().prefix}", program, 0.5, SCRIPT])


# Files that are gone, or are others


def test_deleted():
    """An upgrade while it runs: the files are gone before the profiler looks."""
    with live.scratch() as folder:
        python = interpreter().copy(folder / "copy")
        with known.program(python, SCRIPT, env=interpreter().moved(folder / "copy")) as program:
            shutil.rmtree(folder / "copy")
            known.check_program("deleted files", program)


def test_replaced():
    """Other versions' files stand at the paths of those that run."""
    with live.scratch() as folder:
        python = interpreter().copy(folder / "copy")
        another().copy(folder / "other")
        with known.program(python, SCRIPT, env=interpreter().moved(folder / "copy")) as program:
            os.replace(folder / "other/bin/python", python)
            if interpreter().library and another().library:
                os.replace(folder / "other/lib" / another().library.name, folder / "copy/lib" / interpreter().library.name)
            known.check_program("replaced files", program)


# Other views of the system


def isolated(script, *arguments, options=("-m",), **others):
    """A program after these steps of a shell in a mount namespace of its own."""
    return known.program("unshare", *options, "sh", "-ec", script, "sh", *arguments, **others)


def status(pid):
    return pathlib.Path(f"/proc/{pid}/status").read_text(encoding="ascii")


def test_mount_namespace():
    """What the interpreter's path names out here is another version."""
    with live.scratch() as folder:
        interpreter().copy(folder / "true")
        false = another().copy(folder / "false")
        if interpreter().library and another().library:
            os.rename(folder / "false/lib" / another().library.name, folder / "false/lib" / interpreter().library.name)
        with isolated('mount --bind "$1" "$2"; exec "$2/bin/python" "$2/bin/script.py"', folder / "true", folder / "false",
                      env=interpreter().moved(folder / "false")) as program:
            live.check("its path is the other's out here", os.readlink(f"/proc/{program.pid}/exe") == str(false))
            known.check_program("a mount namespace", program)


def test_chroot():
    """Its paths do not exist out here."""
    with live.scratch() as folder:
        interpreter().copy(folder / "copy")
        (folder / "root").mkdir()
        script = """mount --rbind / "$1"; mount --bind "$2" "$1/mnt"; exec chroot "$1" /mnt/bin/python /mnt/bin/script.py"""
        with isolated(script, folder / "root", folder / "copy", env=interpreter().moved("/mnt")) as program:
            live.check("its root is another", os.readlink(f"/proc/{program.pid}/root") == str(folder / "root"))
            known.check_program("chroot", program)


def test_pid_namespace():
    with known.program("unshare", "-pf", "--mount-proc", "--kill-child", interpreter().python, SCRIPT, depth=1) as program:
        live.check("it is process 1", re.search(r"^NSpid:\s+\d+\s+1$", status(program.pid), re.M))
        known.check_program("a pid namespace", program)


def test_container():
    """Mounts, process ids, root directory and user of its own, as containers have."""
    with live.scratch() as folder:
        interpreter().copy(folder / "copy")
        (folder / "root").mkdir()
        script = """mount --rbind / "$1"; mount --bind "$2" "$1/mnt"; mount --bind "$3" "$1/mnt/home"
                    cd "$1"; pivot_root . .; umount -l .; cd /; mount -t proc proc /proc
                    exec setpriv --reuid=$4 --regid=$4 --clear-groups /mnt/bin/python /mnt/bin/script.py"""
        with isolated(script, folder / "root", folder / "copy", interpreter().prefix, NOBODY, options=("-mpf", "--kill-child"), depth=1,
                      env=interpreter().moved("/mnt", "/mnt/home")) as program:
            live.check("its root is its own", os.readlink(f"/proc/{program.pid}/root") == "/")
            known.check_program("a container", program)


def test_another_user():
    with live.scratch() as folder:
        interpreter().copy(folder / "copy")
        script = """mount --bind "$1" "$2/home"; exec setpriv --reuid=$3 --regid=$3 --clear-groups "$2/bin/python" "$2/bin/script.py" """
        with isolated(script, interpreter().prefix, folder / "copy", NOBODY,
                      env=interpreter().moved(folder / "copy", folder / "copy/home")) as program:
            live.check("it is another's", f"Uid:\t{NOBODY}\t" in status(program.pid))
            known.check_program("another user", program)


# Several interpreters


def test_versions_together():
    """All that are here, in one capture."""
    programs = {}
    with known.programs() as start:
        for name in (line.split()[0] for line in live.run([live.PYTHONS, "--list"]).out.splitlines()):
            try:
                programs[name] = start(live.interpreter(name), SCRIPT)
                known.stop(programs[name])
            except live.Skip as skip:
                print(f"SKIP: test_versions_together: {skip}")
        live.check("two at least", len(programs) >= 2, programs)
        check_all(programs)


def test_jit():
    """A hot loop runs as machine code that the interpreter made."""
    tried = 0
    for name in ("debian-3.14", "debian-3.15"):
        try:
            python, env = live.interpreter(name), {**os.environ, "PYTHON_JIT": "1"}
        except live.Skip as skip:
            print(f"SKIP: test_jit: {skip}")
            continue
        on = live.run([python, "-c", "import sys; print(sys._jit.is_enabled())"], env=env)
        live.check(f"{name} has a JIT", on.out == "True\n", on)
        with known.program(python, SCRIPT, env=env) as program:
            known.check_program(f"{name} with its JIT", program)
        tried += 1
    if not tried:
        raise live.Skip("needs a Python with a JIT: tools/pythons debian-3.14 debian-3.15")


def check_subinterpreters(whose):
    """Up to 3.12 the thread states do not tell which thread runs an interpreter: its thread shows the frames outside."""
    version = interpreter().version
    shown = "burn" if version >= (3, 13) else "run"
    numbers = range(3 if version >= (3, 12) else 2)
    wanted = ["sleep", *(f"{what} {number}" for what in ("run", "burn") for number in numbers)]
    with known.program(interpreter().python, live.TARGETS / "subinterpreters.py", whose, wanted=wanted) as program:
        found, asleep = known.capture("cpu", 0.8, "-p", program.pid), known.capture("wall", 0.4, "-p", program.pid)
    for number in numbers:
        told = program.stacks[f"{shown} {number}"]
        mine = [stack for stack in found if stack.frames[1].startswith(f"thread sub {number} [")]
        known.check_cpu(f"the thread of subinterpreter {number}", mine, program.pid, told)
    known.check_sleep("the main thread", asleep, program.pid, program.stacks["sleep"])


def test_subinterpreters():
    """Each made by the thread that runs it."""
    check_subinterpreters("own")


def test_subinterpreters_of_other_threads():
    """Each made by the main thread, which has then a thread state in each of them, but runs none of them."""
    if interpreter().version < (3, 12):
        raise live.Skip("before 3.12 the first one to run never lets go of the lock")
    check_subinterpreters("given")


# Changes


def test_forked():
    """Children that were there before the capture, by each way to make one."""
    with known.programs() as start:
        programs = [start(interpreter().python, live.TARGETS / "forks.py", way, interpreter().python, wanted=("burn", "child"))
                    for way in ("os", "fork", "spawn")]
        found = known.capture("cpu", 0.5, "-a")
        parents = known.capture("cpu", 0.3, "-p", ",".join(str(program.pid) for program in programs))
    for program in programs:
        child = program.stacks["child"]
        known.check_cpu(f"{program.process.args[2]}: -a", found, child, program.stacks["burn"])
        live.check(f"{program.process.args[2]}: -p is not about children", not known.of_process(parents, child), parents)


@live.noisy
def test_forked_then():
    """Children that live for 0.1 s, born during the capture. They also begin, in fork(), and end, in the kernel."""
    with known.program(interpreter().python, live.TARGETS / "forks.py", "storm", wanted=("burn", "child")) as program:
        found = known.capture("cpu", 1.2, "-a")
        lived = [told["child"] for told in known.lines(program.process)]
    seen = {known.process_id(stack) for stack in found}
    _, *born = (child for child in lived if child in seen)  # the first is older than the capture
    children = [stack for stack in found if known.process_id(stack) in born]
    live.check("two children at least", len(born) >= 2, lived)
    told = program.stacks["burn"]
    right = live.weight(children, lambda stack: known.is_stack(stack, told))
    live.check(f"{right} of their {live.weight(children)} samples are their stack", right >= 0.9 * live.weight(children),
               [stack.frames for stack in children if not known.is_stack(stack, told)][:6])
    begun = [known.python_frames(stack) for stack in children]
    wrong = [frames for frames in begun if frames and frames[0].endswith(")") and not frames[0].startswith("<module> (")]
    live.check("whatever else they do is whole", not wrong, wrong[:6])


@live.noisy
def test_exec_chain():
    """One process, three programs; nothing of one is shown in another's. The capture ends with the third."""
    script = live.TARGETS / "exec_chain.py"
    with known.program(interpreter().python, script, 0, another().python, interpreter().python, wanted=["first"]) as program:
        found = known.of_process(known.capture("cpu", 20, "-p", program.pid), program.pid)
        stacks = {**program.stacks, **known.read_stacks(program.process, ["second", "third"])}
    for name, told in stacks.items():
        right = live.weight(found, lambda stack, told=told: known.is_stack(stack, told))
        least = 15 if name == "first" else 0.8 * 0.4 * 999
        live.check(f"{name}: {right} samples", right >= least, [stack.frames for stack in found][:9])
    mixed = [stack.frames for stack in found if sum(stack.has(name) for name in stacks) > 1]
    live.check("none is in another's stack", not mixed, mixed)


@live.noisy
def test_late_asyncio():
    """asyncio is loaded half a second after the capture began: its tasks have creators all the same."""
    with live.target(interpreter().python, "late_asyncio.py", 0.7) as program:
        found = live.stacks(live.record("-p", program.pid, "-d", 2, "-f", "collapsed").out)
    running = live.weight(found, lambda stack: stack.has("child"))
    right = live.weight(found, lambda stack: stack.under("parent", "<task late (created)>", "child"))
    live.check("a late task has its creator", right >= 0.95 * running > 0.3 * live.RATE_HZ, found)


live.main(test_plain, test_virtual_environments, test_dynamic_loader, test_sources, test_embedded, test_embedded_static,
          test_library_loaded_late, test_deleted, test_replaced, test_mount_namespace, test_chroot, test_pid_namespace,
          test_container, test_another_user, test_versions_together, test_jit, test_subinterpreters,
          test_subinterpreters_of_other_threads, test_forked, test_forked_then, test_exec_chain, test_late_asyncio)
