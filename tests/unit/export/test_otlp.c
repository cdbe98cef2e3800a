/* SPDX-License-Identifier: Apache-2.0 */
/*
 * OTLP profiles read back with protobuf-c: tables, samples, parts of a profile; and answers of servers. What another
 * reader makes of the bytes is tests/live/otlp.py's.
 */
#include <setjmp.h>
#include <stdarg.h>
#include <stddef.h>
#include <stdint.h>

#include <cmocka.h>
#include <string.h>

#include "core/cleanup.h"
#include "export/exporter.h"
#include "export/otlp.h"
#include "unit/export/made_profile.h"

#include "otlp.pb-c.h"

static Otlp__Request *read_back(const struct cs_buf *bytes)
{
	Otlp__Request *request =
		otlp__request__unpack(NULL, bytes->len, (const uint8_t *)bytes->data);

	assert_non_null(request);
	return request;
}

static void request_freep(Otlp__Request **request)
{
	if (*request)
		otlp__request__free_unpacked(*request, NULL);
}

static Otlp__Request *write_and_read(const struct cs_profile *profile, size_t from, size_t to)
{
	const struct cs_otlp_options options = {.service = "shop", .from = from, .to = to};
	_cleanup_buf_ struct cs_buf bytes = {0};

	assert_int_equal(cs_otlp_write(profile, &options, &bytes), 0);
	return read_back(&bytes);
}

static const char *text(const Otlp__Request *request, int32_t index)
{
	assert_in_range(index, 0, request->dictionary->n_string_table - 1);
	return request->dictionary->string_table[index];
}

static const Otlp__Attribute *attribute(const Otlp__Request *request, int32_t index)
{
	assert_in_range(index, 1, request->dictionary->n_attribute_table - 1);
	return request->dictionary->attribute_table[index];
}

static void check_number(const Otlp__Request *request, int32_t index, const char *key,
			 int64_t value)
{
	const Otlp__Attribute *found = attribute(request, index);

	assert_string_equal(text(request, found->key_strindex), key);
	assert_int_equal(found->value->value_case, OTLP__VALUE__VALUE_INT_VALUE);
	assert_int_equal(found->value->int_value, value);
}

static void check_text(const Otlp__Request *request, int32_t index, const char *key,
		       const char *value)
{
	const Otlp__Attribute *found = attribute(request, index);

	assert_string_equal(text(request, found->key_strindex), key);
	assert_int_equal(found->value->value_case, OTLP__VALUE__VALUE_STRING_VALUE);
	assert_string_equal(found->value->string_value, value);
}

static const Otlp__Location *location(const Otlp__Request *request, const Otlp__Sample *sample,
				      size_t i)
{
	const Otlp__Dictionary *tables = request->dictionary;
	const Otlp__Stack *stack;

	assert_in_range(sample->stack_index, 1, tables->n_stack_table - 1);
	stack = tables->stack_table[sample->stack_index];
	assert_in_range(i, 0, stack->n_location_indices - 1);
	assert_in_range(stack->location_indices[i], 1, tables->n_location_table - 1);
	return tables->location_table[stack->location_indices[i]];
}

static const char *function(const Otlp__Request *request, const Otlp__Location *at)
{
	assert_int_equal(at->n_lines, 1);
	return text(
		request,
		request->dictionary->function_table[at->lines[0]->function_index]->name_strindex);
}

static const Otlp__Profile *profile_of(const Otlp__Request *request, size_t i)
{
	assert_int_equal(request->n_resource_profiles, 1);
	assert_int_equal(request->resource_profiles[0]->n_scope_profiles, 1);
	assert_in_range(i, 0, request->resource_profiles[0]->scope_profiles[0]->n_profiles - 1);
	return request->resource_profiles[0]->scope_profiles[0]->profiles[i];
}

static void test_zeros(void **state)
{
	_cleanup_(cs_profile_freep) struct cs_profile *profile = made_profile(true);
	_cleanup_(request_freep) Otlp__Request *request = write_and_read(profile, 0, 4);
	const Otlp__Dictionary *tables = request->dictionary;

	assert_string_equal(tables->string_table[0], "");
	assert_int_equal(tables->n_mapping_table, 1);
	assert_int_equal(otlp__mapping__get_packed_size(tables->mapping_table[0]), 0);
	assert_int_equal(otlp__location__get_packed_size(tables->location_table[0]), 0);
	assert_int_equal(otlp__function__get_packed_size(tables->function_table[0]), 0);
	assert_int_equal(otlp__attribute__get_packed_size(tables->attribute_table[0]), 0);
	assert_int_equal(otlp__stack__get_packed_size(tables->stack_table[0]), 0);
	assert_int_equal(tables->n_link_table, 1);
	assert_int_equal(tables->link_table[0]->trace_id.len, 16);
	assert_int_equal(tables->link_table[0]->span_id.len, 8);
}

/* A server looks up what has no name, by the mapping's build id; what has one needs no mapping to be shown. */
static void test_mappings(void **state)
{
	_cleanup_(cs_profile_freep) struct cs_profile *profile = made_empty(true);
	const Otlp__Location *known, *unnamed;
	const Otlp__Mapping *mapping;
	const Otlp__Sample *sample;
	Otlp__Request *request;

	made_native(profile);
	request = write_and_read(profile, 0, 1);
	sample = profile_of(request, 0)->samples[0];
	unnamed = location(request, sample, 0);
	known = location(request, sample, 1);
	assert_int_equal(request->dictionary->n_mapping_table, 2);
	mapping = request->dictionary->mapping_table[1];
	assert_int_equal(known->mapping_index, 1);
	assert_int_equal(unnamed->mapping_index, 1);
	assert_int_equal(mapping->memory_start, 0x1000);
	assert_int_equal(mapping->memory_limit, 0x3000);
	assert_int_equal(mapping->file_offset, 0x200);
	assert_string_equal(text(request, mapping->filename_strindex), "/usr/lib/libx.so");
	assert_int_equal(mapping->n_attribute_indices, 1);
	check_text(request, mapping->attribute_indices[0], "process.executable.build_id.gnu",
		   "ab00cd");
	assert_string_equal(function(request, known), "known");
	assert_int_equal(unnamed->n_lines, 0);
	assert_int_equal(unnamed->address, 0x1020);
	request_freep(&request);
}

static void test_inlined(void **state)
{
	_cleanup_(cs_profile_freep) struct cs_profile *profile = made_empty(true);
	static const char *const names[] = {"inner", "middle", "outer"};
	const Otlp__Location *found;
	const Otlp__Sample *sample;
	Otlp__Request *request;

	made_inlined(profile);
	request = write_and_read(profile, 0, 1);
	sample = profile_of(request, 0)->samples[0];
	found = location(request, sample, 0);
	assert_int_equal(request->dictionary->stack_table[sample->stack_index]->n_location_indices,
			 1);
	assert_int_equal(found->n_lines, 3);
	for (size_t i = 0; i < 3; i++) {
		int32_t index = found->lines[i]->function_index;

		assert_int_equal(found->lines[i]->line, 10 + 10 * i);
		assert_string_equal(
			text(request, request->dictionary->function_table[index]->name_strindex),
			names[i]);
	}
	request_freep(&request);
}

static void test_header(void **state)
{
	_cleanup_(cs_profile_freep) struct cs_profile *profile = made_profile(true);
	_cleanup_(request_freep) Otlp__Request *request = write_and_read(profile, 0, 4);
	const Otlp__Profile *wall = profile_of(request, 0), *cpu = profile_of(request, 1);
	const Otlp__Resource *resource = request->resource_profiles[0]->resource;

	assert_int_equal(request->resource_profiles[0]->scope_profiles[0]->n_profiles, 2);
	assert_string_equal(text(request, wall->sample_type->type_strindex), "wall");
	assert_string_equal(text(request, cpu->sample_type->type_strindex), "cpu");
	assert_string_equal(text(request, wall->period_type->unit_strindex), "nanoseconds");
	assert_int_equal(wall->period, MADE_INTERVAL_NS);
	assert_int_equal(wall->time_unix_nano, 1700000000000000000);
	assert_int_equal(wall->duration_nano, 2000000000);
	assert_int_equal(wall->profile_id.len, 16);
	assert_memory_not_equal(wall->profile_id.data, cpu->profile_id.data, 16);
	assert_int_equal(resource->n_attributes, 2);
	assert_string_equal(resource->attributes[0]->key, "service.name");
	assert_string_equal(resource->attributes[0]->value->string_value, "shop");
	assert_int_equal(resource->attributes[1]->value->int_value, 42);
	assert_int_equal(wall->n_attribute_indices, 4);
	check_number(request, wall->attribute_indices[0], "coroscope.counter.ticks", 12);
	check_number(request, wall->attribute_indices[1], "coroscope.counter.ring_full", 2);
	assert_int_equal(cpu->n_attribute_indices, 0);
}

/* Blocks have one kind of time, by which backends know them, and no period. */
static void test_off_cpu(void **state)
{
	_cleanup_(cs_profile_freep) struct cs_profile *profile = made_empty(false);
	const uint64_t values[CS_VALUE_MAX_] = {4, 0, 90, 0, 90};
	const uint32_t frame = made_frame(profile, CS_FRAME_MARK, "[futex]", "", 0);
	const struct cs_labels labels = {.process_id = 42};
	_cleanup_(request_freep) Otlp__Request *request = NULL;
	const Otlp__Profile *only;

	cs_profile_meta_mut(profile)->off_cpu = true;
	assert_int_equal(cs_profile_add(profile, &frame, 1, &labels, values), 0);
	request = write_and_read(profile, 0, 1);
	only = profile_of(request, 0);
	assert_int_equal(request->resource_profiles[0]->scope_profiles[0]->n_profiles, 1);
	assert_string_equal(text(request, only->sample_type->type_strindex), "off_cpu");
	assert_null(only->period_type);
	assert_int_equal(only->period, 0);
	assert_int_equal(only->n_samples, 1);
	assert_int_equal(only->samples[0]->values[0], 90);
}

static void test_samples(void **state)
{
	_cleanup_(cs_profile_freep) struct cs_profile *profile = made_profile(true);
	_cleanup_(request_freep) Otlp__Request *request = write_and_read(profile, 0, 4);
	const Otlp__Profile *wall = profile_of(request, 0);
	const Otlp__Sample *sample = wall->samples[0];
	const Otlp__Location *kernel = location(request, sample, 0);
	const Otlp__Location *fetch = location(request, sample, 1);

	assert_int_equal(wall->n_samples, 4);
	assert_int_equal(sample->n_values, 1);
	assert_int_equal(sample->values[0], 50000000);
	assert_int_equal(profile_of(request, 1)->samples[0]->values[0], 30000000);
	assert_string_equal(function(request, kernel), "do_sys_poll");
	assert_int_equal(kernel->address, 0x1000);
	check_text(request, kernel->attribute_indices[0], "profile.frame.type", "kernel");
	assert_string_equal(function(request, fetch), "fetch");
	assert_int_equal(fetch->lines[0]->line, 17);
	check_text(request, fetch->attribute_indices[0], "profile.frame.type", "cpython");
	assert_string_equal(function(request, location(request, sample, 2)), "<task fetch-1>");
	/* the two lines of fetch are one function */
	assert_int_equal(fetch->lines[0]->function_index,
			 location(request, wall->samples[1], 0)->lines[0]->function_index);
	assert_int_equal(sample->n_attribute_indices, 4);
	check_number(request, sample->attribute_indices[0], "thread.id", 42);
	check_text(request, sample->attribute_indices[1], "thread.name", "main");
	check_number(request, sample->attribute_indices[2], "asyncio.task.id",
		     (int64_t)0xffff800012345678);
	check_text(request, sample->attribute_indices[3], "asyncio.task.name", "fetch-1");
	/* equal attributes are one */
	assert_int_equal(sample->attribute_indices[2], wall->samples[1]->attribute_indices[2]);
	assert_string_equal(function(request, location(request, wall->samples[3], 0)),
			    "thread worker (43)");
}

static void test_parts(void **state)
{
	_cleanup_(cs_profile_freep) struct cs_profile *profile = made_profile(false);
	_cleanup_(request_freep) Otlp__Request *first = write_and_read(profile, 0, 1);
	_cleanup_(request_freep) Otlp__Request *rest = write_and_read(profile, 1, 4);
	_cleanup_(request_freep) Otlp__Request *none = write_and_read(profile, 4, 4);

	assert_int_equal(first->resource_profiles[0]->scope_profiles[0]->n_profiles, 1);
	assert_int_equal(profile_of(first, 0)->n_samples, 1);
	assert_int_equal(profile_of(rest, 0)->n_samples, 3);
	assert_memory_not_equal(profile_of(first, 0)->profile_id.data,
				profile_of(rest, 0)->profile_id.data, 16);
	/* nothing of the other part comes along */
	assert_int_equal(first->dictionary->n_stack_table, 2);
	assert_int_equal(none->n_resource_profiles, 0);
}

static void test_processes(void **state)
{
	static const uint32_t pids[] = {9, 3, 9, 5, 3};
	_cleanup_(cs_profile_freep) struct cs_profile *profile = made_empty(false);
	_cleanup_(request_freep) Otlp__Request *request = NULL;
	_cleanup_buf_ struct cs_buf bytes = {0};

	for (uint32_t i = 0; i < ARRAY_SIZE(pids); i++) {
		const uint64_t values[CS_VALUE_MAX_] = {1, 1u << i, 1u << i};
		const struct cs_labels labels = {.process_id = pids[i], .thread_id = 100 + i};
		const uint32_t stack[] = {made_frame(profile, CS_FRAME_PROCESS,
						     pids[i] == 3 ? "ça [va] [3]" : "x", "", 0),
					  made_frame(profile, CS_FRAME_PYTHON, "f", "f.py", i)};

		assert_int_equal(cs_profile_add(profile, stack, 2, &labels, values), 0);
	}
	assert_int_equal(cs_export_otlp.write(profile, &bytes), 0);
	request = read_back(&bytes);
	assert_int_equal(request->n_resource_profiles, 3);
	for (size_t i = 0; i < 3; i++) {
		static const int64_t sums[] = {1 << 1 | 1 << 4, 1 << 3, 1 << 0 | 1 << 2},
				     of[] = {3, 5, 9};
		static const char *const names[] = {"ça [va]", "x", "x"};
		const Otlp__ResourceProfiles *resource = request->resource_profiles[i];
		const Otlp__Profile *one = resource->scope_profiles[0]->profiles[0];
		int64_t sum = 0;

		for (size_t j = 0; j < one->n_samples; j++)
			sum += one->samples[j]->values[0];
		assert_int_equal(sum, sums[i]);
		assert_int_equal(resource->resource->attributes[1]->value->int_value, of[i]);
		assert_string_equal(resource->resource->attributes[0]->value->string_value +
					    strlen("unknown_service:"),
				    names[i]);
	}
}

static void test_spans(void **state)
{
	static const char trace[] = "0102030405060708090a0b0c0d0e0fff";
	static const uint8_t trace_bytes[] = {1, 2,  3,  4,  5,  6,  7,  8,
					      9, 10, 11, 12, 13, 14, 15, 255};
	static const uint8_t span_bytes[] = {0xfe, 0, 0, 0, 0, 0, 0, 1};
	static const struct {
		const char *trace;
		uint64_t span;
		int32_t link;
	} cases[] = {
		{trace, 0xfe00000000000001, 1},
		{trace, 5, 2},
		{trace, 0xfe00000000000001, 1},
		{trace, 0, 0},
		{"", 7, 0},
		{"00000000000000000000000000000000", 7, 0},
		{"0102030405060708090a0b0c0d0e0f", 7, 0},
		{"0102030405060708090a0b0c0d0e0fxx", 7, 0},
	};
	_cleanup_(cs_profile_freep) struct cs_profile *profile = made_empty(false);
	_cleanup_(request_freep) Otlp__Request *request = NULL;
	const uint32_t frame = made_frame(profile, CS_FRAME_PYTHON, "f", "f.py", 1);
	const uint64_t values[CS_VALUE_MAX_] = {1, 1, 1};
	const Otlp__Link *link;

	for (uint32_t i = 0; i < ARRAY_SIZE(cases); i++) {
		const int64_t id =
			cs_profile_string(profile, cases[i].trace, strlen(cases[i].trace));
		const struct cs_labels labels = {.thread_id = i + 1,
						 .trace_id = (uint32_t)id,
						 .span_id = cases[i].span,
						 .root_span_id = cases[i].span ? 5 : 0};

		assert_int_equal(cs_profile_add(profile, &frame, 1, &labels, values), 0);
	}
	request = write_and_read(profile, 0, ARRAY_SIZE(cases));
	assert_int_equal(request->dictionary->n_link_table, 3);
	for (size_t i = 0; i < ARRAY_SIZE(cases); i++)
		assert_int_equal(profile_of(request, 0)->samples[i]->link_index, cases[i].link);
	link = request->dictionary->link_table[1];
	assert_int_equal(link->trace_id.len, 16);
	assert_memory_equal(link->trace_id.data, trace_bytes, 16);
	assert_int_equal(link->span_id.len, 8);
	assert_memory_equal(link->span_id.data, span_bytes, 8);
	check_text(request, profile_of(request, 0)->samples[0]->attribute_indices[1],
		   "trace.local_root_span.id", "0000000000000005");
	assert_int_equal(profile_of(request, 0)->samples[3]->n_attribute_indices, 1);
}

static void test_stable(void **state)
{
	_cleanup_(cs_profile_freep) struct cs_profile *one = made_profile(true);
	_cleanup_(cs_profile_freep) struct cs_profile *two = made_profile(true);
	_cleanup_buf_ struct cs_buf first = {0}, second = {0};

	assert_int_equal(cs_buf_append_str(&first, "before"), 0);
	assert_int_equal(cs_export_otlp.write(one, &first), 0);
	assert_int_equal(cs_export_otlp.write(two, &second), 0);
	assert_int_equal(first.len, 6 + second.len);
	assert_memory_equal(first.data, "before", 6);
	assert_memory_equal(first.data + 6, second.data, second.len);
}

static void test_answers(void **state)
{
	static const char partial[] = "\x0a\x08\x08\x03\x12\x04"
				      "full";
	static const char status[] = "\x08\x03\x12\x03"
				     "bad";
	struct cs_otlp_answer answer;

	cs_otlp_read_answer("", 0, true, &answer);
	assert_int_equal(answer.rejected, 0);
	assert_string_equal(answer.message, "");
	cs_otlp_read_answer(partial, sizeof(partial) - 1, true, &answer);
	assert_int_equal(answer.rejected, 3);
	assert_string_equal(answer.message, "full");
	cs_otlp_read_answer(status, sizeof(status) - 1, false, &answer);
	assert_int_equal(answer.rejected, 0);
	assert_string_equal(answer.message, "bad");
	cs_otlp_read_answer("<html>", 6, true, &answer);
	assert_int_equal(answer.rejected, 0);
	assert_string_equal(answer.message, "");
	cs_otlp_read_answer("<html>", 6, false, &answer);
	assert_string_equal(answer.message, "");
}

int main(void)
{
	const struct CMUnitTest tests[] = {
		cmocka_unit_test(test_zeros),     cmocka_unit_test(test_header),
		cmocka_unit_test(test_samples),   cmocka_unit_test(test_parts),
		cmocka_unit_test(test_processes), cmocka_unit_test(test_stable),
		cmocka_unit_test(test_answers),   cmocka_unit_test(test_spans),
		cmocka_unit_test(test_off_cpu),   cmocka_unit_test(test_mappings),
		cmocka_unit_test(test_inlined),
	};

	return cmocka_run_group_tests(tests, NULL, NULL);
}
