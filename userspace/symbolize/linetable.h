/* SPDX-License-Identifier: Apache-2.0 */
/* The line of an instruction, from a code object's table of lines, whatever version of CPython made it. */
#pragma once

#include <stdbool.h>
#include <stddef.h>
#include <stdint.h>

/*
 * Line of the instruction lasti bytes after the first one. kind: enum cs_py_linetable. firstlineno if lasti is negative
 * (the frame has not started), lies beyond the table, the kind is not known or the table is malformed; 0 if the table says
 * that the instruction has no line. table may come from anywhere. Source of the encodings: Objects/lnotab_notes.txt of
 * CPython 3.8 to 3.10, Objects/locations.md (later InternalDocs/code_objects.md) and Objects/codeobject.c of 3.11 and later.
 */
uint32_t cs_linetable_line(uint32_t kind, const uint8_t *table, size_t len, uint32_t firstlineno,
			   int32_t lasti);

/* Does the table, of which the end may be missing, speak of that instruction? */
bool cs_linetable_covers(uint32_t kind, const uint8_t *table, size_t len, int32_t lasti);
