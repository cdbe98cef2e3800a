#!/usr/bin/env python3
# SPDX-License-Identifier: Apache-2.0
"""Generate userspace/python/layouts.inc: what CPython's structs look like, a row per version.

    tools/gen_py_layouts.py PYTHON...          print the rows of these interpreters
    tools/gen_py_layouts.py --write PYTHON...  put them into layouts.inc (the file is replaced)
    tools/gen_py_layouts.py --check PYTHON...  compare them with layouts.inc; exit 1 on a difference,
                                               2 if an interpreter lacks what is needed to ask it

The questions come from CS_PY_OFFSETS and CS_PY_TRAITS in include/coroscope/py_offsets.h. Offsets are
answered by a small C program compiled against each interpreter's own internal headers. TaskObj is in no
header: gdb answers from the debug information of the interpreter's _asyncio module or libpython. Each
PYTHON therefore needs its headers (include/python3.X/internal) and DWARF; a pyenv build has both.
"""
import argparse
import glob
import json
import os
import re
import subprocess
import sys
import tempfile

ROOT = os.path.dirname(os.path.dirname(os.path.abspath(__file__)))
HEADER = os.path.join(ROOT, "include", "coroscope", "py_offsets.h")
TABLE = os.path.join(ROOT, "userspace", "python", "layouts.inc")

FIRST_MINOR, LAST_MINOR = 11, 13

# Where a version spells a question of the header differently: "Type.member", or None where the version
# has no such thing (the row says 0). From the minor on that is named, until the next one.
SPELLINGS = {
    "PyInterpreterState.imports.modules": {11: "PyInterpreterState.modules", 12: "same"},
    "PyThreadState.current_frame": {11: "PyThreadState.cframe", 13: "same"},
    "_PyCFrame.current_frame": {11: "same", 13: None},
    "_PyInterpreterFrame.f_executable": {11: "_PyInterpreterFrame.f_code", 13: "same"},
    "_PyInterpreterFrame.instr_ptr": {11: "_PyInterpreterFrame.prev_instr", 13: "same"},
    "PyLongObject.long_tag": {11: "PyLongObject.ob_base.ob_size",
                              12: "PyLongObject.long_value.lv_tag"},
    "PyLongObject.ob_digit": {11: "same", 12: "PyLongObject.long_value.ob_digit"},
}

# Traits: minor -> (value, C expression that must equal it or None). What has no expression is behaviour
# of the interpreter, with the place where it is written.
TRAITS = {
    # Include/cpython/pystate.h: ts->cframe->current_frame until 3.12, ts->current_frame from 3.13.
    "frame_via_cframe": {11: ("1", None), 13: ("0", None)},
    # enum _frameowner in Include/internal/pycore_frame.h
    "owner_generator": {11: ("1", "FRAME_OWNED_BY_GENERATOR")},
    # ... which has no C-stack entry frames in 3.11
    "owner_skip": {11: ("255", None), 12: ("3", "FRAME_OWNED_BY_CSTACK")},
    # enum _framestate in Include/internal/pycore_frame.h
    "gen_created": {11: ("-2", "FRAME_CREATED"), 13: ("-3", "FRAME_CREATED")},
    "gen_yield_from": {11: ("127", None), 13: ("-1", "FRAME_SUSPENDED_YIELD_FROM")},
    # Lib/opcode.py: asked from the interpreter itself
    "resume_opcode": {11: ("151", "OPMAP_RESUME"), 13: ("149", "OPMAP_RESUME")},
    # Objects/longobject.c of 3.11: Py_SIZE; Include/internal/pycore_long.h from 3.12
    "long_tag_shift": {11: ("0", None), 12: ("3", "NON_SIZE_BITS")},
    # Include/internal/pycore_object.h: _PyObject_ValuesPointer (3.11), _PyObject_DictOrValuesPointer
    # (3.12), _PyObject_InlineValues (3.13)
    "attrs_at": {11: ("CS_ATTRS_VALUES_BEFORE", None), 12: ("CS_ATTRS_TAGGED_BEFORE", None),
                 13: ("CS_ATTRS_INLINE", None)},
    # Objects/locations.md (3.11, 3.12), InternalDocs/locations.md (3.13)
    "linetable_kind": {11: ("CS_LINETABLE_LOCATIONS", None)},
}

PROGRAM = """\
#define Py_BUILD_CORE 1
#include <Python.h>
#include <stddef.h>
#include <stdio.h>
#include "internal/pycore_runtime.h"
#include "internal/pycore_interp.h"
#include "internal/pycore_frame.h"
#include "internal/pycore_dict.h"
#include "internal/pycore_long.h"
#include "internal/pycore_moduleobject.h"
%(asserts)s
int main(void)
{
%(prints)s
	return 0;
}
"""

FACTS = """\
import json, opcode, sys, sysconfig
print(json.dumps({
    "version": list(sys.version_info[:3]),
    "include": [sysconfig.get_path("include"), sysconfig.get_path("platinclude")],
    "dynload": sysconfig.get_config_var("DESTSHARED") or "",
    "libdir": sysconfig.get_config_var("LIBDIR") or "",
    "library": sysconfig.get_config_var("INSTSONAME") or "",
    "executable": sys.executable,
    "gil": not sysconfig.get_config_var("Py_GIL_DISABLED"),
    "resume": opcode.opmap["RESUME"],
}))
"""


class Failure(Exception):
    """Says what is wrong."""


class NotAskable(Failure):
    """Says what an interpreter lacks."""


def run(command, **kwargs):
    done = subprocess.run(command, capture_output=True, text=True, check=False, **kwargs)
    if done.returncode:
        raise Failure(f"{command[0]} failed:\n{done.stdout}{done.stderr}")
    return done.stdout


def of_version(table, minor):
    """The entry of the newest minor that is not above this one."""
    return table[max(m for m in table if m <= minor)]


def list_in_header(macro):
    with open(HEADER, encoding="utf-8") as file:
        text = file.read()
    body = re.search(r"#define %s\(X\)((?:.*\\\n)+.*\n)" % macro, text)
    if not body:
        raise Failure(f"{macro} is not in {HEADER}")
    return [[word.strip() for word in args.split(",")]
            for args in re.findall(r"\bX\(([^)]*)\)", body.group(1))]


def interpreter_facts(python):
    facts = json.loads(run([python, "-I", "-c", FACTS]))
    major, minor, _ = facts["version"]
    if major != 3 or not FIRST_MINOR <= minor <= LAST_MINOR:
        raise NotAskable(f"{python} is {major}.{minor}: no spellings and traits are known for it")
    if not facts["gil"]:
        raise NotAskable(f"{python} is free-threaded: no traits are known for it")
    if not os.path.isdir(os.path.join(facts["include"][0], "internal")):
        raise NotAskable(f"{python} has no headers in {facts['include'][0]}/internal")
    return facts


def ask_headers(facts, questions, asserts):
    """questions: name -> C expression; asserts: (text, C condition). Returns name -> number."""
    program = PROGRAM % {
        "prints": "\n".join(f'\tprintf("{name} %zu\\n", (size_t)({expr}));'
                            for name, expr in questions.items()),
        "asserts": "\n".join(f'_Static_assert({cond}, "{text}");' for text, cond in asserts),
    }
    with tempfile.TemporaryDirectory() as folder:
        source, binary = os.path.join(folder, "ask.c"), os.path.join(folder, "ask")
        with open(source, "w", encoding="utf-8") as file:
            file.write(program)
        includes = [f"-I{path}" for path in facts["include"]]
        includes += [f"-I{path}/internal" for path in facts["include"]]
        run(["cc", "-w", "-o", binary, source, f"-DOPMAP_RESUME={facts['resume']}"] + includes)
        return {name: int(number) for name, number in
                (line.split() for line in run([binary]).splitlines())}


def ask_debug_info(facts, questions):
    """The same from DWARF through gdb, for types that no header declares."""
    files = glob.glob(os.path.join(facts["dynload"], "_asyncio.*.so"))
    files += [os.path.join(facts["libdir"], facts["library"]), facts["executable"]]
    command = ["gdb", "-nx", "-batch"]
    for expr in questions.values():
        command += ["-ex", f"print {expr}"]
    for path in filter(os.path.isfile, files):
        out = subprocess.run(command + [path], capture_output=True, text=True, check=False).stdout
        numbers = re.findall(r"^\$\d+ = (\d+)$", out, re.MULTILINE)
        if len(numbers) == len(questions):
            return dict(zip(questions, map(int, numbers)))
    raise NotAskable("no debug information of TaskObj in any of: " + ", ".join(files))


def offset_questions(minor):
    """Two dicts, name -> C expression: for the headers, and for gdb."""
    headers, debug_info = {}, {}
    for name, struct, member in list_in_header("CS_PY_OFFSETS"):
        question = f"{struct}.{member}"
        spelling = of_version(SPELLINGS.get(question, {0: "same"}), minor)
        struct, member = (question if spelling == "same" else spelling or ".").split(".", 1)
        if not struct:
            headers[name] = "0"
        elif struct == "TaskObj":
            debug_info[name] = ("sizeof(TaskObj)" if member == "sizeof" else
                                f"(long)&(({struct} *)0)->{member}")
        elif member == "sizeof":
            headers[name] = f"sizeof({struct})"
        else:
            headers[name] = f"offsetof({struct}, {member})"
    return headers, debug_info


def make_row(python):
    """Returns (minor, version, {field: text}) with the fields in the header's order."""
    facts = interpreter_facts(python)
    minor = facts["version"][1]
    names = [question[0] for question in list_in_header("CS_PY_TRAITS")]
    traits = {name: of_version(TRAITS[name], minor) for name in names}
    asserts = [(f"trait {name} is {value}", f"({expr}) == {value}")
               for name, (value, expr) in traits.items() if expr]
    headers, debug_info = offset_questions(minor)
    answers = ask_headers(facts, headers, asserts)
    answers.update(ask_debug_info(facts, debug_info))
    row = {f"off.{question[0]}": str(answers[question[0]])
           for question in list_in_header("CS_PY_OFFSETS")}
    row.update({f"traits.{name}": value for name, (value, _) in traits.items()})
    return minor, ".".join(map(str, facts["version"])), row


def print_row(minor, version, row):
    lines = [f"/* CPython {version}, x86-64, from its own headers and debug information */",
             "{", f"\t.minor = {minor},", '\t.flavour = "gil",']
    for part in "off", "traits":
        lines += [f"\t.{part} = {{"]
        lines += [f"\t\t.{field.split('.')[1]} = {value}," for field, value in row.items()
                  if field.startswith(part + ".")]
        lines += ["\t},"]
    return "\n".join(lines + ["},", ""])


def committed_rows():
    """minor -> {field: text} as layouts.inc has it."""
    with open(TABLE, encoding="utf-8") as file:
        text = file.read()
    rows = {}
    for block in re.findall(r"^\{\n(.*?)^\},\n", text, re.MULTILINE | re.DOTALL):
        minor = int(re.search(r"\.minor = (\d+)", block).group(1))
        rows[minor] = {f"{part}.{name}": value
                       for part, body in re.findall(r"\.(off|traits) = \{(.*?)\}", block, re.DOTALL)
                       for name, value in re.findall(r"\.(\w+) = (-?\w+),", body)}
    return rows


def check_row(python):
    minor, version, row = make_row(python)
    committed = committed_rows().get(minor)
    if committed is None:
        raise Failure(f"layouts.inc has no row for 3.{minor}")
    wrong = [f"{field}: layouts.inc says {committed.get(field, 'nothing')}, {version} says {value}"
             for field, value in row.items() if committed.get(field) != value]
    wrong += [f"{field}: not asked by py_offsets.h" for field in committed if field not in row]
    if wrong:
        raise Failure("\n".join(wrong))
    print(f"{python}: {version}: all {len(row)} fields agree with layouts.inc")


PREAMBLE = """\
/* SPDX-License-Identifier: Apache-2.0 */
/*
 * The layouts of CPython's structs, one row a minor version: offsets did not change within one (Debian's
 * 3.11.2 shares the row of 3.11). Generated by tools/gen_py_layouts.py; do not edit. `ctest -L layouts`
 * compares every row with the interpreters that are installed.
 */
/* clang-format off */
"""


def main():
    parser = argparse.ArgumentParser(description=__doc__.split("\n", maxsplit=1)[0])
    mode = parser.add_mutually_exclusive_group()
    mode.add_argument("--write", action="store_true", help="replace layouts.inc")
    mode.add_argument("--check", action="store_true", help="compare with layouts.inc")
    parser.add_argument("python", nargs="+", help="an interpreter with headers and debug information")
    args = parser.parse_args()
    try:
        if args.check:
            for python in args.python:
                check_row(python)
            return 0
        rows = sorted(make_row(python) for python in args.python)
        text = PREAMBLE + "".join(print_row(*row) for row in rows)
        if args.write:
            with open(TABLE, "w", encoding="utf-8") as file:
                file.write(text)
        else:
            print(text, end="")
    except Failure as failure:
        print(f"gen_py_layouts: {failure}", file=sys.stderr)
        return 2 if isinstance(failure, NotAskable) else 1
    return 0


if __name__ == "__main__":
    sys.exit(main())
