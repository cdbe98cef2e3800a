# SPDX-License-Identifier: Apache-2.0
"""The BPF programs, maps and links that a process holds, by id, so other users of BPF do not matter."""
import contextlib
import json
import os
import re

import live

KINDS = ("prog", "map", "link")


def held(pid):
    """(kind, id) of every BPF object that a process has a descriptor of."""
    found = set()
    for name in os.listdir(f"/proc/{pid}/fdinfo"):
        with contextlib.suppress(OSError), open(f"/proc/{pid}/fdinfo/{name}", encoding="utf-8") as file:
            text = file.read()
            # a link tells its program's id too: it counts as that of the link only
            for kind in ("link", "map", "prog"):
                match = re.search(rf"^{kind}_id:\s*(\d+)$", text, re.M)
                if match:
                    found.add((kind, int(match.group(1))))
                    break
    return found


def existing():
    found = {}
    for kind in KINDS:
        for one in json.loads(live.run(["bpftool", "-j", kind, "show"]).out or "[]"):
            if "id" in one:  # another one's that went while it was listed is an error in its place
                found[kind, one["id"]] = one.get("name", "")
    return found


def check_gone(what, objects):
    try:
        live.until(lambda: not objects & set(existing()), 2)
    except AssertionError:
        left = {key: name for key, name in existing().items() if key in objects}
        raise AssertionError(f"{what}: left behind: {left}") from None
    print(f"ok   {what}: {len(objects)} programs, maps and links are gone")
