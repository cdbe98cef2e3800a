/* SPDX-License-Identifier: Apache-2.0 */
/*
 * OTLP profiles. A process is a resource, which has one profile for each kind of time, since a profile has one type
 * of value. Threads and tasks are attributes of samples: the conventions' names where OpenTelemetry has one, else
 * asyncio.* and trace.*; the active span is a link. Locations have no mapping: every name was looked up while the process lived, and the format allows no
 * mapping without a build id. The accounts of the capture are attributes of its first profile. Texts end at a NUL
 * byte, should one hold any: protobuf-c's strings are C strings.
 */
#include "export/otlp.h"

#include <ctype.h>
#include <errno.h>
#include <inttypes.h>
#include <stdlib.h>
#include <string.h>

#include "core/cleanup.h"
#include "core/counters.h"
#include "export/exporter.h"
#include "export/memory.h"
#include "export/otlp_resource.h"
#include "export/otlp_tables.h"
#include "export/process.h"

#define MAX_ATTRIBUTES 8
#define ID_BYTES       16

struct builder {
	const struct cs_profile *profile;
	const struct cs_otlp_options *options;
	struct cs_memory memory;
	struct cs_otlp_tables *tables;
	Otlp__Sample *shape; /* of each sample, without a value: its kinds share it */
	struct cs_processes processes;
	Otlp__Profile **profiles; /* all of the request */
	size_t nprofiles;
	Otlp__Request request;
};

static void builder_free(struct builder *b)
{
	cs_otlp_tables_free(b->tables);
	cs_processes_free(&b->processes);
	cs_memory_free(&b->memory);
}

static const struct cs_sample *get_sample(const struct builder *b, size_t i)
{
	return cs_profile_sample(b->profile, i);
}

static void add_number(struct builder *b, Otlp__Sample *sample, const char *key, uint64_t number)
{
	if (number)
		sample->attribute_indices[sample->n_attribute_indices++] =
			cs_otlp_number(b->tables, key, (int64_t)number);
}

static void add_text(struct builder *b, Otlp__Sample *sample, const char *key, uint32_t text)
{
	const char *str = cs_profile_str(b->profile, text);

	if (*str)
		sample->attribute_indices[sample->n_attribute_indices++] =
			cs_otlp_text(b->tables, key, str);
}

/* As ids are written. */
static void add_id(struct builder *b, Otlp__Sample *sample, const char *key, uint64_t id)
{
	char *digits = id ? cs_memory_get(&b->memory, 17, 1) : NULL;

	if (!digits)
		return;
	snprintf(digits, 17, "%016" PRIx64, id);
	sample->attribute_indices[sample->n_attribute_indices++] =
		cs_otlp_text(b->tables, key, digits);
}

/* At most MAX_ATTRIBUTES. */
static void add_attributes(struct builder *b, Otlp__Sample *sample, const struct cs_labels *labels)
{
	sample->attribute_indices =
		cs_memory_get(&b->memory, MAX_ATTRIBUTES, sizeof(*sample->attribute_indices));
	if (!sample->attribute_indices)
		return;
	add_number(b, sample, "thread.id", labels->thread_id);
	add_text(b, sample, "thread.name", labels->thread_name);
	add_number(b, sample, "asyncio.task.id", labels->task_id);
	add_text(b, sample, "asyncio.task.name", labels->task_name);
	add_number(b, sample, "asyncio.origin_task.id", labels->origin_task_id);
	add_text(b, sample, "asyncio.origin_task.name", labels->origin_task_name);
	add_id(b, sample, "trace.local_root_span.id", labels->root_span_id);
	add_text(b, sample, "trace.type", labels->trace_type);
	add_text(b, sample, "trace.endpoint", labels->trace_endpoint);
}

static void make_shapes(struct builder *b)
{
	const struct cs_sample *from;
	Otlp__Sample *shape;

	b->shape = cs_memory_get(&b->memory, cs_profile_nsamples(b->profile), sizeof(*b->shape));
	for (size_t i = b->options->from; !b->memory.failed && i < b->options->to; i++) {
		from = get_sample(b, i);
		shape = &b->shape[i];
		otlp__sample__init(shape);
		shape->stack_index =
			cs_otlp_stack(b->tables, cs_profile_stack(b->profile, from->stack));
		shape->link_index =
			cs_otlp_link(b->tables, cs_profile_str(b->profile, from->labels.trace_id),
				     from->labels.span_id);
		add_attributes(b, shape, &from->labels);
	}
}

static Otlp__ValueType *new_value_type(struct builder *b, const char *type)
{
	Otlp__ValueType *value_type = cs_memory_get(&b->memory, 1, sizeof(*value_type));

	if (value_type) {
		otlp__value_type__init(value_type);
		value_type->type_strindex = cs_otlp_string(b->tables, type);
		value_type->unit_strindex = cs_otlp_string(b->tables, "nanoseconds");
	}
	return value_type;
}

/* The samples that have a value of this kind. */
static void add_samples(struct builder *b, Otlp__Profile *profile, const struct cs_process *process,
			enum cs_value kind)
{
	size_t n = 0, i;

	for (i = process->first;; i = b->processes.next[i]) {
		n += get_sample(b, i)->values[kind] != 0;
		if (i == process->last)
			break;
	}
	profile->samples = cs_memory_messages(&b->memory, n, sizeof(**profile->samples));
	for (i = process->first; profile->samples && profile->n_samples < n;
	     i = b->processes.next[i]) {
		const struct cs_sample *from = get_sample(b, i);
		Otlp__Sample *sample = profile->samples[profile->n_samples];

		if (!from->values[kind])
			continue;
		*sample = b->shape[i];
		/* Borrowed: no value is above INT64_MAX, and protobuf-c only reads. */
		sample->values = (int64_t *)&from->values[kind];
		sample->n_values = 1;
		profile->n_samples++;
	}
}

/* Added to the scope unless it would be empty. */
static void add_profile(struct builder *b, Otlp__ScopeProfiles *scope,
			const struct cs_process *process, enum cs_value kind)
{
	static const char *const types[CS_VALUE_MAX_] = {
		[CS_VALUE_CPU_NS] = "cpu",
		[CS_VALUE_WALL_NS] = "wall",
		[CS_VALUE_SLOW_NS] = "slow_callback",
		[CS_VALUE_OFF_NS] = "off_cpu", /* as OpenTelemetry's own profiler calls it */
	};
	const struct cs_profile_meta *meta = cs_profile_meta(b->profile);
	Otlp__Profile *profile = scope->profiles[scope->n_profiles];

	otlp__profile__init(profile);
	add_samples(b, profile, process, kind);
	if (!profile->n_samples)
		return;
	profile->sample_type = new_value_type(b, types[kind]);
	/* blocks have no period, by which backends know them */
	if (kind != CS_VALUE_OFF_NS) {
		profile->period_type = new_value_type(b, types[kind]);
		profile->period = (int64_t)meta->interval_ns;
	}
	profile->time_unix_nano = meta->start_realtime_ns;
	profile->duration_nano = meta->duration_ns;
	b->profiles[b->nprofiles++] = profile;
	scope->n_profiles++;
}

static void add_scope(struct builder *b, Otlp__ResourceProfiles *to,
		      const struct cs_process *process)
{
	static const enum cs_value kinds[] = {CS_VALUE_WALL_NS, CS_VALUE_CPU_NS, CS_VALUE_SLOW_NS,
					      CS_VALUE_OFF_NS};
	bool wall = cs_profile_meta(b->profile)->wall;
	Otlp__ScopeProfiles *scope;

	to->scope_profiles = cs_memory_messages(&b->memory, 1, sizeof(*scope));
	if (!to->scope_profiles)
		return;
	to->n_scope_profiles = 1;
	scope = to->scope_profiles[0];
	otlp__scope_profiles__init(scope);
	scope->scope = cs_memory_get(&b->memory, 1, sizeof(*scope->scope));
	scope->profiles = cs_memory_messages(&b->memory, CS_VALUE_MAX_, sizeof(**scope->profiles));
	if (!scope->scope || !scope->profiles)
		return;
	otlp__scope__init(scope->scope);
	scope->scope->name = (char *)"coroscope";
	if (b->options->version)
		scope->scope->version = (char *)b->options->version;
	/* in CPU mode wall time is CPU time */
	for (size_t i = !wall; i < ARRAY_SIZE(kinds); i++)
		add_profile(b, scope, process, kinds[i]);
}

static void add_resource(struct builder *b, const struct cs_process *from)
{
	Otlp__ResourceProfiles *to = b->request.resource_profiles[b->request.n_resource_profiles++];

	otlp__resource_profiles__init(to);
	to->resource = cs_otlp_resource(b->profile, b->options, from, &b->memory);
	if (!to->resource)
		return;
	add_scope(b, to, from);
	if (to->n_scope_profiles && !to->scope_profiles[0]->n_profiles)
		b->request.n_resource_profiles--;
}

static void add_resources(struct builder *b)
{
	size_t n = b->processes.n;

	b->request.resource_profiles =
		cs_memory_messages(&b->memory, n, sizeof(**b->request.resource_profiles));
	b->profiles = cs_memory_get(&b->memory, n * CS_VALUE_MAX_, sizeof(*b->profiles));
	for (size_t i = 0; !b->memory.failed && i < n; i++)
		add_resource(b, &b->processes.at[i]);
}

static const char *counter_key(struct builder *b, enum cs_counter counter)
{
	const char *name = cs_counter_text(counter)->name;
	static const char prefix[] = "coroscope.counter.";
	char *key = cs_memory_get(&b->memory, sizeof(prefix) + strlen(name), 1), *end;

	if (!key)
		return "";
	end = stpcpy(key, prefix);
	while (*name)
		*end++ = (char)tolower((unsigned char)*name++);
	*end = '\0';
	return key;
}

/* All notes as one list: a key may occur only once. */
static Otlp__Value *new_notes(struct builder *b)
{
	size_t n = cs_profile_nnotes(b->profile);
	Otlp__Value *value = cs_memory_get(&b->memory, 1, sizeof(*value));
	Otlp__Values *list = cs_memory_get(&b->memory, 1, sizeof(*list));

	if (!value || !list)
		return NULL;
	otlp__value__init(value);
	otlp__values__init(list);
	value->value_case = OTLP__VALUE__VALUE_ARRAY_VALUE;
	value->array_value = list;
	list->values = cs_memory_get(&b->memory, n, sizeof(*list->values));
	for (; list->values && list->n_values < n; list->n_values++)
		list->values[list->n_values] = cs_otlp_text_value(
			&b->memory, cs_profile_get_note(b->profile, list->n_values));
	return value;
}

/* The accounts (due ticks = samples + counted losses) and what the user should know. */
static void add_accounts(struct builder *b)
{
	const struct cs_profile_meta *meta = cs_profile_meta(b->profile);
	Otlp__Profile *profile = b->profiles[0];
	int32_t *indices = cs_memory_get(&b->memory, CS_COUNTER_MAX_ + 2, sizeof(*indices));
	Otlp__Value *partial = cs_memory_get(&b->memory, 1, sizeof(*partial));
	size_t n = 0;

	if (!indices || !partial)
		return;
	for (int i = 0; meta->has_counters && i < CS_COUNTER_MAX_; i++)
		if (cs_counter_text(i)->sentence && meta->counters[i])
			indices[n++] = cs_otlp_number(b->tables, counter_key(b, i),
						      (int64_t)meta->counters[i]);
	if (cs_profile_nnotes(b->profile))
		indices[n++] = cs_otlp_attribute(b->tables, "coroscope.notes", new_notes(b));
	otlp__value__init(partial);
	partial->value_case = OTLP__VALUE__VALUE_BOOL_VALUE;
	partial->bool_value = true;
	if (meta->partial)
		indices[n++] = cs_otlp_attribute(b->tables, "coroscope.partial", partial);
	profile->attribute_indices = indices;
	profile->n_attribute_indices = n;
}

/* FNV-1a: no secret is kept, equal requests should be alike and others differ. */
static unsigned __int128 hash(const uint8_t *bytes, size_t len)
{
	const unsigned __int128 prime = (unsigned __int128)1 << 88 | 0x13b;
	unsigned __int128 sum = (unsigned __int128)0x6c62272e07bb0142u << 64 | 0x62b821756295c58du;

	for (size_t i = 0; i < len; i++)
		sum = (sum ^ bytes[i]) * prime;
	return sum;
}

/* Every profile's id, of what the whole request holds without them. */
static void add_ids(struct builder *b, const uint8_t *packed, size_t len)
{
	unsigned __int128 id = hash(packed, len);
	uint8_t *bytes = cs_memory_get(&b->memory, b->nprofiles, ID_BYTES);

	for (size_t i = 0; bytes && i < b->nprofiles; i++, id++, bytes += ID_BYTES) {
		memcpy(bytes, &id, ID_BYTES);
		b->profiles[i]->profile_id = (ProtobufCBinaryData){.len = ID_BYTES, .data = bytes};
	}
}

/* Twice: the ids are made of what is packed without them. */
static int pack(struct builder *b, struct cs_buf *out)
{
	size_t start = out->len, len = otlp__request__get_packed_size(&b->request);
	uint8_t *packed = cs_buf_extend(out, len);

	if (!packed)
		return -ENOMEM;
	otlp__request__pack(&b->request, packed);
	add_ids(b, packed, len);
	out->len = start;
	len = otlp__request__get_packed_size(&b->request);
	packed = b->memory.failed ? NULL : cs_buf_extend(out, len);
	if (!packed)
		return -ENOMEM;
	otlp__request__pack(&b->request, packed);
	return 0;
}

static int build(struct builder *b)
{
	int err = cs_otlp_tables_new(b->profile, &b->memory, &b->tables);

	if (!err)
		err = cs_processes_find(b->profile, b->options->from, b->options->to,
					&b->processes);
	if (err)
		return err;
	make_shapes(b);
	if (!b->memory.failed)
		add_resources(b);
	if (!b->memory.failed && b->nprofiles)
		add_accounts(b);
	if (!b->memory.failed)
		b->request.dictionary = cs_otlp_dictionary(b->tables);
	return b->memory.failed ? -ENOMEM : 0;
}

int cs_otlp_write(const struct cs_profile *profile, const struct cs_otlp_options *options,
		  struct cs_buf *out)
{
	_cleanup_(builder_free) struct builder b = {.profile = profile, .options = options};
	int err;

	otlp__request__init(&b.request);
	err = build(&b);
	return err ? err : pack(&b, out);
}

void cs_otlp_read_answer(const void *body, size_t len, bool ok, struct cs_otlp_answer *ret)
{
	Otlp__Response *taken = ok ? otlp__response__unpack(NULL, len, body) : NULL;
	Otlp__Status *status = ok ? NULL : otlp__status__unpack(NULL, len, body);

	*ret = (struct cs_otlp_answer){0};
	if (taken && taken->partial_success) {
		if (taken->partial_success->rejected_profiles > 0)
			ret->rejected = (uint64_t)taken->partial_success->rejected_profiles;
		snprintf(ret->message, sizeof(ret->message), "%s",
			 taken->partial_success->error_message);
	}
	if (status)
		snprintf(ret->message, sizeof(ret->message), "%s", status->message);
	if (taken)
		otlp__response__free_unpacked(taken, NULL);
	if (status)
		otlp__status__free_unpacked(status, NULL);
}

static int write_otlp(const struct cs_profile *profile, struct cs_buf *out)
{
	const struct cs_otlp_options options = {.to = cs_profile_nsamples(profile)};

	return cs_otlp_write(profile, &options, out);
}

const struct cs_exporter cs_export_otlp = {
	.name = "otlp",
	.suffix = ".otlp",
	.help = "OpenTelemetry profiles (protobuf, v1development of 1.10)",
	.write = write_otlp,
};
