# SPDX-License-Identifier: Apache-2.0
"""An agent that delivers to servers of the bench and a directory, looked at from outside."""
import http.server
import os
import re
import subprocess
import tempfile
import threading
import time
import urllib.request
from pathlib import Path

import bpf_stats
from machine import CPUS, TICK_S, status_kb

BEGIN_S = 30
END_S = 30
DIRECTORY_SIZE = "32M"  # rotated within an hour
ITERATORS = ("wall",)  # run in the agent's own thread, whose CPU time it is already
SERVERS = ("otlp", "pyroscope", "datadog")
METRIC = re.compile(r"^(\w+)(?:\{(.*)\})? (\S+)$", re.M)
LABEL = re.compile(r'(^kind|^account|^reason|state)="([^"]*)"')


class Sink(http.server.ThreadingHTTPServer):
    """Takes what comes and keeps only numbers."""
    daemon_threads = True

    def __init__(self):
        self.lock, self.requests, self.bytes = threading.Lock(), 0, 0
        super().__init__(("127.0.0.1", 0), Drain)

    def __enter__(self):
        threading.Thread(target=self.serve_forever, daemon=True).start()
        return self

    def __exit__(self, *_):
        self.shutdown()
        self.server_close()

    @property
    def url(self):
        return f"http://127.0.0.1:{self.server_address[1]}"


class Drain(http.server.BaseHTTPRequestHandler):
    protocol_version = "HTTP/1.1"

    def do_POST(self):
        left = length = int(self.headers["Content-Length"])
        while left:
            got = len(self.rfile.read(min(left, 1 << 16)))
            if not got:
                return
            left -= got
        with self.server.lock:
            self.server.requests += 1
            self.server.bytes += length
        self.send_response(200)
        self.send_header("Content-Length", "0")
        self.end_headers()

    def log_message(self, *_):
        pass


class Metrics(dict):
    """{(name, label): value}: the kind of a destination, an account, a reason, what is known of processes (their sum), or None."""

    def __init__(self, text):
        super().__init__()
        for name, labels, value in METRIC.findall(text):
            label = LABEL.search(labels)
            key = name.removeprefix("coroscope_"), label and label[2]
            self[key] = self.get(key, 0.0) + float(value)

    def of(self, name, label=None):
        return self.get((name, label), 0.0)

    def account(self, name):
        return self.of("account_total", name) + self.of("lost_total", name)

    def labels(self, name):
        return {label: value for (which, label), value in self.items() if which == name}

    def is_delivered(self):
        """Whether the last profile has arrived everywhere."""
        last = self.of("last_profile_timestamp_seconds")
        return all(when >= last for when in self.labels("deliver_last_timestamp_seconds").values()) and \
            not any(self.labels("deliver_waiting").values())


def descriptors(pid):
    """(open files, BPF links, bytes of BPF maps, bytes of BPF programs)"""
    count, links, maps, programs = 0, 0, {}, {}
    for entry in os.scandir(f"/proc/{pid}/fdinfo"):
        try:
            text = Path(entry.path).read_text(encoding="utf-8")
        except OSError:  # closed meanwhile
            continue
        count += 1
        links += "link_type:" in text
        for kind, found in ("map_id", maps), ("prog_id", programs):
            number, locked = (re.search(rf"^{name}:\s*(\d+)", text, re.M) for name in (kind, "memlock"))
            if number and locked:
                found[number[1]] = int(locked[1])
    return count, links, sum(maps.values()), sum(programs.values())


class Agent:
    """One of the whole machine, with its default budgets if its options say no other; ended at the end of the with block, and its files gone."""
    binary = None

    def __init__(self, period_s, options=()):
        self.period_s, self.options = period_s, options
        self.folder = tempfile.TemporaryDirectory(prefix="coroscope-bench-")
        self.log_path = Path(self.folder.name) / "log"
        self.sinks = {kind: Sink() for kind in SERVERS}
        self.programs, self.process = {}, None

    def __enter__(self):
        for sink in self.sinks.values():
            sink.__enter__()
        try:
            self._begin()
        except BaseException:
            self.__exit__()
            raise
        return self

    def _begin(self):
        to = [f"--to={kind}={sink.url}" for kind, sink in self.sinks.items()]
        to += [f"--to=dir={Path(self.folder.name) / 'profiles'}", "--max-size", DIRECTORY_SIZE]
        environment = {key: value for key, value in os.environ.items() if not key.startswith("COROSCOPE_")}
        with self.log_path.open("wb") as log:
            self.process = subprocess.Popen(["setpriv", "--pdeathsig", "TERM", self.binary, "agent", "--period", f"{self.period_s:.0f}s",
                                             "--listen", "0", "--socket", "off", *self.options, *to], stdin=subprocess.DEVNULL, stdout=subprocess.DEVNULL,
                                            stderr=log, env=environment, start_new_session=True)
        self.pid = self.process.pid
        end = time.monotonic() + BEGIN_S
        while "profiles at" not in self.log:
            if self.process.poll() is not None or time.monotonic() > end:
                raise RuntimeError(f"the agent does not begin: {self.log}")
            time.sleep(0.1)
        self.port = int(re.search(r"answers on 127\.0\.0\.1 port (\d+)", self.log)[1])
        self.programs = bpf_stats.programs_of(self.pid)

    def __exit__(self, *_):
        if self.process and self.process.poll() is None:
            self.end()
        for program in self.programs.values():
            program.close()
        for sink in self.sinks.values():
            sink.__exit__()
        self.folder.cleanup()

    def end(self):
        """Its exit code; negative: it had to be killed."""
        self.process.terminate()
        try:
            return self.process.wait(END_S)
        except subprocess.TimeoutExpired:
            self.process.kill()
            return self.process.wait()

    @property
    def log(self):
        return self.log_path.read_text(encoding="utf-8", errors="replace")

    def metrics(self):
        with urllib.request.urlopen(f"http://127.0.0.1:{self.port}/metrics", timeout=60) as answer:
            return Metrics(answer.read().decode())

    def delivered(self, seconds):
        """The metrics, as soon as everything has arrived everywhere; those of then if it does not within so many seconds."""
        end = time.monotonic() + seconds
        while not (now := self.metrics()).is_delivered() and time.monotonic() < end:
            time.sleep(0.2)
        return now

    def received(self):
        """{kind: (requests, bytes)} as the sinks counted them."""
        return {kind: (sink.requests, sink.bytes) for kind, sink in self.sinks.items()}

    def cpu_s(self):
        """(own CPU time, threads that ended included; its programs' in others' time)"""
        fields = Path(f"/proc/{self.pid}/stat").read_text(encoding="utf-8").rpartition(")")[2].split()
        kernel_ns = sum(program.runs()[1] for name, program in self.programs.items() if name not in ITERATORS)
        return (int(fields[11]) + int(fields[12])) * TICK_S, kernel_ns / 1e9

    def look(self):
        """What it holds now, and what it used so far."""
        if self.process.poll() is not None:
            raise RuntimeError(f"the agent has ended: {self.log[-2000:]}")
        own_s, kernel_s = self.cpu_s()
        files, links, map_bytes, program_bytes = descriptors(self.pid)
        metrics = self.metrics()
        return {"at": time.monotonic(), "rss_kb": status_kb(self.pid, "VmRSS"), "files": files, "links": links,
                "mappings": Path(f"/proc/{self.pid}/maps").read_text(encoding="utf-8").count("\n"),
                "map_kb": map_bytes / 1024, "program_kb": program_bytes / 1024, "probes": metrics.of("probes"),
                "rate_hz": metrics.of("rate_hertz"), "asleep_hz": metrics.of("asleep_rate_hertz"), "pythons": metrics.of("processes", "ready"),
                "told_cpu": metrics.of("cpu_share"), "own_s": own_s, "kernel_s": kernel_s}


def share(before, after):
    """(own, in the kernel): of the machine, between two looks."""
    seconds = (after["at"] - before["at"]) * len(CPUS)
    return (after["own_s"] - before["own_s"]) / seconds, (after["kernel_s"] - before["kernel_s"]) / seconds
