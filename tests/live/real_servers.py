# SPDX-License-Identifier: Apache-2.0
"""Servers that tools/receivers has compiled, as processes of a test on the loopback interface, and what they have got."""
import contextlib
import json
import pathlib
import socket
import urllib.error
import urllib.request

import live

RECEIVERS = pathlib.Path(__file__).resolve().parent.parent.parent / "tools" / "receivers"


def compiled(name):
    found = live.run([RECEIVERS, "--path", name])
    if found.code:
        raise live.Skip(found.err.strip())
    return found.out.strip()


def free_port():
    with socket.create_server(("127.0.0.1", 0)) as listener:
        return listener.getsockname()[1]


def listens(port):
    with contextlib.suppress(OSError), socket.create_connection(("127.0.0.1", port), 1):
        return True
    return False


# The Collector

COLLECTOR = """\
receivers: {{otlp: {{protocols: {{http: {{endpoint: "127.0.0.1:{port}"}}}}}}}}
exporters: {{file: {{path: "{file}"}}}}
service:
  telemetry: {{metrics: {{level: none}}}}
  pipelines: {{profiles: {{receivers: [otlp], exporters: [file]}}}}
"""


@contextlib.contextmanager
def collector(folder, port):
    """Yields the file that it writes."""
    config, file = folder / "collector.yaml", folder / "profiles.json"
    config.write_text(COLLECTOR.format(port=port, file=file), encoding="utf-8")
    with live.program(compiled("otelcol"), "--config", str(config), "--feature-gates=service.profilesSupport") as process:
        live.until(lambda: listens(port) or process.poll() is not None)
        live.check("the Collector runs", process.poll() is None, process.poll() is not None and process.stderr.read())
        yield file


def collected(file):
    """Requests that the Collector has written, one for each line."""
    live.until(lambda: file.exists() and file.read_text(encoding="utf-8").endswith("\n"))
    return [json.loads(line) for line in file.read_text(encoding="utf-8").splitlines()]


class Tables:
    """The dictionary of a request."""

    def __init__(self, request):
        self.rows = request["dictionary"]

    def at(self, table, row, key):
        return self.rows[f"{table}Table"][row.get(key, 0)]

    def text(self, row, key):
        """The Collector moves the texts of resources to the dictionary."""
        return row.get(key) or self.rows["stringTable"][row[f"{key}Strindex"]]

    def frames(self, sample):
        for index in self.at("stack", sample, "stackIndex").get("locationIndices", ()):
            function = self.at("function", self.rows["locationTable"][index]["lines"][0], "functionIndex")
            yield self.at("string", function, "nameStrindex")

    def attributes(self, sample):
        for index in sample.get("attributeIndices", ()):
            row = self.rows["attributeTable"][index]
            yield self.at("string", row, "keyStrindex"), next(iter(row["value"].values()))

    def link(self, sample):
        """(trace, span) in hex, or None."""
        link = self.at("link", sample, "linkIndex")
        return (link["traceId"], link["spanId"]) if sample.get("linkIndex") else None

    def service(self, resource):
        for fact in resource["resource"]["attributes"]:
            if self.text(fact, "key") == "service.name":
                return self.text(fact["value"], "stringValue")
        return None


# Pyroscope


class Pyroscope:
    """What it answers of the last hour."""

    def __init__(self, port):
        self.url = f"http://127.0.0.1:{port}"

    def get(self, path, data=None):
        request = urllib.request.Request(self.url + path, data, {"Content-Type": "application/json"})
        with urllib.request.urlopen(request, timeout=20) as answer:
            return answer.read()

    def ready(self):
        with contextlib.suppress(OSError):
            return self.get("/ready") == b"ready"
        return False

    def ask(self, method, **words):
        return json.loads(self.get(f"/querier.v1.QuerierService/{method}", json.dumps(words).encode()))

    def values(self, label):
        return self.ask("LabelValues", name=label).get("names", [])

    def kinds(self):
        return {one["ID"] for one in self.ask("ProfileTypes").get("profileTypes", [])}

    def flames(self, kind, selector, begin, end, spans=None):
        """Stack (root first) -> own value. Times are seconds; spans: the profile of these alone, in hex."""
        words = {"profileTypeID": kind, "labelSelector": selector, "start": int(begin * 1000), "end": int(end * 1000) + 1, "maxNodes": 1000000}
        method = "SelectMergeStacktraces" if spans is None else "SelectMergeSpanProfile"
        return unfolded(self.ask(method, **words, **({} if spans is None else {"spanSelector": spans})).get("flamegraph", {}))


def unfolded(flames):
    """Of a flame graph as its page draws it: each level a row of boxes (distance from the one before, width, own, name), below the one that they hang under."""
    found, above, names = {}, None, flames.get("names", [])
    for level in flames.get("levels", []):
        numbers, at, row = [int(number) for number in level.get("values", [])], 0, []
        for distance, width, own, name in zip(*(numbers[i::4] for i in range(4))):
            at += distance
            stack = () if above is None else next(stack for begin, end, stack in above if begin <= at < end) + (names[name],)
            if own:
                found[stack] = found.get(stack, 0) + own
            row.append((at, at + width, stack))
            at += width
        above = row
    return found


# It looks for others of its kind, and for itself where others would: here alone.
PYROSCOPE = [f"-{part}=127.0.0.1" for part in (
    "server.http-listen-address", "server.grpc-listen-address", "memberlist.bind-addr", "memberlist.advertise-addr", "compactor.ring.instance-addr",
    "distributor.ring.instance-addr", "ingester.lifecycler.addr", "overrides-exporter.ring.instance-addr", "query-frontend.instance-addr", "query-scheduler.ring.instance-addr",
    "store-gateway.sharding-ring.instance-addr")] + ["-server.grpc-listen-port=0", "-memberlist.bind-port=0"]


@contextlib.contextmanager
def pyroscope(folder):
    """With the configuration of tools/deploy."""
    port, config = free_port(), RECEIVERS.parent / "deploy" / "pyroscope.yaml"
    (folder / "pyroscope").mkdir()
    command = [compiled("pyroscope"), f"-config.file={config}", f"-server.http-listen-port={port}", *PYROSCOPE]
    with live.program("sh", "-c", 'cd "$0" && exec "$@" >log 2>&1', str(folder / "pyroscope"), *command) as process:
        server = Pyroscope(port)
        live.until(lambda: server.ready() or process.poll() is not None, 60)
        live.check("Pyroscope runs", process.poll() is None, (folder / "pyroscope/log").read_text(encoding="utf-8")[-2000:])
        yield server
