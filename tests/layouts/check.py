#!/usr/bin/env python3
# SPDX-License-Identifier: Apache-2.0
"""Compare what coroscope believes of CPython with the interpreters that are installed.

    check.py NAME DETECT        the interpreter that `tools/pythons --path NAME` prints: its row of layouts.inc against
                                its headers, debug information and published offsets; DETECT against a running one
    check.py free-threaded:NAME the unproved row of NAME's version without the GIL, against the headers of NAME
    check.py unsupported DETECT every version found that is not supported must be named, and refused

Exit 77: it is not there, or cannot be asked.
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
print(json.dumps(list((ctypes.c_uint64 * 111).from_address(ctypes.addressof(runtime)))))
"""
FIRST_PUBLISHING_MINOR = 13


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
    facts = gen.interpreter_facts(python)
    _, minor, _ = facts["version"]
    with open(LAYOUT_C, encoding="utf-8") as file:
        text = re.sub(r"\\\n\s*", "", file.read())
    column = minor - FIRST_PUBLISHING_MINOR
    fields = re.findall(r"X\((\w+), (\w+), \d, (\w+), (\d+), (\d+), (\d+)\)", text)
    sizes = re.findall(r"X\((\w+), [^,()]+, (\d+), (\d+), (\d+)\)", text)
    assert len(fields) > 30 and len(sizes) > 10, "layout.c is not understood"
    fields = [(int(words[column]), f"{struct}.{member}", field) for struct, member, field, *words in fields]
    fields = [field for field in fields if field[0]]
    names = [(word, name) for word, name, _ in fields]
    names += [(int(words[column]), f"{struct}.size") for struct, *words in sizes if int(words[column])]
    questions = {name: f"offsetof(_Py_DebugOffsets, {name})" for _, name in names}
    answers = gen.ask_headers(facts, questions, [])
    wrong = [f"{name} is at byte {answers[name]} of _Py_DebugOffsets, not word {word}"
             for word, name in names if answers[name] != 8 * word]
    words = json.loads(gen.run([python, "-c", PUBLISHED]))
    row = gen.committed_rows()[minor, facts["flavour"]]
    wrong += [f"{field}: published {words[word]}, layouts.inc {row['off.' + field]}"
              for word, _, field in fields if str(words[word]) != row["off." + field]
              # published without a GIL, too: there the row does without
              and not (facts["flavour"] == "free-threaded" and field == "interp_gil")]
    if wrong:
        raise gen.Failure("\n".join(wrong))
    print(f"{python}: all {len(fields)} published offsets agree with layouts.inc")


def detect(tool, python):
    out = gen.run([tool, python]).strip()
    print(f"{python}: {out}")
    return out.split("|")


def check_supported(tool, python):
    """Returns whether the interpreter's own words could be compared."""
    version = gen.run([python, "-c", "import sys; print('%d.%d' % sys.version_info[:2])"]).strip()
    state, found, same, _, reason = detect(tool, python)
    if state != "READY" or not found.startswith(version + ".") or same != "yes":
        raise gen.Failure(f"{python}: detected as {state} {found}, offsets as in the row: {same}, "
                          f"reason: {reason}")
    try:
        gen.check_row(python)
        if int(version.split(".")[1]) >= FIRST_PUBLISHING_MINOR:
            check_published(python)
    except gen.NotAskable as lack:
        print(f"{python}: its layout cannot be compared: {lack}")
        return False
    return True


def check_unproved(_, python):
    """Returns whether there were headers to ask."""
    try:
        gen.check_row(gen.FREE_THREADED + python)
    except gen.NotAskable as lack:
        print(f"{python}: the row cannot be compared: {lack}")
        return False
    return True


def check_unsupported(tool, python, version):
    state, found, _, _, reason = detect(tool, python)
    expected = f"Python {version} is not supported"
    if state != "UNSUPPORTED" or reason != expected or not found.startswith(version + "."):
        raise gen.Failure(f"{python}: detected as {state} {found}: {reason!r}, expected {expected!r}")


def main():
    _, wanted, tool = sys.argv
    asked, lack = 0, "no Python of a version that is not supported was found"
    try:
        if wanted == "unsupported":
            versions = ["2.7"] + [f"3.{minor}" for minor in range(6, 20)
                                  if not gen.FIRST_MINOR <= minor <= gen.LAST_MINOR]
            for version in versions:
                for python in find(version):
                    check_unsupported(tool, python, version)
                    asked += 1
        else:
            name = wanted.removeprefix(gen.FREE_THREADED)
            path = subprocess.run([os.path.join(ROOT, "tools", "pythons"), "--path", name],
                                  capture_output=True, text=True, check=False)
            lack = path.stderr.strip() or "it lacks headers or debug information (see above)"
            check = check_supported if name == wanted else check_unproved
            asked = not path.returncode and check(tool, path.stdout.strip())
    except gen.Failure as failure:
        print(f"FAILED: {failure}")
        return 1
    if not asked:
        print(f"SKIP: {lack}")
        return SKIP
    return 0


if __name__ == "__main__":
    sys.exit(main())
