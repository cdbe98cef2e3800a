# SPDX-License-Identifier: Apache-2.0
"""bench_client.py PORT CONNECTIONS: asks http://127.0.0.1:PORT/ over so many connections, each anew as soon as it is answered.

Standard library only, so that any interpreter can do it. Prints "ready", then some 20 times a second the monotonic time in ns
and the latencies in microseconds of the requests that were answered since the last line.
"""
import asyncio
import sys
import time

REQUEST = b"GET / HTTP/1.1\r\nHost: bench\r\n\r\n"
LENGTH = b"content-length:"
EVERY_S = 0.05


class Asker(asyncio.Protocol):
    latencies = []

    def connection_made(self, transport):
        self.transport = transport
        self.ask()

    def ask(self):
        self.seen = b""
        self.asked_ns = time.monotonic_ns()
        self.transport.write(REQUEST)

    def data_received(self, data):
        self.seen += data
        head, end, body = self.seen.partition(b"\r\n\r\n")
        if not end:
            return
        if not head.startswith(b"HTTP/1.1 200"):
            sys.exit(f"the server said {head[:40]!r}")
        length = head.lower().partition(LENGTH)[2].split(b"\r\n", 1)[0]
        if len(body) >= int(length):
            Asker.latencies.append((time.monotonic_ns() - self.asked_ns) // 1000)
            self.ask()

    def connection_lost(self, _):
        asyncio.get_running_loop().stop()


async def main():
    port, connections = map(int, sys.argv[1:3])
    for _ in range(connections):
        await asyncio.get_running_loop().create_connection(Asker, "127.0.0.1", port)
    print("ready", flush=True)
    while True:
        await asyncio.sleep(EVERY_S)
        said, Asker.latencies = Asker.latencies, []
        print(time.monotonic_ns(), *said, flush=True)


asyncio.run(main())
