/* SPDX-License-Identifier: Apache-2.0 */
/* A made-up profile of two services with spans: some that the capture saw begin and end, some that only samples tell of. */
#include <errno.h>
#include <stdio.h>
#include <string.h>

#include "core/cleanup.h"
#include "unit/export_html/made_up.h"

#define MS   1000000ull
#define SHOP 4711
#define JOBS 4712

struct maker {
	struct cs_profile *profile;
	int err; /* the first one */
};

static uint32_t string(struct maker *m, const char *text)
{
	int64_t index = cs_profile_string(m->profile, text, strlen(text));

	if (index < 0)
		m->err = -ENOMEM;
	return index < 0 ? 0 : (uint32_t)index;
}

static uint32_t frame(struct maker *m, enum cs_frame_kind kind, const char *name)
{
	int64_t index = made_up_frame(m->profile, kind, name, "", 0);

	if (index < 0)
		m->err = -ENOMEM;
	return index < 0 ? 0 : (uint32_t)index;
}

/* Of what a sample was seen to do, from one millisecond to another. */
struct work {
	uint32_t pid;
	const char *task, *function;
	const char *trace, *endpoint; /* NULL: none */
	uint64_t span, root;
	uint32_t from_ms, to_ms;
	bool ran;
};

static void add_work(struct maker *m, const struct work *work)
{
	uint64_t ns = (work->to_ms - work->from_ms) * MS;
	const uint64_t values[CS_VALUE_MAX_] = {(work->to_ms - work->from_ms) / 10,
						work->ran ? ns : 0, ns};
	const struct cs_labels labels = {
		.process_id = work->pid,
		.thread_id = work->pid,
		.thread_name = string(m, "MainThread"),
		.task_name = work->task ? string(m, work->task) : 0,
		.span_id = work->span,
		.root_span_id = work->root,
		.trace_id = work->trace ? string(m, work->trace) : 0,
		.trace_endpoint = work->endpoint ? string(m, work->endpoint) : 0,
	};
	const uint32_t frames[] = {
		frame(m, CS_FRAME_PROCESS, work->pid == SHOP ? "shop (4711)" : "jobs (4712)"),
		frame(m, CS_FRAME_THREAD, "MainThread"),
		frame(m, CS_FRAME_PYTHON, work->function),
	};

	if (!m->err)
		m->err = cs_profile_add(m->profile, frames, ARRAY_SIZE(frames), &labels, values);
	for (uint32_t at_ms = work->from_ms; !m->err && at_ms < work->to_ms; at_ms += 10) {
		const struct cs_seen seen = {
			.span = {at_ms * MS, (at_ms + 10) * MS, work->ran},
			.suspended = work->task && !work->ran,
			.waited_ns = (at_ms + 10 - work->from_ms) * MS,
		};

		m->err = cs_profile_see(m->profile, CS_TREE_AWAIT, cs_profile_last(m->profile),
					&seen);
	}
}

/* A span of the shop, whole or in part. */
struct told {
	const char *trace, *name, *resource, *type;
	uint64_t span, root, parent;
	uint32_t from_ms, to_ms; /* 0: not seen */
	enum cs_outcome outcome;
};

static void add_told(struct maker *m, const struct told *told)
{
	const struct cs_traced traced = {
		.process_id = SHOP,
		.thread_id = SHOP,
		.trace_id = string(m, told->trace),
		.span_id = told->span,
		.root_span_id = told->root,
		.parent_span_id = told->parent,
		.name = string(m, told->name),
		.resource = string(m, told->resource),
		.type = string(m, told->type),
		.from_ns = told->from_ms * MS,
		.to_ns = told->to_ms * MS,
		.outcome = told->outcome,
	};

	if (!m->err)
		m->err = cs_profile_add_traced(m->profile, &traced);
}

#define TRACE_A "000000000000000000000000000000aa"
#define TRACE_B "000000000000000000000000000000bb"
#define TRACE_C "000000000000000000000000000000cc"

static const struct work works[] = {
	/* GET /items: a root that began before the first sample, and waits for two queries in tasks of their own, one of which fails */
	{SHOP, "Task-1", "render", TRACE_A, "GET /items", 0xa1, 0xa1, 1000, 1040, true},
	{SHOP, "Task-1", "gather", TRACE_A, "GET /items", 0xa1, 0xa1, 1040, 1200, false},
	{SHOP, "query-eu", "query", TRACE_A, "GET /items", 0xa2, 0xa1, 1050, 1100, false},
	{SHOP, "query-us", "query", TRACE_A, "GET /items", 0xa3, 0xa1, 1060, 1150, false},
	{SHOP, "query-us", "parse", TRACE_A, "GET /items", 0xa3, 0xa1, 1150, 1170, true},
	/* GET /cart: began before the capture, not seen to end; two tasks in one span */
	{SHOP, "Task-2", "render", TRACE_B, "GET /cart", 0xb1, 0xb1, 1000, 1100, true},
	{SHOP, "Task-3", "price", TRACE_B, "GET /cart", 0xb1, 0xb1, 1100, 1400, false},
	/* no span at all */
	{SHOP, "Task-9", "idle", NULL, NULL, 0, 0, 1000, 1500, false},
	/* another service, of whose span only samples tell */
	{JOBS, NULL, "work", TRACE_C, NULL, 0xc1, 0, 1300, 1500, true},
};

static const struct told tolds[] = {
	{TRACE_A, "aiohttp.request", "GET /items", "web", 0xa1, 0xa1, 0, 990, 1210, CS_OUTCOME_OK},
	{TRACE_A, "postgres.query", "SELECT eu", "sql", 0xa2, 0xa1, 0xa1, 1045, 1105,
	 CS_OUTCOME_OK},
	{TRACE_A, "postgres.query", "SELECT us", "sql", 0xa3, 0xa1, 0xa1, 1055, 1175,
	 CS_OUTCOME_ERROR},
	/* no sample met it */
	{TRACE_A, "cache.get", "GET price", "cache", 0xa4, 0xa1, 0xa3, 1172, 1174,
	 CS_OUTCOME_UNKNOWN},
	/* what is told of its begin cannot be: samples had met it before */
	{TRACE_B, "aiohttp.request", "GET /cart", "web", 0xb1, 0xb1, 0, 1050, 0,
	 CS_OUTCOME_UNKNOWN},
};

static void set_meta(struct cs_profile_meta *meta)
{
	meta->duration_ns = 500 * MS;
	meta->interval_ns = 10 * MS;
	meta->ncpu = 2;
	meta->wall = true;
	meta->has_counters = true;
	meta->counters[CS_COUNTER_TICKS] = 100;
	meta->counters[CS_COUNTER_SAMPLES] = 100;
}

static int set_service(struct cs_profile *profile, uint32_t pid, const char *name)
{
	int64_t string = cs_profile_string(profile, name, strlen(name));
	struct cs_owner *owner = cs_profile_owner(profile, pid);

	if (string < 0 || !owner)
		return -ENOMEM;
	owner->facts[CS_FACT_SERVICE] = (uint32_t)string;
	return 0;
}

int made_up_spans(struct cs_profile **ret, bool backwards)
{
	_cleanup_(cs_profile_freep) struct cs_profile *profile = NULL;
	struct maker m = {0};

	m.err = cs_profile_new(&profile);
	if (m.err)
		return m.err;
	m.profile = profile;
	set_meta(cs_profile_meta_mut(profile));
	m.err = cs_profile_set_text(profile, "shop-1", 6, "shop", 4);
	for (size_t i = 0; i < ARRAY_SIZE(works); i++)
		add_work(&m, &works[backwards ? ARRAY_SIZE(works) - 1 - i : i]);
	for (size_t i = 0; i < ARRAY_SIZE(tolds); i++)
		add_told(&m, &tolds[backwards ? ARRAY_SIZE(tolds) - 1 - i : i]);
	if (!m.err)
		m.err = set_service(profile, SHOP, "shop");
	if (!m.err)
		m.err = set_service(profile, JOBS, "jobs");
	if (!m.err)
		*ret = TAKE_PTR(profile);
	return m.err;
}

int made_up_many_spans(struct cs_profile **ret, uint32_t n)
{
	_cleanup_(cs_profile_freep) struct cs_profile *profile = NULL;
	struct maker m = {0};
	char trace[33];

	m.err = cs_profile_new(&profile);
	if (m.err)
		return m.err;
	m.profile = profile;
	set_meta(cs_profile_meta_mut(profile));
	cs_profile_meta_mut(profile)->duration_ns = n * MS;
	for (uint32_t i = 0; i < n; i++) {
		const char *endpoint = i % 2 ? "GET /odd" : "GET /even";
		uint64_t root = 1 + 4ull * (i / 4);
		struct work work = {SHOP,  "Task-1", "handle", trace,    endpoint,
				    i + 1, root,     1000 + i, 1010 + i, true};
		struct told told = {trace, "request", endpoint, "web",    i + 1,
				    root,  root,      1000 + i, 1012 + i, CS_OUTCOME_OK};

		snprintf(trace, sizeof(trace), "%032x", i / 4 + 1);
		/* those that samples met least often are left out, but not if they failed */
		if (i % 10 == 0)
			told.outcome = CS_OUTCOME_ERROR;
		if (i % 2)
			add_work(&m, &work);
		add_told(&m, &told);
	}
	if (!m.err)
		*ret = TAKE_PTR(profile);
	return m.err;
}
