/* SPDX-License-Identifier: Apache-2.0 */
/* A Python with tracers and spans, in every layout, and the walk to the span that is active. Included by a test, once. */
#pragma once

#include <setjmp.h>
#include <stdarg.h>
#include <stddef.h>
#include <stdint.h>

#include <cmocka.h>
#include <stdlib.h>
#include <string.h>

#include "core/cleanup.h"
#include "made_spans.h"
#include "walk_host.h"

#define ID   0xfedcba9876543210ull
#define ROOT 0x0123456789abcdefull

struct fixture {
	struct made_python *py;
	struct cs_walk *w;
	struct made_spans m;
	bool used; /* by the loop below */
};

static inline struct fixture setup(int minor)
{
	struct fixture f = {.py = made_python(minor), .w = calloc(1, sizeof(*f.w))};

	assert_non_null(f.w);
	made_spans(&f.m, f.py);
	return f;
}

static inline void teardown(struct fixture *f)
{
	made_free(f->py);
	free(f->w);
}

#define _cleanup_fixture_ _cleanup_(teardown)

static inline const struct cs_active_span *walk(struct fixture *f)
{
	walk_host.tracers = &f->m.list;
	walk_thread(f->w, f->py, 0);
	assert_int_equal(f->w->ev.status, CS_STATUS_COMPLETE);
	return &f->w->span.span;
}

/* Run a test in every layout. */
#define EACH(f)                                                                            \
	for (size_t m_ = 0; m_ < ARRAY_SIZE(made_minors); m_++)                            \
		for (_cleanup_fixture_ struct fixture f = setup(made_minors[m_]); !f.used; \
		     f.used = true)

static inline uint64_t root_span(struct fixture *f)
{
	return made_dd_span(&f->m, &(struct made_dd){.id = ROOT, .type = "web"});
}
