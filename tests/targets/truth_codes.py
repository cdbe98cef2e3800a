# SPDX-License-Identifier: Apache-2.0
"""truth_codes.py FILE...: what this interpreter makes of these sources, as JSON.

{FILE: [[name, qualified name, first line, [lines that its instructions have, null for none]], ...], ...}. A FILE that is
no absolute path is one of the standard library. Files that are not there are left out.
"""
import dis
import json
import os
import sys
import sysconfig

STDLIB = sysconfig.get_paths()["stdlib"]
CO_OPTIMIZED = 1  # functions have it, classes and modules do not


def lines(code):
    if hasattr(code, "co_lines"):
        found = {line for _, _, line in code.co_lines()}
    else:
        found = {line for _, line in dis.findlinestarts(code)}
    return sorted(found, key=lambda line: line or 0)


def walk(code, qualname, inside):
    """inside: what the names of the codes in this one begin with."""
    yield [code.co_name, qualname, code.co_firstlineno, lines(code)]
    for constant in code.co_consts:
        if isinstance(constant, type(code)):
            name = getattr(constant, "co_qualname", inside + constant.co_name)
            yield from walk(constant, name, name + (".<locals>." if constant.co_flags & CO_OPTIMIZED else "."))


def main():
    found = {}
    for file in sys.argv[1:]:
        try:
            with open(os.path.join(STDLIB, file), "rb") as source:
                code = compile(source.read(), file, "exec")
        except (OSError, SyntaxError):
            continue
        found[file] = list(walk(code, "<module>", ""))
    json.dump(found, sys.stdout)


main()
