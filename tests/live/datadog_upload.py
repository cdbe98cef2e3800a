# SPDX-License-Identifier: Apache-2.0
"""An upload to Datadog's intake, and whether one of ours has the form of one of ddtrace's own profiler."""
import json
import re
import subprocess

import live
import receiver

# Ours alone: who profiles, from where, and which tracer was there; and the trace, under the name that dd-trace-go has for it.
OUR_TAGS = {"host", "profiler", "library_version"}
OUR_LABELS = {"process_id", "trace id"}


class Upload:
    def __init__(self, request, folder):
        self.request, parts = request, receiver.parts(request)
        self.parts = set(parts)
        self.event = json.loads(parts["event"][2])
        self.tags = dict(tag.split(":", 1) for tag in self.event["tags_profiler"].split(","))
        data = parts["profile.pprof"][2]
        if data.startswith(b"\x28\xb5\x2f\xfd"):
            data = subprocess.run(["zstd", "-dq"], input=data, stdout=subprocess.PIPE, check=True).stdout
        (folder / "profile.pprof").write_bytes(data)
        raw = live.run(["go", "tool", "pprof", "-raw", str(folder / "profile.pprof")]).out
        samples = raw.split("\nSamples:\n")[1].split("\nLocations\n")[0]
        self.kinds = set(samples.splitlines()[0].replace("[dflt]", "").split())
        # the form of a value: a name, or a number
        self.labels = {(key, value.lstrip("-").isdigit()) for line in samples.splitlines() if ":[" in line
                       for key, value in re.findall(r"(?:^| )([a-z_]+(?: [a-z_]+)*):\[([^\]]*)\]", line.strip())}


def check_form(theirs, ours):
    live.check("the same way", (ours.request.method, ours.request.path) == (theirs.request.method, theirs.request.path), theirs.request)
    headers = {name for name in theirs.request.headers if name.startswith("dd-evp")}
    live.check("the headers of the intake", headers and headers <= set(ours.request.headers), (headers, ours.request.headers))
    live.check("parts", {"event", "profile.pprof"} == ours.parts <= theirs.parts, (ours.parts, theirs.parts))
    live.check("keys of the event", set(ours.event) <= set(theirs.event), set(ours.event) - set(theirs.event))
    live.check("their values", all(ours.event[key] == theirs.event[key] for key in ("version", "family")), ours.event)
    counts = ours.event["endpoint_counts"]
    live.check("endpoints with numbers, if any request was seen to end", counts is None or
               counts and all(isinstance(n, int) and n > 0 for n in counts.values()), counts)
    live.check("times alike", all(re.sub(r"\d", "0", ours.event[key]) == re.sub(r"\d", "0", theirs.event[key]) for key in ("start", "end")),
               (ours.event, theirs.event))
    live.check("tags", set(ours.tags) - OUR_TAGS <= set(theirs.tags), set(ours.tags) - set(theirs.tags))
    live.check("their values too", all(ours.tags[key] == theirs.tags[key] for key in ("service", "env", "language")), (ours.tags, theirs.tags))
    live.check("kinds of values", ours.kinds <= theirs.kinds, ours.kinds - theirs.kinds)
    live.check("labels, as names or numbers", {label for label in ours.labels if label[0] not in OUR_LABELS} <= theirs.labels, (ours.labels, theirs.labels))
    live.check("and tasks are among them", {("task name", False), ("task id", True)} <= ours.labels, ours.labels)
