/* SPDX-License-Identifier: Apache-2.0 */
/*
 * pprof profiles read back with zlib and protobuf-c. With a file name as argument, writes one there
 * for `go tool pprof`.
 */
#include <setjmp.h>
#include <stdarg.h>
#include <stddef.h>
#include <stdint.h>

#include <cmocka.h>
#include <errno.h>
#include <string.h>

#include "core/cleanup.h"
#include "export/exporter.h"
#include "export/pprof.h"
#include "unit/export/made_profile.h"

#include <zlib.h>

#include "pprof.pb-c.h"

struct read_back {
	struct cs_buf file;
	Pprof__Profile *message;
};

static void read_back_free(struct read_back *read)
{
	cs_buf_free(&read->file);
	if (read->message)
		pprof__profile__free_unpacked(read->message, NULL);
}

static void unpack(struct read_back *ret)
{
	uint8_t plain[65536];
	z_stream stream = {.next_out = plain, .avail_out = sizeof(plain)};

	stream.next_in = (Bytef *)ret->file.data;
	stream.avail_in = (uInt)ret->file.len;
	assert_int_equal(inflateInit2(&stream, 15 + 16), Z_OK);
	assert_int_equal(inflate(&stream, Z_FINISH), Z_STREAM_END);
	assert_int_equal(stream.avail_in, 0);
	ret->message = pprof__profile__unpack(NULL, stream.total_out, plain);
	inflateEnd(&stream);
	assert_non_null(ret->message);
}

static void write_and_read(const struct cs_profile *profile, struct read_back *ret)
{
	assert_int_equal(cs_export_pprof.write(profile, &ret->file), 0);
	unpack(ret);
}

static void check_str(const Pprof__Profile *message, int64_t index, const char *expected)
{
	assert_in_range(index, 0, message->n_string_table - 1);
	assert_string_equal(message->string_table[index], expected);
}

static void check_num_label(const Pprof__Profile *message, const Pprof__Label *label,
			    const char *key, int64_t num)
{
	check_str(message, label->key, key);
	assert_int_equal(label->str, 0);
	assert_int_equal(label->num, num);
}

/* A location's function name; ids are 1-based indices. */
static const char *function_at(const Pprof__Profile *message, uint64_t location_id)
{
	const Pprof__Location *location = message->location[location_id - 1];
	const Pprof__Function *function;

	assert_int_equal(location->id, location_id);
	assert_int_equal(location->n_line, 1);
	function = message->function[location->line[0]->function_id - 1];
	assert_int_equal(function->id, location->line[0]->function_id);
	return message->string_table[function->name];
}

static void test_header(void **state)
{
	_cleanup_(cs_profile_freep) struct cs_profile *profile = made_profile(true);
	_cleanup_(read_back_free) struct read_back read = {0};
	const Pprof__Profile *message;

	write_and_read(profile, &read);
	message = read.message;
	check_str(message, 0, "");
	assert_int_equal(message->n_sample_type, 3);
	check_str(message, message->sample_type[0]->type, "samples");
	check_str(message, message->sample_type[0]->unit, "count");
	check_str(message, message->sample_type[1]->type, "cpu");
	check_str(message, message->sample_type[1]->unit, "nanoseconds");
	check_str(message, message->sample_type[2]->type, "wall");
	check_str(message, message->sample_type[2]->unit, "nanoseconds");
	check_str(message, message->default_sample_type, "wall");
	check_str(message, message->period_type->type, "wall");
	check_str(message, message->period_type->unit, "nanoseconds");
	assert_int_equal(message->period, MADE_INTERVAL_NS);
	assert_int_equal(message->time_nanos, 1700000000000000000);
	assert_int_equal(message->duration_nanos, 2000000000);
	assert_int_equal(message->n_comment, 4);
	check_str(message, message->comment[0], "CPU ticks seen: 12");
	check_str(message, message->comment[1], "CPU samples lost: ring buffer full: 2");
	check_str(message, message->comment[2], "partial: the capture was cut off");
	check_str(message, message->comment[3], "9 (python3): Python 3.9 is not supported yet");
}

/* Time in slow callbacks is a type of its own, if it was asked for. */
static void test_slow_callbacks(void **state)
{
	_cleanup_(cs_profile_freep) struct cs_profile *profile = made_profile(true);
	_cleanup_(read_back_free) struct read_back read = {0};
	const Pprof__Profile *message;

	cs_profile_meta_mut(profile)->slow_ns = 100;
	cs_profile_add_value(profile, 1, CS_VALUE_SLOW_NS, 70);
	write_and_read(profile, &read);
	message = read.message;
	assert_int_equal(message->n_sample_type, 4);
	check_str(message, message->sample_type[3]->type, "slow_callback");
	check_str(message, message->sample_type[3]->unit, "nanoseconds");
	check_str(message, message->default_sample_type, "wall");
	for (size_t i = 0; i < message->n_sample; i++) {
		assert_int_equal(message->sample[i]->n_value, 4);
		assert_int_equal(message->sample[i]->value[3], i == 1 ? 70 : 0);
	}
}

static void test_datadog(void **state)
{
	static const char *const wall[] = {"wall-samples", "cpu-time", "wall-time"};
	static const char *const cpu[] = {"cpu-samples", "cpu-time"};
	const struct cs_pprof_options options = {.dialect = CS_PPROF_DATADOG, .from = 0, .to = 4};

	for (int is_wall = 0; is_wall < 2; is_wall++) {
		_cleanup_(cs_profile_freep) struct cs_profile *profile = made_profile(is_wall);
		_cleanup_(read_back_free) struct read_back read = {0};
		const char *const *names = is_wall ? wall : cpu;

		assert_int_equal(cs_pprof_write(profile, &options, &read.file), 0);
		unpack(&read);
		assert_int_equal(read.message->n_sample_type, is_wall ? 3 : 2);
		for (size_t i = 0; i < read.message->n_sample_type; i++)
			check_str(read.message, read.message->sample_type[i]->type, names[i]);
		assert_int_equal(read.message->sample[0]->n_value, is_wall ? 3 : 2);
		assert_int_equal(read.message->sample[0]->value[1], 30000000);
		assert_int_equal(read.message->sample[0]->n_label, 6);
	}
}

static void test_pyroscope(void **state)
{
	const struct cs_pprof_options options = {
		.dialect = CS_PPROF_PYROSCOPE, .kind = CS_VALUE_CPU_NS, .to = 4};
	_cleanup_(cs_profile_freep) struct cs_profile *profile = made_profile(true);
	_cleanup_(read_back_free) struct read_back read = {0};

	assert_int_equal(cs_pprof_write(profile, &options, &read.file), 0);
	unpack(&read);
	assert_int_equal(read.message->n_sample_type, 1);
	check_str(read.message, read.message->sample_type[0]->type, "cpu");
	check_str(read.message, read.message->period_type->type, "cpu");
	assert_int_equal(read.message->n_sample, 4);
	for (size_t i = 0; i < 4; i++) {
		assert_int_equal(read.message->sample[i]->n_label, 0);
		assert_int_equal(read.message->sample[i]->n_value, 1);
		assert_int_equal(read.message->sample[i]->value[0], 30000000);
	}
}

static void test_pyroscope_spans(void **state)
{
	const struct cs_pprof_options options = {
		.dialect = CS_PPROF_PYROSCOPE, .kind = CS_VALUE_CPU_NS, .to = 2};
	_cleanup_(cs_profile_freep) struct cs_profile *profile = made_empty(false);
	_cleanup_(read_back_free) struct read_back read = {0};
	const uint32_t frame = made_frame(profile, CS_FRAME_PYTHON, "f", "f.py", 1);
	const uint64_t values[CS_VALUE_MAX_] = {1, 1, 1};
	const int64_t trace = cs_profile_string(profile, "abc", 3);
	struct cs_labels labels = {
		.thread_id = 1, .span_id = 0xab, .root_span_id = 0xcd, .trace_id = (uint32_t)trace};

	assert_int_equal(cs_profile_add(profile, &frame, 1, &labels, values), 0);
	labels.root_span_id = 0;
	assert_int_equal(cs_profile_add(profile, &frame, 1, &labels, values), 0);
	assert_int_equal(cs_pprof_write(profile, &options, &read.file), 0);
	unpack(&read);
	for (size_t i = 0; i < 2; i++) {
		const Pprof__Sample *sample = read.message->sample[i];

		/* and no trace, of which servers have made series */
		assert_int_equal(sample->n_label, 1);
		check_str(read.message, sample->label[0]->key, "span_id");
		check_str(read.message, sample->label[0]->str,
			  i ? "00000000000000ab" : "00000000000000cd");
	}
}

static void test_parts(void **state)
{
	const struct cs_pprof_options rest = {.from = 1, .to = 4};
	const uint32_t its = 0, others = 1;
	const struct cs_pprof_options process = {.owners = &its, .nowners = 1, .to = 4};
	const struct cs_pprof_options other = {.owners = &others, .nowners = 1, .to = 4};
	const struct cs_pprof_options slow = {
		.dialect = CS_PPROF_PYROSCOPE, .kind = CS_VALUE_SLOW_NS, .to = 4};
	_cleanup_(cs_profile_freep) struct cs_profile *profile = made_profile(true);
	_cleanup_(read_back_free) struct read_back one = {0}, two = {0};
	_cleanup_buf_ struct cs_buf none = {0};

	assert_int_equal(cs_pprof_write(profile, &rest, &one.file), 0);
	unpack(&one);
	assert_int_equal(one.message->n_sample, 3);
	/* what only the part left out refers to is not there */
	assert_string_equal(function_at(one.message, one.message->sample[0]->location_id[0]),
			    "fetch");
	for (size_t i = 0; i < one.message->n_string_table; i++)
		assert_string_not_equal(one.message->string_table[i], "do_sys_poll");
	assert_int_equal(cs_pprof_write(profile, &process, &two.file), 0);
	unpack(&two);
	assert_int_equal(two.message->n_sample, 4);
	assert_int_equal(cs_pprof_write(profile, &other, &none), -ENODATA);
	assert_int_equal(cs_pprof_write(profile, &slow, &none), -ENODATA);
	assert_int_equal(none.len, 0);
}

static void test_cpu_mode_and_empty(void **state)
{
	_cleanup_(cs_profile_freep) struct cs_profile *profile = made_empty(false);
	_cleanup_(read_back_free) struct read_back read = {0};

	write_and_read(profile, &read);
	check_str(read.message, read.message->default_sample_type, "cpu");
	check_str(read.message, read.message->period_type->type, "cpu");
	assert_int_equal(read.message->n_sample, 0);
	assert_int_equal(read.message->n_comment, 0);
}

static void test_samples(void **state)
{
	_cleanup_(cs_profile_freep) struct cs_profile *profile = made_profile(false);
	_cleanup_(read_back_free) struct read_back read = {0};
	const Pprof__Profile *message;
	const Pprof__Sample *sample;

	write_and_read(profile, &read);
	message = read.message;
	assert_int_equal(message->n_sample, 4);
	sample = message->sample[0];
	assert_int_equal(sample->n_value, 3);
	assert_int_equal(sample->value[0], 3);
	assert_int_equal(sample->value[1], 30000000);
	assert_int_equal(sample->value[2], 50000000);
	assert_int_equal(sample->n_location_id, 4);
	assert_string_equal(function_at(message, sample->location_id[0]), "do_sys_poll");
	assert_string_equal(function_at(message, sample->location_id[1]), "fetch");
	assert_string_equal(function_at(message, sample->location_id[2]), "<task fetch-1>");
	assert_string_equal(function_at(message, sample->location_id[3]),
			    "BaseEventLoop._run_once");
	assert_int_equal(sample->n_label, 6);
	check_num_label(message, sample->label[0], "process_id", 42);
	check_num_label(message, sample->label[1], "thread id", 42);
	check_num_label(message, sample->label[2], "thread native id", 42);
	check_str(message, sample->label[3]->key, "thread name");
	check_str(message, sample->label[3]->str, "main");
	check_num_label(message, sample->label[4], "task id", (int64_t)0xffff800012345678);
	check_str(message, sample->label[5]->key, "task name");
	check_str(message, sample->label[5]->str, "fetch-1");
	assert_int_equal(message->sample[2]->n_label, 3);
	assert_int_equal(message->sample[2]->n_location_id, 1);
	assert_string_equal(function_at(message, message->sample[2]->location_id[0]),
			    "libz.so.1+0x20");
	assert_int_equal(message->sample[3]->n_location_id, 1);
	assert_string_equal(function_at(message, message->sample[3]->location_id[0]),
			    "thread worker (43)");
}

static void test_span_labels(void **state)
{
	_cleanup_(cs_profile_freep) struct cs_profile *profile = NULL;
	_cleanup_(read_back_free) struct read_back read = {0};
	const struct cs_frame frame = {.kind = CS_FRAME_PYTHON};
	const uint64_t values[CS_VALUE_MAX_] = {1, 2, 3};
	const uint32_t stack[] = {0};
	const Pprof__Sample *sample;

	assert_int_equal(cs_profile_new(&profile), 0);
	assert_int_equal(cs_profile_frame(profile, &frame), 0);
	for (uint64_t id = 1; id <= 2; id++) {
		const struct cs_labels labels = {
			.span_id = id << 63 | id,
			.root_span_id = id,
			.trace_id = (uint32_t)cs_profile_string(
				profile, "000000000000000a000000000000000b", 32),
			.trace_type = (uint32_t)cs_profile_string(profile, "web", 3),
			.trace_endpoint = (uint32_t)cs_profile_string(profile, "GET /", 5),
		};

		assert_int_equal(cs_profile_add(profile, stack, 1, &labels, values), 0);
	}
	write_and_read(profile, &read);
	assert_int_equal(read.message->n_sample, 2); /* another span, another sample */
	sample = read.message->sample[0];
	assert_int_equal(sample->n_label, 5);
	check_num_label(read.message, sample->label[0], "span id", INT64_MIN + 1);
	check_num_label(read.message, sample->label[1], "local root span id", 1);
	check_str(read.message, sample->label[2]->key, "trace id");
	check_str(read.message, sample->label[2]->str, "000000000000000a000000000000000b");
	check_str(read.message, sample->label[3]->key, "trace type");
	check_str(read.message, sample->label[3]->str, "web");
	check_str(read.message, sample->label[4]->key, "trace endpoint");
	check_str(read.message, sample->label[4]->str, "GET /");
}

static void test_locations(void **state)
{
	_cleanup_(cs_profile_freep) struct cs_profile *profile = made_profile(false);
	_cleanup_(read_back_free) struct read_back read = {0};
	const Pprof__Location *kernel, *fetch, *later;
	const Pprof__Function *function;
	const Pprof__Profile *message;

	write_and_read(profile, &read);
	message = read.message;
	assert_int_equal(message->n_location, 7);
	assert_int_equal(message->n_function, 6); /* the two lines of fetch are one function */
	assert_int_equal(message->n_mapping, 3);
	kernel = message->location[message->sample[0]->location_id[0] - 1];
	fetch = message->location[message->sample[0]->location_id[1] - 1];
	later = message->location[message->sample[1]->location_id[0] - 1];
	assert_int_equal(kernel->address, 0x1000);
	check_str(message, message->mapping[kernel->mapping_id - 1]->filename, "[kernel]");
	check_str(message, message->mapping[fetch->mapping_id - 1]->filename, "[python]");
	assert_int_equal(fetch->line[0]->line, 17);
	assert_int_equal(later->line[0]->line, 19);
	assert_int_equal(fetch->line[0]->function_id, later->line[0]->function_id);
	function = message->function[fetch->line[0]->function_id - 1];
	check_str(message, function->filename, "/srv/app.py");
	assert_int_equal(function->start_line, 10);
}

static void test_mappings(void **state)
{
	_cleanup_(cs_profile_freep) struct cs_profile *profile = made_profile(false);
	_cleanup_(read_back_free) struct read_back read = {0};
	const Pprof__Location *known, *unnamed;
	const Pprof__Profile *message;
	const Pprof__Sample *sample;
	const Pprof__Mapping *mapping;

	made_native(profile);
	write_and_read(profile, &read);
	message = read.message;
	sample = message->sample[message->n_sample - 1];
	unnamed = message->location[sample->location_id[0] - 1];
	known = message->location[sample->location_id[1] - 1];
	assert_int_equal(message->n_mapping, 4);
	mapping = message->mapping[3];
	assert_int_equal(known->mapping_id, 4);
	assert_int_equal(unnamed->mapping_id, 4);
	assert_int_equal(mapping->id, 4);
	assert_int_equal(mapping->memory_start, 0x1000);
	assert_int_equal(mapping->memory_limit, 0x3000);
	assert_int_equal(mapping->file_offset, 0x200);
	check_str(message, mapping->filename, "/usr/lib/libx.so");
	check_str(message, mapping->build_id, "ab00cd");
	/* one of its addresses is left to be looked up */
	assert_false(mapping->has_functions);
	assert_true(message->mapping[0]->has_functions);
	assert_int_equal(unnamed->address, 0x1020);
	assert_string_equal(function_at(message, unnamed->id), "libx.so+0x220");
	assert_string_equal(function_at(message, known->id), "known");
}

/* One location, as the format has it: the innermost function first. */
static void test_inlined(void **state)
{
	static const char *const names[] = {"inner", "middle", "outer"};
	_cleanup_(cs_profile_freep) struct cs_profile *profile = made_empty(false);
	_cleanup_(read_back_free) struct read_back read = {0};
	const Pprof__Location *location;
	const Pprof__Profile *message;

	made_inlined(profile);
	write_and_read(profile, &read);
	message = read.message;
	assert_int_equal(message->n_location, 1);
	assert_int_equal(message->sample[0]->n_location_id, 1);
	location = message->location[0];
	assert_int_equal(location->address, 0x1010);
	assert_int_equal(location->n_line, 3);
	for (size_t i = 0; i < 3; i++) {
		assert_int_equal(location->line[i]->line, 10 + 10 * i);
		check_str(message, message->function[location->line[i]->function_id - 1]->name,
			  names[i]);
	}
}

static void test_stable(void **state)
{
	_cleanup_(cs_profile_freep) struct cs_profile *one = made_profile(true);
	_cleanup_(cs_profile_freep) struct cs_profile *two = made_profile(true);
	_cleanup_buf_ struct cs_buf first = {0}, second = {0};

	assert_int_equal(cs_export_pprof.write(one, &first), 0);
	assert_int_equal(cs_export_pprof.write(two, &second), 0);
	assert_int_equal(first.len, second.len);
	assert_memory_equal(first.data, second.data, first.len);
	assert_memory_equal(first.data + 4, "\0\0\0\0", 4); /* the gzip header's time */
}

static void test_appends(void **state)
{
	_cleanup_(cs_profile_freep) struct cs_profile *profile = made_profile(true);
	_cleanup_buf_ struct cs_buf out = {0};

	assert_int_equal(cs_buf_append_str(&out, "before"), 0);
	assert_int_equal(cs_export_pprof.write(profile, &out), 0);
	assert_memory_equal(out.data, "before\x1f\x8b", 8);
}

static int write_file(const char *path)
{
	_cleanup_(cs_profile_freep) struct cs_profile *profile = made_profile(true);
	_cleanup_fclose_ FILE *file = fopen(path, "w");
	_cleanup_buf_ struct cs_buf out = {0};

	if (!file || cs_export_pprof.write(profile, &out))
		return 1;
	return fwrite(out.data, 1, out.len, file) == out.len ? 0 : 1;
}

/* Blocks: how many and how long, and no period. */
static void test_off_cpu(void **state)
{
	_cleanup_(cs_profile_freep) struct cs_profile *profile = made_empty(false);
	const uint64_t values[CS_VALUE_MAX_] = {4, 0, 90, 0, 90};
	const uint32_t frame = made_frame(profile, CS_FRAME_MARK, "[futex]", "", 0);
	_cleanup_(read_back_free) struct read_back read = {0};
	const struct cs_labels labels = {.process_id = 1};
	const Pprof__Profile *message;

	cs_profile_meta_mut(profile)->off_cpu = true;
	assert_int_equal(cs_profile_add(profile, &frame, 1, &labels, values), 0);
	write_and_read(profile, &read);
	message = read.message;
	assert_int_equal(message->n_sample_type, 2);
	check_str(message, message->sample_type[0]->type, "samples");
	check_str(message, message->sample_type[1]->type, "offcpu");
	check_str(message, message->sample_type[1]->unit, "nanoseconds");
	check_str(message, message->default_sample_type, "offcpu");
	assert_int_equal(message->period, 1);
	assert_int_equal(message->sample[0]->value[0], 4);
	assert_int_equal(message->sample[0]->value[1], 90);
	assert_string_equal(function_at(message, message->sample[0]->location_id[0]), "[futex]");
}

int main(int argc, char **argv)
{
	const struct CMUnitTest tests[] = {
		cmocka_unit_test(test_header),    cmocka_unit_test(test_slow_callbacks),
		cmocka_unit_test(test_off_cpu),   cmocka_unit_test(test_cpu_mode_and_empty),
		cmocka_unit_test(test_samples),   cmocka_unit_test(test_span_labels),
		cmocka_unit_test(test_locations), cmocka_unit_test(test_stable),
		cmocka_unit_test(test_appends),   cmocka_unit_test(test_datadog),
		cmocka_unit_test(test_pyroscope), cmocka_unit_test(test_pyroscope_spans),
		cmocka_unit_test(test_mappings),  cmocka_unit_test(test_parts),
		cmocka_unit_test(test_inlined),
	};

	if (argc > 1)
		return write_file(argv[1]);
	return cmocka_run_group_tests(tests, NULL, NULL);
}
