# SPDX-License-Identifier: Apache-2.0
"""threads_sleep.py [THREADS]: so many threads (default 10) that sleep, each below two functions."""
import sys
import threading
import time


def sleep_long():
    time.sleep(3600)


def worker(started):
    started.wait()
    sleep_long()


def main():
    count = int(sys.argv[1]) if len(sys.argv) > 1 else 10
    started = threading.Barrier(count + 1)
    for i in range(count):
        threading.Thread(target=worker, args=(started,), name=f"sleeper-{i}", daemon=True).start()
    started.wait()
    print("ready", flush=True)
    sleep_long()


main()
