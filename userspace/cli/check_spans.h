/* SPDX-License-Identifier: Apache-2.0 */
/* Learning, for `coroscope check`, what spans are like in a process that is not profiled. */
#pragma once

#include "python/interp.h"
#include "python/tracer.h"

/*
 * If a tracer's spans tell their layout only as they come and end, watch those of all threads and tasks until it is certain, two seconds
 * at most. asyncio may be NULL. Does nothing else; what is not learned list tells. Returns 0 or -ENOMEM.
 */
int cs_check_learn_spans(const struct cs_interp *interp, const struct cs_asyncio *asyncio,
			 struct cs_mem *mem, struct cs_tracer_list *list);

/* Is it known of every span whether it is one, and has ended? */
bool cs_check_spans_certain(const struct cs_tracer_list *list);
