/* SPDX-License-Identifier: Apache-2.0 */
/* A raw capture into a profile: whole, cut off at every byte, damaged, and not one at all. */
#include <setjmp.h>
#include <stdarg.h>
#include <stddef.h>
#include <stdint.h>

#include <cmocka.h>
#include <errno.h>
#include <string.h>
#include <sys/mman.h>
#include <unistd.h>

#include <coroscope/event.h>

#include "cli/pipeline.h"
#include "core/buf.h"
#include "core/cleanup.h"
#include "golden/made_capture.h"

static struct cs_buf capture;

static int setup(void **state)
{
	return made_capture(&capture);
}

static int teardown(void **state)
{
	cs_buf_free(&capture);
	return 0;
}

static int read_view(const void *bytes, size_t n, const struct cs_view *view,
		     struct cs_profile **ret)
{
	_cleanup_close_ int fd = memfd_create("capture", MFD_CLOEXEC);

	assert_true(fd >= 0);
	assert_int_equal(write(fd, bytes, n), n);
	return cs_pipeline_read(fd, view, ret);
}

/* Read these bytes as a file. */
static int read_bytes(const void *bytes, size_t n, struct cs_profile **ret)
{
	return read_view(bytes, n, &(struct cs_view){0}, ret);
}

static uint64_t sum(const struct cs_profile *profile, enum cs_value value)
{
	uint64_t n = 0;

	for (size_t i = 0; i < cs_profile_nsamples(profile); i++)
		n += cs_profile_sample(profile, i)->values[value];
	return n;
}

static void test_whole(void **state)
{
	_cleanup_(cs_profile_freep) struct cs_profile *profile = NULL;
	const struct cs_profile_meta *meta;

	assert_int_equal(read_bytes(capture.data, capture.len, &profile), 0);
	meta = cs_profile_meta(profile);
	assert_false(meta->partial);
	assert_true(meta->wall);
	assert_int_equal(meta->interval_ns, 10000000);
	assert_int_equal(meta->start_realtime_ns, 1700000000000000000);
	assert_int_equal(meta->end_reason, CS_END_INTERRUPTED);
	assert_int_equal(meta->ncpu, 2);
	assert_string_equal(meta->host, "host");
	assert_string_equal(meta->command, "python3 app.py");
	assert_true(meta->has_counters);
	assert_int_equal(meta->counters[CS_COUNTER_TICKS], 100);
	assert_int_equal(cs_profile_nnotes(profile), 1);
	assert_string_equal(cs_profile_get_note(profile, 0),
			    "process 50 (python2): Python 2.7 is not supported");
	/* five stacks and one that was found again twice, a running task, two passes of two samples each */
	assert_int_equal(sum(profile, CS_VALUE_SAMPLES), 12);
	assert_int_equal(sum(profile, CS_VALUE_CPU_NS), 5 * 10000000);
	assert_int_equal(sum(profile, CS_VALUE_WALL_NS), 12 * 10000000);
}

/* Only one thread's samples; what is left out is told. */
static void test_one_thread(void **state)
{
	static const struct {
		const char *name, *note;
		uint64_t samples;
	} cases[] = {
		{"python3", "only threads named python3: 66.7% of the time in samples", 8},
		{"pool-1", "only threads named pool-1: 16.7% of the time in samples", 2},
		{"pool", "only threads named pool: 0.0% of the time in samples", 0},
	};

	for (size_t i = 0; i < ARRAY_SIZE(cases); i++) {
		_cleanup_(cs_profile_freep) struct cs_profile *profile = NULL;
		const struct cs_view view = {.thread = cases[i].name};

		assert_int_equal(read_view(capture.data, capture.len, &view, &profile), 0);
		assert_int_equal(sum(profile, CS_VALUE_SAMPLES), cases[i].samples);
		for (size_t k = 0; k < cs_profile_nsamples(profile); k++) {
			const struct cs_sample *sample = cs_profile_sample(profile, k);

			assert_string_equal(cs_profile_str(profile, sample->labels.thread_name),
					    cases[i].name);
		}
		assert_string_equal(cs_profile_get_note(profile, 1), cases[i].note);
	}
}

/* What was read before the cut counts; the more, the later the cut. */
static void test_cut_at_every_byte(void **state)
{
	uint64_t before = 0, now;

	for (size_t n = 0; n < capture.len; n++) {
		_cleanup_(cs_profile_freep) struct cs_profile *profile = NULL;
		int err = read_bytes(capture.data, n, &profile);

		if (n < sizeof(struct cs_raw_file_header)) {
			assert_int_equal(err, -EBADMSG);
			assert_null(profile);
			continue;
		}
		assert_int_equal(err, 0);
		assert_true(cs_profile_meta(profile)->partial);
		now = sum(profile, CS_VALUE_SAMPLES);
		assert_true(now >= before);
		before = now;
	}
	assert_int_equal(before, 12); /* what follows the last sample is the accounts and the end */
}

/* Every byte in turn is another one: a profile, or not a capture; nothing else, and no crash. */
static void test_damaged_bytes(void **state)
{
	unsigned int refused = 0, partial = 0, whole = 0;

	for (size_t i = 0; i < capture.len; i++) {
		_cleanup_(cs_profile_freep) struct cs_profile *profile = NULL;
		char right = capture.data[i];
		int err;

		capture.data[i] = (char)~right;
		err = read_bytes(capture.data, capture.len, &profile);
		capture.data[i] = right;
		if (err) {
			assert_true(err == -EBADMSG || err == -EPROTONOSUPPORT);
			assert_in_range(i, 0, sizeof(struct cs_raw_file_header) - 1);
			refused++;
		} else if (cs_profile_meta(profile)->partial) {
			partial++;
		} else {
			whole++;
		}
	}
	assert_int_equal(refused, sizeof(struct cs_raw_file_header));
	assert_true(partial > 100 && whole > 100);
}

static void test_no_capture(void **state)
{
	static const char text[] = "a file that is something else";
	struct cs_raw_file_header header = {CS_RAW_MAGIC, CS_RAW_VERSION + 1, sizeof(header)};
	struct cs_profile *profile = NULL;

	assert_int_equal(read_bytes("", 0, &profile), -EBADMSG);
	assert_int_equal(read_bytes(text, sizeof(text), &profile), -EBADMSG);
	assert_int_equal(read_bytes(&header, sizeof(header), &profile), -EPROTONOSUPPORT);
	assert_int_equal(cs_pipeline_read(-1, &(struct cs_view){0}, &profile), -EBADF);
	assert_null(profile);
}

static void test_empty_capture(void **state)
{
	const struct cs_raw_file_header header = {CS_RAW_MAGIC, CS_RAW_VERSION, sizeof(header)};
	_cleanup_(cs_profile_freep) struct cs_profile *profile = NULL;

	assert_int_equal(read_bytes(&header, sizeof(header), &profile), 0);
	assert_int_equal(cs_profile_nsamples(profile), 0);
	assert_true(cs_profile_meta(profile)->partial);
	assert_int_equal(cs_profile_meta(profile)->duration_ns, 0);
}

/* A kind of a later version is passed over, and so is what follows its header. */
static void test_unknown_kind(void **state)
{
	const size_t header = sizeof(struct cs_raw_file_header);
	struct cs_ev_hdr unknown[2] = {{.size = sizeof(unknown), .kind = 999, .pid = 42}};
	_cleanup_(cs_profile_freep) struct cs_profile *profile = NULL;
	_cleanup_buf_ struct cs_buf bytes = {0};

	assert_int_equal(cs_buf_append(&bytes, capture.data, header), 0);
	assert_int_equal(cs_buf_append(&bytes, unknown, sizeof(unknown)), 0);
	assert_int_equal(cs_buf_append(&bytes, capture.data + header, capture.len - header), 0);
	assert_int_equal(read_bytes(bytes.data, bytes.len, &profile), 0);
	assert_false(cs_profile_meta(profile)->partial);
	assert_int_equal(sum(profile, CS_VALUE_SAMPLES), 12);
}

int main(void)
{
	const struct CMUnitTest tests[] = {
		cmocka_unit_test(test_whole),
		cmocka_unit_test(test_one_thread),
		cmocka_unit_test(test_cut_at_every_byte),
		cmocka_unit_test(test_damaged_bytes),
		cmocka_unit_test(test_no_capture),
		cmocka_unit_test(test_empty_capture),
		cmocka_unit_test(test_unknown_kind),
	};

	return cmocka_run_group_tests(tests, setup, teardown);
}
