/* SPDX-License-Identifier: Apache-2.0 */
/*
 * pprof profiles (pprof.proto), gzip'd. Who was running is told by labels, so process and thread
 * frames are left out of the stacks; task boundaries stay, as functions. Every location belongs to
 * a mapping: native code to that of its file, what is in no file to one that tells its kind. Equal profiles give equal bytes: ids count up in order of first
 * use, and the gzip header has no time. Texts end at a NUL byte, should one hold any: the format's
 * strings are C strings to protobuf-c.
 */
#include <errno.h>
#include <inttypes.h>
#include <stdlib.h>
#include <string.h>
#include <sys/param.h>

#include "core/cleanup.h"
#include "core/counters.h"
#include "export/exporter.h"
#include "export/gzip.h"
#include "export/memory.h"
#include "export/pprof.h"
#include "pprof.pb-c.h"

#define MAX_LABELS 12

/*
 * A message under construction. err sticks: whoever fails sets it, and it is asked for once at the
 * end.
 */
struct builder {
	const struct cs_profile *profile;
	const struct cs_pprof_options *options;
	enum cs_value kinds[CS_VALUE_MAX_]; /* of values, as many as sample types */
	struct cs_profile *tables; /* interns the format's strings and functions, nothing else */
	struct cs_memory memory;
	size_t nsamples, nframes; /* that are wanted; of frames: at most */
	uint64_t *location_ids;   /* of the profile's frames; 0: not used yet */
	uint64_t *mapping_ids;    /* of the profile's mappings; 0: not used yet */
	bool *owners;             /* by index: whose samples are wanted; nowners of them */
	size_t nowners;
	Pprof__Profile message;
	int err;
};

static void builder_free(struct builder *b)
{
	cs_memory_free(&b->memory);
	cs_profile_free(b->tables);
}

static bool failed(struct builder *b)
{
	if (!b->err && b->memory.failed)
		b->err = -ENOMEM;
	return b->err;
}

static int64_t string_id(struct builder *b, const char *str)
{
	int64_t id = cs_profile_string(b->tables, str, strlen(str));

	if (id < 0)
		b->err = (int)id;
	return id < 0 ? 0 : id;
}

static Pprof__ValueType *new_value_type(struct builder *b, const char *type, const char *unit)
{
	Pprof__ValueType *value_type = cs_memory_get(&b->memory, 1, sizeof(*value_type));

	if (value_type) {
		pprof__value_type__init(value_type);
		value_type->type = string_id(b, type);
		value_type->unit = string_id(b, unit);
	}
	return value_type;
}

static const char *const plain_names[CS_VALUE_MAX_] = {
	[CS_VALUE_SAMPLES] = "samples", [CS_VALUE_CPU_NS] = "cpu",
	[CS_VALUE_WALL_NS] = "wall",    [CS_VALUE_SLOW_NS] = "slow_callback",
	[CS_VALUE_OFF_NS] = "offcpu",
};

/* Datadog's; its own profiler counts samples by what they were taken for. */
static const char *datadog_name(enum cs_value kind, bool wall)
{
	switch (kind) {
	case CS_VALUE_SAMPLES:
		return wall ? "wall-samples" : "cpu-samples";
	case CS_VALUE_CPU_NS:
		return "cpu-time";
	case CS_VALUE_WALL_NS:
		return "wall-time";
	default:
		return plain_names[kind];
	}
}

/* In CPU mode wall time is CPU time, which only the plain form says twice. */
static bool kind_wanted(const struct builder *b, enum cs_value kind)
{
	const struct cs_profile_meta *meta = cs_profile_meta(b->profile);

	if (b->options->dialect == CS_PPROF_PYROSCOPE)
		return kind == b->options->kind;
	if (meta->off_cpu || kind == CS_VALUE_OFF_NS)
		return meta->off_cpu && (kind == CS_VALUE_SAMPLES || kind == CS_VALUE_OFF_NS);
	if (b->options->dialect == CS_PPROF_DATADOG && kind == CS_VALUE_WALL_NS && !meta->wall)
		return false;
	return kind != CS_VALUE_SLOW_NS || meta->slow_ns;
}

static void add_kind(struct builder *b, enum cs_value kind)
{
	const char *name = b->options->dialect == CS_PPROF_DATADOG
				   ? datadog_name(kind, cs_profile_meta(b->profile)->wall)
				   : plain_names[kind];

	b->kinds[b->message.n_sample_type] = kind;
	b->message.sample_type[b->message.n_sample_type++] =
		new_value_type(b, name, kind == CS_VALUE_SAMPLES ? "count" : "nanoseconds");
}

static void add_header(struct builder *b)
{
	const struct cs_profile_meta *meta = cs_profile_meta(b->profile);
	enum cs_value main_value = cs_profile_main_value(meta);
	Pprof__Profile *message = &b->message;

	message->sample_type =
		cs_memory_get(&b->memory, CS_VALUE_MAX_, sizeof(*message->sample_type));
	if (!message->sample_type)
		return;
	for (int kind = 0; kind < CS_VALUE_MAX_; kind++)
		if (kind_wanted(b, kind))
			add_kind(b, kind);
	if (b->options->dialect == CS_PPROF_PYROSCOPE)
		main_value = b->options->kind;
	for (size_t i = 0; !failed(b) && i < message->n_sample_type; i++) {
		if (b->kinds[i] != main_value)
			continue;
		message->period_type = message->sample_type[i];
		message->default_sample_type = message->sample_type[i]->type;
	}
	/* blocks have no period */
	message->period = meta->off_cpu ? 1 : (int64_t)meta->interval_ns;
	message->time_nanos = (int64_t)meta->start_realtime_ns;
	message->duration_nanos = (int64_t)meta->duration_ns;
}

static void add_comment(struct builder *b, const char *comment)
{
	b->message.comment[b->message.n_comment++] = string_id(b, comment);
}

/* The accounts (due ticks = samples + counted losses) and what the user should know. */
static void add_comments(struct builder *b)
{
	const struct cs_profile_meta *meta = cs_profile_meta(b->profile);
	size_t nnotes = cs_profile_nnotes(b->profile);
	char line[160];
	size_t i;

	b->message.comment = cs_memory_get(&b->memory, CS_COUNTER_MAX_ + nnotes + 1,
					   sizeof(*b->message.comment));
	if (!b->message.comment)
		return;
	for (i = 0; meta->has_counters && i < CS_COUNTER_MAX_; i++) {
		if (!cs_counter_text(i)->sentence || !meta->counters[i])
			continue;
		snprintf(line, sizeof(line), "%s: %" PRIu64, cs_counter_text(i)->sentence,
			 meta->counters[i]);
		add_comment(b, line);
	}
	if (meta->partial)
		add_comment(b, "partial: the capture was cut off");
	for (i = 0; i < nnotes; i++)
		add_comment(b, cs_profile_get_note(b->profile, i));
}

/*
 * Mappings of what is in no file: an id and an index into these. pprof shows the first as "File". Those of
 * files follow, when they are first used.
 */
enum { MAPPING_PYTHON = 1, MAPPING_NATIVE, MAPPING_KERNEL };

static void add_mappings(struct builder *b)
{
	static const char *const names[] = {"[python]", "[native]", "[kernel]"};
	size_t i, nfiles = cs_profile_nmappings(b->profile);
	Pprof__Mapping *mapping;

	b->mapping_ids = cs_memory_get(&b->memory, nfiles, sizeof(*b->mapping_ids));
	b->message.mapping =
		cs_memory_messages(&b->memory, ARRAY_SIZE(names) + nfiles, sizeof(*mapping));
	for (i = 0; b->message.mapping && i < ARRAY_SIZE(names); i++) {
		mapping = b->message.mapping[b->message.n_mapping++];
		pprof__mapping__init(mapping);
		mapping->id = i + 1;
		mapping->filename = string_id(b, names[i]);
		mapping->has_functions = true;
	}
}

/* The mapping of native code. A name that is missing leaves its functions to be looked up, by address and build id. */
static uint64_t get_mapping(struct builder *b, const struct cs_frame *frame)
{
	const struct cs_mapped *mapped;
	Pprof__Mapping *mapping;
	uint64_t *id;

	if (!frame->mapping)
		return MAPPING_NATIVE;
	id = &b->mapping_ids[frame->mapping - 1];
	if (!*id) {
		mapped = cs_profile_get_mapping(b->profile, frame->mapping - 1);
		mapping = b->message.mapping[b->message.n_mapping++];
		pprof__mapping__init(mapping);
		mapping->id = *id = b->message.n_mapping;
		mapping->memory_start = mapped->start;
		mapping->memory_limit = mapped->end;
		mapping->file_offset = mapped->offset;
		mapping->filename = string_id(b, cs_profile_str(b->profile, mapped->path));
		mapping->build_id = string_id(b, cs_profile_str(b->profile, mapped->build_id));
		mapping->has_functions = true;
	}
	if (frame->unnamed)
		b->message.mapping[*id - 1]->has_functions = false;
	return *id;
}

/*
 * Functions are told apart by name, file and first line: what is left of a frame without its line.
 */
static uint64_t get_function(struct builder *b, const struct cs_frame *frame)
{
	bool inlined = frame->kind == CS_FRAME_INLINED;
	struct cs_frame key = {.kind = inlined ? CS_FRAME_NATIVE : frame->kind,
			       .first_line = frame->first_line};
	Pprof__Function *function;
	int64_t index;

	key.name = (uint32_t)string_id(b, cs_profile_str(b->profile, frame->name));
	key.file = (uint32_t)string_id(b, cs_profile_str(b->profile, frame->file));
	index = cs_profile_frame(b->tables, &key);
	if (index < 0) {
		b->err = (int)index;
		return 0;
	}
	if ((size_t)index == b->message.n_function) {
		function = b->message.function[b->message.n_function++];
		pprof__function__init(function);
		function->id = (uint64_t)index + 1;
		function->name = key.name;
		function->filename = key.file;
		function->start_line = key.first_line;
	}
	return (uint64_t)index + 1;
}

/* One line for the function, and one for each that it was inlined into: the innermost first. Returns the outermost frame. */
static const struct cs_frame *add_lines(struct builder *b, Pprof__Location *location,
					uint32_t frame_index)
{
	uint32_t n = cs_profile_inlined(b->profile, frame_index) + 1;
	const struct cs_frame *frame = NULL;

	if (n > 1) /* the one that each location has is not enough */
		location->line = cs_memory_messages(&b->memory, n, sizeof(**location->line));
	if (!location->line)
		n = 0;
	for (location->n_line = 0; location->n_line < n; location->n_line++) {
		frame = cs_profile_get_frame(b->profile, frame_index);
		pprof__line__init(location->line[location->n_line]);
		location->line[location->n_line]->function_id = get_function(b, frame);
		location->line[location->n_line]->line = frame->line;
		frame_index = frame->inlined_into;
	}
	return frame;
}

static uint64_t get_location(struct builder *b, uint32_t frame_index)
{
	const struct cs_frame *frame;
	Pprof__Location *location;

	if (b->location_ids[frame_index])
		return b->location_ids[frame_index];
	location = b->message.location[b->message.n_location++];
	location->id = b->location_ids[frame_index] = b->message.n_location;
	frame = add_lines(b, location, frame_index);
	if (!frame)
		return location->id;
	location->address = frame->address;
	location->mapping_id = frame->kind == CS_FRAME_KERNEL   ? MAPPING_KERNEL
			       : frame->kind == CS_FRAME_NATIVE ? get_mapping(b, frame)
								: MAPPING_PYTHON;
	return location->id;
}

/* Of each of very many samples it is asked whether it is one of very many owners'. */
static void mark_owners(struct builder *b)
{
	const struct cs_pprof_options *options = b->options;

	for (size_t i = 0; options->owners && i < options->nowners; i++)
		b->nowners = MAX(b->nowners, (size_t)options->owners[i] + 1);
	b->owners = cs_memory_get(&b->memory, b->nowners, sizeof(*b->owners));
	for (size_t i = 0; b->owners && options->owners && i < options->nowners; i++)
		b->owners[options->owners[i]] = true;
}

static bool owner_wanted(const struct builder *b, uint32_t owner)
{
	return !b->options->owners || (owner < b->nowners && b->owners[owner]);
}

static bool sample_wanted(const struct builder *b, const struct cs_sample *sample)
{
	const struct cs_pprof_options *options = b->options;

	if (!owner_wanted(b, sample->labels.owner))
		return false;
	return options->dialect != CS_PPROF_PYROSCOPE || sample->values[options->kind];
}

/* The index of the sample to be looked at after this one. */
static size_t next_sample(const struct builder *b, size_t i)
{
	const struct cs_pprof_options *options = b->options;

	if (i + 1 >= options->to)
		return options->to;
	return options->next ? options->next[i] : i + 1;
}

/* What one process of hundreds takes is far less than the whole profile has: count before memory is taken. */
static void count_wanted(struct builder *b)
{
	size_t nframes = 0;

	for (size_t i = b->options->from; i < b->options->to; i = next_sample(b, i)) {
		const struct cs_sample *sample = cs_profile_sample(b->profile, i);

		if (!sample_wanted(b, sample))
			continue;
		b->nsamples++;
		nframes += cs_profile_stack(b->profile, sample->stack).n;
	}
	b->nframes = MIN(nframes, (size_t)cs_profile_nframes(b->profile));
}

static void reserve_locations(struct builder *b)
{
	size_t n = b->nframes;
	Pprof__Profile *message = &b->message;
	Pprof__Line **lines;
	size_t i;

	message->location = cs_memory_messages(&b->memory, n, sizeof(**message->location));
	message->function = cs_memory_messages(&b->memory, n, sizeof(**message->function));
	lines = cs_memory_messages(&b->memory, n, sizeof(**lines));
	b->location_ids =
		cs_memory_get(&b->memory, cs_profile_nframes(b->profile), sizeof(*b->location_ids));
	for (i = 0; !failed(b) && i < n; i++) {
		pprof__location__init(message->location[i]);
		message->location[i]->line = &lines[i];
		message->location[i]->n_line = 1;
	}
}

static Pprof__Label *add_label(struct builder *b, Pprof__Sample *sample, const char *key)
{
	Pprof__Label *label = sample->label[sample->n_label++];

	pprof__label__init(label);
	label->key = string_id(b, key);
	return label;
}

static void add_number(struct builder *b, Pprof__Sample *sample, const char *key, uint64_t number)
{
	if (number)
		add_label(b, sample, key)->num = (int64_t)number;
}

static void add_text(struct builder *b, Pprof__Sample *sample, const char *key, uint32_t text)
{
	if (text)
		add_label(b, sample, key)->str = string_id(b, cs_profile_str(b->profile, text));
}

/*
 * At most MAX_LABELS. The kernel's thread id serves as both of the thread ids that readers search
 * for.
 */
static void add_labels(struct builder *b, Pprof__Sample *sample, const struct cs_labels *labels)
{
	add_number(b, sample, "process_id", labels->process_id);
	add_number(b, sample, "thread id", labels->thread_id);
	add_number(b, sample, "thread native id", labels->thread_id);
	add_text(b, sample, "thread name", labels->thread_name);
	add_number(b, sample, "task id", labels->task_id);
	add_text(b, sample, "task name", labels->task_name);
	add_number(b, sample, "origin task id", labels->origin_task_id);
	add_text(b, sample, "origin task name", labels->origin_task_name);
	add_number(b, sample, "span id", labels->span_id);
	add_number(b, sample, "local root span id", labels->root_span_id);
	add_text(b, sample, "trace id", labels->trace_id);
	add_text(b, sample, "trace type", labels->trace_type);
	add_text(b, sample, "trace endpoint", labels->trace_endpoint);
}

static void add_hex(struct builder *b, Pprof__Sample *sample, const char *key, uint64_t id)
{
	char digits[17];

	snprintf(digits, sizeof(digits), "%016" PRIx64, id);
	if (id)
		add_label(b, sample, key)->str = string_id(b, digits);
}

/*
 * The one label of which Pyroscope makes no series. It did of trace_id until June 2026 (its pull request 5220), one for each request, so that is not
 * sent. A request's profile is that of its first span here, as its own libraries have it.
 */
static void add_pyroscope_labels(struct builder *b, Pprof__Sample *sample,
				 const struct cs_labels *labels)
{
	add_hex(b, sample, "span_id",
		labels->root_span_id ? labels->root_span_id : labels->span_id);
}

static bool told_by_labels(const struct cs_frame *frame)
{
	return frame->kind == CS_FRAME_PROCESS || frame->kind == CS_FRAME_THREAD;
}

/*
 * Leaf first. A stack of which nothing else is known keeps its leaf: readers do not show time
 * without a frame.
 */
static void add_stack(struct builder *b, Pprof__Sample *sample, struct cs_stack stack)
{
	uint32_t i;

	sample->location_id = cs_memory_get(&b->memory, stack.n, sizeof(*sample->location_id));
	for (i = stack.n; sample->location_id && i-- > 0;) {
		if (i + 1 < stack.n &&
		    told_by_labels(cs_profile_get_frame(b->profile, stack.frames[i])))
			continue;
		sample->location_id[sample->n_location_id++] = get_location(b, stack.frames[i]);
		/* they are lines of this location */
		i -= cs_profile_inlined(b->profile, stack.frames[i]);
	}
}

static void add_sample(struct builder *b, const struct cs_sample *from, Pprof__Label **labels)
{
	Pprof__Sample *sample = b->message.sample[b->message.n_sample++];

	pprof__sample__init(sample);
	sample->value = cs_memory_get(&b->memory, b->message.n_sample_type, sizeof(*sample->value));
	for (; sample->value && sample->n_value < b->message.n_sample_type; sample->n_value++)
		/* no value is above INT64_MAX */
		sample->value[sample->n_value] = (int64_t)from->values[b->kinds[sample->n_value]];
	sample->label = labels;
	if (b->options->dialect == CS_PPROF_PYROSCOPE)
		add_pyroscope_labels(b, sample, &from->labels);
	else
		add_labels(b, sample, &from->labels);
	add_stack(b, sample, cs_profile_stack(b->profile, from->stack));
}

static void add_samples(struct builder *b)
{
	size_t n = b->nsamples;
	const struct cs_sample *from;
	Pprof__Label **labels;

	b->message.sample = cs_memory_messages(&b->memory, n, sizeof(**b->message.sample));
	labels = cs_memory_messages(&b->memory, n * MAX_LABELS, sizeof(**labels));
	for (size_t i = b->options->from; !failed(b) && i < b->options->to; i = next_sample(b, i)) {
		from = cs_profile_sample(b->profile, i);
		if (sample_wanted(b, from))
			add_sample(b, from, labels + b->message.n_sample * MAX_LABELS);
	}
}

/* Last: every string is known only now. */
static void add_strings(struct builder *b)
{
	size_t n = cs_profile_nstrings(b->tables);
	char **strings = cs_memory_get(&b->memory, n, sizeof(*strings));
	size_t i;

	for (i = 0; strings && i < n; i++)
		strings[i] = (char *)cs_profile_str(b->tables, (uint32_t)i);
	b->message.string_table = strings;
	b->message.n_string_table = n;
}

static int build(struct builder *b)
{
	b->err = cs_profile_new(&b->tables);
	mark_owners(b);
	if (!failed(b))
		count_wanted(b);
	if (!failed(b))
		add_header(b);
	if (!failed(b))
		add_mappings(b);
	if (!failed(b))
		reserve_locations(b);
	if (!failed(b))
		add_samples(b);
	if (!failed(b))
		add_comments(b);
	if (!failed(b))
		add_strings(b);
	return failed(b) ? b->err : 0;
}

static int write_message(const struct cs_profile *profile, const struct cs_pprof_options *options,
			 bool even_if_empty, struct cs_buf *out)
{
	_cleanup_(builder_free) struct builder b = {.profile = profile, .options = options};
	_cleanup_free_ uint8_t *packed = NULL;
	size_t len;
	int err;

	pprof__profile__init(&b.message);
	err = build(&b);
	if (err)
		return err;
	if (!b.message.n_sample && !even_if_empty)
		return -ENODATA;
	len = pprof__profile__get_packed_size(&b.message);
	packed = malloc(len);
	if (!packed)
		return -ENOMEM;
	pprof__profile__pack(&b.message, packed);
	return cs_export_gzip(packed, len, out);
}

int cs_pprof_write(const struct cs_profile *profile, const struct cs_pprof_options *options,
		   struct cs_buf *out)
{
	return write_message(profile, options, false, out);
}

static int write_pprof(const struct cs_profile *profile, struct cs_buf *out)
{
	const struct cs_pprof_options options = {.to = cs_profile_nsamples(profile)};

	return write_message(profile, &options, true, out);
}

const struct cs_exporter cs_export_pprof = {
	.name = "pprof",
	.suffix = ".pb.gz",
	.help = "pprof profile for go tool pprof, Pyroscope, Parca, Datadog",
	.write = write_pprof,
};
