# SPDX-License-Identifier: Apache-2.0
"""Three threads: holds() burns with the GIL, lets_go() hashes without it, sleeps() sleeps."""
import hashlib
import threading
import time

BUFFER = bytes(16 * 1024 * 1024)


def holds():
    while True:
        any(map(bool, bytes(1000)))


def lets_go():
    while True:
        hashlib.sha256(BUFFER).digest()


def sleeps():
    time.sleep(3600)


for function in (holds, lets_go, sleeps):
    threading.Thread(target=function, name=f"{function.__name__}-thread").start()
print("ready", flush=True)
