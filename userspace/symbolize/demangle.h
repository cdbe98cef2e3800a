/* SPDX-License-Identifier: Apache-2.0 */
/* Names of C++ and Rust functions as a person wrote them. */
#pragma once

#include <stddef.h>

#include "core/buf.h"

/*
 * Append what a linker's name means: C++ (Itanium ABI) without the list of parameters, so that a function is one function, and
 * Rust (both manglings) without its hash. Names are foreign, and a short one can stand for an endless text: after 4096 bytes it is
 * cut, and "..." says so. Returns 0, -ENOENT (not a mangled name: nothing was appended) or -ENOMEM.
 */
int cs_demangle(const char *name, size_t len, struct cs_buf *out);
