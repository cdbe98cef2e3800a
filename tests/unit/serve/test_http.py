#!/usr/bin/env python3
# SPDX-License-Identifier: Apache-2.0
"""test_http.py MADE_SERVER: what the server answers, to clients that behave and to such that do not."""
import contextlib
import http.client
import re
import shutil
import socket
import subprocess
import sys
import threading
import time

CONNECTIONS = 16  # MAX_CONNECTIONS of serve.c
NAME, LABEL = "[a-zA-Z_:][a-zA-Z0-9_:]*", r'[a-zA-Z_][a-zA-Z0-9_]*="(?:[^"\\\n]|\\["\\n])*"'
ROW = re.compile(rf"({NAME})(?:\{{{LABEL}(?:,{LABEL})*\}})? (NaN|[+-]Inf|-?[0-9.]+(?:e[+-][0-9]+)?)")


def check(what, ok, seen=None):
    if not ok:
        sys.exit(f"FAIL {what}; seen: {seen}")
    print(f"ok   {what}", flush=True)


class Server:
    def __init__(self, *arguments):
        self.process = subprocess.Popen([sys.argv[1], *arguments], stdin=subprocess.PIPE, stdout=subprocess.PIPE, text=True)
        self.port = int(self.process.stdout.readline())

    def __enter__(self):
        return self

    def __exit__(self, *_):
        self.process.stdin.close()
        check("it ends when it is told", self.process.wait(10) == 0)
        self.process.stdout.close()

    def say(self, line):
        self.process.stdin.write(line + "\n")
        self.process.stdin.flush()
        time.sleep(0.4)  # several times the pace at which it publishes

    def connect(self, host="127.0.0.1"):
        return socket.create_connection((host, self.port), 10)

    def ask(self, path, method="GET", host="127.0.0.1", **options):
        with contextlib.closing(http.client.HTTPConnection(host, self.port, timeout=10)) as connection:
            connection.request(method, path, **options)
            answer = connection.getresponse()
            return answer.status, answer.headers, answer.read().decode()

    def raw(self, data):
        """All that comes back until the server closes the connection."""
        with self.connect() as sock, contextlib.suppress(OSError):  # it may be closed already
            sock.sendall(data)
            sock.shutdown(socket.SHUT_WR)
            return b"".join(iter(lambda: sock.recv(65536), b""))
        return b""


def check_format(text):
    """Of the format: each metric in one piece, help and type before its rows, no row twice."""
    seen, rows, current = [], set(), None
    for line in text.splitlines():
        if line.startswith("# HELP "):
            current = line.split(" ")[2]
            check(f"{current} comes once", current not in seen)
            seen.append(current)
        elif line.startswith("# TYPE "):
            check("its type follows", line.split(" ")[2] == current and line.split(" ")[3] in ("counter", "gauge"), line)
            check("counters are called totals", (line.split(" ")[3] == "counter") == current.endswith("_total"), line)
        else:
            match = ROW.fullmatch(line)
            check("a row", match and match.group(1) == current, line)
            key = line.rsplit(" ", 1)[0]
            check("once", key not in rows, line)
            rows.add(key)
    return seen


def test_pages():
    with Server() as server:
        end = time.monotonic() + 20
        while server.ask("/readyz")[2] == "starting\n" and time.monotonic() < end:
            time.sleep(0.01)
        status, headers, text = server.ask("/metrics")
        check("metrics", status == 200 and headers["Content-Type"] == "text/plain; version=0.0.4; charset=utf-8", headers)
        check("every metric", check_format(text) == ["made_memory_bytes", "made_samples_total"] and len(text.splitlines()) == 9, text)
        check("labels are escaped", r'reason="a \"quoted\\\" one",cpu="0"' in text and r'reason="two\nlines"' in text and 'reason="\ufffd"' in text, text)
        if shutil.which("promtool"):
            done = subprocess.run(["promtool", "check", "metrics"], input=text, capture_output=True, text=True, check=False)
            check("promtool has nothing to say", done.returncode == 0 and not done.stdout + done.stderr, done)
        else:
            print("SKIP: promtool is not here: apt install prometheus")
        status, headers, text = server.ask("/healthz")
        check("health", status == 200 and text == "ok\n" and headers["Cache-Control"] == "no-store", (status, text))
        check("not ready, and why", server.ask("/readyz")[::2] == (503, "not yet\n"))
        server.say("ready")
        check("ready", server.ask("/readyz")[::2] == (200, "ready\n"))
        server.say("a\x1b[31mb")
        check("a reason is harmless", server.ask("/readyz")[::2] == (503, "a\\x1b[31mb\n"))
        check("the query counts for nothing", server.ask("/healthz?x=1")[0] == 200)
        check("no other page", [server.ask(path)[0] for path in ("/", "/metrics/", "/healthz/../metrics", "/" + "a" * 4000)] == [404] * 4)
        server.say("hang")
        time.sleep(1.2)
        status, _, text = server.ask("/healthz")
        check("an owner that hangs is not healthy", status == 503 and "no sign of life for 1 s" in text, (status, text))


def test_methods():
    with Server() as server:
        for method in ("POST", "PUT", "DELETE", "OPTIONS", "TRACE", "HEAD", "PATCH", "MADEUP"):
            status, headers, _ = server.ask("/metrics", method, body="x" * 1000 if method in ("POST", "PUT") else None)
            check(f"no {method}", status == 405 and headers["Allow"] == "GET", (status, headers))
        check("a body is not waited for", server.ask("/healthz", body="x" * 100_000)[0] in (200, 413))
        check("and it lives", server.ask("/healthz")[0] == 200)


def test_localhost():
    with Server() as server, socket.socket(socket.AF_INET, socket.SOCK_DGRAM) as probe:
        with contextlib.suppress(OSError):
            probe.connect(("192.0.2.1", 9))  # sends nothing: only asks for our own address
            own = probe.getsockname()[0]
            if own.startswith("127."):
                return
            try:
                server.connect(own).close()
                check("only localhost is listened on", False, own)
            except ConnectionRefusedError:
                check("only localhost is listened on", True)


def test_six():
    try:
        socket.create_server(("::1", 0), family=socket.AF_INET6).close()
    except OSError as error:
        print(f"SKIP: no IPv6 here: {error}")
        return
    with Server("::1") as server:
        check("version 6", server.ask("/healthz", host="::1")[0] == 200)


def test_bad_address():
    done = subprocess.run([sys.argv[1], "localhost"], capture_output=True, text=True, check=False, stdin=subprocess.DEVNULL)
    check("a name is no address", done.returncode == 1 and "Invalid argument" in done.stderr, done)


def test_garbage():
    with Server() as server:
        for data in (b"", b"\r\n\r\n", b"\0" * 5000, b"GET", b"GET /metrics", b"GET /metrics HTTP/9.9\r\n\r\n", b"\xff\xfe" * 3000 + b"\r\n\r\n",
                     b"GET /metrics HTTP/1.1\r\nHost: x\r\nContent-Length: -1\r\n\r\n", b"GET /metrics HTTP/1.1\r\nHost: x\r\nContent-Length: 99999999999999999999\r\n\r\n",
                     b"GET /metrics HTTP/1.1\r\nHost: x\r\nTransfer-Encoding: chunked\r\n\r\nZZZ\r\n", b"\x16\x03\x01\x02\x00\x01\x00\x01\xfc\x03\x03" + b"x" * 300,
                     b"PRI * HTTP/2.0\r\n\r\nSM\r\n\r\n", b"GET /" + b"a" * 100_000 + b" HTTP/1.1\r\n\r\n",
                     b"GET / HTTP/1.1\r\n" + b"".join(b"X-%d: y\r\n" % i for i in range(5000)) + b"\r\n", b"GET / HTTP/1.1\r\nX: " + b"y" * 1_000_000 + b"\r\n\r\n"):
            answer = server.raw(data)
            check(f"garbage {data[:20]} is refused or answered", len(answer) < 20_000, answer[:100])
        check("and it lives", server.ask("/healthz")[0] == 200)


def memory(pid):
    with open(f"/proc/{pid}/status", encoding="utf-8") as file:
        return int(re.search(r"VmRSS:\s+(\d+)", file.read()).group(1))


def drip(sock, end):
    """A byte now and then: never idle, never done."""
    with contextlib.suppress(OSError):
        for byte in b"GET /healthz HTTP/1.1\r\nX: " + b"y" * 1000:
            if time.monotonic() > end:
                return False
            sock.sendall(bytes([byte]))
            time.sleep(0.2)
            sock.setblocking(False)
            with contextlib.suppress(BlockingIOError):
                if sock.recv(1) == b"":
                    return True
            sock.setblocking(True)
        return False
    return True


def test_slow():
    with Server() as server:
        begun = time.monotonic()
        with server.connect() as sock:
            check("who drips bytes is ended", drip(sock, begun + 8) and time.monotonic() - begun < 4, time.monotonic() - begun)
        begun = time.monotonic()
        with server.connect() as sock:
            check("and so is who says nothing", sock.recv(1) == b"" and time.monotonic() - begun < 6, time.monotonic() - begun)
        with contextlib.ExitStack() as stack:
            silent = [stack.enter_context(server.connect()) for _ in range(CONNECTIONS + 4)]
            begun = time.monotonic()
            check("a crowd of them is gone in time", server.ask("/healthz")[0] == 200 and time.monotonic() - begun < 8, time.monotonic() - begun)
            check("of which there were many", len(silent) == CONNECTIONS + 4)


def hammer(server):
    """1,600 requests of 8 clients; what went wrong."""
    failed = []

    def client():
        for _ in range(200):
            try:
                if server.ask("/metrics")[0] != 200:
                    failed.append("status")
            except OSError as error:
                failed.append(error)

    threads = [threading.Thread(target=client) for _ in range(8)]
    for thread in threads:
        thread.start()
    for thread in threads:
        thread.join()
    return failed


def sanitized(path):
    """AddressSanitizer keeps what was freed."""
    with open(path, "rb") as file:
        return b"__asan_init" in file.read()


def test_many():
    with Server() as server:
        check("many requests at a time", not hammer(server))
        before = memory(server.process.pid)
        check("and again", not hammer(server))
        after = memory(server.process.pid)
        check("cost no memory that stays", after < before + 1024 or sanitized(sys.argv[1]), (before, after))


for test in (test_pages, test_methods, test_localhost, test_six, test_bad_address, test_garbage, test_slow, test_many):
    test()
