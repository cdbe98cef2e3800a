#!/usr/bin/env python3
# SPDX-License-Identifier: Apache-2.0
"""deliver.py COROSCOPE: what `push` sends to each kind of server, and how it bears servers that misbehave."""
import gzip
import json
import pathlib
import re
import shutil
import time

import live
import receiver
from receiver import Receiver, answers, says, takes

MEMORY = 600_000_000  # bytes of address space: libcurl's and the capture's, and some more


class Capture:
    """One for all tests."""
    folder = None

    @classmethod
    def path(cls):
        if not cls.folder:
            cls.folder = live.scratch()
            path = cls.folder.__enter__() / "capture.raw"
            with live.example(live.interpreter("3.12")) as program:
                live.record("-p", program.pid, "-d", 3, "-o", path)
                cls.pid = program.pid
            cls.file = path
        return cls.file


def push(*arguments, code=live.OK, **options):
    done = live.coroscope("push", *arguments, **options)
    live.check(f"push {' '.join(map(str, arguments[1:]))[:100]} ends with {code}", done.code == code, done)
    return done


def no_go():
    if not shutil.which("go"):
        raise live.Skip("needs go: apt install golang-go")


def pprof(folder, data):
    """What go tool pprof says of it: kinds of values, the text of all."""
    path = folder / "got.pb.gz"
    path.write_bytes(data)
    done = live.run(["go", "tool", "pprof", "-raw", str(path)])
    live.check("go tool pprof reads it", done.code == 0, done)
    return re.search(r"^Samples:\n(.*)$", done.out, re.M).group(1).replace("[dflt]", "").split(), done.out


# What is sent


def test_otlp():
    with live.scratch() as folder, Receiver() as server:
        push(Capture.path(), "--service", "shop", "--tag", "deployment.environment.name=test", "--to", f"otlp={server.url}")
        request = server.requests[0]
        live.check("one request", len(server.requests) == 1)
        live.check("to the path of the signal", request.path == "/v1development/profiles", request.path)
        live.check("protobuf, gzip'd, from us", request.headers["content-type"] == "application/x-protobuf"
                   and request.headers["content-encoding"] == "gzip" and request.headers["user-agent"].startswith("coroscope/"), request.headers)
        (folder / "got.otlp").write_bytes(receiver.plain_body(request))
        found = live.coroscope("report", Capture.path(), "-o", folder / "report.otlp")
        live.check("report writes the same", found.code == live.OK, found)
        resource = receiver.fields(receiver.fields(receiver.fields(receiver.plain_body(request))[1][0])[1][0])
        facts = {receiver.fields(fact)[1][0].decode(): receiver.fields(receiver.fields(fact)[2][0]) for fact in resource[1]}
    live.check("the service is as told", facts["service.name"][1] == [b"shop"], facts)
    live.check("and so is the tag", facts["deployment.environment.name"][1] == [b"test"], facts)


def test_pyroscope():
    no_go()
    with live.scratch() as folder, Receiver() as server:
        push(Capture.path(), "--service", "shop", "--tag", "region=eu", "--to", f"pyroscope={server.url}")
        request = server.requests[0]
        live.check("to the push API", request.path == "/push.v1.PusherService/Push" and request.headers["content-type"] == "application/proto", request.path)
        names = set()
        for series in map(receiver.fields, receiver.fields(request.body)[1]):
            labels = {pair[1][0].decode(): pair[2][0].decode() for pair in map(receiver.fields, series[1])}
            sample = receiver.fields(series[2][0])
            kinds, text = pprof(folder, sample[1][0])
            names.add(labels.pop("__name__"))
            live.check("series have a few bounded labels", labels.pop("hostname") and
                       labels == {"service_name": "shop", "pyroscope_spy": "coroscope", "region": "eu"}, labels)
            live.check("the profile has an id", re.fullmatch(r"[0-9a-f]{8}-[0-9a-f]{4}-4[0-9a-f]{3}-8[0-9a-f]{3}-[0-9a-f]{12}", sample[2][0].decode()))
            live.check("one kind of value", len(kinds) == 1, kinds)
            live.check("no ids or names as labels of samples", ":[" not in text, text[:500])
            live.check("tasks are in the stacks", "<task Task-not_awaited" in text or kinds == ["cpu/nanoseconds"])
        live.check("wall time is a series of its own", "wall" in names <= {"wall", "process_cpu"}, names)


def test_datadog():
    no_go()
    with live.scratch() as folder, Receiver() as server:
        path = Capture.path()
        push(path, "--service", "shop", "--tag", "env=prod", "--to", f"datadog={server.url}")
        request = server.requests[0]
        live.check("to the agent's intake", request.path == "/profiling/v1/input", request.path)
        parts = receiver.parts(request)
        event = json.loads(parts["event"][2])
        live.check("two parts", {name: part[:2] for name, part in parts.items()} ==
                   {"event": ("event.json", "application/json"), "profile.pprof": ("profile.pprof", "application/octet-stream")}, parts.keys())
        live.check("version 4 of the event", event["version"] == "4" and event["family"] == "python"
                   and event["attachments"] == ["profile.pprof"], event)
        tags = event["tags_profiler"].split(",")
        live.check("tags", {"service:shop", "env:prod", "language:python", f"process_id:{Capture.pid}"} <= set(tags), tags)
        live.check("when, to the nanosecond", all(re.fullmatch(r"20\d\d-\d\d-\d\dT\d\d:\d\d:\d\d\.\d{9}Z", event[key]) for key in ("start", "end"))
                   and event["start"] < event["end"], event)
        kinds, text = pprof(folder, parts["profile.pprof"][2])
    live.check("its names of kinds", kinds == ["wall-samples/count", "cpu-time/nanoseconds", "wall-time/nanoseconds"], kinds)
    live.check("its labels", all(f"{label}:[" in text for label in ("thread native id", "thread name", "task id", "task name")), text[:800])


def test_directory():
    with live.scratch() as folder:
        target = folder / "profiles"
        push(Capture.path(), "--to", f"dir={target}")
        first = list(target.iterdir())
        live.check("a file of ours alone", len(first) == 1 and first[0].stat().st_mode & 0o777 == 0o600 and gzip.decompress(first[0].read_bytes()), first)
        (target / "notes.txt").write_text("keep", encoding="utf-8")
        (target / "else.pb.gz").write_text("keep", encoding="utf-8")
        size = first[0].stat().st_size
        for _ in range(3):
            push(Capture.path(), "--max-size", int(2.5 * size), "--to", f"dir={target}")
        names = sorted(path.name for path in target.iterdir())
        live.check("two fit; the older are gone, others' files are not", len(names) == 4 and first[0].name not in names
                   and {"notes.txt", "else.pb.gz"} <= set(names), names)
        target.chmod(0o777)
        done = push(Capture.path(), "--to", f"dir={target}", code=live.FAILURE)
        live.check("where anybody may write nothing is written", live.one_line(done), done.err)


# Servers that misbehave


def attempts(server):
    return [(request.headers["coroscope-parcel"], request.headers["coroscope-attempt"]) for request in server.requests]


def test_later():
    for status in 503, 429:
        with Receiver(answers(status, b"not now", Retry_After=2), takes) as server:
            done = push(Capture.path(), "--to", f"otlp={server.url}")
            (one, first), (two, second) = attempts(server)
            pause = server.requests[1].time - server.requests[0].time
        live.check(f"after {status} the same is sent again, marked", one == two and (first, second) == ("1", "2"))
        live.check("as late as the server asks", 2 <= pause < 10, pause)
        live.check("and it is said", f"answers {status}" in done.err and "not now" in done.err and "1 of them repeated" in done.err, done.err)


def test_refused():
    with Receiver(answers(400, b"\x08\x03\x12\x0eno\x1b[31m samples"), takes) as server:
        done = push(Capture.path(), "--to", f"otlp={server.url}", code=live.FAILURE)
        live.check("what is refused is sent once", len(server.requests) == 1)
    live.check("the server's words are shown, harmless", r"no\x1b[31m samples" in done.err and "\x1b" not in done.err, done.err)
    with Receiver(answers(307, Location="/elsewhere"), takes) as server:
        push(Capture.path(), "--to", f"otlp={server.url}", code=live.FAILURE)
        live.check("nobody is followed elsewhere", len(server.requests) == 1)
    with Receiver(answers(200, b"\x0a\x08\x08\x01\x12\x04full")) as server:
        done = push(Capture.path(), "--to", f"otlp={server.url}", code=live.FAILURE)
    live.check("what is taken but in part is told", "1 profiles rejected" in done.err and "full" in done.err, done.err)


def test_broken_ways():
    with Receiver(receiver.resets, receiver.resets, takes) as server:
        done = push(Capture.path(), "--to", f"otlp={server.url}")
        live.check("resets in mid-upload are borne", server.begun == 3 and len(server.requests) == 1, done.err)
        live.check("the third attempt is marked as such", attempts(server)[0][1] == "3")
    with Receiver(receiver.stalls, takes) as server:
        push(Capture.path(), "--timeout", "1s", "--to", f"otlp={server.url}")
        live.check("a stall ends by the clock, and is marked", [number for _, number in attempts(server)] == ["1", "2"], attempts(server))
    with Receiver(receiver.never_ends) as server:
        begun = time.monotonic()
        push(Capture.path(), "--to", f"otlp={server.url}")
        live.check("an endless answer is cut off", time.monotonic() - begun < 10)


def test_garbage():
    """Answers that are none, and such as never end: in bounded time and memory, and in printable words."""
    head = b"HTTP/1.1 200 OK\r\n"
    told_first = {"a header without end": says(head + b"X: ", b"\x1b" * 65536), "headers without end": says(head, b"X-Header: value\r\n" * 4000)}
    later = {
        "noise": says(b"\x00\xff\x1b[31m" * 1000, b""),
        "noise without end": says(b"\x00\xff\x1b[31m" * 10000),
        "a status that is none": says(b"HTTP/1.1 abc\x1b[31m\r\n\r\n", b""),
        "only preliminary answers": says(b"HTTP/1.1 100 Continue\r\n\r\n" * 2000),
        "nothing at all": says(b""),
    }
    for what, behaviour in {**told_first, **later}.items():
        with Receiver(behaviour) as server:
            done, seconds = bounded_push("--timeout", "3s", "--keep-trying", "1s", "--to", f"otlp={server.url}")
        # once there is a status, what follows changes nothing
        taken = behaviour in told_first.values()
        live.check(f"{what}: {'taken' if taken else 'tried again, given up'} in time", done.code == (live.OK if taken else live.FAILURE)
                   and ("1 delivered" in done.err) == taken and seconds < 15, (seconds, done))
        live.check(f"{what}: said in printable words", all(line.isprintable() and len(line) < 1000 for line in done.err.splitlines()) and done.err, done.err)
    for what, behaviour in (("a body that is noise", answers(200, b"\x0a\xff\xff\xff\xff\xff\x1b[31m" * 1000)),
                            ("a body that is not as it says", answers(200, b"\x1b[31m" * 100, Content_Encoding="gzip", Content_Type="application/json"))):
        with Receiver(behaviour) as server:
            done, _ = bounded_push("--to", f"otlp={server.url}")
        live.check(f"{what}: it was taken, nothing else is believed", done.code == live.OK and "1 delivered" in done.err, done)
        live.check(f"{what}: said in printable words", all(line.isprintable() for line in done.err.splitlines()), done.err)
    for status in 999, 199, 600:
        with Receiver(answers(status, b"\x1b[31m")) as server:
            done, seconds = bounded_push("--timeout", "3s", "--keep-trying", "1s", "--to", f"otlp={server.url}")
        live.check(f"a status of {status} is no success", done.code == live.FAILURE and "1 delivered" not in done.err and "\x1b" not in done.err and seconds < 15, done)
    with Receiver(answers(503, b"x", Retry_After="99999999999999999999999999")) as server:
        done, seconds = bounded_push("--keep-trying", "1s", "--to", f"otlp={server.url}")
        live.check("a Retry-After beyond all bounds holds nobody up", done.code == live.FAILURE and seconds < 10 and len(server.requests) <= 3, (seconds, done))


def bounded_push(*arguments):
    """With too little memory to keep what never ends. Returns what it said, and how long it took."""
    begun = time.monotonic()
    done = live.run(["prlimit", f"--as={MEMORY}", live.COROSCOPE, "push", str(Capture.path()), *arguments])
    return done, time.monotonic() - begun


def test_nobody_there():
    with Receiver() as server:
        port = server.port
    begun = time.monotonic()
    done = push(Capture.path(), "--keep-trying", "3s", "--to", f"otlp=http://127.0.0.1:{port}", code=live.FAILURE)
    live.check("gives up in time", time.monotonic() - begun < 8)
    live.check("says why, and what to do", "cannot be reached" in done.err and "--spool" in done.err, done.err)
    done = push(Capture.path(), "--keep-trying", "1s", "--to", "otlp=http://nobody.invalid", code=live.FAILURE)
    live.check("a name that nobody knows", "nobody.invalid" in done.err and "resolve" in done.err, done.err)


def test_tls():
    with live.scratch() as folder:
        made = receiver.Certificates(folder)
        with Receiver(tls=made.context()) as server:
            push(Capture.path(), "--ca", made.path("ca.pem"), "--to", f"otlp={server.url}")
            live.check("a trusted server is sent to", len(server.requests) == 1)
            done = push(Capture.path(), "--keep-trying", "1s", "--to", f"otlp={server.url}", code=live.FAILURE)
            live.check("one that nobody vouches for is not", "certificate" in done.err and len(server.requests) == 1, done.err)
            push(Capture.path(), "--ca", made.path("ca.pem"), "--keep-trying", "1s", "--to", f"otlp=https://127.0.0.1:{server.port}", code=live.FAILURE)
            live.check("nor is one of another name", len(server.requests) == 1)
        with Receiver(tls=made.context(ask_client=True)) as server:
            push(Capture.path(), "--ca", made.path("ca.pem"), "--keep-trying", "1s", "--to", f"otlp={server.url}", code=live.FAILURE)
            push(Capture.path(), "--ca", made.path("ca.pem"), "--cert", made.path("client.pem"), "--key", made.path("client.key"), "--to", f"otlp={server.url}")
            live.check("our certificate is shown to a server that asks", len(server.requests) == 1)


def test_secrets():
    with live.scratch() as folder, Receiver() as other:
        token = folder / "token"
        token.write_text("  first\n", encoding="utf-8")

        def changes_token(connection, keep):
            token.write_text("second\n", encoding="utf-8")
            answers(503)(connection, keep)

        with Receiver(changes_token, takes) as server:
            push(Capture.path(), "--header", "X-Scope-OrgID=7", "--to", f"otlp={server.url}", "--token-file", token, "--to", f"otlp={other.url}")
            live.check("the token is read anew", [request.headers["authorization"] for request in server.requests] == ["Bearer first", "Bearer second"])
            live.check("what follows --to is for it alone", "authorization" not in other.requests[0].headers
                       and other.requests[0].headers["x-scope-orgid"] == server.requests[0].headers["x-scope-orgid"] == "7")
            token.write_text("two\nlines\n", encoding="utf-8")
            done = push(Capture.path(), "--keep-trying", "1s", "--token-file", token, "--to", f"otlp={other.url}", code=live.FAILURE)
            live.check("a token of two lines is none", "one line" in done.err and "lines\n" not in done.err and len(other.requests) == 1, done.err)


def test_proxy():
    with Receiver() as proxy:
        push(Capture.path(), "--proxy", proxy.url, "--to", "otlp=http://nobody.invalid:4318")
        live.check("a proxy is asked", proxy.requests[0].path == "http://nobody.invalid:4318/v1development/profiles", proxy.requests[0].path)


def test_usage():
    for arguments in (["--to", "otlp=ftp://x"], ["--to", "otlp=http://me:secret@x"], ["--to", "otlp=nonsense"]):
        done = live.coroscope("push", Capture.path(), *arguments)
        live.check(f"{arguments[1]} is refused", done.code == live.FAILURE and "is no URL" in done.err, done)
    for arguments in ([], ["--to", "zipkin=http://x"], ["--to", "otlp"], ["--to", "otlp=http://x", "--cert", "a"], ["--to", "otlp=http://x", "--header", "a b=c"],
                      ["--to", "otlp=http://x", "--header", "a=b\r\nc: d"], ["--tag", "service.name=x", "--to", "otlp=http://x"]):
        done = live.coroscope("push", Capture.path(), *arguments)
        live.check(f"usage: {arguments}", done.code == live.USAGE and live.one_line(done), done)


try:
    live.main(test_otlp, test_pyroscope, test_datadog, test_directory, test_later, test_refused, test_broken_ways, test_garbage, test_nobody_there,
              test_tls, test_secrets, test_proxy, test_usage)
finally:
    if Capture.folder:
        Capture.folder.__exit__(None, None, None)
