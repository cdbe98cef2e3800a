/* SPDX-License-Identifier: Apache-2.0 */
/*
 * Demangling by libiberty, which knows C++ and Rust and is the only one that can be ended early: it hands out the text piece by
 * piece. A name of 100 bytes can refer to itself 50 times over and double each time; so can one of Rust. What is left of the text
 * when there is enough of it is never made: the callback jumps out. libiberty keeps what it parses on the stack, and limits its own
 * recursion.
 */
#include "symbolize/demangle.h"

#include <coroscope/limits.h>
#include <errno.h>
#include <libiberty/demangle.h>
#include <setjmp.h>
#include <string.h>

#define MAX_TEXT 4096

struct text {
	struct cs_buf *out;
	size_t begin; /* where in out it begins */
	int err;
	jmp_buf enough;
};

static void take(const char *bytes, size_t n, void *ctx)
{
	struct text *text = ctx;
	size_t room = MAX_TEXT - (text->out->len - text->begin);

	text->err = cs_buf_append(text->out, bytes, n < room ? n : room);
	if (!text->err && n > room)
		text->err = cs_buf_append_str(text->out, "...") ? -ENOMEM : -E2BIG;
	if (text->err)
		longjmp(text->enough, 1);
}

/* Returns whether it is a mangled name; text->err says how it ended. */
static int demangle(const char *name, struct text *text)
{
	if (setjmp(text->enough))
		return 1;
	/* Rust first: its older names are also C++ ones */
	if (rust_demangle_callback(name, DMGL_NO_OPTS, take, text))
		return 1;
	text->out->len = text->begin;
	return cplus_demangle_v3_callback(name, DMGL_NO_OPTS, take, text);
}

int cs_demangle(const char *name, size_t len, struct cs_buf *out)
{
	struct text text = {.out = out, .begin = out->len};
	char copy[CS_MAX_SYMBOL + 1];

	if (len > CS_MAX_SYMBOL || len < 3 || name[0] != '_' || (name[1] != 'Z' && name[1] != 'R'))
		return -ENOENT;
	memcpy(copy, name, len);
	copy[len] = '\0';
	if (!demangle(copy, &text) || out->len == text.begin) {
		out->len = text.begin;
		return -ENOENT;
	}
	return text.err == -E2BIG ? 0 : text.err;
}
