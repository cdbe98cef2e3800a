/* SPDX-License-Identifier: Apache-2.0 */
/* proc/perf_map.c: lines, what overlaps, files that grow, shrink or are another's, and what is no such file. */
#include <fcntl.h>
#include <setjmp.h>
#include <stdarg.h>
#include <stddef.h>
#include <stdio.h>
#include <stdlib.h>
#include <string.h>
#include <sys/mman.h>
#include <sys/stat.h>
#include <unistd.h>

#include <cmocka.h>

#include "core/cleanup.h"
#include "proc/perf_map.h"

struct fixture {
	struct cs_perf_map *map;
	int fd;
};

static int set_up(void **state)
{
	struct fixture *f = calloc(1, sizeof(*f));

	f->fd = memfd_create("map", MFD_CLOEXEC);
	*state = f;
	return f->fd < 0 || cs_perf_map_new(&f->map);
}

static int tear_down(void **state)
{
	struct fixture *f = *state;

	cs_perf_map_free(f->map);
	close(f->fd);
	free(f);
	return 0;
}

static void add(const struct fixture *f, const char *text)
{
	assert_int_equal(write(f->fd, text, strlen(text)), strlen(text));
}

static void check_name(const struct fixture *f, uint64_t addr, const char *expected)
{
	const char *name = cs_perf_map_find(f->map, addr);

	assert_string_equal(name ? name : "", expected);
}

static void lines_are_functions(void **state)
{
	struct fixture *f = *state;

	add(f, "2000 10 second\n1000 100 LazyCompile:~first /srv/app.js:12\n0x3000 0x8 third\n");
	assert_true(cs_perf_map_read(f->map, f->fd));
	check_name(f, 0xfff, "");
	check_name(f, 0x1000, "LazyCompile:~first /srv/app.js:12");
	check_name(f, 0x10ff, "LazyCompile:~first /srv/app.js:12");
	check_name(f, 0x1100, "");
	check_name(f, 0x200f, "second");
	check_name(f, 0x2010, "");
	check_name(f, 0x3007, "third");
	assert_false(cs_perf_map_read(f->map, f->fd));
}

static void other_lines_are_nothing(void **state)
{
	struct fixture *f = *state;

	add(f, "\n \nx\n1000\n1000 10\n1000 10 \n1000 0 empty\nfffffffffffffff0 20 wraps\n"
	       "11112222333344445 10 large\n1000  10\n-\n4000 10 good\n5000 10 no newline yet");
	assert_true(cs_perf_map_read(f->map, f->fd));
	assert_int_equal(cs_perf_map_count(f->map), 1);
	check_name(f, 0x4000, "good");
}

static void files_grow(void **state)
{
	struct fixture *f = *state;

	add(f, "1000 10 one\n2000 10 tw");
	assert_true(cs_perf_map_read(f->map, f->fd));
	check_name(f, 0x2000, "");
	assert_false(cs_perf_map_read(f->map, f->fd));
	add(f, "o\n500 10 three\n");
	assert_true(cs_perf_map_read(f->map, f->fd));
	check_name(f, 0x500, "three");
	check_name(f, 0x1000, "one");
	check_name(f, 0x2000, "two");
}

/* Memory is used again: what was told later is there. */
static void later_ones_win(void **state)
{
	struct fixture *f = *state;

	add(f, "1000 100 old\n3000 10 stays\n");
	assert_true(cs_perf_map_read(f->map, f->fd));
	add(f, "1080 10 new\n1080 20 newer\n");
	assert_true(cs_perf_map_read(f->map, f->fd));
	check_name(f, 0x1000, "");
	check_name(f, 0x1085, "newer");
	check_name(f, 0x10a0, "");
	check_name(f, 0x3000, "stays");
	/* one that begins before it */
	add(f, "1000 100 old again\n");
	assert_true(cs_perf_map_read(f->map, f->fd));
	check_name(f, 0x1085, "old again");
	assert_int_equal(cs_perf_map_count(f->map), 2);
}

static void files_begin_anew(void **state)
{
	struct fixture *f = *state;

	add(f, "1000 10 one\n2000 10 two\n");
	assert_true(cs_perf_map_read(f->map, f->fd));
	assert_int_equal(ftruncate(f->fd, 0), 0);
	assert_int_equal(lseek(f->fd, 0, SEEK_SET), 0);
	add(f, "1000 10 other\n");
	assert_true(cs_perf_map_read(f->map, f->fd));
	check_name(f, 0x1000, "other");
	check_name(f, 0x2000, "");
}

static void names_are_bounded(void **state)
{
	struct fixture *f = *state;
	_cleanup_free_ char *line = malloc(200001);

	memset(line, 'x', 200000);
	line[200000] = '\0';
	add(f, "1000 10 ");
	line[6000] = '\0';
	add(f, line);
	add(f, "\n2000 10 ");
	line[6000] = 'x';
	add(f, line); /* longer than what is read at once: no line */
	add(f, "\n3000 10 next\n");
	assert_true(cs_perf_map_read(f->map, f->fd));
	assert_int_equal(strlen(cs_perf_map_find(f->map, 0x1000)), 4096);
	check_name(f, 0x2000, "");
	check_name(f, 0x3000, "next");
}

/* By the process's own number, and only if it is its user's or root's. */
static void from_a_process(void **state)
{
	struct fixture *f = *state;
	char path[64];
	FILE *file;

	snprintf(path, sizeof(path), "/tmp/perf-%d.map", getpid());
	unlink(path);
	assert_false(cs_perf_map_refresh(f->map, getpid()));
	file = fopen(path, "wx");
	assert_non_null(file);
	fputs("1000 10 own\n", file);
	fclose(file);
	assert_true(cs_perf_map_refresh(f->map, getpid()));
	check_name(f, 0x1000, "own");
	if (!geteuid()) {
		file = fopen(path, "a");
		fputs("2000 10 foreign\n", file);
		fclose(file);
		assert_int_equal(chown(path, 12345, 0), 0);
		assert_false(cs_perf_map_refresh(f->map, getpid()));
		check_name(f, 0x2000, "");
	}
	unlink(path);
	assert_int_equal(mkfifo(path, 0600), 0);
	assert_false(cs_perf_map_refresh(f->map, getpid()));
	unlink(path);
}

int main(void)
{
	const struct CMUnitTest tests[] = {
		cmocka_unit_test_setup_teardown(lines_are_functions, set_up, tear_down),
		cmocka_unit_test_setup_teardown(other_lines_are_nothing, set_up, tear_down),
		cmocka_unit_test_setup_teardown(files_grow, set_up, tear_down),
		cmocka_unit_test_setup_teardown(later_ones_win, set_up, tear_down),
		cmocka_unit_test_setup_teardown(files_begin_anew, set_up, tear_down),
		cmocka_unit_test_setup_teardown(names_are_bounded, set_up, tear_down),
		cmocka_unit_test_setup_teardown(from_a_process, set_up, tear_down),
	};

	return cmocka_run_group_tests(tests, NULL, NULL);
}
