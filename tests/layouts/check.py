#!/usr/bin/env python3
# SPDX-License-Identifier: Apache-2.0
"""Compare what coroscope believes of CPython with the interpreters that are installed.

    check.py 3.X DETECT         layouts.inc against the headers, debug information and (3.13) the published
                                offsets of every 3.X found; DETECT against a running one
    check.py unsupported DETECT every other version found must be named, and refused

Interpreters: ~/.pyenv (or $PYENV_ROOT) and $PATH. Exit 77: none found, or none that can be asked.
"""
import glob
import json
import os
import re
import shutil
import subprocess
import sys

ROOT = os.path.dirname(os.path.dirname(os.path.dirname(os.path.abspath(__file__))))
sys.path.insert(0, os.path.join(ROOT, "tools"))
import gen_py_layouts as gen  # noqa: E402  (the path must be set first)

SKIP = 77
LAYOUT_C = os.path.join(ROOT, "userspace", "python", "layout.c")

# Prints the words of _Py_DebugOffsets, from inside.
PUBLISHED = """\
import ctypes, json
runtime = ctypes.c_uint64.in_dll(ctypes.pythonapi, "_PyRuntime")
print(json.dumps(list((ctypes.c_uint64 * 73).from_address(ctypes.addressof(runtime)))))
"""


def find(version):
    """Real paths of every python of this version, without duplicates."""
    pyenv = os.environ.get("PYENV_ROOT", os.path.expanduser("~/.pyenv"))
    found = glob.glob(os.path.join(pyenv, "versions", "*", "bin", f"python{version}"))
    for folder in os.environ.get("PATH", "").split(os.pathsep):
        path = shutil.which(f"python{version}", path=folder)
        if path and "shims" not in path:
            found.append(path)
    return sorted({os.path.realpath(path) for path in found})


def check_published(python):
    """The words that layout.c names are those of the header, and say what the row says."""
    with open(LAYOUT_C, encoding="utf-8") as file:
        text = file.read()
    fields = re.findall(r"X\((\d+), (\w+), (\w+), \d, (\w+)\)", text)
    sizes = re.findall(r"X\((\w+), (\d+), [^)]*\)", text)
    assert len(fields) > 20 and len(sizes) > 8, "layout.c is not understood"
    names = [(int(word), f"{struct}.{member}") for word, struct, member, _ in fields]
    names += [(int(word), f"{struct}.size") for struct, word in sizes if word.isdigit()]
    questions = {name: f"offsetof(_Py_DebugOffsets, {name})" for _, name in names}
    facts = gen.interpreter_facts(python)
    answers = gen.ask_headers(facts, questions, [])
    wrong = [f"{name} is at byte {answers[name]} of _Py_DebugOffsets, not word {word}"
             for word, name in names if answers[name] != 8 * word]
    words = json.loads(gen.run([python, "-c", PUBLISHED]))
    row = gen.committed_rows()[facts["version"][1]]
    wrong += [f"{field}: published {words[int(word)]}, layouts.inc {row['off.' + field]}"
              for word, _, _, field in fields if str(words[int(word)]) != row["off." + field]]
    if wrong:
        raise gen.Failure("\n".join(wrong))
    print(f"{python}: all {len(fields)} published offsets agree with layouts.inc")


def detect(tool, python):
    out = gen.run([tool, python]).strip()
    print(f"{python}: {out}")
    return out.split("|")


def check_supported(version, tool, python):
    """Returns whether the interpreter's own words could be compared."""
    state, found, same, _, reason = detect(tool, python)
    if state != "READY" or not found.startswith(version + ".") or same != "yes":
        raise gen.Failure(f"{python}: detected as {state} {found}, offsets as in the row: {same}, "
                          f"reason: {reason}")
    try:
        gen.check_row(python)
    except gen.NotAskable as lack:
        print(f"{python}: its layout cannot be compared: {lack}")
        return False
    if version == "3.13":
        check_published(python)
    return True


def check_unsupported(tool, python, version):
    state, found, _, _, reason = detect(tool, python)
    expected = f"Python {version} is not supported yet"
    if state != "UNSUPPORTED" or reason != expected or not found.startswith(version + "."):
        raise gen.Failure(f"{python}: detected as {state} {found}: {reason!r}, expected {expected!r}")


def main():
    _, wanted, tool = sys.argv
    asked = 0
    try:
        if wanted == "unsupported":
            versions = ["2.7"] + [f"3.{minor}" for minor in range(6, 20)
                                  if not gen.FIRST_MINOR <= minor <= gen.LAST_MINOR]
            for version in versions:
                for python in find(version):
                    check_unsupported(tool, python, version)
                    asked += 1
        else:
            asked = sum(check_supported(wanted, tool, python) for python in find(wanted))
    except gen.Failure as failure:
        print(f"FAILED: {failure}")
        return 1
    if not asked:
        print("SKIP: no Python of a version that is not supported was found" if wanted == "unsupported" else
              f"SKIP: no Python {wanted} with headers and debug information was found; "
              f"`pyenv install {wanted}` builds one")
        return SKIP
    return 0


if __name__ == "__main__":
    sys.exit(main())
