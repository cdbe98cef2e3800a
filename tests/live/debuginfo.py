#!/usr/bin/env python3
# SPDX-License-Identifier: Apache-2.0
"""Debug information from elsewhere than the capture: lines and inlined functions on request, and names from a debuginfod server."""
import contextlib
import http.server
import os
import re
import shutil
import threading

import live

SECONDS = 2
ASKED = []


def tool(*command):
    done = live.run([str(word) for word in command])
    live.check(" ".join(map(str, command[:2])), done.code == 0, done.err)
    return done.out


def program(folder):
    """With debug information, its build id, and the line of the only multiplication."""
    built = folder / "native_cpp"
    source = live.TARGETS / "native_cpp.cc"
    tool("g++", "-O2", "-g", "-fomit-frame-pointer", "-Wl,--build-id", "-o", built, source)
    build_id = re.search(r"Build ID: ([0-9a-f]+)", tool("readelf", "-n", built)).group(1)
    line = next(n for n, text in enumerate(source.read_text().splitlines(), 1) if "return x *" in text)
    return built, build_id, line


def captured(folder, built):
    with live.program(str(built), "10") as process:
        live.until(lambda: live.run(["cat", f"/proc/{process.pid}/comm"]).out.strip() == "native_cpp")
        live.record("-p", process.pid, "--native", "on", "-m", "cpu", "-d", SECONDS, "-f", "raw", "-o", folder / "cpp.raw")
    return folder / "cpp.raw"


def report(raw, *options, env=None):
    done = live.coroscope("report", raw, *options, env=env)
    live.check("report " + " ".join(map(str, options)) + " succeeds", done.code == live.OK, done)
    return done


def test_inlines():
    with live.scratch() as folder:
        built, _, line = program(folder)
        raw = captured(folder, built)
        plain = live.stacks(report(raw, "-f", "collapsed").out)
        found = live.stacks(report(raw, "-f", "collapsed", "--inlines").out)
        report(raw, "-o", folder / "cpp.pb.gz", "--inlines")
        text = tool("go", "tool", "pprof", "-raw", folder / "cpp.pb.gz") if shutil.which("go") else None
        report(raw, "-o", folder / "cpp.html", "--inlines")
        page = live.page_data((folder / "cpp.html").read_text())
    every = live.weight(found)
    live.check("without --inlines: no inlined functions, no lines", not any(s.has("work::mixed") for s in plain), plain)
    inlined = live.weight(found, lambda s: s.under("main", "work::Worker<int>::turn", "work::burn", "work::mixed"))
    live.check("--inlines: the loop's work is in the inlined function", inlined >= 0.5 * every, found)
    live.check("--inlines: at its line", any(f"native_cpp.cc:{line})" in s.frames[-1] and s.has("work::mixed") for s in found), found)
    live.check("--inlines: the same time", every == live.weight(plain), (found, plain))
    kinds = {page["strings"][frame[0]]: frame[3] for frame in page["frames"]}
    live.check("HTML: its kind is told", kinds["work::mixed"] == 7 and kinds["work::burn"] == 4, kinds)
    if text is None:
        print("SKIP: pprof: needs go (Debian's package golang-go)")
        return
    place = re.search(r"^ *\d+: 0x[0-9a-f]+ M=\d+ work::mixed [^\n]*\n +work::burn [^\n]*", text, re.M)
    live.check("pprof: one location has the inlined function and the one that it is in", place, text[-3000:])


class Server(http.server.BaseHTTPRequestHandler):
    """Serves one build id's debug file."""
    path_served = content = None

    def do_GET(self):  # noqa: N802 (the library's name)
        ASKED.append(self.path)
        good = self.path == self.path_served
        self.send_response(200 if good else 404)
        body = self.content if good else b"no such file"
        self.send_header("Content-Length", str(len(body)))
        self.end_headers()
        self.wfile.write(body)

    def log_message(self, *arguments):
        pass


@contextlib.contextmanager
def serving(build_id, content):
    Server.path_served, Server.content = f"/buildid/{build_id}/debuginfo", content
    server = http.server.ThreadingHTTPServer(("127.0.0.1", 0), Server)
    threading.Thread(target=server.serve_forever, daemon=True).start()
    try:
        yield f"http://127.0.0.1:{server.server_address[1]}"
    finally:
        server.shutdown()
        server.server_close()


def stripped(folder):
    built, build_id, line = program(folder)
    tool("objcopy", "--only-keep-debug", built, folder / "kept")
    tool("strip", built)
    raw = captured(folder, built)
    content = (folder / "kept").read_bytes()
    (folder / "kept").unlink()
    return raw, build_id, content, line


def servers(folder, url):
    return {"DEBUGINFOD_URLS": url, "DEBUGINFOD_CACHE_PATH": str(folder / "cache"), "DEBUGINFOD_TIMEOUT": "20"}


def test_debuginfod():
    with live.scratch() as folder:
        raw, build_id, content, line = stripped(folder)
        unnamed = live.stacks(report(raw, "-f", "collapsed", env={"DEBUGINFOD_URLS": ""}).out)
        live.check("without servers: no names, and nobody is asked", not any(s.has("work::burn") for s in unnamed) and not ASKED,
                   (unnamed, ASKED))
        with serving(build_id, content) as url:
            found = live.stacks(report(raw, "-f", "collapsed", env=servers(folder, url)).out)
            lines = live.stacks(report(raw, "-f", "collapsed", "--inlines", env=servers(folder, url)).out)
        live.check("debuginfod: functions have names", live.weight(found, lambda s: s.under("main", "work::burn")) >=
                   0.9 * live.weight(found), found)
        live.check("debuginfod: the server was asked for it", ASKED.count(f"/buildid/{build_id}/debuginfo") == 1, ASKED)
        live.check("debuginfod: lines and inlined functions too", any(s.has("work::mixed") and f"native_cpp.cc:{line})" in s.frames[-1]
                                                                      for s in lines), lines)


def test_wrong_file():
    """What a server sends is believed only if it has the build id that was asked for."""
    with live.scratch() as folder:
        raw, build_id, content, _ = stripped(folder)
        other = content.replace(bytes.fromhex(build_id), bytes(len(build_id) // 2))
        live.check("the build id is in the file once", other != content)
        with serving(build_id, other) as url:
            found = live.stacks(report(raw, "-f", "collapsed", env=servers(folder, url)).out)
        live.check("debuginfod: another file is not believed", not any(s.has("work::burn") for s in found), found)


def test_server_away():
    with live.scratch() as folder:
        raw, _, _, _ = stripped(folder)
        found = live.stacks(report(raw, "-f", "collapsed", env=servers(folder, "http://127.0.0.1:1")).out)
        live.check("a server that is away: the profile is whole, without names", live.weight(found) >= 50, found)


live.main(test_inlines, test_debuginfod, test_wrong_file, test_server_away)
