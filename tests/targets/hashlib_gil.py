# SPDX-License-Identifier: Apache-2.0
"""A thread that hashes large buffers, which hashlib does with the GIL released; the main thread joins it."""
import hashlib
import threading

BUFFER = bytes(64 * 1024 * 1024)


def hash_forever():
    while True:
        hashlib.sha256(BUFFER).digest()


def main():
    worker = threading.Thread(target=hash_forever, name="hasher")
    worker.start()
    print("ready", flush=True)
    worker.join()


main()
