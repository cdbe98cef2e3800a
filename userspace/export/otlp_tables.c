/* SPDX-License-Identifier: Apache-2.0 */
/*
 * The dictionary of an OTLP profiles request. A profile of its own interns what the format's tables hold: its strings
 * are the texts, its frames the functions, its stacks lists of locations.
 */
#include "export/otlp_tables.h"

#include <errno.h>
#include <stdlib.h>
#include <string.h>
#define HASH_NONFATAL_OOM 1
#include <uthash.h>

#include "core/cleanup.h"
#include "export/otlp_links.h"

/* Messages of one table, and room for more. */
struct list {
	void **items;
	size_t n, cap;
};

struct known_attribute {
	struct attribute_key {
		int32_t key, text; /* text 0: it is a number */
		int64_t number;
	} is;
	int32_t index;
	UT_hash_handle hh;
};

struct cs_otlp_tables {
	const struct cs_profile *profile;
	struct cs_memory *memory;
	struct cs_profile *interned;
	int32_t *locations; /* of the profile's frames; 0: not used yet */
	int32_t *mapped;    /* of the profile's mappings, likewise */
	uint32_t *scratch;  /* one stack's locations, */
	uint32_t nscratch;  /* and how many fit */
	struct list mappings, location_list, functions, attributes, stacks;
	struct known_attribute *known;
	struct cs_otlp_links links;
};

static bool reserve(struct list *list)
{
	size_t cap = list->cap ? list->cap * 2 : 64;
	void **items;

	if (list->n < list->cap)
		return true;
	items = reallocarray(list->items, cap, sizeof(*items));
	if (!items)
		return false;
	list->items = items;
	list->cap = cap;
	return true;
}

/* A new last element of size bytes, to be initialized; NULL without memory. */
static void *append(struct cs_otlp_tables *tables, struct list *list, size_t size)
{
	void *item = cs_memory_get(tables->memory, 1, size);

	if (!item || list->n >= INT32_MAX || !reserve(list)) {
		tables->memory->failed = true;
		return NULL;
	}
	list->items[list->n++] = item;
	return item;
}

/* The last index of a list that has elements. */
static int32_t last(const struct list *list)
{
	return (int32_t)(list->n - 1);
}

/* Element 0 of every table. */
static void append_zeros(struct cs_otlp_tables *tables)
{
	Otlp__Mapping *mapping = append(tables, &tables->mappings, sizeof(*mapping));
	Otlp__Location *location = append(tables, &tables->location_list, sizeof(*location));
	Otlp__Function *function = append(tables, &tables->functions, sizeof(*function));
	Otlp__Attribute *attribute = append(tables, &tables->attributes, sizeof(*attribute));
	Otlp__Stack *stack = append(tables, &tables->stacks, sizeof(*stack));

	if (tables->memory->failed)
		return;
	otlp__mapping__init(mapping);
	otlp__location__init(location);
	otlp__function__init(function);
	otlp__attribute__init(attribute);
	otlp__stack__init(stack);
}

int cs_otlp_tables_new(const struct cs_profile *profile, struct cs_memory *memory,
		       struct cs_otlp_tables **ret)
{
	_cleanup_(cs_otlp_tables_freep) struct cs_otlp_tables *tables = calloc(1, sizeof(*tables));

	if (!tables || cs_profile_new(&tables->interned))
		return -ENOMEM;
	tables->profile = profile;
	tables->memory = memory;
	tables->locations =
		cs_memory_get(memory, cs_profile_nframes(profile), sizeof(*tables->locations));
	tables->mapped =
		cs_memory_get(memory, cs_profile_nmappings(profile), sizeof(*tables->mapped));
	append_zeros(tables);
	if (memory->failed)
		return -ENOMEM;
	*ret = TAKE_PTR(tables);
	return 0;
}

void cs_otlp_tables_free(struct cs_otlp_tables *tables)
{
	struct known_attribute *it, *next;

	if (!tables)
		return;
	cs_otlp_links_free(&tables->links);
	HASH_ITER (hh, tables->known, it, next) {
		HASH_DEL(tables->known, it);
		free(it);
	}
	free(tables->mappings.items);
	free(tables->location_list.items);
	free(tables->functions.items);
	free(tables->attributes.items);
	free(tables->stacks.items);
	free(tables->scratch);
	cs_profile_free(tables->interned);
	free(tables);
}

/* An index, if it is one that the format can hold. */
static int32_t index_or_fail(struct cs_otlp_tables *tables, int64_t index)
{
	if (index >= 0 && index < INT32_MAX)
		return (int32_t)index;
	tables->memory->failed = true;
	return 0;
}

int32_t cs_otlp_string(struct cs_otlp_tables *tables, const char *str)
{
	return index_or_fail(tables, cs_profile_string(tables->interned, str, strlen(str)));
}

Otlp__Value *cs_otlp_text_value(struct cs_memory *memory, const char *text)
{
	Otlp__Value *value = cs_memory_get(memory, 1, sizeof(*value));

	if (value) {
		otlp__value__init(value);
		value->value_case = OTLP__VALUE__VALUE_STRING_VALUE;
		value->string_value = (char *)text;
	}
	return value;
}

Otlp__Value *cs_otlp_number_value(struct cs_memory *memory, int64_t number)
{
	Otlp__Value *value = cs_memory_get(memory, 1, sizeof(*value));

	if (value) {
		otlp__value__init(value);
		value->value_case = OTLP__VALUE__VALUE_INT_VALUE;
		value->int_value = number;
	}
	return value;
}

int32_t cs_otlp_attribute(struct cs_otlp_tables *tables, const char *key, Otlp__Value *value)
{
	Otlp__Attribute *attribute = append(tables, &tables->attributes, sizeof(*attribute));

	if (!attribute)
		return 0;
	otlp__attribute__init(attribute);
	attribute->key_strindex = cs_otlp_string(tables, key);
	attribute->value = value;
	return last(&tables->attributes);
}

/* The entry of this attribute, new with index 0 if it was not seen before; NULL without memory. */
static struct known_attribute *know(struct cs_otlp_tables *tables, const struct attribute_key *is)
{
	struct known_attribute *it;

	HASH_FIND(hh, tables->known, is, sizeof(*is), it);
	if (it)
		return it;
	it = calloc(1, sizeof(*it));
	if (!it) {
		tables->memory->failed = true;
		return NULL;
	}
	it->is = *is;
	HASH_ADD(hh, tables->known, is, sizeof(it->is), it);
	if (it->hh.tbl)
		return it;
	free(it);
	tables->memory->failed = true;
	return NULL;
}

int32_t cs_otlp_number(struct cs_otlp_tables *tables, const char *key, int64_t number)
{
	const struct attribute_key is = {.key = cs_otlp_string(tables, key), .number = number};
	struct known_attribute *known = know(tables, &is);

	if (!known)
		return 0;
	if (!known->index)
		known->index = cs_otlp_attribute(tables, key,
						 cs_otlp_number_value(tables->memory, number));
	return known->index;
}

int32_t cs_otlp_text(struct cs_otlp_tables *tables, const char *key, const char *text)
{
	const struct attribute_key is = {.key = cs_otlp_string(tables, key),
					 .text = cs_otlp_string(tables, text)};
	struct known_attribute *known = know(tables, &is);

	if (!known)
		return 0;
	if (!known->index)
		known->index =
			cs_otlp_attribute(tables, key, cs_otlp_text_value(tables->memory, text));
	return known->index;
}

int32_t cs_otlp_link(struct cs_otlp_tables *tables, const char *trace_id, uint64_t span_id)
{
	return cs_otlp_links_get(&tables->links, tables->memory, trace_id, span_id);
}

/* Functions are told apart by name, file and first line: what is left of a frame without its line. */
static int32_t get_function(struct cs_otlp_tables *tables, const struct cs_frame *frame)
{
	bool inlined = frame->kind == CS_FRAME_INLINED;
	struct cs_frame key = {.kind = inlined ? CS_FRAME_NATIVE : frame->kind,
			       .first_line = frame->first_line};
	Otlp__Function *function;
	int32_t index;

	key.name = (uint32_t)cs_otlp_string(tables, cs_profile_str(tables->profile, frame->name));
	key.file = (uint32_t)cs_otlp_string(tables, cs_profile_str(tables->profile, frame->file));
	/* element 0 is none of them */
	index = 1 + index_or_fail(tables, cs_profile_frame(tables->interned, &key));
	if ((size_t)index < tables->functions.n)
		return index;
	function = append(tables, &tables->functions, sizeof(*function));
	if (!function)
		return 0;
	otlp__function__init(function);
	function->name_strindex = (int32_t)key.name;
	function->filename_strindex = (int32_t)key.file;
	function->start_line = key.first_line;
	return index;
}

/* OpenTelemetry's profile.frame.type; NULL: it knows none for what coroscope puts in to tell what it lacks. */
static const char *frame_type(enum cs_frame_kind kind)
{
	switch (kind) {
	case CS_FRAME_KERNEL:
		return "kernel";
	case CS_FRAME_NATIVE:
	case CS_FRAME_INLINED:
		return "native";
	case CS_FRAME_PYTHON:
	case CS_FRAME_TASK:
		return "cpython";
	default:
		return NULL;
	}
}

/* The mapping of native code; 0 if there is none, or nothing tells its file from others, as the format demands. */
static int32_t get_mapping(struct cs_otlp_tables *tables, const struct cs_frame *frame)
{
	const struct cs_mapped *mapped;
	Otlp__Mapping *mapping;
	int32_t *index;

	if (!frame->mapping)
		return 0;
	mapped = cs_profile_get_mapping(tables->profile, frame->mapping - 1);
	index = &tables->mapped[frame->mapping - 1];
	if (*index || !mapped->build_id)
		return *index;
	mapping = append(tables, &tables->mappings, sizeof(*mapping));
	if (!mapping)
		return 0;
	otlp__mapping__init(mapping);
	mapping->memory_start = mapped->start;
	mapping->memory_limit = mapped->end;
	mapping->file_offset = mapped->offset;
	mapping->filename_strindex =
		cs_otlp_string(tables, cs_profile_str(tables->profile, mapped->path));
	mapping->attribute_indices = cs_memory_get(tables->memory, 1, sizeof(int32_t));
	if (mapping->attribute_indices)
		mapping->attribute_indices[mapping->n_attribute_indices++] =
			cs_otlp_text(tables, "process.executable.build_id.gnu",
				     cs_profile_str(tables->profile, mapped->build_id));
	return *index = last(&tables->mappings);
}

/* One line for the function, and one for each that it was inlined into: the innermost first. */
static void add_lines(struct cs_otlp_tables *tables, Otlp__Location *location, uint32_t index)
{
	size_t n = (size_t)cs_profile_inlined(tables->profile, index) + 1;

	location->lines = cs_memory_messages(tables->memory, n, sizeof(**location->lines));
	for (; location->lines && location->n_lines < n; location->n_lines++) {
		const struct cs_frame *frame = cs_profile_get_frame(tables->profile, index);
		Otlp__Line *line = location->lines[location->n_lines];

		otlp__line__init(line);
		line->function_index = get_function(tables, frame);
		line->line = frame->line;
		index = frame->inlined_into;
	}
}

static void fill_location(struct cs_otlp_tables *tables, Otlp__Location *location, uint32_t index)
{
	const struct cs_frame *frame = cs_profile_get_frame(tables->profile, index);
	const char *type = frame_type(frame->kind);

	otlp__location__init(location);
	location->address = frame->address;
	location->mapping_index = get_mapping(tables, frame);
	/* what has no name is the server's to look up, by the mapping */
	if (!frame->unnamed || !location->mapping_index)
		add_lines(tables, location, index);
	location->attribute_indices = cs_memory_get(tables->memory, 1, sizeof(int32_t));
	if (type && location->attribute_indices)
		location->attribute_indices[location->n_attribute_indices++] =
			cs_otlp_text(tables, "profile.frame.type", type);
}

static int32_t get_location(struct cs_otlp_tables *tables, uint32_t frame)
{
	Otlp__Location *location;

	if (tables->locations[frame])
		return tables->locations[frame];
	location = append(tables, &tables->location_list, sizeof(*location));
	if (!location)
		return 0;
	tables->locations[frame] = last(&tables->location_list);
	fill_location(tables, location, frame);
	return tables->locations[frame];
}

static bool told_elsewhere(const struct cs_frame *frame)
{
	return frame->kind == CS_FRAME_PROCESS || frame->kind == CS_FRAME_THREAD;
}

static bool reserve_scratch(struct cs_otlp_tables *tables, uint32_t n)
{
	uint32_t *scratch;

	if (n <= tables->nscratch)
		return true;
	scratch = reallocarray(tables->scratch, n, sizeof(*scratch));
	if (!scratch) {
		tables->memory->failed = true;
		return false;
	}
	tables->scratch = scratch;
	tables->nscratch = n;
	return true;
}

static void append_stack(struct cs_otlp_tables *tables, uint32_t n)
{
	Otlp__Stack *stack = append(tables, &tables->stacks, sizeof(*stack));

	if (!stack)
		return;
	otlp__stack__init(stack);
	stack->location_indices =
		cs_memory_get(tables->memory, n, sizeof(*stack->location_indices));
	for (; stack->location_indices && stack->n_location_indices < n;
	     stack->n_location_indices++)
		stack->location_indices[stack->n_location_indices] =
			(int32_t)tables->scratch[stack->n_location_indices];
}

int32_t cs_otlp_stack(struct cs_otlp_tables *tables, struct cs_stack stack)
{
	const uint64_t nothing[CS_VALUE_MAX_] = {0};
	const struct cs_labels nobody = {0};
	const struct cs_frame *frame;
	uint32_t n = 0, i, index;

	if (!stack.n || !reserve_scratch(tables, stack.n))
		return 0;
	for (i = stack.n; i-- > 0;) {
		frame = cs_profile_get_frame(tables->profile, stack.frames[i]);
		if (i + 1 == stack.n || !told_elsewhere(frame))
			tables->scratch[n++] = (uint32_t)get_location(tables, stack.frames[i]);
		/* they are lines of this location */
		i -= cs_profile_inlined(tables->profile, stack.frames[i]);
	}
	if (cs_profile_add(tables->interned, tables->scratch, n, &nobody, nothing)) {
		tables->memory->failed = true;
		return 0;
	}
	index = 1 + cs_profile_sample(tables->interned, cs_profile_last(tables->interned))->stack;
	if (index == tables->stacks.n)
		append_stack(tables, n);
	return index_or_fail(tables, index);
}

Otlp__Dictionary *cs_otlp_dictionary(struct cs_otlp_tables *tables)
{
	Otlp__Dictionary *dictionary = cs_memory_get(tables->memory, 1, sizeof(*dictionary));
	size_t n = cs_profile_nstrings(tables->interned);
	char **strings = cs_memory_get(tables->memory, n, sizeof(*strings));

	if (!dictionary || !strings)
		return NULL;
	otlp__dictionary__init(dictionary);
	for (size_t i = 0; i < n; i++)
		strings[i] = (char *)cs_profile_str(tables->interned, (uint32_t)i);
	dictionary->string_table = strings;
	dictionary->n_string_table = n;
#define SET_TABLE(field, list)                            \
	do {                                              \
		dictionary->field = (void *)(list).items; \
		dictionary->n_##field = (list).n;         \
	} while (0)
	SET_TABLE(mapping_table, tables->mappings);
	SET_TABLE(location_table, tables->location_list);
	SET_TABLE(function_table, tables->functions);
	SET_TABLE(attribute_table, tables->attributes);
	SET_TABLE(stack_table, tables->stacks);
#undef SET_TABLE
	if (!cs_otlp_links_table(&tables->links, tables->memory, dictionary))
		return NULL;
	return dictionary;
}
