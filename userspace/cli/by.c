/* SPDX-License-Identifier: Apache-2.0 */
/* A profile as a table: one pass over the samples into groups by text, which are then sorted. */
#include "cli/by.h"

#include <errno.h>
#include <inttypes.h>
#include <stdlib.h>
#include <string.h>

#define HASH_NONFATAL_OOM 1 /* (element)->hh.tbl is NULL after an addition that failed */
#include <uthash.h>

#include "cli/durations.h"
#include "core/cleanup.h"

/* One of what is counted in a group. No padding: the bytes are the key. */
struct member_key {
	const struct group *group;
	uint64_t id[2];
};

struct member {
	struct member_key key;
	UT_hash_handle hh;
};

struct group {
	char *name; /* owned */
	uint64_t cpu_ns, wall_ns, samples, members;
	struct cs_durations ended; /* of its spans */
	UT_hash_handle hh;
};

struct cs_by {
	const char *name;
	const char *plural; /* of what is counted */
	const char *none;   /* the name of those without */
	/* Append the group's name, nothing if it has none, and tell which one of it this is. Returns 0 or -ENOMEM. */
	int (*place)(const struct cs_profile *profile, const struct cs_sample *sample,
		     struct cs_buf *name, uint64_t id[2]);
	/* The same of a span that was seen to end, of those whose durations are of interest. NULL: of none. */
	int (*place_span)(const struct cs_profile *profile, const struct cs_traced *span,
			  struct cs_buf *name);
};

struct table {
	const struct cs_by *by;
	const struct cs_profile *profile;
	struct group *groups; /* owned, as are the members */
	struct member *members;
	struct group none, sum; /* without names */
	struct cs_buf name;     /* scratch */
	bool tells_spans;       /* how long they took */
};

/* What a sample belongs to */

static int append_string(const struct cs_profile *profile, uint32_t index, struct cs_buf *out)
{
	return cs_buf_append(out, cs_profile_str(profile, index),
			     cs_profile_str_len(profile, index));
}

static int place_process(const struct cs_profile *profile, const struct cs_sample *sample,
			 struct cs_buf *name, uint64_t id[2])
{
	struct cs_stack stack = cs_profile_stack(profile, sample->stack);
	const struct cs_frame *root =
		stack.n ? cs_profile_get_frame(profile, stack.frames[0]) : NULL;

	id[0] = sample->labels.process_id;
	return root && root->kind == CS_FRAME_PROCESS ? append_string(profile, root->name, name)
						      : 0;
}

static int place_thread(const struct cs_profile *profile, const struct cs_sample *sample,
			struct cs_buf *name, uint64_t id[2])
{
	id[0] = sample->labels.process_id;
	id[1] = sample->labels.thread_id;
	return append_string(profile, sample->labels.thread_name, name);
}

/* The innermost task of the stack: the one that the labels name, or that the thread works for. */
static int place_task(const struct cs_profile *profile, const struct cs_sample *sample,
		      struct cs_buf *name, uint64_t id[2])
{
	const struct cs_labels *labels = &sample->labels;
	struct cs_stack stack = cs_profile_stack(profile, sample->stack);

	id[0] = labels->process_id;
	for (uint32_t i = stack.n; i-- > 0 && !id[1];) {
		const struct cs_frame *frame = cs_profile_get_frame(profile, stack.frames[i]);

		if (frame->kind == CS_FRAME_TASK)
			id[1] = frame->task;
	}
	if (!id[1])
		id[1] = labels->task_id ? labels->task_id : labels->origin_task_id;
	return append_string(
		profile, labels->task_name ? labels->task_name : labels->origin_task_name, name);
}

static int append_id(struct cs_buf *out, uint64_t id)
{
	return id ? cs_buf_printf(out, "%016" PRIx64, id) : 0;
}

static int place_span(const struct cs_profile *profile, const struct cs_sample *sample,
		      struct cs_buf *name, uint64_t id[2])
{
	(void)profile;
	id[0] = sample->labels.span_id;
	return append_id(name, sample->labels.span_id);
}

/* A request, or whatever else began here: the spans below one local root. */
static int place_root(const struct cs_profile *profile, const struct cs_sample *sample,
		      struct cs_buf *name, uint64_t id[2])
{
	(void)profile;
	id[0] = sample->labels.span_id;
	return append_id(name, sample->labels.root_span_id);
}

static int place_trace(const struct cs_profile *profile, const struct cs_sample *sample,
		       struct cs_buf *name, uint64_t id[2])
{
	id[0] = sample->labels.span_id;
	return append_string(profile, sample->labels.trace_id, name);
}

static int place_type(const struct cs_profile *profile, const struct cs_sample *sample,
		      struct cs_buf *name, uint64_t id[2])
{
	id[0] = sample->labels.root_span_id;
	return append_string(profile, sample->labels.trace_type, name);
}

static int place_endpoint(const struct cs_profile *profile, const struct cs_sample *sample,
			  struct cs_buf *name, uint64_t id[2])
{
	id[0] = sample->labels.root_span_id;
	return append_string(profile, sample->labels.trace_endpoint, name);
}

/* As --service has it: the program's name where nobody has named a service. */
static int append_service(const struct cs_profile *profile, uint32_t owner, struct cs_buf *name)
{
	const struct cs_owner *of = cs_profile_get_owner(profile, owner);
	uint32_t service = of->facts[CS_FACT_SERVICE];

	return append_string(profile, service ? service : of->facts[CS_FACT_PROGRAM], name);
}

static int place_service(const struct cs_profile *profile, const struct cs_sample *sample,
			 struct cs_buf *name, uint64_t id[2])
{
	id[0] = sample->labels.process_id;
	return append_service(profile, sample->labels.owner, name);
}

/* What a span belongs to */

static bool is_local_root(const struct cs_traced *span)
{
	return span->root_span_id == span->span_id;
}

static int place_span_id(const struct cs_profile *profile, const struct cs_traced *span,
			 struct cs_buf *name)
{
	(void)profile;
	return append_id(name, span->span_id);
}

static int place_span_root(const struct cs_profile *profile, const struct cs_traced *span,
			   struct cs_buf *name)
{
	(void)profile;
	return is_local_root(span) ? append_id(name, span->span_id) : 0;
}

static int place_span_trace(const struct cs_profile *profile, const struct cs_traced *span,
			    struct cs_buf *name)
{
	return is_local_root(span) ? append_string(profile, span->trace_id, name) : 0;
}

static int place_span_type(const struct cs_profile *profile, const struct cs_traced *span,
			   struct cs_buf *name)
{
	return is_local_root(span) ? append_string(profile, span->type, name) : 0;
}

static int place_span_endpoint(const struct cs_profile *profile, const struct cs_traced *span,
			       struct cs_buf *name)
{
	bool web = is_local_root(span) && !strcmp(cs_profile_str(profile, span->type), "web");

	return web ? append_string(profile, span->resource, name) : 0;
}

static int place_span_service(const struct cs_profile *profile, const struct cs_traced *span,
			      struct cs_buf *name)
{
	return is_local_root(span) ? append_service(profile, span->owner, name) : 0;
}

static const struct cs_by all[] = {
	{"process", "processes", "(no process)", place_process, NULL},
	{"thread", "threads", "(thread without a name)", place_thread, NULL},
	{"task", "tasks", "(no task)", place_task, NULL},
	{"span", "spans", "(no span)", place_span, place_span_id},
	{"root", "spans", "(no local root)", place_root, place_span_root},
	{"trace", "spans", "(no trace)", place_trace, place_span_trace},
	{"type", "roots", "(no type)", place_type, place_span_type},
	{"endpoint", "roots", "(no endpoint)", place_endpoint, place_span_endpoint},
	{"service", "processes", "(no service)", place_service, place_span_service},
};
const char cs_by_names[] =
	"process, thread, task, span, root (the local root span), trace, type, endpoint or service";

const struct cs_by *cs_by_name(const char *name)
{
	for (size_t i = 0; i < ARRAY_SIZE(all); i++) {
		if (!strcmp(all[i].name, name))
			return &all[i];
	}
	return NULL;
}

/* Groups */

static void table_free(struct table *table)
{
	struct member *member, *next_member;
	struct group *group, *next_group;

	HASH_ITER (hh, table->members, member, next_member) {
		HASH_DEL(table->members, member);
		free(member);
	}
	HASH_ITER (hh, table->groups, group, next_group) {
		HASH_DEL(table->groups, group);
		cs_durations_free(&group->ended);
		free(group->name);
		free(group);
	}
	cs_durations_free(&table->sum.ended);
	cs_buf_free(&table->name);
}

/* The group whose name is in the scratch. NULL without memory. */
static struct group *find_group(struct table *table)
{
	struct group *group;

	if (!table->name.len)
		return &table->none;
	HASH_FIND(hh, table->groups, table->name.data, table->name.len, group);
	if (group)
		return group;
	group = calloc(1, sizeof(*group));
	if (group)
		group->name = strndup(table->name.data, table->name.len);
	if (group && group->name)
		HASH_ADD_KEYPTR(hh, table->groups, group->name, table->name.len, group);
	if (!group || !group->name || !group->hh.tbl) {
		if (group)
			free(group->name);
		free(group);
		return NULL;
	}
	return group;
}

static int count_member(struct table *table, struct group *group, const uint64_t id[2])
{
	struct member_key key = {group, {id[0], id[1]}};
	_cleanup_free_ struct member *added = NULL;
	struct member *member;

	HASH_FIND(hh, table->members, &key, sizeof(key), member);
	if (member || group == &table->none)
		return 0;
	added = calloc(1, sizeof(*added));
	if (!added)
		return -ENOMEM;
	added->key = key;
	HASH_ADD(hh, table->members, key, sizeof(key), added);
	if (!added->hh.tbl)
		return -ENOMEM;
	TAKE_PTR(added);
	group->members++;
	table->sum.members++;
	return 0;
}

static void add_values(struct group *group, const struct cs_sample *sample)
{
	group->cpu_ns += sample->values[CS_VALUE_CPU_NS];
	group->wall_ns += sample->values[CS_VALUE_WALL_NS];
	group->samples += sample->values[CS_VALUE_SAMPLES];
}

static int add_sample(struct table *table, const struct cs_sample *sample)
{
	uint64_t id[2] = {0};
	struct group *group;

	table->name.len = 0;
	if (table->by->place(table->profile, sample, &table->name, id))
		return -ENOMEM;
	group = find_group(table);
	if (!group || count_member(table, group, id))
		return -ENOMEM;
	add_values(group, sample);
	add_values(&table->sum, sample);
	return 0;
}

static void count_outcome(struct cs_durations *ended, enum cs_outcome outcome)
{
	ended->told += outcome != CS_OUTCOME_UNKNOWN;
	ended->errors += outcome == CS_OUTCOME_ERROR;
}

/* A span that began before the capture, or had not ended with it, took nobody knows how long. */
static int add_span(struct table *table, const struct cs_traced *span)
{
	uint64_t ns = span->to_ns - span->from_ns;
	struct group *group;

	table->name.len = 0;
	if (!span->from_ns || span->to_ns < span->from_ns)
		return 0;
	if (table->by->place_span(table->profile, span, &table->name))
		return -ENOMEM;
	if (!table->name.len)
		return 0;
	group = find_group(table);
	if (!group || cs_durations_add(&group->ended, ns) ||
	    cs_durations_add(&table->sum.ended, ns))
		return -ENOMEM;
	count_outcome(&group->ended, span->outcome);
	count_outcome(&table->sum.ended, span->outcome);
	return 0;
}

static int add_spans(struct table *table)
{
	const struct cs_profile *profile = table->profile;
	int err = 0;

	table->tells_spans = table->by->place_span && cs_profile_ntraced(profile);
	for (size_t i = 0; table->tells_spans && !err && i < cs_profile_ntraced(profile); i++)
		err = add_span(table, cs_profile_get_traced(profile, i));
	return err;
}

/* Text */

static int compare_groups(struct group *a, struct group *b)
{
	if (a->wall_ns != b->wall_ns)
		return a->wall_ns < b->wall_ns ? 1 : -1;
	return strcmp(a->name, b->name);
}

/* How many of its spans were seen from begin to end, in error, and how long they took. */
static int put_spans(const struct table *table, struct group *group, struct cs_buf *out)
{
	static const unsigned int percents[] = {50, 95, 99};
	int err;

	if (!table->tells_spans)
		return 0;
	if (!group->ended.n)
		return cs_buf_printf(out, "%10s%10s%13s%13s%13s", "-", "-", "-", "-", "-");
	err = cs_buf_printf(out, "%10zu", group->ended.n);
	if (!err && group->ended.told)
		err = cs_buf_printf(out, "%10zu", group->ended.errors);
	else if (!err)
		err = cs_buf_printf(out, "%10s", "-");
	for (size_t i = 0; !err && i < ARRAY_SIZE(percents); i++)
		err = cs_buf_printf(out, "%10.3f ms",
				    (double)cs_durations_percentile(&group->ended, percents[i]) /
					    1e6);
	return err;
}

static int put_group(struct table *table, struct group *group, const char *name, struct cs_buf *out)
{
	const struct cs_profile_meta *meta = cs_profile_meta(table->profile);
	int err = cs_buf_printf(out, "%12.3f s",
				(double)(meta->off_cpu ? group->wall_ns : group->cpu_ns) / 1e9);

	if (!err && meta->wall)
		err = cs_buf_printf(out, "%12.3f s", (double)group->wall_ns / 1e9);
	if (!err && group == &table->none)
		err = cs_buf_printf(out, "%12s", "-");
	else if (!err)
		err = cs_buf_printf(out, "%12" PRIu64, group->members);
	if (!err)
		err = cs_buf_printf(out, "%12" PRIu64, group->samples);
	if (!err)
		err = put_spans(table, group, out);
	if (!err)
		err = cs_buf_append_str(out, "  ");
	if (!err)
		err = cs_buf_append_escaped(out, name, strlen(name), "");
	return err ? err : cs_buf_append_str(out, "\n");
}

static int put_table(struct table *table, struct cs_buf *out)
{
	const struct cs_profile_meta *meta = cs_profile_meta(table->profile);
	int err = cs_buf_printf(
		out, "%14s%s%12s%12s%s  %s\n", meta->off_cpu ? "off cpu" : "cpu",
		meta->wall ? "          wall" : "", table->by->plural, "samples",
		table->tells_spans ? "     ended    errors          p50          p95          p99"
				   : "",
		table->by->name);

	HASH_SORT(table->groups, compare_groups);
	for (struct group *it = table->groups; it && !err; it = it->hh.next)
		err = put_group(table, it, it->name, out);
	if (!err && table->none.samples)
		err = put_group(table, &table->none, table->by->none, out);
	return err ? err : put_group(table, &table->sum, "in sum", out);
}

int cs_by_table(const struct cs_by *by, const struct cs_profile *profile, struct cs_buf *out)
{
	_cleanup_(table_free) struct table table = {.by = by, .profile = profile};

	for (size_t i = 0; i < cs_profile_nsamples(profile); i++) {
		if (add_sample(&table, cs_profile_sample(profile, i)))
			return -ENOMEM;
	}
	if (add_spans(&table))
		return -ENOMEM;
	return put_table(&table, out);
}
