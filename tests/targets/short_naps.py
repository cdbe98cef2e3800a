# SPDX-License-Identifier: Apache-2.0
"""Naps that end with the thread, with the process, or with its becoming another program, one after the other; the main thread waits for each."""
import os
import threading
import time

NAP_S = 0.08


def nap_then_end():
    time.sleep(NAP_S)


def nap_then_exit():
    time.sleep(NAP_S)
    os._exit(0)


def nap_then_exec():
    time.sleep(NAP_S)
    os.execv("/bin/true", ["true"])


def wait_for_end():
    thread = threading.Thread(target=nap_then_end)
    thread.start()
    thread.join()


def wait_for_exit():
    child = os.fork()
    if not child:
        nap_then_exit()
    os.waitpid(child, 0)


def wait_for_exec():
    child = os.fork()
    if not child:
        nap_then_exec()
    os.waitpid(child, 0)


print("ready", flush=True)
while True:
    wait_for_end()
    wait_for_exit()
    wait_for_exec()
