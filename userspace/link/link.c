/* SPDX-License-Identifier: Apache-2.0 */
/* Spans that were seen, and the way from each to its local root. */
#include "link/link.h"

#include <errno.h>
#include <stdbool.h>
#include <stdlib.h>
#include <string.h>
#include <uthash.h>

#include "core/cleanup.h"

/* A machine's spans of a minute; what a program says they are costs us some 30 MB at most. */
#define MAX_SPANS (1u << 18)

/* Two clocks that are one, read in turn. */
#define SLACK_NS 1000000ull

#define AT_END UINT64_MAX

/* Spans one above another. */
#define MAX_DEPTH 64

/* Of a span; without an id, of the process. */
struct key {
	uint64_t span_id, trace_lo;
	uint32_t pid, pad;
};

struct seen {
	struct key key;
	uint64_t root_id, parent_id; /* 0: not known, or none */
	enum cs_tracer_kind kind;
	uint64_t begun_ns;    /* of a process: its first change; 0: not told */
	char *endpoint;       /* of a local root; owned, NULL: not known */
	uint64_t endpoint_ns; /* as of when; AT_END: nothing is later */
	unsigned int period;  /* that saw it last */
	UT_hash_handle hh;
};

struct cs_spans {
	struct seen *items;
	unsigned int period;
	uint64_t left_out;
	uint64_t realtime_ns,
		capture_ns; /* one moment by two clocks: CLOCK_REALTIME and the capture's; 0: not known */
};

int cs_spans_new(struct cs_spans **ret)
{
	*ret = calloc(1, sizeof(**ret));
	return *ret ? 0 : -ENOMEM;
}

static void forget(struct cs_spans *spans, struct seen *it)
{
	HASH_DEL(spans->items, it);
	free(it->endpoint);
	free(it);
}

void cs_spans_free(struct cs_spans *spans)
{
	struct seen *it, *next;

	if (!spans)
		return;
	HASH_ITER (hh, spans->items, it, next)
		forget(spans, it);
	free(spans);
}

static struct seen *find(const struct cs_spans *spans, uint32_t pid, uint64_t span_id,
			 uint64_t trace_lo)
{
	const struct key key = {span_id, trace_lo, pid, 0};
	struct seen *it;

	HASH_FIND(hh, spans->items, &key, sizeof(key), it);
	return it;
}

/* The span, made if it was not seen yet. Returns 0; *ret is NULL where there is no room. Or -ENOMEM. */
static int meet(struct cs_spans *spans, uint32_t pid, uint64_t span_id, uint64_t trace_lo,
		struct seen **ret)
{
	_cleanup_free_ struct seen *added = NULL;

	*ret = find(spans, pid, span_id, trace_lo);
	if (!*ret && HASH_COUNT(spans->items) >= MAX_SPANS) {
		spans->left_out++;
		return 0;
	}
	if (!*ret) {
		added = calloc(1, sizeof(*added));
		if (!added)
			return -ENOMEM;
		added->key = (struct key){span_id, trace_lo, pid, 0};
		HASH_ADD(hh, spans->items, key, sizeof(added->key), added);
		if (!added->hh.tbl)
			return -ENOMEM;
		*ret = TAKE_PTR(added);
	}
	(*ret)->period = spans->period;
	return 0;
}

static int see_span(struct cs_spans *spans, uint32_t pid, const struct cs_event_span *span)
{
	struct seen *it;
	int err = span->span_id ? meet(spans, pid, span->span_id, span->trace_lo, &it) : -ENOENT;

	if (err || !it)
		return err == -ENOMEM ? err : 0;
	/* what was known is not given up: one look may tell less than another */
	if (span->root_id)
		it->root_id = span->root_id;
	if (span->parent_id)
		it->parent_id = span->parent_id;
	it->kind = span->kind;
	return 0;
}

/* Frameworks change it while the request goes on: the last one counts, and what is read of tasks is told after what has happened since. */
static int see_endpoint(struct cs_spans *spans, uint32_t pid, uint64_t root_id, uint64_t trace_lo,
			uint64_t ts_ns, struct cs_text endpoint)
{
	struct seen *it;
	int err = meet(spans, pid, root_id, trace_lo, &it);
	char *text;

	if (err || !it)
		return err;
	it->root_id = root_id;
	if (ts_ns < it->endpoint_ns)
		return 0;
	it->endpoint_ns = ts_ns;
	if (it->endpoint && strlen(it->endpoint) == endpoint.len &&
	    !memcmp(it->endpoint, endpoint.str, endpoint.len))
		return 0;
	text = strndup(endpoint.str, endpoint.len);
	if (!text)
		return -ENOMEM;
	free(it->endpoint);
	it->endpoint = text;
	return 0;
}

/*
 * Has it begun since the process's first change was told? One that is older may be active long before it is seen to be. It says itself when it began, by a
 * clock that may have been set since.
 */
static int is_new(struct cs_spans *spans, uint32_t pid, uint64_t ts_ns, uint64_t start_ns,
		  bool *ret)
{
	uint64_t begun_ns = spans->capture_ns + (start_ns - spans->realtime_ns);
	struct seen *process;
	int err = meet(spans, pid, 0, 0, &process);

	if (err || !process)
		return err;
	if (!process->begun_ns)
		process->begun_ns = ts_ns;
	*ret = !start_ns || !spans->realtime_ns || begun_ns + SLACK_NS > process->begun_ns;
	return 0;
}

static int see_change(struct cs_spans *spans, uint32_t pid, uint64_t ts_ns,
		      const struct cs_event_span_change *change)
{
	const struct cs_event_span *span = &change->span;
	bool web = change->server || (span->type.len == 3 && !memcmp(span->type.str, "web", 3));
	int err = see_span(spans, pid, span);
	bool begun = false;
	struct seen *it;

	if (!err && change->change == CS_SPAN_BEGUN)
		err = is_new(spans, pid, ts_ns, change->start_ns, &begun);
	if (err)
		return err;
	it = find(spans, pid, span->span_id, span->trace_lo);
	if (it && begun && !it->begun_ns)
		it->begun_ns = ts_ns;
	if (!web || span->root_id != span->span_id || span->flags & CS_SPANF_PROPAGATED ||
	    !change->resource.len)
		return 0;
	return see_endpoint(spans, pid, span->span_id, span->trace_lo,
			    change->change == CS_SPAN_ENDED ? AT_END : ts_ns, change->resource);
}

int cs_spans_feed(struct cs_spans *spans, const struct cs_event *event)
{
	switch (event->kind) {
	case CS_EV_SPAN:
		return see_span(spans, event->pid, &event->span);
	case CS_EV_TASK:
		return see_span(spans, event->pid, &event->task.span);
	case CS_EV_RESOURCE:
		return see_endpoint(spans, event->pid, event->resource.root_id,
				    event->resource.trace_lo, event->ts_ns, event->resource.text);
	case CS_EV_CAPTURE:
		spans->realtime_ns = event->capture.realtime_ns;
		spans->capture_ns = event->ts_ns;
		return 0;
	case CS_EV_SPAN_CHANGE:
		return see_change(spans, event->pid, event->ts_ns, &event->span_change);
	default:
		return 0;
	}
}

/* From a span that is not its own root upwards. */
static uint64_t climb(const struct cs_spans *spans, uint32_t pid, uint64_t parent,
		      uint64_t trace_lo)
{
	for (int depth = 0; parent && depth < MAX_DEPTH; depth++) {
		const struct seen *it = find(spans, pid, parent, trace_lo);

		if (!it)
			return 0;
		if (it->root_id)
			return it->root_id;
		parent = it->parent_id;
	}
	return 0;
}

uint64_t cs_spans_root(const struct cs_spans *spans, uint32_t pid, const struct cs_event_span *span)
{
	return span->root_id ? span->root_id : climb(spans, pid, span->parent_id, span->trace_lo);
}

uint64_t cs_spans_root_of(struct cs_spans *spans, uint32_t pid, uint64_t span_id, uint64_t trace_lo)
{
	struct seen *it = find(spans, pid, span_id, trace_lo);

	if (!it)
		return 0;
	it->period = spans->period;
	/* ddtrace's spans say it themselves, and the same propagated one may be said to have another root at another time */
	return it->kind == CS_TRACER_OTEL ? climb(spans, pid, span_id, trace_lo) : 0;
}

const char *cs_spans_endpoint(struct cs_spans *spans, uint32_t pid, uint64_t root_id,
			      uint64_t trace_lo)
{
	struct seen *it = root_id ? find(spans, pid, root_id, trace_lo) : NULL;

	if (!it)
		return NULL;
	it->period = spans->period;
	return it->endpoint;
}

uint64_t cs_spans_begun_ns(const struct cs_spans *spans, uint32_t pid, uint64_t span_id,
			   uint64_t trace_lo)
{
	const struct seen *it = find(spans, pid, span_id, trace_lo);

	return it ? it->begun_ns : 0;
}

void cs_spans_begin(struct cs_spans *spans)
{
	struct seen *it, *next;

	HASH_ITER (hh, spans->items, it, next)
		if (it->period != spans->period)
			forget(spans, it);
	spans->period++;
}

uint64_t cs_spans_left_out(const struct cs_spans *spans)
{
	return spans->left_out;
}
