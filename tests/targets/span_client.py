# SPDX-License-Identifier: Apache-2.0
"""span_client.py PORT CLIENTS PATH...: so many threads that ask a server for one PATH after the other, with a number of its own
behind each. Prints "ready" after a first answer, and ends with the server; half of the requests come with a trace of their own."""
import http.client
import itertools
import random
import sys
import threading

numbers = itertools.count(1)
answered = threading.Event()


def distributed():
    """Headers as a service in front of this one sends them, for either tracer."""
    trace, span = random.getrandbits(63), random.getrandbits(63)
    return {"x-datadog-trace-id": str(trace), "x-datadog-parent-id": str(span), "x-datadog-sampling-priority": "1",
            "traceparent": "00-%032x-%016x-01" % (trace, span)}


def client(port, paths):
    connection = http.client.HTTPConnection("127.0.0.1", port, timeout=20)
    try:
        for path in itertools.cycle(random.sample(paths, len(paths))):
            number = next(numbers)
            connection.request("GET", "/%s/%d" % (path, number), headers=distributed() if number % 2 else {})
            response = connection.getresponse()
            text = response.read()
            assert response.status == 200, (path, response.status, text)
            answered.set()
    except OSError:
        pass  # the server has ended
    except http.client.HTTPException:
        pass


threads = [threading.Thread(target=client, args=(int(sys.argv[1]), sys.argv[3:])) for _ in range(int(sys.argv[2]))]
for thread in threads:
    thread.start()
answered.wait()
print("ready", flush=True)
for thread in threads:
    thread.join()
