#!/usr/bin/env python3
# SPDX-License-Identifier: Apache-2.0
"""Names of native functions: of C++ and Rust, of stripped programs whose symbols are elsewhere, of code made at run time; and what
the outputs say of those that have none."""
import os
import re
import shutil

import live

SECONDS = 2
FLAGS = ("-O2", "-fomit-frame-pointer", "-Wl,--build-id")


def built(compiler, source, program, *flags):
    done = live.run([compiler, *FLAGS, *flags, "-o", program, live.TARGETS / source])
    live.check(f"{compiler} builds {source}", done.code == 0, done.err)
    return program


def tool(*command):
    done = live.run([str(word) for word in command])
    live.check(" ".join(map(str, command[:2])), done.code == 0, done.err)
    return done.out


def needs(name, package):
    if not shutil.which(name):
        raise live.Skip(f"needs {name} (Debian's package {package})")


def recorded(command, *options, form="collapsed", folder=None):
    out = ["-o", folder] if folder else []
    with live.program(*map(str, command)) as process:
        name = os.path.basename(str(command[0] if command[0] != "chroot" else command[2]))[:15]
        live.until(lambda: live.run(["cat", f"/proc/{process.pid}/comm"]).out.strip() == name)
        return live.record("-p", process.pid, "--native", "on", "-m", "cpu", "-d", SECONDS, "-f", form, *out, *options)


def share(found, *names):
    return live.weight(found, lambda s: s.under(*names)) / max(live.weight(found), 1)


def test_cpp():
    with live.scratch() as folder:
        done = recorded([built("g++", "native_cpp.cc", folder / "native_cpp"), 10])
    found = live.stacks(done.out)
    live.check("C++: it was seen", live.weight(found) >= 50, found)
    live.check("C++: names are as in the source, in order",
               share(found, "main", "work::Worker<int>::turn", "work::burn") >= 0.9, found)
    live.check("C++: what handles an exception is in its place", share(found, "main", "work::thrown", "work::burn") >= 0.3, found)
    live.check("C++: nothing is mangled", not re.search(r"_Z\w{3}", done.out), done.out)


def test_rust():
    needs("rustc", "rustc")
    for version in ("default", "v0"):
        with live.scratch() as folder:
            program = folder / "native_rust"
            # the older mangling is the default of older compilers, and of newer ones not to be had
            tool("rustc", "-O", "-C", "force-frame-pointers=no", "-o", program, live.TARGETS / "native_rust.rs",
                 *(["-C", f"symbol-mangling-version={version}"] if version != "default" else []))
            done = recorded([program, 10])
        found = live.stacks(done.out)
        live.check(f"Rust, {version}: names are as in the source, in order",
                   share(found, "native_rust::main", "<native_rust::Worker as native_rust::Turn>::turn", "native_rust::burn") >= 0.3,
                   found)
        live.check(f"Rust, {version}: generic functions too", any("native_rust::Other<" in name for s in found for name in s.names), found)
        live.check(f"Rust, {version}: no hashes", not re.search(r"17h[0-9a-f]{16}E|::h[0-9a-f]{16}\b", done.out), done.out)


def check_deep(what, done):
    found = live.stacks(done.out)
    live.check(f"{what}: functions have names", share(found, "main", "descend", "burn") >= 0.9, found)


def stripped(folder, *flags):
    """A program without symbols, and the file that they are in."""
    program = built("cc", "native_stack.c", folder / "native_stack", "-g", "-pthread", *flags)
    tool("objcopy", "--only-keep-debug", program, folder / "kept")
    tool("strip", program)
    return program, folder / "kept"


def test_debug_link():
    """Beside the program, without build ids: by the checksum in it."""
    with live.scratch() as folder:
        program, kept = stripped(folder, "-Wl,--build-id=none")
        (folder / ".debug").mkdir()
        kept = kept.rename(folder / ".debug" / "native_stack.dbg")
        tool("objcopy", f"--add-gnu-debuglink={kept}", program)
        check_deep("debuglink", recorded([program, "deep", 10, 10]))
        with open(kept, "ab") as file:
            file.write(b"x")
        found = live.stacks(recorded([program, "deep", 10, 10]).out)
        live.check("debuglink: a file that was changed is not believed", not any(s.has("burn") for s in found), found)


def test_debug_data():
    """The small table that Fedora packs into its programs."""
    needs("xz", "xz-utils")
    with live.scratch() as folder:
        program, kept = stripped(folder)
        tool("objcopy", "-S", "--remove-section", ".gdb_index", "--remove-section", ".comment", "--keep-symbol=burn",
             "--keep-symbol=descend", "--keep-symbol=main", kept, folder / "mini")
        tool("xz", folder / "mini")
        tool("objcopy", "--add-section", f".gnu_debugdata={folder / 'mini.xz'}", program)
        check_deep(".gnu_debugdata", recorded([program, "deep", 10, 10]))


def test_own_root():
    """A program whose root is elsewhere, as in a container: its debug file is there too."""
    with live.scratch() as folder:
        program, kept = stripped(folder, "-static")
        build_id = re.search(r"Build ID: ([0-9a-f]+)", tool("readelf", "-n", program)).group(1)
        place = folder / "usr/lib/debug/.build-id" / build_id[:2]
        place.mkdir(parents=True)
        kept.rename(place / f"{build_id[2:]}.debug")
        check_deep("its own root", recorded(["chroot", folder, "/native_stack", "deep", 10, 10]))


def pprof(folder):
    needs("go", "golang-go")
    path = folder / "native.pb.gz"
    return tool("go", "tool", "pprof", "-raw", path), live.run(["go", "tool", "pprof", "-top", str(path)],
                                                              env={**os.environ, "PPROF_TMPDIR": str(folder)})


def test_no_names():
    """A file, an offset in it and its build id: enough to find the name elsewhere."""
    with live.scratch() as folder:
        program, kept = stripped(folder)
        build_id = re.search(r"Build ID: ([0-9a-f]+)", tool("readelf", "-n", program)).group(1)
        wanted = {name: int(re.search(rf"^([0-9a-f]+) [tT] {name}$", tool("nm", kept), re.M).group(1), 16) for name in ("burn", "main")}
        recorded([program, "deep", 10, 10], form="pprof", folder=folder / "native.pb.gz")
        raw, top = pprof(folder)
    mapping = re.search(rf"^(\d+): 0x([0-9a-f]+)/0x([0-9a-f]+)/0x([0-9a-f]+) {re.escape(str(program))} {build_id} *(.*)$", raw, re.M)
    live.check("pprof: its mapping has the file and the build id", mapping, raw[-3000:])
    live.check("pprof: the mapping says that names are missing", "[FN]" not in mapping.group(5), mapping.group(0))
    start, offset = int(mapping.group(2), 16), int(mapping.group(4), 16)
    places = [int(at, 16) - start + offset for at in re.findall(rf"^ *\d+: 0x([0-9a-f]+) M={mapping.group(1)} ", raw, re.M)]
    live.check("pprof: an address in burn, which addr2line could name by mapping and build id",
               any(0 <= at - wanted["burn"] < 256 for at in places), (places, wanted))
    live.check("pprof: go tool pprof -top shows file and offset", top.code == 0 and "native_stack+0x" in top.out, top)
    named = re.search(r"^\d+: 0x[0-9a-f/x]+ \S*/libc\.so\.6 [0-9a-f]{40} *\[FN\]", raw, re.M)
    live.check("pprof: the C library's mapping has all names", named, raw[-3000:])


def test_made_code():
    """Code made at run time has the names that its process wrote down; code in the same place later has its own."""
    with live.scratch() as folder:
        program = built("cc", "native_made.c", folder / "native_made")
        done = live.record("--native", "on", "-m", "cpu", "-d", 6, "-f", "collapsed", "--", program, 2)
        found = live.stacks(done.out)
        first, second = share(found, "main", "run", "made_first"), share(found, "main", "run", "made_second")
        live.check("made code: both names, in place", first >= 0.3 and second >= 0.3, found)
        elsewhere = folder / "elsewhere"
        elsewhere.mkdir()
        done = live.record("--native", "on", "-m", "cpu", "-d", 1, "-f", "collapsed", "--", program, 2, elsewhere)
    live.check("made code without a file of names: none", "made_first" not in done.out, done.out)


def test_foreign_file():
    """Another user's file is not believed."""
    with live.scratch() as folder:
        program = built("cc", "native_made.c", folder / "native_made")
        with live.program(str(program), "4", str(folder)) as process:
            path = f"/tmp/perf-{process.pid}.map"
            live.until(lambda: (folder / f"perf-{process.pid}.map").exists())
            shutil.copy(folder / f"perf-{process.pid}.map", path)
            os.chown(path, 12345, 12345)
            try:
                done = live.record("-p", process.pid, "--native", "on", "-m", "cpu", "-d", 1, "-f", "collapsed")
            finally:
                os.unlink(path)
    live.check("another user's file: no names of it", "made_first" not in done.out, done.out)


def test_node():
    needs("node", "nodejs")
    with live.scratch() as folder:
        (folder / "work.js").write_text("""
            function burnInJs(n) { let x = 1; for (let i = 0; i < n; i++) x = (x * 1103515245 + 12345) % 2147483648; return x; }
            function turnInJs(end) { let x = 0; while (Date.now() < end) x += burnInJs(3000000); return x; }
            turnInJs(Date.now() + 8000);
        """)
        with live.program("env", "-C", str(folder), "node", "--perf-basic-prof", str(folder / "work.js")) as process:
            live.until(lambda: os.path.exists(f"/tmp/perf-{process.pid}.map"))
            done = live.record("-p", process.pid, "--native", "on", "-m", "cpu", "-d", 3, "-f", "collapsed")
            os.unlink(f"/tmp/perf-{process.pid}.map")
    found = live.stacks(done.out)
    in_js = live.weight(found, lambda s: any("burnInJs" in name for name in s.names))
    live.check("Node: functions in JavaScript have names", in_js >= 0.7 * live.weight(found), found)


def test_python_perf():
    """CPython's own trampolines stand for frames that are there already."""
    python = live.versioned("3.12")
    with live.scratch() as folder:
        (folder / "busy.py").write_text("def burn(n):\n    return sum(i * i for i in range(n))\n\nwhile True:\n    burn(100000)\n")
        with live.program(python, "-X", "perf", str(folder / "busy.py")) as process:
            live.until(lambda: os.path.exists(f"/tmp/perf-{process.pid}.map"))
            done = live.record("-p", process.pid, "--native", "on", "-m", "cpu", "-d", 2, "-f", "collapsed")
            os.unlink(f"/tmp/perf-{process.pid}.map")
    found = live.stacks(done.out)
    live.check("-X perf: Python frames are there", share(found, "<module>", "burn") >= 0.9, found)
    live.check("-X perf: and only once", "py::" not in done.out, done.out)


def test_unfold():
    """The interpreter's own frames, from the same capture."""
    with live.scratch() as folder:
        calls = folder / "native_calls.so"
        tool("cc", "-O2", "-fomit-frame-pointer", "-shared", "-fPIC", "-o", calls, live.TARGETS / "native_calls.c")
        with live.target(live.versioned("3.12"), "native_python.py", calls) as process:
            live.record("-p", process.pid, "--native", "on", "-m", "cpu", "-d", SECONDS, "-f", "raw", "-o", folder / "native.raw")
        folded = live.stacks(live.coroscope("report", folder / "native.raw", "-f", "collapsed").out)
        unfolded = live.stacks(live.coroscope("report", folder / "native.raw", "-f", "collapsed", "--unfold").out)
    own = ("_PyFunction_Vectorcall", "PyObject_Call", "_PyObject_MakeTpCall", "_PyObject_Call", "PyEval_EvalCode", "Py_RunMain", "Py_BytesMain")
    live.check("folded: no frame of the interpreter's own", not any(s.has(name) for s in folded for name in own), folded)
    live.check("unfolded: nearly every stack has some", live.weight(unfolded, lambda s: any(s.has(name) for name in own)) >= 0.9 *
               live.weight(unfolded), unfolded)
    live.check("unfolded: Python frames are the same", share(unfolded, "main", "through_one", "second", "burn") >= 0.9, unfolded)
    live.check("both are of the same time", live.weight(folded) == live.weight(unfolded), (folded, unfolded))


def test_html():
    """Frame kinds are told to the page, which has a colour and a word for each."""
    with live.scratch() as folder:
        calls = folder / "native_calls.so"
        tool("cc", "-O2", "-fomit-frame-pointer", "-shared", "-fPIC", "-o", calls, live.TARGETS / "native_calls.c")
        with live.target(live.versioned("3.12"), "native_python.py", calls) as process:
            live.record("-p", process.pid, "--native", "on", "-m", "cpu", "-d", SECONDS, "-f", "html", "-o", folder / "native.html")
        page = live.page_data((folder / "native.html").read_text())
    kinds = {page["strings"][frame[0]]: frame[3] for frame in page["frames"]}
    live.check("HTML: Python and native frames are told apart", (kinds["second"], kinds["through_two"]) == (3, 4), kinds)


# one CPU each
live.main(live.at_once(test_cpp, test_debug_data), live.at_once(test_rust, test_made_code), live.at_once(test_debug_link, test_node),
          live.at_once(test_own_root, test_no_names), live.at_once(test_foreign_file, test_python_perf), live.at_once(test_unfold, test_html))
