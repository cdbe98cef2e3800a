/* SPDX-License-Identifier: Apache-2.0 */
/* The line of an instruction, from a code object's location table. */
#pragma once

#include <stddef.h>
#include <stdint.h>

/*
 * Line of the instruction lasti bytes after the first one. firstlineno if lasti is negative (the
 * frame has not started), lies beyond the table, or the table is malformed; 0 if the table says
 * that the instruction has no line. table may come from anywhere. Source of the encoding:
 * Objects/locations.md and Objects/codeobject.c of CPython 3.11 and later.
 */
uint32_t cs_linetable_line(const uint8_t *table, size_t len, uint32_t firstlineno, int32_t lasti);
