# SPDX-License-Identifier: Apache-2.0
"""An agent as a process of a test."""
import os
import signal
import subprocess

import live


class Agent:
    """One that runs; its log can be read at any time."""

    def __init__(self, *arguments, env=None):
        self.log = os.memfd_create("log")
        self.process = subprocess.Popen([live.COROSCOPE, "agent", *map(str, arguments)], stdin=subprocess.DEVNULL,
                                        stdout=subprocess.DEVNULL, stderr=self.log, env={**os.environ, **(env or {})})

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

    def end(self, sig=signal.SIGTERM, seconds=20):
        self.process.send_signal(sig)
        return self.process.wait(seconds)
