/* SPDX-License-Identifier: Apache-2.0 */
/* A profile as a table: one pass over the samples into groups by text, which are then sorted. */
#include "cli/by.h"

#include <errno.h>
#include <inttypes.h>
#include <stdlib.h>
#include <string.h>

#define HASH_NONFATAL_OOM 1 /* (element)->hh.tbl is NULL after an addition that failed */
#include <uthash.h>

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
	UT_hash_handle hh;
};

struct cs_by {
	const char *name;
	const char *plural; /* of what is counted */
	const char *none;   /* the name of those without */
	/* Append the group's name, nothing if it has none, and tell which one of it this is. Returns 0 or -ENOMEM. */
	int (*place)(const struct cs_profile *profile, const struct cs_sample *sample,
		     struct cs_buf *name, uint64_t id[2]);
};

struct table {
	const struct cs_by *by;
	const struct cs_profile *profile;
	struct group *groups; /* owned, as are the members */
	struct member *members;
	struct group none, sum; /* without names */
	struct cs_buf name;     /* scratch */
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
static int place_service(const struct cs_profile *profile, const struct cs_sample *sample,
			 struct cs_buf *name, uint64_t id[2])
{
	const struct cs_owner *owner = cs_profile_get_owner(profile, sample->labels.owner);
	uint32_t service = owner->facts[CS_FACT_SERVICE];

	id[0] = sample->labels.process_id;
	return append_string(profile, service ? service : owner->facts[CS_FACT_PROGRAM], name);
}

static const struct cs_by all[] = {
	{"process", "processes", "(no process)", place_process},
	{"thread", "threads", "(thread without a name)", place_thread},
	{"task", "tasks", "(no task)", place_task},
	{"span", "spans", "(no span)", place_span},
	{"root", "spans", "(no local root)", place_root},
	{"trace", "spans", "(no trace)", place_trace},
	{"type", "roots", "(no type)", place_type},
	{"endpoint", "roots", "(no endpoint)", place_endpoint},
	{"service", "processes", "(no service)", place_service},
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
		free(group->name);
		free(group);
	}
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

/* Text */

static int compare_groups(struct group *a, struct group *b)
{
	if (a->wall_ns != b->wall_ns)
		return a->wall_ns < b->wall_ns ? 1 : -1;
	return strcmp(a->name, b->name);
}

static int put_group(struct table *table, const struct group *group, const char *name,
		     struct cs_buf *out)
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
		err = cs_buf_printf(out, "%12" PRIu64 "  ", group->samples);
	if (!err)
		err = cs_buf_append_escaped(out, name, strlen(name), "");
	return err ? err : cs_buf_append_str(out, "\n");
}

static int put_table(struct table *table, struct cs_buf *out)
{
	const struct cs_profile_meta *meta = cs_profile_meta(table->profile);
	int err = cs_buf_printf(out, "%14s%s%12s%12s  %s\n", meta->off_cpu ? "off cpu" : "cpu",
				meta->wall ? "          wall" : "", table->by->plural, "samples",
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
	return put_table(&table, out);
}
