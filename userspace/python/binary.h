/* SPDX-License-Identifier: Apache-2.0 */
/*
 * What an ELF file alone tells about Python: is an interpreter in it, which version, where are the
 * symbols that detection needs. Most files of a host are no Python and are asked about again and again
 * by many processes: a bounded table remembers the answers. Not for concurrent use.
 */
#pragma once

#include <stdbool.h>
#include <stdint.h>

/* Of _asyncio's table of its own offsets. */
#define CS_PY_ASYNCIO_WORDS 13
/* Release level of PY_VERSION_HEX: layouts of what is below were still moving. */
#define CS_PY_CANDIDATE     0xc0

struct cs_py_binary {
	bool python;             /* an interpreter is in this file */
	bool is_32bit;           /* ... of which nothing below is known */
	bool pypy;               /* ... likewise */
	int major, minor, micro; /* 0: unknown; micro -1: unknown */
	bool prerelease;         /* alpha or beta */
	bool debug;              /* built with Py_DEBUG */
	bool free_threaded;      /* its name says so; the published table of offsets knows better */
	/* addresses of the file, 0: no such symbol */
	uint64_t runtime, type_coro, type_gen, type_async_gen;
	bool has_asyncio_debug; /* what _asyncio publishes of itself (3.14+) is in this file: layout.h */
	uint64_t asyncio_debug[CS_PY_ASYNCIO_WORDS];
};

/*
 * Look into the file that opens at path; the process knows it as name. Returns 0 whether or not it is a
 * Python (a file that is no ELF file is none), or -errno if it cannot be opened.
 *
 * Source: Py_Version (3.11+) and _PyRuntime (3.7+) are exported data of Python/; Py_Main is in all; pypy_main_startup is PyPy's; _Py_RefTotal or
 * _Py_NegativeRefcount are there in builds with Py_DEBUG. Where there is no Py_Version, the file's name and the path of the
 * standard library in its data must agree. The section .AsyncioDebug is written by Modules/_asynciomodule.c.
 */
int cs_py_binary_probe(const char *path, const char *name, struct cs_py_binary *ret);

/* Does the file's base name say that it is an interpreter or a libpython? Extension modules do not count. */
bool cs_py_binary_is_named(const char *name);
