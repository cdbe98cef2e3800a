#!/usr/bin/env python3
# SPDX-License-Identifier: Apache-2.0
"""Who may include whom. ALLOWED is the architecture; ARCHITECTURE.md draws it.

Data flows from bpf/ through collect/, decode/, symbolize/ and stitch/ into the model (profile/) and out
through export/ and deliver/. What runs from a stored capture (decode and later) must not know the live side (proc/,
python/, collect/).
"""
import re

import check_common

# Stage -> stages whose headers it may include, besides its own and include/coroscope/. A stage may
# only list stages above it, so the order of this table proves that there is no cycle.
ALLOWED = {
    "core": (),
    "proc": ("core",),
    "unwind": ("core", "proc"),
    "python": ("core", "proc"),
    "whose": ("core", "proc"),
    "collect": ("core", "proc", "unwind", "python", "whose"),
    "decode": ("core",),
    "profile": ("core",),
    "symbolize": ("core", "decode", "profile"),
    "debuginfo": ("core", "proc", "symbolize"),
    "stitch": ("core", "decode", "profile", "symbolize"),
    "link": ("core", "decode", "stitch"),
    "export": ("core", "profile"),
    "deliver": ("core", "profile", "export"),
    "serve": ("core",),
    "cli": ("core", "proc", "unwind", "python", "whose", "collect", "decode", "profile", "symbolize", "debuginfo", "stitch", "link", "export", "deliver"),
    "agent": ("core", "collect", "decode", "profile", "export", "deliver", "serve", "cli"),
}
# The wire format: written by the kernel side and the live side, read by decode/ alone.
# The walkers are plain C over a CS_READ macro; this one file runs them in user space.
WALKER_HOME = "userspace/collect/walk_user.c"
WALKER = "../../bpf/py_stack.bpf.h"
EVENT_H_STAGES = ("python", "collect", "decode")
INCLUDE = re.compile(r'\s*#\s*include\s*([<"])([^>"]+)[>"]')


def table_errors():
    """The table must be in order, or the rule proves nothing."""
    seen = []
    for stage, allowed in ALLOWED.items():
        for other in allowed:
            if other not in seen:
                yield f"tools/check_layers.py:1: ALLOWED: {stage} lists {other}, which is not above it"
        seen.append(stage)


def userspace_error(stage, target):
    """Why a file of this stage (None: userspace/main.c) may not include target, or None."""
    if target.endswith(".skel.h") and stage != "collect":
        return "only collect/ includes the BPF skeleton"
    if target == "coroscope/event.h" and stage not in EVENT_H_STAGES:
        return "wire records are read by decode/ only; include decode/decode.h"
    if target.startswith(("..", "bpf/")) and not target.startswith(("bpf/bpf.h", "bpf/libbpf", "bpf/btf.h")):
        return "reaches outside userspace/"
    other = target.split("/")[0] if "/" in target else stage
    if stage and other in ALLOWED and other != stage and other not in ALLOWED[stage]:
        return f"{stage}/ may not include {other}/"
    return None


def bpf_error(target):
    if target == "vmlinux.h" or target.startswith(("coroscope/", "bpf/")):
        return None
    if "/" not in target and target.endswith(".bpf.h"):
        return None
    return "bpf/ includes only vmlinux.h, coroscope/, bpf/ and its own .bpf.h headers"


def shared_error(target):
    if target == "linux/types.h" or target.startswith("coroscope/"):
        return None
    return "include/coroscope/ is compiled by both sides: only linux/types.h and coroscope/"


def error(path, target):
    if str(path) == WALKER_HOME and target == WALKER:
        return None
    if path.parts[0] == "userspace":
        stage = path.parts[1] if len(path.parts) > 2 else None
        if stage and stage not in ALLOWED:
            return f"{stage}/ is no stage known to tools/check_layers.py"
        return userspace_error(stage, target)
    if path.parts[0] == "bpf":
        return bpf_error(target)
    if path.parts[0] == "include":
        return shared_error(target)
    return None


def check(root):
    yield from table_errors()
    for path in check_common.files(root):
        if path.suffix not in (".c", ".h", ".inc"):
            continue
        for number, line in check_common.lines(root, path):
            match = INCLUDE.match(line)
            why = match and error(path, match.group(2))
            if why:
                yield f"{path}:{number}: {match.group(2)}: {why}"


CASES = [
    ({"userspace/stitch/stitch.c": '#include "decode/decode.h"\n#include <stdio.h>\n',
      "userspace/collect/load.c": '#include "coroscope.skel.h"\n#include <bpf/libbpf.h>\n',
      "userspace/python/row.c": '#include "layouts.inc"\n#include <coroscope/event.h>\n',
      "userspace/main.c": '#include "cli/cli.h"\n',
      "bpf/on_cpu.bpf.c": '#include "vmlinux.h"\n#include "emit.bpf.h"\n'}, []),
    ({"userspace/core/buf.c": '#include "proc/mem.h"\n'}, ["userspace/core/buf.c:1: proc/mem.h: core/"]),
    ({"userspace/export/html.c": '\n#include "collect/collect.h"\n'}, ["userspace/export/html.c:2:"]),
    ({"userspace/decode/decode.c": '#  include "python/interp.h"\n'}, ["userspace/decode/decode.c:1:"]),
    ({"userspace/stitch/a.c": "#include <coroscope/event.h>\n"}, ["userspace/stitch/a.c:1: coroscope/event.h"]),
    ({"userspace/cli/a.c": '#include "coroscope.skel.h"\n'}, ["userspace/cli/a.c:1: coroscope.skel.h"]),
    ({"userspace/proc/a.c": '#include "../../bpf/emit.bpf.h"\n'}, ["userspace/proc/a.c:1:"]),
    ({WALKER_HOME: f'#include "{WALKER}"\n#include "../../bpf/emit.bpf.h"\n'}, [f"{WALKER_HOME}:2:"]),
    ({"userspace/collect/a.c": f'#include "{WALKER}"\n'}, ["userspace/collect/a.c:1:"]),
    ({"userspace/novel/a.c": '#include "core/buf.h"\n'}, ["userspace/novel/a.c:1: core/buf.h: novel/ is no stage"]),
    ({"bpf/wall.bpf.c": '#include "core/buf.h"\n#include <stdio.h>\n'},
     ["bpf/wall.bpf.c:1: core/buf.h", "bpf/wall.bpf.c:2: stdio.h"]),
    ({"include/coroscope/event.h": "#include <stdint.h>\n"}, ["include/coroscope/event.h:1: stdint.h"]),
]

if __name__ == "__main__":
    check_common.main(check, CASES)
