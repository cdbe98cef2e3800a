# SPDX-License-Identifier: Apache-2.0
"""An agent as a process of a test."""
import os
import re
import signal
import subprocess
import urllib.error
import urllib.request

import live


class Agent:
    """One that runs; its log can be read at any time."""

    def __init__(self, *arguments, env=None, run=(), listens=True, heeds_guests=False):
        self.log = os.memfd_create("log")
        self.process = subprocess.Popen([*run, live.COROSCOPE, "agent", *map(str, arguments)], stdin=subprocess.DEVNULL,
                                        stdout=subprocess.DEVNULL, stderr=self.log,
                                        env={**os.environ, **({} if heeds_guests else {"COROSCOPE_SOCKET": "off"}),
                                             **({"COROSCOPE_LISTEN": "0"} if listens else {}), **(env or {})})

    def __enter__(self):
        return self

    def __exit__(self, *_):
        live.stop(self.process)

    def __del__(self):
        os.close(self.log)

    @property
    def text(self):
        return os.pread(self.log, 1 << 20, 0).decode(errors="replace")

    def says(self, words, seconds=30):
        live.until(lambda: words in self.text or self.process.poll() is not None, seconds)
        live.check(f"it says {words!r}", words in self.text, self.text)

    @property
    def port(self):
        """Where it answers over HTTP, as it said last."""
        live.until(lambda: "answers on " in self.text or self.process.poll() is not None)
        return int(re.findall(r"answers on 127\.0\.0\.1 port (\d+)", self.text)[-1])

    def asked(self, path):
        """Status and text of its answer; None: nobody is there."""
        try:
            with urllib.request.urlopen(f"http://127.0.0.1:{self.port}{path}", timeout=10) as answer:
                return answer.status, answer.read().decode()
        except urllib.error.HTTPError as error:
            return error.code, error.read().decode()
        except (urllib.error.URLError, ConnectionResetError):
            return None

    def metrics(self):
        """{name with its labels: value}"""
        rows = [line.rpartition(" ") for line in self.asked("/metrics")[1].splitlines() if not line.startswith("#")]
        return {name: float(value) for name, _, value in rows}

    def end(self, sig=signal.SIGTERM, seconds=20):
        self.process.send_signal(sig)
        return self.process.wait(seconds)
