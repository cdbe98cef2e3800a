/* SPDX-License-Identifier: Apache-2.0 */
/* proc/maps.c on made-up texts and on this process. */
#include <errno.h>
#include <setjmp.h>
#include <stdarg.h>
#include <stddef.h>
#include <stdlib.h>
#include <string.h>
#include <sys/stat.h>
#include <unistd.h>

#include <cmocka.h>

#include "core/buf.h"
#include "core/cleanup.h"
#include "proc/maps.h"

static void a_text_becomes_mappings(void **state)
{
	static const char text[] =
		"00400000-00401000 r--p 00000000 fe:01 1234                       /usr/bin/with space\n"
		"00401000-00500000 r-xp 00001000 fe:01 1234                       /usr/bin/with space\n"
		"00a00000-00a01000 rw-p 00000000 00:00 0                          [heap]\n"
		"7f0000000000-7f0000001000 rw-s 00002000 00:05 99                 /tmp/x (deleted)\n"
		"7f0000001000-7f0000002000 ---p 00000000 00:00 0 \n";
	_cleanup_maps_ struct cs_maps maps = {0};

	assert_int_equal(cs_maps_parse(strdup(text), &maps), 0);
	assert_int_equal(maps.n, 5);
	assert_string_equal(maps.items[1].path, "/usr/bin/with space");
	assert_int_equal(maps.items[1].offset, 0x1000);
	assert_int_equal(maps.items[1].inode, 1234);
	assert_int_equal(maps.items[1].dev_major, 0xfe);
	assert_int_equal(maps.items[1].dev_minor, 1);
	assert_true(maps.items[1].readable && maps.items[1].executable);
	assert_false(maps.items[1].writable || maps.items[1].deleted);
	assert_string_equal(maps.items[3].path, "/tmp/x");
	assert_true(maps.items[3].deleted);
	assert_string_equal(maps.items[4].path, "");

	assert_ptr_equal(cs_maps_find(&maps, 0x400000), &maps.items[0]);
	assert_ptr_equal(cs_maps_find(&maps, 0x4fffff), &maps.items[1]);
	assert_null(cs_maps_find(&maps, 0x500000));
	assert_null(cs_maps_find(&maps, 0));
	assert_null(cs_maps_find(&maps, ~0ull));
	assert_ptr_equal(cs_maps_find(&maps, 0x7f0000001fff), &maps.items[4]);
}

static void nonsense_is_left_out(void **state)
{
	_cleanup_maps_ struct cs_maps maps = {0};

	assert_int_equal(cs_maps_parse(strdup(""), &maps), 0);
	assert_int_equal(maps.n, 0);
	assert_null(cs_maps_find(&maps, 1));
	cs_maps_free(&maps);
	assert_int_equal(cs_maps_parse(strdup("what is this\n"
					      "2000-1000 r--p 0 0:0 0\n"
					      "2000-3000 r--p 0 0:0 0\n"
					      "1000-2000 r--p 0 0:0 0\n"
					      "3000-4000 r--p 0 0:0\n"
					      "3000-4000 r--p 0 0 0\n"
					      "3000-4000 r--px 0 0:0 0\n"
					      "3000 4000 r--p 0 0:0 0\n"
					      "-3000-4000 r--p 0 0:0 0\n"
					      "3000-4000 r--p"),
				       &maps),
			 0);
	assert_int_equal(maps.n, 1);
	assert_int_equal(maps.items[0].start, 0x2000);
}

static void too_many_mappings_are_refused(void **state)
{
	_cleanup_buf_ struct cs_buf text = {0};
	_cleanup_maps_ struct cs_maps maps = {0};

	for (unsigned int i = 1; i <= 65537; i++)
		assert_int_equal(cs_buf_printf(&text, "%x000-%x000 r--p 0 0:0 0\n", i, i + 1), 0);
	assert_int_equal(cs_maps_parse(strdup(cs_buf_str(&text)), &maps), -E2BIG);
	text.data[65536 * strlen("1000-2000 r--p 0 0:0 0\n")] = '\0';
	assert_int_equal(cs_maps_parse(strdup(text.data), &maps), 0);
}

static void this_process_has_mappings(void **state)
{
	_cleanup_maps_ struct cs_maps maps = {0};
	const struct cs_mapping *code;
	char path[512];
	struct stat via_map, exe;

	assert_int_equal(cs_maps_read(getpid(), &maps), 0);
	code = cs_maps_find(&maps, (uint64_t)(uintptr_t)this_process_has_mappings);
	assert_non_null(code);
	assert_true(code->executable);
	assert_int_equal(cs_maps_open_path(getpid(), code, path, sizeof(path)), 0);
	assert_int_equal(stat(path, &via_map), 0);
	assert_int_equal(stat("/proc/self/exe", &exe), 0);
	assert_int_equal(via_map.st_ino, exe.st_ino);
	assert_int_equal(via_map.st_dev, exe.st_dev);
}

static void what_is_not_there_is_said(void **state)
{
	static const struct cs_mapping gone = {.start = 0x1000, .end = 0x2000, .path = "/no/such"};
	static const struct cs_mapping device = {
		.start = 0x1000, .end = 0x2000, .path = "/dev/null"};
	_cleanup_maps_ struct cs_maps maps = {0};
	char path[512];

	assert_int_equal(cs_maps_read(0x3fffffff, &maps), -ENOENT);
	assert_int_equal(cs_maps_open_path(getpid(), &gone, path, sizeof(path)), -ENOENT);
	assert_int_equal(cs_maps_open_path(getpid(), &device, path, sizeof(path)), -ENOENT);
	assert_int_equal(cs_maps_open_path(getpid(), &gone, path, 4), -ENOENT);
}

int main(void)
{
	const struct CMUnitTest tests[] = {
		cmocka_unit_test(a_text_becomes_mappings),
		cmocka_unit_test(nonsense_is_left_out),
		cmocka_unit_test(too_many_mappings_are_refused),
		cmocka_unit_test(this_process_has_mappings),
		cmocka_unit_test(what_is_not_there_is_said),
	};

	return cmocka_run_group_tests(tests, NULL, NULL);
}
