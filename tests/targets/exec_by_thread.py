# SPDX-License-Identifier: Apache-2.0
"""exec_by_thread.py: a thread begins the same program anew every 0.3 s; the main thread keeps waking up meanwhile."""
import os
import sys
import threading
import time


def again():
    time.sleep(0.3)
    os.execv(sys.executable, [sys.executable, *sys.argv])


print("ready", flush=True)
threading.Thread(target=again).start()
while True:
    time.sleep(0.001)
