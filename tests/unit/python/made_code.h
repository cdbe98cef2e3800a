/* SPDX-License-Identifier: Apache-2.0 */
/* Made-up code objects, of every layout. */
#pragma once

#include "made_objects.h"

/* A bytes object of that length that begins with "LINES", whatever it is. */
uint64_t made_linetable(struct made *made, size_t len);
/* A function that begins in line 42, of these objects. */
uint64_t made_code_of(struct made *made, uint64_t name, uint64_t file, uint64_t lines);
uint64_t made_code(struct made *made, const char *name, const char *file);
