#!/usr/bin/env python3
# SPDX-License-Identifier: Apache-2.0
"""whose.py COROSCOPE: each kind of process is told to be whose it is, in the capture and in what push sends; secrets are nowhere."""
import contextlib
import gzip
import http.server
import json
import os
import pathlib
import re
import secrets
import select
import subprocess
import threading

import live
import receiver
from agent_process import Agent
from receiver import Receiver

SECRET = secrets.token_hex(16)
ID, UID = "0123456789abcdef" * 4, "8dbc5577-d0e2-4706-8787-57d52c03ddf2"
HIDDEN = {"DD_API_KEY": f"dd-{SECRET}", "AWS_SECRET_ACCESS_KEY": f"aws-{SECRET}", "DATABASE_URL": f"postgres://me:{SECRET}@db/shop",
          "OTEL_EXPORTER_OTLP_HEADERS": f"authorization=Bearer {SECRET}", "DD_SERVICE_TOKEN": SECRET, SECRET: "as a name"}


def pack(entries):
    """A map of MessagePack of short texts."""
    def text(value):
        return bytes([0xd9, len(value)]) + value.encode()
    return bytes([0x80 | len(entries)]) + b"".join(text(key) + text(value) for key, value in entries.items())


def context(attributes):
    """A message ProcessContext of OpenTelemetry's."""
    def field(number, data):
        assert len(data) < 128
        return bytes([number << 3 | 2, len(data)]) + data
    return field(1, b"".join(field(1, field(1, key.encode()) + field(2, field(1, value.encode()))) for key, value in attributes.items()))


@contextlib.contextmanager
def owned(environment, *arguments, run=(), **options):
    command = [*run, live.versioned("3.12"), str(live.TARGETS / "owned.py"), *arguments]
    with contextlib.ExitStack() as stack:
        process = subprocess.Popen(command, stdout=subprocess.PIPE, stdin=subprocess.DEVNULL, env={**HIDDEN, **environment}, text=True, **options)
        stack.callback(process.stdout.close)
        stack.callback(live.stop, process)
        ready, _, _ = select.select([process.stdout], [], [], 20)
        live.check("a process of its own kind runs", ready and process.stdout.readline() == "ready\n")
        yield process


class Sent:
    """A capture, and what push makes of it for each kind of server."""

    def __init__(self, folder, *arguments, env=None):
        path = folder / "capture.raw"
        live.record(*arguments, "-o", path, env=env)
        self.capture = path.read_bytes()
        with Receiver() as otlp, Receiver() as pyroscope, Receiver() as datadog:
            done = live.coroscope("push", path, "--to", f"otlp={otlp.url}", "--to", f"pyroscope={pyroscope.url}", "--to", f"datadog={datadog.url}")
            live.check("all is delivered", done.code == live.OK, done)
            self.otlp = [receiver.plain_body(request) for request in otlp.requests]
            self.pyroscope = [request.body for request in pyroscope.requests]
            self.datadog = [receiver.parts(request) for request in datadog.requests]
        self.resources = list(self.read_resources())

    def pids(self, folder, *options):
        """Of the processes that report shows with these options."""
        done = live.coroscope("report", folder / "capture.raw", "-f", "collapsed", *options)
        return {int(re.search(r"\[(\d+)\]$", stack.names[0]).group(1)) for stack in live.stacks(done.out)}

    def read_resources(self):
        """Of OTLP: a dictionary of texts and numbers for each."""
        def value(data):
            found = receiver.fields(data)
            return found[1][0].decode() if found[1] else found[3][0]
        for body in self.otlp:
            for resource in receiver.fields(body)[1]:
                pairs = [receiver.fields(pair) for pair in receiver.fields(receiver.fields(resource)[1][0])[1]]
                keys = [pair[1][0].decode() for pair in pairs]
                assert len(keys) == len(set(keys)), f"a key is told twice: {keys}"
                yield {key: value(pair[2][0]) for key, pair in zip(keys, pairs)}

    def resource(self, pid):
        found = [resource for resource in self.resources if resource["process.pid"] == pid]
        live.check("a process is one resource", len(found) == 1, found)
        return found[0]

    def series(self):
        """Of Pyroscope: labels and the profile's bytes for each."""
        for body in self.pyroscope:
            for series in map(receiver.fields, receiver.fields(body)[1]):
                labels = {pair[1][0].decode(): pair[2][0].decode() for pair in map(receiver.fields, series[1])}
                yield labels, gzip.decompress(receiver.fields(series[2][0])[1][0])

    def tags(self, pid):
        """Of Datadog: a dictionary and the profile's bytes."""
        found = []
        for parts in self.datadog:
            tags = dict(tag.split(":", 1) for tag in json.loads(parts["event"][2])["tags_profiler"].split(","))
            if tags["process_id"] == str(pid):
                found.append((tags, gzip.decompress(parts["profile.pprof"][2])))
        live.check("a process is one upload", len(found) == 1, found)
        return found[0]

    def everything(self):
        yield self.capture
        yield from self.otlp
        for labels, profile in self.series():
            yield repr(labels).encode() + profile
        for parts in self.datadog:
            yield parts["event"][2] + gzip.decompress(parts["profile.pprof"][2])

    def check_secrets(self):
        live.check("secrets are nowhere", not any(SECRET.encode() in data for data in self.everything()))


def subset(what, expected, seen):
    live.check(what, expected.items() <= seen.items(), seen)


def check(pid, env=None):
    """What coroscope check says, by the words before the colon."""
    done = live.coroscope("check", "-p", pid, env=env)
    live.check("check shows no secrets", SECRET not in done.out + done.err, done)
    lines = [line[8:].split(": ", 1) for line in done.out.splitlines() if ": " in line]
    return dict(lines)


def test_environments():
    otel = {"OTEL_SERVICE_NAME": "shop", "DD_SERVICE": "not this",
            "OTEL_RESOURCE_ATTRIBUTES": f"service.version=1.2,deployment.environment.name=test,service.name=nor%20this,api.key={SECRET},service.namespace=retail"}
    datadog = {"DD_SERVICE": "cart", "DD_ENV": "prod", "DD_VERSION": "7", "DD_TAGS": f"key:{SECRET}"}
    with live.scratch() as folder, owned(otel) as one, owned(datadog) as two, owned(datadog) as three, owned({}) as plain:
        sent = Sent(folder, "-p", f"{one.pid},{two.pid},{three.pid},{plain.pid}", "-d", 2)
        said = check(one.pid)
        for pattern, expected in (("^cart$", {two.pid, three.pid}), ("^(shop|owned)$", {one.pid, plain.pid}), ("art|hop", {one.pid, two.pid, three.pid})):
            shown = sent.pids(folder, "--service", pattern)
            live.check(f"--service {pattern} shows these alone", shown == expected, (shown, expected))
    subset("OTEL_*", {"service.name": "shop", "service.version": "1.2", "deployment.environment.name": "test", "service.namespace": "retail",
                      "process.runtime.name": "cpython"}, sent.resource(one.pid))
    live.check("its runtime", sent.resource(one.pid)["process.runtime.version"].startswith("3.12."))
    subset("DD_*", {"service.name": "cart", "service.version": "7", "deployment.environment.name": "prod"}, sent.resource(two.pid))
    live.check("nobody has named it", sent.resource(plain.pid)["service.name"] == "unknown_service:owned", sent.resource(plain.pid))
    subset("Datadog's tags", {"service": "cart", "env": "prod", "version": "7", "language": "python", "runtime": "CPython"}, sent.tags(two.pid)[0])
    subset("a program's name there", {"service": "owned"}, sent.tags(plain.pid)[0])
    live.check("nothing of one in another", not any(word in repr(sent.tags(plain.pid)[0]) for word in ("cart", "prod", "shop", "retail")))
    services = sorted(labels["service_name"] for labels, _ in sent.series() if labels["__name__"] == "process_cpu")
    live.check("two workers of a service are one series", services == ["cart", "shop", "unknown_service:owned"], services)
    live.check("no ids among the labels", not any(str(process.pid) in labels.values() for labels, _ in sent.series() for process in (one, two, three)))
    subset("check says so", {"service": "shop", "environment": "test", "version": "1.2", "program": "owned"}, said)
    sent.check_secrets()


def test_published():
    memfd = pack({"schema_version": "2", "service_name": "billing", "service_env": "live", "service_version": "3", "runtime_id": "run-1", "hostname": SECRET})
    resource = context({"service.name": "mail", "service.instance.id": "i-1", "token": SECRET[:20]})
    with live.scratch() as folder, owned({"DD_SERVICE": "wrong"}, "memfd", memfd.hex()) as one, \
            owned({"OTEL_SERVICE_NAME": "wrong", "DD_ENV": "test"}, "context", resource.hex()) as two:
        sent = Sent(folder, "-p", f"{one.pid},{two.pid}", "-d", 2)
        live.check("what is published is not in the command line of what we send", SECRET[:20].encode() not in b"".join(sent.otlp))
    subset("Datadog's tracer info", {"service.name": "billing", "service.version": "3", "deployment.environment.name": "live"}, sent.resource(one.pid))
    subset("its runtime id", {"runtime-id": "run-1", "service": "billing"}, sent.tags(one.pid)[0])
    subset("OpenTelemetry's process context", {"service.name": "mail", "service.instance.id": "i-1", "deployment.environment.name": "test"},
           sent.resource(two.pid))
    live.check("no runtime id from elsewhere", "runtime-id" not in sent.tags(two.pid)[0])


def test_ddtrace():
    folder = live.run([live.PYTHONS, "--package", "3.12", "ddtrace"])
    if folder.code:
        raise live.Skip(folder.err.strip())
    program = "import time, ddtrace; ddtrace.tracer.trace('x').finish(); print(ddtrace.internal.runtime.get_runtime_id(), flush=True); time.sleep(60)"
    environment = {**os.environ, **HIDDEN, "PYTHONPATH": folder.out.strip(), "DD_SERVICE": "shop", "DD_ENV": "prod", "DD_TRACE_AGENT_URL": "http://127.0.0.1:9",
                   "DD_INSTRUMENTATION_TELEMETRY_ENABLED": "false", "DD_REMOTE_CONFIGURATION_ENABLED": "false"}
    process = subprocess.Popen([live.versioned("3.12"), "-c", program], env=environment, stdout=subprocess.PIPE, stderr=subprocess.DEVNULL,
                               stdin=subprocess.DEVNULL, text=True)
    try:
        runtime = process.stdout.readline().strip()
        said = check(process.pid)
    finally:
        live.stop(process)
        process.stdout.close()
    subset("a real tracer says whose it is", {"service": "shop", "environment": "prod", "tracer's id": runtime}, said)
    live.check("and which version it has", said.get("tracer's version", "").count(".") >= 2, said)


def test_hostile():
    huge = "x" * 120_000
    environment = {"DD_SERVICE": "a\nb\x1b[31m\x07,tag:forged", "DD_VERSION": huge, "OTEL_RESOURCE_ATTRIBUTES": "service.namespace=" + huge, "PADDING": SECRET * 3000}
    with live.scratch() as folder, owned(environment) as one, owned({"DD_SERVICE": "other"}) as two:
        sent = Sent(folder, "-p", f"{one.pid},{two.pid}", "-d", 2)
        said = check(one.pid)
    resource, (tags, _) = sent.resource(one.pid), sent.tags(one.pid)
    live.check("control characters are escaped", resource["service.name"] == r"a\x0ab\x1b[31m\x07,tag:forged", resource["service.name"])
    live.check("values are cut", resource["service.version"] == "x" * 252 + "...", resource["service.version"])
    live.check("a tag cannot be forged", tags["service"] == r"a\x0ab\x1b[31m\x07_tag:forged" and "tag" not in tags, tags)
    live.check("the other is itself", sent.resource(two.pid)["service.name"] == "other" and "service.version" not in sent.resource(two.pid))
    live.check("the capture is small", len(sent.capture) < 5_000_000)
    live.check("a terminal sees no control characters", said["service"] == r"a\x0ab\x1b[31m\x07,tag:forged", said)
    sent.check_secrets()


def test_megabytes():
    """One string each: the environment, and the command line, of a process that has overwritten both. Somebody else's are his."""
    environment = {f"PADDING_{number}": "x" * 120_000 for number in range(10)}
    with live.scratch() as folder, owned({"DD_SERVICE": "other"}) as two, \
            owned(environment, "strings", b"DD_SERVICE=a\x1b]0;title\r\nDD_VERSION=9 \xff\xfe".hex(), "y" * 120_000, "z" * 120_000) as one:
        lengths = [len(pathlib.Path(f"/proc/{one.pid}/{name}").read_bytes()) for name in ("environ", "cmdline")]
        live.check("they are that long", lengths[0] > 2 ** 20 and lengths[1] > 2 ** 17, lengths)
        sent, said = Sent(folder, "-p", f"{one.pid},{two.pid}", "-d", 2), check(one.pid)
        listed = live.coroscope("ps", "-p", one.pid)
    service = sent.resource(one.pid)["service.name"]
    live.check("the service is what it says, cut, without a control character", service.startswith(r"a\x1b]0;title\x0d\x0aDD_VERSION=9")
               and len(service) <= 260 and service.isprintable(), service)
    live.check("so is what check and ps show", said["service"] == service and all(
        line.isprintable() for line in listed.out.splitlines() + list(said.values())), (said, listed))
    live.check("in what is sent there is none either", not any(b"\x07" * 8 in data for data in sent.everything() if data is not sent.capture))
    subset("the other is itself", {"service.name": "other"}, sent.resource(two.pid))
    live.check("and has nothing of it", "service.version" not in sent.resource(two.pid) and not any(
        "title" in str(value) for value in sent.resource(two.pid).values()), sent.resource(two.pid))
    live.check("the capture is small", len(sent.capture) < 5_000_000, len(sent.capture))


def test_exec():
    """What a pid was before an exec has nothing of what it is after it."""
    after = f"DD_SERVICE=after\nDD_ENV=new\nOTHER={SECRET}\nPATH=/bin"
    with live.scratch() as folder, owned({"DD_SERVICE": "before", "DD_VERSION": "1"}, "exec", after.replace(SECRET, "y").encode().hex()) as one:
        sent = Sent(folder, "-p", one.pid, "-d", 7)
    found = {resource["service.name"]: resource for resource in sent.resources}
    live.check("two services under one pid", set(found) == {"before", "after"}, found)
    live.check("each with its own", "service.version" not in found["after"] and "deployment.environment.name" not in found["before"], found)
    profiles = {}
    for labels, profile in sent.series():
        profiles.setdefault(labels["service_name"], []).append(profile)
    live.check("the samples are with whom they are of", any(b"work_before_exec" in profile for profile in profiles["before"])
               and not any(b"work_before_exec" in profile for profile in profiles["after"]), list(profiles))
    sent.check_secrets()


@contextlib.contextmanager
def cgroup(*names):
    """A cgroup in the first hierarchy that lets us make one."""
    for root in map(pathlib.Path, ("/sys/fs/cgroup", "/sys/fs/cgroup/unified", "/sys/fs/cgroup/pids", "/sys/fs/cgroup/freezer")):
        if not (root / "cgroup.procs").exists():
            continue
        path, made = root, []
        try:
            for name in names:
                path = path / name
                path.mkdir()
                made.append(path)
        except OSError as error:
            for one in reversed(made):
                one.rmdir()
            reason = error
            continue
        try:
            yield path
        finally:
            for one in reversed(made):
                live.until(lambda one=one: rmdir(one))
        return
    raise live.Skip(f"may make no cgroup here: {reason}")


def rmdir(path):
    try:
        path.rmdir()
        return True
    except OSError:
        return False


class Kubelet(http.server.BaseHTTPRequestHandler):
    """One node's kubelet, with a pod, for those who have the token."""
    asked, answer = [], b""

    def do_GET(self):
        self.asked.append(self.path)
        good = self.headers["Authorization"] == f"Bearer {SECRET}"
        self.send_response(200 if good else 401)
        self.end_headers()
        self.wfile.write(self.answer if good else b"Unauthorized")

    def log_message(self, *_):
        pass


@contextlib.contextmanager
def kubelet(folder):
    made = receiver.Certificates(folder)
    Kubelet.answer = json.dumps({"items": [{
        "metadata": {"name": "shop-5d", "namespace": "prod", "uid": UID, "labels": {"app.kubernetes.io/name": "shop"}, "annotations": {"secret": SECRET}},
        "spec": {"nodeName": "node-7", "containers": [{"env": [{"name": "PASSWORD", "value": SECRET}]}]},
        "status": {"containerStatuses": [{"name": "web", "containerID": f"containerd://{ID}"}]}}]}).encode()
    server = http.server.ThreadingHTTPServer(("127.0.0.1", 0), Kubelet)
    server.socket = made.context().wrap_socket(server.socket, server_side=True)
    (folder / "token").write_text(SECRET + "\n", encoding="utf-8")
    thread = threading.Thread(target=server.serve_forever, daemon=True)
    thread.start()
    try:
        yield {"COROSCOPE_KUBELET": f"https://localhost:{server.server_address[1]}", "COROSCOPE_KUBELET_CA": made.path("ca.pem"),
               "COROSCOPE_KUBELET_TOKEN": str(folder / "token")}
    finally:
        server.shutdown()
        server.server_close()


def enter(path):
    (path / "cgroup.procs").write_text("0", encoding="utf-8")


def test_pods():
    names = "coroscope-test.slice", f"kubepods-pod{UID.replace('-', '_')}.slice", f"cri-containerd-{ID}.scope"
    with live.scratch() as folder, cgroup(*names) as path, kubelet(folder) as env:
        with owned({"DD_SERVICE": "shop"}, preexec_fn=lambda: enter(path)) as inside, owned({}) as outside:
            sent = Sent(folder, "-p", f"{inside.pid},{outside.pid}", "-d", 4, env=env)
            said = check(inside.pid, env=env)
            wrong = live.coroscope("check", "-p", inside.pid, env={**env, "COROSCOPE_KUBELET_TOKEN": "/etc/hostname"})
            untrusted = live.coroscope("check", "-p", inside.pid, env={**env, "COROSCOPE_KUBELET_CA": "/etc/ssl/certs/ca-certificates.crt"})
            with Agent("-p", inside.pid, "--kubelet", env["COROSCOPE_KUBELET"], "--kubelet-ca", "/etc/ssl/certs/ca-certificates.crt") as agent:
                agent.says("the kubelet does not tell of pods: ")
            alone = check(inside.pid, env={"NODE_NAME": "node-1", "POD_NAME": "agent-1", "POD_NAMESPACE": "observe", "POD_UID": UID})
    resource = sent.resource(inside.pid)
    subset("container and pod from the cgroup, the rest from the kubelet",
           {"container.id": ID, "container.runtime": "containerd", "k8s.pod.uid": UID, "k8s.pod.name": "shop-5d", "k8s.namespace.name": "prod",
            "k8s.node.name": "node-7", "k8s.container.name": "web", "k8s.pod.label.app.kubernetes.io/name": "shop"}, resource)
    live.check("a process outside has none of it", not any(key.startswith(("k8s.", "container.")) for key in sent.resource(outside.pid)
                                                           if key != "container.id" or ID in sent.resource(outside.pid)[key]))
    subset("Pyroscope's labels", {"namespace": "prod", "pod": "shop-5d", "container": "web", "node": "node-7"},
           next(labels for labels, _ in sent.series() if labels["service_name"] == "shop"))
    live.check("ids are no labels", not any(ID in labels.values() or UID in labels.values() for labels, _ in sent.series()))
    subset("Datadog's tags", {"container_id": ID, "pod_name": "shop-5d", "kube_namespace": "prod"}, sent.tags(inside.pid)[0])
    subset("check asks the kubelet, too", {"pod": "shop-5d", "container": ID, "node": "node-7"}, said)
    live.check("the kubelet is asked for /pods only", set(Kubelet.asked) == {"/pods"}, set(Kubelet.asked))
    live.check("a wrong token is said", "answers 401" in wrong.err and "shop-5d" not in wrong.out, wrong)
    live.check("a kubelet that nobody vouches for is not believed", "certificate" in untrusted.err and "shop-5d" not in untrusted.out, untrusted)
    subset("the downward API alone, for our own pod", {"pod": "agent-1", "pod namespace": "observe", "node": "node-1"}, alone)
    sent.check_secrets()


def test_cgroups():
    """Names that people did not choose: control characters, and as long as they may be."""
    deep = [f"{'n' * 200}{number}\x1b[31m\x07" for number in range(12)]
    with live.scratch() as folder, cgroup("coroscope-test\x1b[2J\r.slice", *deep, "evil\x1b]0;title\x07,tag:forged.service") as path:
        with owned({}, preexec_fn=lambda: enter(path)) as inside, owned({"DD_SERVICE": "other"}) as outside:
            sent, said = Sent(folder, "-p", f"{inside.pid},{outside.pid}", "-d", 2), check(inside.pid)
    texts = [str(value) for value in sent.resource(inside.pid).values()]
    live.check("what is sent is printable and bounded", all(text.isprintable() and len(text) <= 260 for text in texts), texts)
    live.check("so is what check shows", all(value.isprintable() for value in said.values()), said)
    tags = sent.tags(inside.pid)[0]
    live.check("a tag cannot be forged", "tag" not in tags and all(text.isprintable() for text in tags.values()), tags)
    live.check("the other has nothing of it", not any("title" in str(value) for value in sent.resource(outside.pid).values()), sent.resource(outside.pid))


live.main(test_environments, test_published, test_ddtrace, test_hostile, test_megabytes, test_exec, test_pods, test_cgroups)
