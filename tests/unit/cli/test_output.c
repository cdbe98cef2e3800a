/* SPDX-License-Identifier: Apache-2.0 */
/* Which format, which file; and that a profile reaches it whole. */
#include <setjmp.h>
#include <stdarg.h>
#include <stddef.h>
#include <stdint.h>

#include <cmocka.h>
#include <errno.h>
#include <fcntl.h>
#include <stdio.h>
#include <stdlib.h>
#include <string.h>
#include <sys/stat.h>
#include <unistd.h>

#include "cli/output.h"
#include "core/cleanup.h"

static void test_choose(void **state)
{
	static const struct {
		const char *format, *path;
		const struct cs_exporter *exporter;
		const char *chosen;
	} cases[] = {
		{NULL, NULL, &cs_export_html, "coroscope.html"},
		{NULL, "x.html", &cs_export_html, "x.html"},
		{NULL, "a.b/x.collapsed", &cs_export_collapsed, "a.b/x.collapsed"},
		{NULL, "x.pb.gz", &cs_export_pprof, "x.pb.gz"},
		{NULL, "x.raw", NULL, "x.raw"},
		{NULL, "-", &cs_export_html, "-"},
		{"collapsed", NULL, &cs_export_collapsed, "-"},
		{"collapsed", "x.html", &cs_export_collapsed, "x.html"},
		{"collapsed", "-", &cs_export_collapsed, "-"},
		{"pprof", NULL, &cs_export_pprof, "coroscope.pb.gz"},
		{"html", NULL, &cs_export_html, "coroscope.html"},
		{"raw", NULL, NULL, "coroscope.raw"},
		{"raw", "x.html", NULL, "x.html"},
	};

	for (size_t i = 0; i < ARRAY_SIZE(cases); i++) {
		struct cs_output output;

		assert_int_equal(cs_output_choose(&output, cases[i].format, cases[i].path), 0);
		assert_ptr_equal(output.exporter, cases[i].exporter);
		assert_string_equal(output.path, cases[i].chosen);
		assert_int_equal(output.fd, -1);
	}
}

static void test_choose_wrong(void **state)
{
	static const struct {
		const char *format, *path;
	} cases[] = {
		{"svg", NULL}, {"", NULL}, {"svg", "x.html"}, {NULL, "x.svg"},
		{NULL, "x"},   {NULL, ""}, {NULL, "html"},    {"raw", "-"},
	};
	struct cs_output output;

	for (size_t i = 0; i < ARRAY_SIZE(cases); i++)
		assert_int_equal(cs_output_choose(&output, cases[i].format, cases[i].path),
				 -EINVAL);
}

/* A profile of one sample. */
static struct cs_profile *one_sample(const char *name)
{
	const uint64_t values[CS_VALUE_MAX_] = {1, 1000, 1000};
	const struct cs_labels labels = {0};
	struct cs_frame frame = {.kind = CS_FRAME_PYTHON};
	struct cs_profile *profile;
	uint32_t index;

	assert_int_equal(cs_profile_new(&profile), 0);
	cs_profile_meta_mut(profile)->interval_ns = 1000;
	frame.name = (uint32_t)cs_profile_string(profile, name, strlen(name));
	index = (uint32_t)cs_profile_frame(profile, &frame);
	assert_int_equal(cs_profile_add(profile, &index, 1, &labels, values), 0);
	return profile;
}

struct fixture {
	char dir[64], path[96];
};

static int setup(void **state)
{
	static struct fixture f;

	snprintf(f.dir, sizeof(f.dir), "/tmp/coroscope-output-XXXXXX");
	if (!mkdtemp(f.dir))
		return -1;
	snprintf(f.path, sizeof(f.path), "%s/x.collapsed", f.dir);
	*state = &f;
	return 0;
}

static int teardown(void **state)
{
	struct fixture *f = *state;

	unlink(f->path);
	return rmdir(f->dir);
}

static void check_file(const char *path, const char *expected)
{
	_cleanup_close_ int fd = open(path, O_RDONLY | O_CLOEXEC);
	char text[256] = "";

	assert_true(fd >= 0);
	assert_true(read(fd, text, sizeof(text) - 1) >= 0);
	assert_string_equal(text, expected);
}

static void test_write(void **state)
{
	_cleanup_(cs_profile_freep) struct cs_profile *profile = one_sample("short");
	_cleanup_(cs_profile_freep) struct cs_profile *longer = one_sample("a_longer_name");
	struct fixture *f = *state;
	struct cs_output output;

	assert_int_equal(cs_output_choose(&output, NULL, f->path), 0);
	assert_int_equal(cs_output_open(&output), 0);
	assert_int_equal(cs_output_write(&output, longer), 0);
	cs_output_close(&output);
	cs_output_close(&output); /* twice is fine */
	check_file(f->path, "a_longer_name 1\n");

	/* opened, and the capture failed: the old profile is still there */
	assert_int_equal(cs_output_open(&output), 0);
	cs_output_close(&output);
	check_file(f->path, "a_longer_name 1\n");

	assert_int_equal(cs_output_open(&output), 0);
	assert_int_equal(cs_output_write(&output, profile), 0);
	cs_output_close(&output);
	check_file(f->path, "short 1\n");
}

static void test_unwritable(void **state)
{
	struct fixture *f = *state;
	struct cs_output output;
	char path[128];

	snprintf(path, sizeof(path), "%s/no/x.html", f->dir);
	assert_int_equal(cs_output_choose(&output, NULL, path), 0);
	assert_int_equal(cs_output_open(&output), -ENOENT);
	assert_int_equal(output.fd, -1);
	assert_int_equal(cs_output_choose(&output, "html", f->dir), 0);
	assert_int_equal(cs_output_open(&output), -EISDIR);
}

static void test_full_disk(void **state)
{
	_cleanup_(cs_profile_freep) struct cs_profile *profile = one_sample("name");
	_cleanup_(cs_output_close) struct cs_output output;

	assert_int_equal(cs_output_choose(&output, "collapsed", "/dev/full"), 0);
	assert_int_equal(cs_output_open(&output), 0);
	assert_int_equal(cs_output_write(&output, profile), -ENOSPC);
}

#define TEST(name) cmocka_unit_test_setup_teardown(name, setup, teardown)

int main(void)
{
	const struct CMUnitTest tests[] = {
		cmocka_unit_test(test_choose),
		cmocka_unit_test(test_choose_wrong),
		TEST(test_write),
		TEST(test_unwritable),
		TEST(test_full_disk),
	};

	return cmocka_run_group_tests(tests, NULL, NULL);
}
