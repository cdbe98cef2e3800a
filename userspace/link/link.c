/* SPDX-License-Identifier: Apache-2.0 */
/* Spans that were seen, and the way from each to its local root. */
#include "link/link.h"

#include <errno.h>
#include <stdlib.h>

/* Direct mapped: spans come and go for as long as a capture lasts, and what is not known any more is a root that is not told. */
#define SPAN_BITS 16
#define SPANS     (1u << SPAN_BITS)

/* Spans one above another. */
#define MAX_DEPTH 64

struct seen {
	uint64_t span_id, root_id, parent_id, trace_lo; /* span_id 0: nothing is here */
	uint32_t pid;
};

struct cs_spans {
	struct seen items[SPANS];
};

int cs_spans_new(struct cs_spans **ret)
{
	*ret = calloc(1, sizeof(**ret));
	return *ret ? 0 : -ENOMEM;
}

void cs_spans_free(struct cs_spans *spans)
{
	free(spans);
}

static size_t place(uint32_t pid, uint64_t span_id)
{
	return ((span_id ^ (uint64_t)pid << 40) * 0x9e3779b97f4a7c15ull) >> (64 - SPAN_BITS);
}

void cs_spans_feed(struct cs_spans *spans, const struct cs_event *event)
{
	const struct cs_event_span *span = event->kind == CS_EV_SPAN   ? &event->span
					   : event->kind == CS_EV_TASK ? &event->task.span
								       : NULL;

	if (!span || !span->span_id)
		return;
	spans->items[place(event->pid, span->span_id)] = (struct seen){
		.span_id = span->span_id,
		.root_id = span->root_id,
		.parent_id = span->parent_id,
		.trace_lo = span->trace_lo,
		.pid = event->pid,
	};
}

static const struct seen *find(const struct cs_spans *spans, uint32_t pid, uint64_t span_id,
			       uint64_t trace_lo)
{
	const struct seen *it = &spans->items[place(pid, span_id)];

	return it->span_id == span_id && it->pid == pid && it->trace_lo == trace_lo ? it : NULL;
}

uint64_t cs_spans_root(const struct cs_spans *spans, uint32_t pid, const struct cs_event_span *span)
{
	uint64_t parent = span->parent_id;

	if (span->root_id)
		return span->root_id;
	for (int depth = 0; parent && depth < MAX_DEPTH; depth++) {
		const struct seen *it = find(spans, pid, parent, span->trace_lo);

		if (!it)
			return 0;
		if (it->root_id)
			return it->root_id;
		parent = it->parent_id;
	}
	return 0;
}
