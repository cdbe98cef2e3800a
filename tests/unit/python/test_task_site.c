/* SPDX-License-Identifier: Apache-2.0 */
/*
 * Task.__init__ found in files, compared with what live interpreters say; in this test's own executable, which has
 * made-up descriptions of a Task type; and in damaged copies.
 */
#include "python/task_site.h"

#include "python/probe_site.h"

#include <errno.h>
#include <fcntl.h>
#include <glob.h>
#include <signal.h>
#include <spawn.h>
#include <stdio.h>
#include <string.h>
#include <sys/stat.h>
#include <sys/wait.h>

#include "core/buf.h"
#include "core/cleanup.h"
#include "proc/maps.h"
#include "test.h"

#define MADE_SIZE   0x5eed
#define MODULE_NAME "_asyncio.cpython-311-x86_64-linux-gnu.so"
#define MAX_FILE    (16u << 20)
#define ROUNDS      300
#define PATH_BYTES  512

/* What a live interpreter runs: asyncio is imported when a line comes. */
static char script[] = "import sys; print(flush=True); sys.stdin.readline(); import asyncio;"
		       "print(flush=True); sys.stdin.readline()";

/* Made-up descriptions in this executable, of the shapes that _asyncio has. */
__attribute__((used)) static int made_init(int n)
{
	volatile char frame[64] = {(char)n};

	return frame[n & 63];
}

__attribute__((used)) static struct {
	int slot;
	void *func;
} made_slots[] = {{52, "not this one"}, {60, (void *)made_init}, {0, NULL}};

/* A name counts if its first letter is right: all but the first have theirs changed in a copy of the file. */
__attribute__((used)) static char made_names[3][16] = {"_asyncio.Task", "-asyncio.Task",
						       "-asyncio.Task"};

__attribute__((used)) static struct spec {
	const char *name;
	int basicsize, itemsize;
	unsigned int flags;
	void *slots;
} made_spec = {made_names[0], MADE_SIZE, 0, 1, made_slots};

__attribute__((used)) static struct spec made_other_spec = {made_names[1], MADE_SIZE, 0, 1,
							    made_slots};

__attribute__((used)) static struct {
	void *header[3];
	const char *name;
	size_t basicsize, itemsize;
	void *others[31];
	void *init;
} made_type = {.name = made_names[2], .basicsize = MADE_SIZE, .init = (void *)made_init};

struct python {
	pid_t pid;
	int to, from;
};

static void python_stop(struct python *python)
{
	if (python->pid > 0) {
		kill(python->pid, SIGKILL);
		waitpid(python->pid, NULL, 0);
	}
	cs_cleanup_close(&python->to);
	cs_cleanup_close(&python->from);
}

static void python_start(const char *exe, struct python *ret)
{
	char *argv[] = {(char *)exe, "-c", script, NULL};
	posix_spawn_file_actions_t actions;
	int in[2], out[2];
	char byte;

	assert_int_equal(pipe2(in, O_CLOEXEC), 0);
	assert_int_equal(pipe2(out, O_CLOEXEC), 0);
	posix_spawn_file_actions_init(&actions);
	posix_spawn_file_actions_adddup2(&actions, in[0], 0);
	posix_spawn_file_actions_adddup2(&actions, out[1], 1);
	assert_int_equal(posix_spawn(&ret->pid, exe, &actions, NULL, argv, environ), 0);
	posix_spawn_file_actions_destroy(&actions);
	close(in[0]);
	close(out[1]);
	ret->to = in[1];
	ret->from = out[0];
	assert_int_equal(read(ret->from, &byte, 1), 1);
}

static void python_import(const struct python *python)
{
	char byte;

	assert_int_equal(write(python->to, "\n", 1), 1);
	assert_int_equal(read(python->from, &byte, 1), 1);
}

static bool has_mapped(pid_t pid, const char *part)
{
	_cleanup_maps_ struct cs_maps maps = {0};
	bool found = false;

	assert_int_equal(cs_maps_read(pid, &maps), 0);
	for (size_t i = 0; i < maps.n; i++)
		found |= !!strstr(maps.items[i].path, part);
	return found;
}

/* Returns false if the interpreter is none that coroscope knows. */
static bool compare_with_live(const char *exe)
{
	_cleanup_(cs_mem_freep) struct cs_mem *mem = NULL;
	_cleanup_(python_stop) struct python python = {.to = -1, .from = -1};
	struct cs_asyncio asyncio;
	struct cs_interp interp;
	struct cs_probe_site site;

	python_start(exe, &python);
	assert_int_equal(cs_interp_detect(python.pid, &interp), 0);
	if (interp.state != CS_INTERP_READY)
		return false;
	assert_false(has_mapped(python.pid, "/_asyncio."));
	assert_int_equal(cs_task_site_find(&interp, &site), 0);
	python_import(&python);
	assert_int_equal(cs_mem_new(python.pid, &mem), 0);
	assert_int_equal(cs_asyncio_find(&interp, mem, true, &asyncio), 0);
	assert_true(asyncio.loaded);
	assert_string_equal(asyncio.probe_reason, "");
	assert_int_equal(site.offset, asyncio.probe.offset);
	assert_int_equal(site.ino, asyncio.probe.ino);
	assert_int_equal(site.dev, asyncio.probe.dev);
	return true;
}

static void list_pythons(glob_t *ret)
{
	char pattern[PATH_BYTES];
	const char *root = getenv("PYENV_ROOT"), *home = getenv("HOME");

	glob("/usr/bin/python3", 0, NULL, ret);
	snprintf(pattern, sizeof(pattern), "%s%s/versions/3.1[1-9].*/bin/python3",
		 root   ? root
		 : home ? home
			: "",
		 root ? "" : "/.pyenv");
	glob(pattern, GLOB_APPEND, NULL, ret);
}

static void is_where_live_interpreters_have_it(void **state)
{
	glob_t pythons = {0};
	size_t n = 0;

	list_pythons(&pythons);
	for (size_t i = 0; i < pythons.gl_pathc; i++)
		n += compare_with_live(pythons.gl_pathv[i]);
	globfree(&pythons);
	if (!n) {
		print_message(
			"SKIP: no Python that coroscope knows: install python3 (3.11 to 3.13)\n");
		skip();
	}
}

/* A made-up installation: PREFIX/bin/python3.11, which need not exist, and its module. */
struct place {
	char root[64], module[256];
	struct cs_interp interp;
};

static int place_new(void **state)
{
	static const char *const folders[] = {"bin", "lib", "lib/python3.11",
					      "lib/python3.11/lib-dynload"};
	struct place *place = calloc(1, sizeof(*place));
	char path[256];

	strcpy(place->root, "/tmp/cs-task-site-XXXXXX");
	if (!mkdtemp(place->root))
		return -1;
	for (size_t i = 0; i < ARRAY_SIZE(folders); i++) {
		snprintf(path, sizeof(path), "%s/%s", place->root, folders[i]);
		if (mkdir(path, 0700))
			return -1;
	}
	snprintf(place->module, sizeof(place->module), "%s/%s/%s", place->root, folders[3],
		 MODULE_NAME);
	place->interp = (struct cs_interp){.pid = getpid(),
					   .state = CS_INTERP_READY,
					   .major = 3,
					   .minor = 11,
					   .flavour = "gil"};
	place->interp.info.off = cs_py_layout_find(3, 11, "gil")->off;
	snprintf(place->interp.binary, sizeof(place->interp.binary), "%s/bin/python3.11",
		 place->root);
	*state = place;
	return 0;
}

static int place_free(void **state)
{
	struct place *place = *state;
	char path[256];

	unlink(place->module);
	unlink(place->interp.binary);
	for (snprintf(path, sizeof(path), "%s/lib/python3.11/lib-dynload", place->root);
	     strcmp(path, place->root); *strrchr(path, '/') = '\0')
		rmdir(path);
	snprintf(path, sizeof(path), "%s/bin", place->root);
	rmdir(path);
	rmdir(place->root);
	free(place);
	return 0;
}

static void read_whole(const char *path, struct cs_buf *ret)
{
	_cleanup_fclose_ FILE *file = fopen(path, "re");
	size_t n;

	assert_non_null(file);
	assert_non_null(cs_buf_extend(ret, MAX_FILE));
	n = fread(ret->data, 1, MAX_FILE, file);
	assert_in_range(n, 1, MAX_FILE - 1);
	ret->len = n;
}

static void write_whole(const char *path, const char *data, size_t n)
{
	_cleanup_fclose_ FILE *file = fopen(path, "we");

	assert_non_null(file);
	assert_int_equal(fwrite(data, 1, n, file), n);
}

/* Where in this executable's file an address of this process is. */
static uint64_t own_offset(const void *addr)
{
	const uint64_t at = (uint64_t)(uintptr_t)addr;
	_cleanup_maps_ struct cs_maps maps = {0};
	const struct cs_mapping *mapping;

	assert_int_equal(cs_maps_read(getpid(), &maps), 0);
	mapping = cs_maps_find(&maps, at);
	assert_non_null(mapping);
	return at - mapping->start + mapping->offset;
}

static int find_in(const struct place *place, const struct cs_buf *file, uint64_t *ret_offset)
{
	struct cs_probe_site site;
	int err;

	write_whole(place->module, file->data, file->len);
	err = cs_task_site_find(&place->interp, &site);
	if (err)
		return err;
	assert_string_equal(strrchr(site.path, '/') + 1, MODULE_NAME);
	*ret_offset = site.offset;
	return 0;
}

static void must_be_the_only_one(void **state)
{
	int begin = cs_probe_skip((const uint8_t *)made_init);
	_cleanup_buf_ struct cs_buf file = {0};
	struct place *place = *state;
	uint64_t offset, expected = own_offset(made_init) + (uint64_t)begin;
	char *letters[3];

	if (begin < 0)
		skip();
	read_whole("/proc/self/exe", &file);
	for (size_t i = 0; i < ARRAY_SIZE(letters); i++)
		letters[i] = file.data + own_offset(made_names[i]);
	/* A spec; one of another size; none; a type; two. */
	place->interp.info.off.task_size = MADE_SIZE;
	assert_int_equal(find_in(place, &file, &offset), 0);
	assert_int_equal(offset, expected);
	place->interp.info.off.task_size++;
	assert_int_equal(find_in(place, &file, &offset), -ENOENT);
	place->interp.info.off.task_size--;
	*letters[0] = '-';
	assert_int_equal(find_in(place, &file, &offset), -ENOENT);
	*letters[2] = '_';
	offset = 0;
	assert_int_equal(find_in(place, &file, &offset), 0);
	assert_int_equal(offset, expected);
	*letters[1] = '_';
	assert_int_equal(find_in(place, &file, &offset), -ENOENT);
}

static void single_stepped_is_refused(void **state)
{
	_cleanup_buf_ struct cs_buf file = {0};
	struct place *place = *state;
	uint64_t offset;

	read_whole("/proc/self/exe", &file);
	place->interp.info.off.task_size = MADE_SIZE;
	file.data[own_offset(made_init)] = '\xc3'; /* ret */
	assert_int_equal(find_in(place, &file, &offset), -EOPNOTSUPP);
}

/* _asyncio may be linked into the interpreter; then lib-dynload has none, or another version's. */
static void may_be_in_the_interpreter(void **state)
{
	_cleanup_buf_ struct cs_buf file = {0};
	struct place *place = *state;
	struct cs_probe_site site;

	if (cs_probe_skip((const uint8_t *)made_init) < 0)
		skip();
	place->interp.info.off.task_size = MADE_SIZE;
	assert_int_equal(cs_task_site_find(&place->interp, &site), -ENOENT);
	read_whole("/proc/self/exe", &file);
	write_whole(place->interp.binary, file.data, file.len);
	assert_int_equal(cs_task_site_find(&place->interp, &site), 0);
	assert_string_equal(strrchr(site.path, '/'), "/python3.11");
	place->interp.state = CS_INTERP_STARTING;
	assert_int_equal(cs_task_site_find(&place->interp, &site), -ENOENT);
}

/* Whatever the bytes are: an answer within the file, or an error of those promised. */
static void look_at_damaged(const struct place *place, size_t len)
{
	struct cs_probe_site site;
	int err = cs_task_site_find(&place->interp, &site);

	assert_true(!err || err == -ENOENT || err == -EOPNOTSUPP);
	if (!err)
		assert_in_range(site.offset, 0, len - 1);
}

/* One bit is wrong: all of those where the ELF header and the segments are, and some of the others. */
static void flip_bits(const struct place *place, const struct cs_buf *file, size_t headers)
{
	_cleanup_close_ int fd = open(place->module, O_WRONLY | O_CLOEXEC);
	unsigned int seed = 1;

	assert_true(fd >= 0);
	for (size_t i = 0; i < headers + ROUNDS; i++) {
		size_t at = i < headers ? i : (size_t)rand_r(&seed) % file->len;
		char byte = (char)(file->data[at] ^ 1 << rand_r(&seed) % 8);

		assert_int_equal(pwrite(fd, &byte, 1, (off_t)at), 1);
		look_at_damaged(place, file->len);
		assert_int_equal(pwrite(fd, &file->data[at], 1, (off_t)at), 1);
	}
}

static void damage(const struct place *place, const char *path)
{
	_cleanup_buf_ struct cs_buf file = {0};

	read_whole(path, &file);
	write_whole(place->module, file.data, file.len);
	flip_bits(place, &file, file.len < 1024 ? file.len : 1024);
	for (size_t i = ROUNDS; i-- > 0;) {
		size_t len = i < 100 ? 8 * i : file.len / ROUNDS * i;

		assert_int_equal(truncate(place->module, (off_t)len), 0);
		look_at_damaged(place, len ? len : 1);
	}
}

static void damaged_files_do_no_harm(void **state)
{
	struct place *place = *state;
	glob_t modules = {0};

	glob("/usr/lib/python3.11/lib-dynload/_asyncio.*.so", 0, NULL, &modules);
	for (size_t i = 0; i < modules.gl_pathc; i++)
		damage(place, modules.gl_pathv[i]);
	globfree(&modules);
	place->interp.info.off.task_size = MADE_SIZE;
	damage(place, "/proc/self/exe");
}

int main(void)
{
	const struct CMUnitTest tests[] = {
		cmocka_unit_test(is_where_live_interpreters_have_it),
		cmocka_unit_test_setup_teardown(must_be_the_only_one, place_new, place_free),
		cmocka_unit_test_setup_teardown(single_stepped_is_refused, place_new, place_free),
		cmocka_unit_test_setup_teardown(may_be_in_the_interpreter, place_new, place_free),
		cmocka_unit_test_setup_teardown(damaged_files_do_no_harm, place_new, place_free),
	};

	return cmocka_run_group_tests(tests, NULL, NULL);
}
