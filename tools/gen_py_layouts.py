#!/usr/bin/env python3
# SPDX-License-Identifier: Apache-2.0
"""Generate userspace/python/layouts.inc: what CPython's structs look like, a row per version.

    tools/gen_py_layouts.py PYTHON...          print the rows of these interpreters
    tools/gen_py_layouts.py --write            replace layouts.inc, by the interpreters of tools/pythons
    tools/gen_py_layouts.py --check PYTHON...  compare them with layouts.inc; exit 1 on a difference,
                                               2 if an interpreter lacks what is needed to ask it

The questions come from CS_PY_OFFSETS and CS_PY_TRAITS in include/coroscope/py_offsets.h. Offsets are
answered by a small C program compiled against each interpreter's own internal headers. What is in no header
(TaskObj; some more up to 3.10) gdb answers from the debug information of the interpreter's _asyncio module or
libpython. Each PYTHON therefore needs its headers (include/python3.X/internal) and DWARF: a pyenv build has
both, Debian has them in libpython3.X-dev and python3.X-dbg.

PYTHON may be written free-threaded:PYTHON (from 3.14 on): the row of the build without the GIL that nobody has at hand, as
far as the headers of a build with it tell. Such a row is marked as unproved.
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

FIRST_MINOR, LAST_MINOR = 8, 15
FLAVOURS = ("gil", "debug", "free-threaded")
FREE_THREADED = "free-threaded:"

# What the rows of layouts.inc are made from: names of tools/pythons.
ROWS_OF = ("3.8", "3.9", "debug-3.9", "3.10", "3.11", "debug-3.11", "3.12", "3.13", "debug-3.13", "3.13t", "debian-3.14",
           "debug-3.14", FREE_THREADED + "debian-3.14", "debian-3.15", "debug-3.15", FREE_THREADED + "debian-3.15")

# Where a version spells a question of the header differently: "Type.member", or None where the version
# has no such thing (the row says 0). From the minor on that is named, until the next one. What no installed
# header declares is marked "dwarf:" and asked from debug information, with its C tag.
FRAME_OBJECT, KEYS = "PyFrameObject", "dwarf:struct _dictkeysobject"
SPELLINGS = {
    "_PyRuntimeState.ceval.gil": {8: "same", 12: None},
    "PyInterpreterState.threads.head": {8: "PyInterpreterState.tstate_head", 11: "same"},
    "PyInterpreterState.imports.modules": {8: "PyInterpreterState.modules", 12: "same"},
    "PyInterpreterState.ceval.gil": {8: None, 12: "same"},
    "PyInterpreterState.asyncio_tasks_head": {8: None, 14: "same"},
    "_gil_runtime_state.last_holder": {8: "struct _gil_runtime_state.last_holder"},
    "_gil_runtime_state.locked": {8: "struct _gil_runtime_state.locked"},
    "PyThreadState.native_thread_id": {8: None, 11: "same"},
    "PyThreadState.current_frame": {8: "PyThreadState.frame", 11: "PyThreadState.cframe", 13: "same"},
    "_PyThreadStateImpl.asyncio_running_loop": {8: None, 13: "same"},
    "_PyThreadStateImpl.asyncio_running_task": {8: None, 14: "same"},
    "_PyThreadStateImpl.asyncio_tasks_head": {8: None, 14: "same"},
    "_PyCFrame.current_frame": {8: None, 11: "same", 13: None},
    "_PyInterpreterFrame.f_executable": {8: f"{FRAME_OBJECT}.f_code", 11: "_PyInterpreterFrame.f_code", 13: "same"},
    "_PyInterpreterFrame.f_globals": {8: f"{FRAME_OBJECT}.f_globals", 11: "same"},
    "_PyInterpreterFrame.previous": {8: f"{FRAME_OBJECT}.f_back", 11: "same"},
    "_PyInterpreterFrame.instr_ptr": {8: f"{FRAME_OBJECT}.f_lasti", 11: "_PyInterpreterFrame.prev_instr", 13: "same"},
    "_PyInterpreterFrame.owner": {8: None, 11: "same"},
    "_PyInterpreterFrame.stacktop": {8: None, 10: f"{FRAME_OBJECT}.f_stackdepth", 11: "same", 14: None},
    "_PyInterpreterFrame.stackpointer": {8: f"{FRAME_OBJECT}.f_stacktop", 10: None, 14: "same"},
    "_PyInterpreterFrame.localsplus": {8: f"{FRAME_OBJECT}.f_localsplus", 11: "same"},
    "_PyInterpreterFrame.tlbc_index": {8: None},
    "PyFrameObject.f_gen": {8: "same", 11: None},
    "PyFrameObject.f_state": {8: None, 10: "same", 11: None},
    "PyFrameObject.f_valuestack": {8: "same", 11: None},
    "PyCodeObject.co_qualname": {8: None, 11: "same"},
    "PyCodeObject.co_linetable": {8: "PyCodeObject.co_lnotab", 10: "same"},
    "PyCodeObject.co_varnames": {8: "same", 11: "PyCodeObject.co_localsplusnames"},
    "PyCodeObject.co_code": {8: "same", 11: None},
    "PyCodeObject.co_code_adaptive": {8: None, 11: "same"},
    "PyCodeObject.co_tlbc": {8: None},
    "PyGenObject.gi_frame": {8: "same", 11: None},
    "PyGenObject.gi_running": {8: "same", 10: None},
    "PyGenObject.gi_iframe": {8: None, 11: "same"},
    "PyGenObject.gi_frame_state": {8: None, 11: "same"},
    "TaskObj.task_node": {8: None, 14: "dwarf:TaskObj.task_node"},
    "PyRunningLoopHolder.rl_loop": {8: "dwarf:PyRunningLoopHolder.rl_loop", 12: None},
    "TaskWakeupMethWrapper.ww_task": {8: "dwarf:TaskWakeupMethWrapper.ww_task", 10: None},
    "PyLongObject.long_tag": {8: "PyLongObject.ob_base.ob_size", 12: "PyLongObject.long_value.lv_tag"},
    "PyLongObject.ob_digit": {8: "same", 12: "PyLongObject.long_value.ob_digit"},
    "PyDictKeysObject.dk_size": {8: f"{KEYS}.dk_size", 11: None},
    "PyDictKeysObject.dk_log2_size": {8: None, 11: "same"},
    "PyDictKeysObject.dk_log2_index_bytes": {8: None, 11: "same"},
    "PyDictKeysObject.dk_kind": {8: None, 11: "same"},
    "PyDictKeysObject.dk_nentries": {8: f"{KEYS}.dk_nentries", 11: "same"},
    "PyDictKeysObject.dk_indices": {8: f"{KEYS}.dk_indices", 11: "same"},
    "PyModuleObject.md_dict": {8: "dwarf:PyModuleObject.md_dict", 11: "same"},
}
# ... and what only builds without the GIL have.
FREE_THREADED_SPELLINGS = {
    # Python/context.c: a variable that threads share caches nothing
    "PyContextVar.var_cached": {8: None},
    "PyContextVar.var_cached_tsid": {8: None},
    "PyContextVar.var_cached_tsver": {8: None},
    "_PyInterpreterFrame.tlbc_index": {8: None, 14: "same"},
    "PyCodeObject.co_tlbc": {8: None, 14: "same"},
    # Whether such a build has its lock switched on is told at run time: it is not asked for.
    "PyInterpreterState.ceval.gil": {8: None},
    "_gil_runtime_state.last_holder": {8: None},
    "_gil_runtime_state.locked": {8: None},
}

# Traits: minor -> (value, C expression that must equal it or None). What has no expression is behaviour
# of the interpreter, with the place where it is written.
TRAITS = {
    # Python/pystate.c: new_threadstate() until 3.11, bind_tstate() from 3.12 on, whose callers bind late from 3.13 on
    "states_keep_creator": {8: ("1", None), 13: ("0", None)},
    # Include/cpython/pystate.h: ts->frame until 3.10, ts->cframe->current_frame until 3.12, then ts->current_frame
    "frame_via_cframe": {8: ("0", None), 11: ("1", None), 13: ("0", None)},
    # Include/cpython/frameobject.h until 3.10, Include/internal/pycore_frame.h from 3.11
    "frame_is_object": {8: ("1", None), 11: ("0", None)},
    # Objects/frameobject.c: f_lasti in bytes until 3.9, in code units in 3.10
    "lasti_kind": {8: ("CS_LASTI_BYTES", None), 10: ("CS_LASTI_UNITS", None), 11: ("CS_LASTI_POINTER", None)},
    # Include/internal/pycore_stackref.h: Py_TAG_REFCNT and Py_INT_TAG
    "executable_mask": {8: ("0", None), 14: ("3", "Py_INT_TAG")},
    # enum _frameowner in Include/internal/pycore_frame.h, pycore_interpframe_structs.h from 3.14
    "owner_generator": {8: ("1", None), 11: ("1", "FRAME_OWNED_BY_GENERATOR")},
    # ... which has no C-stack entry frames before 3.12
    "owner_skip": {8: ("255", None), 12: ("3", "FRAME_OWNED_BY_CSTACK"), 14: ("3", "FRAME_OWNED_BY_INTERPRETER")},
    # enum _framestate: Include/cpython/frameobject.h (3.10), Include/internal/pycore_frame.h. Before 3.10 there is none, and
    # readers tell these states from gi_frame, gi_running and f_lasti.
    "gen_created": {8: ("-2", None), 10: ("-2", "FRAME_CREATED"), 13: ("-3", "FRAME_CREATED"), 15: ("0", "FRAME_CREATED")},
    "gen_yield_from": {8: ("127", None), 13: ("-1", "FRAME_SUSPENDED_YIELD_FROM"), 15: ("2", "FRAME_SUSPENDED_YIELD_FROM")},
    "gen_executing": {8: ("0", None), 10: ("0", "FRAME_EXECUTING"), 15: ("4", "FRAME_EXECUTING")},
    "gen_ended": {8: ("1", None), 10: ("1", "FRAME_EXECUTING + 1"), 15: ("5", "FRAME_CLEARED")},
    # Python/bytecodes.c: SEND has the receiver on top; from 3.15 on a word of the virtual iterators above it
    "awaited_slot": {8: ("1", None), 15: ("2", None)},
    # Lib/opcode.py: asked from the interpreter itself
    "resume_opcode": {8: ("0", None), 11: ("151", "OPMAP_RESUME"), 13: ("149", "OPMAP_RESUME"), 14: ("128", "OPMAP_RESUME")},
    "yield_from_opcode": {8: ("72", "OPMAP_YIELD_FROM"), 11: ("0", None)},
    # Objects/longobject.c until 3.11: Py_SIZE; Include/internal/pycore_long.h from 3.12
    "long_tag_shift": {8: ("0", None), 12: ("3", "NON_SIZE_BITS")},
    # Include/cpython/unicodeobject.h: a bit field, whose place the compiler is asked for
    "unicode_kind_shift": {8: ("ASK", "kind_shift()")},
    # Objects/dict-common.h until 3.10, Include/internal/pycore_dict.h
    "keys_by_size": {8: ("1", None), 11: ("0", None)},
    # Include/internal/pycore_object.h: MANAGED_DICT_OFFSET (3.13+); _PyObject_DictPointer (3.11, 3.12)
    "managed_dict_before": {8: ("0", None), 11: ("24", None), 13: ("ASK", "-(MANAGED_DICT_OFFSET)")},
    # Objects/object.c until 3.10: _PyObject_GetDictPtr; Include/internal/pycore_object.h: _PyObject_ValuesPointer (3.11),
    # _PyObject_DictOrValuesPointer (3.12), _PyObject_InlineValues (3.13)
    "attrs_at": {8: ("CS_ATTRS_DICT", None), 11: ("CS_ATTRS_VALUES_BEFORE", None),
                 12: ("CS_ATTRS_TAGGED_BEFORE", None), 13: ("CS_ATTRS_INLINE", None)},
    # Include/cpython/code.h
    "code_has_version": {8: ("0", None), 12: ("1", None)},
    # Objects/lnotab_notes.txt (3.8 to 3.10), Objects/locations.md (3.11, 3.12), InternalDocs/code_objects.md
    "linetable_kind": {8: ("CS_LINETABLE_LNOTAB", None), 10: ("CS_LINETABLE_LINES", None),
                       11: ("CS_LINETABLE_LOCATIONS", None)},
}

PROGRAM = """\
#define Py_BUILD_CORE 1
#include <Python.h>
#include <frameobject.h>
#include <stddef.h>
#include <stdio.h>
#include <string.h>
%(includes)s
%(asserts)s
static int kind_shift(void)
{
	PyASCIIObject object;
	unsigned int state;

	memset(&object, 0, sizeof(object));
	object.state.kind = 7;
	memcpy(&state, &object.state, sizeof(state));
	return __builtin_ctz(state);
}
int main(void)
{
%(prints)s
	(void)kind_shift;
	return 0;
}
"""
INTERNAL_HEADERS = ("object", "runtime", "pystate", "interp", "interp_structs", "tstate", "frame", "interpframe",
                    "interpframe_structs", "stackref", "genobject", "dict", "long", "moduleobject", "gil", "context", "hamt")

FACTS = """\
import json, opcode, os, sys, sysconfig, _asyncio
home = os.path.join(sys.base_exec_prefix, "bin", os.path.basename(sys.executable))
library = os.path.join(sysconfig.get_config_var("LIBDIR") or "", sysconfig.get_config_var("INSTSONAME") or "")
print(json.dumps({
    "version": list(sys.version_info[:3]),
    "include": [sysconfig.get_path("include"), sysconfig.get_path("platinclude")],
    "files": [getattr(_asyncio, "__file__", None) or home, library, home, sys.executable],
    "debug_files": os.path.join(sys.base_prefix, "lib", "debug"),
    "flavour": "free-threaded" if sysconfig.get_config_var("Py_GIL_DISABLED") else
               "debug" if hasattr(sys, "gettotalrefcount") else "gil",
    "opcodes": {name: opcode.opmap.get(name, 0) for name in ("RESUME", "YIELD_FROM")},
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
    python, told = python.removeprefix(FREE_THREADED), python.startswith(FREE_THREADED)
    facts = json.loads(run([python, "-I", "-c", FACTS]))
    facts["unproved"] = told
    if told:
        facts["flavour"] = "free-threaded"
    major, minor, _ = facts["version"]
    if major != 3 or not FIRST_MINOR <= minor <= LAST_MINOR:
        raise NotAskable(f"{python} is {major}.{minor}: no spellings and traits are known for it")
    if not os.path.isdir(os.path.join(facts["include"][0], "internal")):
        raise NotAskable(f"{python} has no headers in {facts['include'][0]}/internal")
    return facts


def ask_headers(facts, questions, asserts):
    """questions: name -> C expression; asserts: (text, C condition). Returns name -> number."""
    folders = [f"{path}/internal" for path in facts["include"]]
    headers = [f"pycore_{name}.h" for name in INTERNAL_HEADERS
               if any(os.path.exists(f"{folder}/pycore_{name}.h") for folder in folders)]
    program = PROGRAM % {
        "includes": "\n".join(f'#include "internal/{header}"' for header in headers),
        "prints": "\n".join(f'\tprintf("{name} %zu\\n", (size_t)({expr}));'
                            for name, expr in questions.items()),
        "asserts": "\n".join(f'_Static_assert({cond}, "{text}");' for text, cond in asserts),
    }
    with tempfile.TemporaryDirectory() as folder:
        source, binary = os.path.join(folder, "ask.c"), os.path.join(folder, "ask")
        with open(source, "w", encoding="utf-8") as file:
            file.write(program)
        includes = [f"-I{path}" for path in facts["include"] + folders]
        # Debian splits pyconfig.h off, by architecture
        includes.append(f"-idirafter{os.path.dirname(facts['include'][0])}")
        defines = [f"-DOPMAP_{name}={number}" for name, number in facts["opcodes"].items()]
        if facts["unproved"]:
            defines.append("-DPy_GIL_DISABLED=1")
        run(["cc", "-w", "-o", binary, source] + defines + includes)
        return {name: int(number) for name, number in
                (line.split() for line in run([binary]).splitlines())}


def ask_debug_info(facts, questions):
    """The same from DWARF through gdb, for types that no header declares. Any file that knows a type may answer."""
    answers = {}
    for path in filter(os.path.isfile, facts["files"]):
        # what one file cannot answer leaves a line on stderr, and gdb goes on
        asks = [option for name, expr in questions.items() if name not in answers
                for option in ("-ex", f"printf \"{name} %lu\\n\", (long)({expr})")]
        if asks:
            out = subprocess.run(["gdb", "-nx", "-batch", "-ex", f"set debug-file-directory {facts['debug_files']}",
                                  "-ex", f"file {path}"] + asks, capture_output=True, text=True, check=False).stdout
            answers.update((name, int(number)) for name, number in re.findall(r"^(\w+) (\d+)$", out, re.MULTILINE))
    missing = sorted(set(questions) - set(answers))
    if missing:
        raise NotAskable(f"no debug information of {', '.join(missing)} in any of: " + ", ".join(facts["files"]))
    return answers


def without_gil(answers):
    """What debug information of a build with the GIL says of TaskObj, for one without: every object begins with more, and
    Modules/_asynciomodule.c puts one word, task_tid, behind everything else. answers has sizeof(PyObject) of both."""
    shift = answers.pop("object_size_without_gil") - answers.pop("object_size_with_gil")
    tail = {"task_size": 8}
    return {name: number + shift + tail.get(name, 0) for name, number in answers.items()}


def offset_questions(minor, flavour):
    """Two dicts, name -> C expression: for the headers, and for gdb."""
    headers, debug_info = {}, {}
    spellings = dict(SPELLINGS)
    if flavour == "free-threaded":
        spellings.update(FREE_THREADED_SPELLINGS)
    for name, struct, member in list_in_header("CS_PY_OFFSETS"):
        question = f"{struct}.{member}"
        spelling = of_version(spellings.get(question, {0: "same"}), minor)
        if spelling == "same":
            spelling = f"dwarf:{question}" if struct == "TaskObj" else question
        if not spelling:
            headers[name] = "0"
            continue
        dwarf, spelling = spelling.startswith("dwarf:"), spelling.replace("dwarf:", "")
        struct, member = spelling.split(".", 1)
        if dwarf:
            debug_info[name] = f"sizeof({struct})" if member == "sizeof" else f"(long)&(({struct} *)0)->{member}"
        else:
            headers[name] = f"sizeof({struct})" if member == "sizeof" else f"offsetof({struct}, {member})"
    return headers, debug_info


def make_row(python):
    """Returns (minor, flavour, version, {field: text}) with the fields in the header's order."""
    facts = interpreter_facts(python)
    minor = facts["version"][1]
    names = [question[0] for question in list_in_header("CS_PY_TRAITS")]
    traits = {name: of_version(TRAITS[name], minor) for name in names}
    asserts = [(f"trait {name} is {value}", f"({expr}) == {value}")
               for name, (value, expr) in traits.items() if expr and value != "ASK"]
    headers, debug_info = offset_questions(minor, facts["flavour"])
    asked = {name: expr for name, (value, expr) in traits.items() if value == "ASK"}
    answers = ask_headers(facts, {**headers, **asked}, asserts)
    if facts["unproved"]:
        size = ask_headers(facts, {"object_size_without_gil": "sizeof(PyObject)"}, [])
        debug_info["object_size_with_gil"] = "sizeof(PyObject)"
        answers.update(without_gil({**ask_debug_info(facts, debug_info), **size}))
    else:
        answers.update(ask_debug_info(facts, debug_info))
    row = {f"off.{question[0]}": str(answers[question[0]])
           for question in list_in_header("CS_PY_OFFSETS")}
    row.update({f"traits.{name}": str(answers[name]) if value == "ASK" else value
                for name, (value, _) in traits.items()})
    if facts["unproved"]:
        row["unproved"] = "true"
    return minor, facts["flavour"], ".".join(map(str, facts["version"])), row


def print_row(minor, flavour, version, row):
    what = {"gil": "", "debug": ", debug build", "free-threaded": ", free-threaded build"}[flavour]
    source = "headers of a build with the GIL" if "unproved" in row else "its own headers and debug information"
    lines = [f"/* CPython {version}{what}, x86-64, from {source} */",
             "{", f"\t.minor = {minor},", f'\t.flavour = "{flavour}",']
    lines += ["\t.unproved = true,"] if "unproved" in row else []
    for part in "off", "traits":
        lines += [f"\t.{part} = {{"]
        lines += [f"\t\t.{field.split('.')[1]} = {value}," for field, value in row.items()
                  if field.startswith(part + ".")]
        lines += ["\t},"]
    return "\n".join(lines + ["},", ""])


def committed_rows():
    """(minor, flavour) -> {field: text} as layouts.inc has it."""
    with open(TABLE, encoding="utf-8") as file:
        text = file.read()
    rows = {}
    for block in re.findall(r"^\{\n(.*?)^\},\n", text, re.MULTILINE | re.DOTALL):
        minor = int(re.search(r"\.minor = (\d+)", block).group(1))
        flavour = re.search(r'\.flavour = "([\w-]+)"', block).group(1)
        rows[minor, flavour] = {f"{part}.{name}": value
                       for part, body in re.findall(r"\.(off|traits) = \{(.*?)\}", block, re.DOTALL)
                       for name, value in re.findall(r"\.(\w+) = (-?\w+),", body)}
        if ".unproved = true" in block:
            rows[minor, flavour]["unproved"] = "true"
    return rows


def find(name):
    """The interpreter that tools/pythons calls so, perhaps as one without the GIL."""
    plain = name.removeprefix(FREE_THREADED)
    path = run([os.path.join(ROOT, "tools", "pythons"), "--path", plain]).strip()
    return name.removesuffix(plain) + path


def check_row(python):
    minor, flavour, version, row = make_row(python)
    committed = committed_rows().get((minor, flavour))
    if committed is None:
        raise Failure(f"layouts.inc has no row for 3.{minor} ({flavour})")
    wrong = [f"{field}: layouts.inc says {committed.get(field, 'nothing')}, {version} says {value}"
             for field, value in row.items() if committed.get(field) != value]
    wrong += [f"{field}: not asked by py_offsets.h" for field in committed if field not in row]
    if wrong:
        raise Failure("\n".join(wrong))
    print(f"{python}: {version}: all {len(row)} fields agree with layouts.inc")


PREAMBLE = """\
/* SPDX-License-Identifier: Apache-2.0 */
/*
 * The layouts of CPython's structs, one row a minor version and flavour: offsets did not change within one (Debian's
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
    parser.add_argument("python", nargs="*", help="an interpreter with headers and debug information")
    args = parser.parse_args()
    if args.write == bool(args.python):
        parser.error("interpreters are to be named, but not for --write")
    try:
        if args.check:
            for python in args.python:
                check_row(python)
            return 0
        rows = sorted((make_row(python) for python in args.python or map(find, ROWS_OF)),
                      key=lambda row: (row[0], FLAVOURS.index(row[1])))
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
