/* SPDX-License-Identifier: Apache-2.0 */
/* The spans that a process's threads publish (collect/published.h), for `coroscope check`: are there any, and are they those that are read? */
#pragma once

#include <stdbool.h>
#include <stdint.h>

#include "python/interp.h"
#include "python/tracer.h"

/* Looks at threads in which both the published span and the one that was read stood still: how many of them told the same. */
struct cs_check_agreement {
	unsigned int looks, same;           /* of threads that run no event loop */
	unsigned int loop_looks, loop_same; /* ... that run one */
	unsigned int
		silent; /* looks at either that found nothing published in a span: not counted in the others */
};

struct cs_check_published {
	int found;                           /* as cs_published_find returns */
	bool believed;                       /* samples tell them, if nothing else does */
	struct cs_check_agreement agreement; /* zeroes if nothing else tells the spans */
};

/*
 * Look whether the process publishes spans, and if they can be read otherwise compare the two for a second. interp, asyncio and tracers as `check` has found
 * them; asyncio may be NULL. Returns 0 or -ENOMEM.
 */
int cs_check_published(const struct cs_interp *interp, const struct cs_asyncio *asyncio,
		       struct cs_mem *mem, const struct cs_tracer_list *tracers,
		       struct cs_check_published *ret);
