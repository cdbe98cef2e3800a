/* SPDX-License-Identifier: Apache-2.0 */
/* The raw capture file as it is written, and what is left of it when it cannot grow. */
#include <setjmp.h>
#include <stdarg.h>
#include <stddef.h>
#include <stdint.h>

#include <cmocka.h>
#include <errno.h>
#include <fcntl.h>
#include <signal.h>
#include <stdio.h>
#include <stdlib.h>
#include <string.h>
#include <sys/resource.h>
#include <sys/stat.h>
#include <sys/wait.h>
#include <unistd.h>

#include "collect/record.h"
#include "collect/spool.h"
#include "core/cleanup.h"
#include "decode/decode.h"

#define HEADER sizeof(struct cs_raw_file_header)

/* A directory of its own, and the path of a file in it. */
struct fixture {
	char dir[64], path[96];
};

static int setup(void **state)
{
	static struct fixture f;

	snprintf(f.dir, sizeof(f.dir), "/tmp/coroscope-spool-XXXXXX");
	if (!mkdtemp(f.dir))
		return -1;
	snprintf(f.path, sizeof(f.path), "%s/capture.raw", f.dir);
	*state = &f;
	return 0;
}

static int teardown(void **state)
{
	struct fixture *f = *state;

	unlink(f->path);
	return rmdir(f->dir);
}

/* A whole record of that many bytes, which count up from the seed. */
static void record(struct cs_buf *out, size_t size, unsigned char seed)
{
	struct cs_ev_mapping *ev =
		cs_record_begin(out, CS_EV_MAPPING, 1, 1, sizeof(*ev), size - sizeof(*ev));

	assert_non_null(ev);
	assert_int_equal(ev->hdr.size, size);
	ev->end = 1;
	ev->path_len = (uint32_t)(size - sizeof(*ev));
	memset(ev->path, 'a' + seed % 26, ev->path_len);
}

static off_t size_of(const char *path)
{
	struct stat st;

	assert_int_equal(stat(path, &st), 0);
	return st.st_size;
}

/* The file is a capture of `n` records and ends with the last of them. */
static void check_file(const char *path, unsigned int n)
{
	_cleanup_(cs_decoder_freep) struct cs_decoder *decoder = NULL;
	_cleanup_close_ int fd = open(path, O_RDONLY | O_CLOEXEC);
	_cleanup_buf_ struct cs_buf bytes = {0};
	size_t size = (size_t)size_of(path), at = HEADER;
	struct cs_event event;

	assert_non_null(cs_buf_extend(&bytes, size));
	assert_int_equal(read(fd, bytes.data, size), size);
	assert_int_equal(cs_decode_file_header(bytes.data, size), HEADER);
	assert_int_equal(cs_decoder_new(&decoder), 0);
	while (at < size) {
		int64_t used = cs_decode(decoder, bytes.data + at, size - at, &event);

		assert_true(used > 0);
		assert_int_equal(event.kind, CS_EV_MAPPING);
		at += (size_t)used;
		n--;
	}
	assert_int_equal(n, 0);
}

static void test_write(void **state)
{
	_cleanup_(cs_spool_freep) struct cs_spool *spool = NULL;
	_cleanup_buf_ struct cs_buf bytes = {0};
	struct fixture *f = *state;

	assert_int_equal(cs_spool_new(f->path, &spool), 0);
	assert_string_equal(cs_spool_path(spool), f->path);
	record(&bytes, 64, 0);
	record(&bytes, 128, 1);
	assert_int_equal(cs_spool_append(spool, bytes.data, bytes.len), 0);
	assert_int_equal(cs_spool_size(spool), HEADER + 192);
	assert_int_equal(cs_spool_flush(spool), 0);
	check_file(f->path, 2);
	assert_int_equal(cs_spool_append(spool, bytes.data, 64), 0);
	cs_spool_free(TAKE_PTR(spool)); /* writes what is left */
	check_file(f->path, 3);
}

/* What is buffered is bounded. */
static void test_flushes_itself(void **state)
{
	_cleanup_(cs_spool_freep) struct cs_spool *spool = NULL;
	_cleanup_buf_ struct cs_buf bytes = {0};
	struct fixture *f = *state;

	assert_int_equal(cs_spool_new(f->path, &spool), 0);
	record(&bytes, 4096, 0);
	for (unsigned int i = 0; i < 256; i++)
		assert_int_equal(cs_spool_append(spool, bytes.data, bytes.len), 0);
	assert_int_equal(cs_spool_size(spool), HEADER + 256 * 4096);
	assert_in_range(size_of(f->path), 512 * 1024, HEADER + 256 * 4096);
	assert_int_equal(cs_spool_flush(spool), 0);
	check_file(f->path, 256);
}

/* What a function gets; it refuses the call with this number. */
struct heard {
	struct cs_buf bytes;
	int calls, refuse;
};

static int hear(void *ctx, const char *records, size_t len)
{
	struct heard *heard = ctx;

	return ++heard->calls == heard->refuse ? -EIO : cs_buf_append(&heard->bytes, records, len);
}

static void test_to_a_function(void **state)
{
	_cleanup_(cs_spool_freep) struct cs_spool *spool = NULL;
	_cleanup_buf_ struct cs_buf bytes = {0};
	struct heard heard = {.refuse = 0};

	record(&bytes, 64, 0);
	record(&bytes, 128, 1);
	assert_int_equal(cs_spool_new_to(hear, &heard, &spool), 0);
	assert_int_equal(cs_spool_append(spool, bytes.data, 64), 0);
	assert_int_equal(cs_spool_append(spool, bytes.data + 64, 128), 0);
	assert_int_equal(heard.calls, 0);
	assert_int_equal(cs_spool_flush(spool), 0);
	assert_int_equal(heard.calls, 1);
	assert_int_equal(heard.bytes.len, 192); /* records alone, no file's header */
	assert_memory_equal(heard.bytes.data, bytes.data, 192);
	assert_int_equal(cs_spool_size(spool), 192);
	for (unsigned int i = 0; i < 4096; i++)
		assert_int_equal(cs_spool_append(spool, bytes.data, 192), 0);
	assert_in_range(heard.calls, 3, 5); /* what is buffered is bounded */
	cs_buf_free(&heard.bytes);
}

static void test_to_a_function_that_refuses(void **state)
{
	_cleanup_(cs_spool_freep) struct cs_spool *spool = NULL;
	_cleanup_buf_ struct cs_buf bytes = {0};
	struct heard heard = {.refuse = 1};

	record(&bytes, 64, 0);
	assert_int_equal(cs_spool_new_to(hear, &heard, &spool), 0);
	assert_int_equal(cs_spool_append(spool, bytes.data, 64), 0);
	assert_int_equal(cs_spool_flush(spool), -EIO);
	assert_int_equal(cs_spool_append(spool, bytes.data, 64), -EIO);
	assert_int_equal(cs_spool_flush(spool), -EIO);
	cs_spool_free(TAKE_PTR(spool));
	assert_int_equal(heard.calls, 1);
	assert_int_equal(heard.bytes.len, 0);
}

/* Only by a capture that gets as far as a first record. */
static void test_an_old_file_is_replaced(void **state)
{
	_cleanup_(cs_spool_freep) struct cs_spool *spool = NULL;
	_cleanup_buf_ struct cs_buf bytes = {0};
	struct fixture *f = *state;
	_cleanup_close_ int fd = open(f->path, O_WRONLY | O_CREAT | O_CLOEXEC, 0644);

	assert_int_equal(write(fd, "an old file that is longer", 26), 26);
	assert_int_equal(cs_spool_new(f->path, &spool), 0);
	cs_spool_free(TAKE_PTR(spool));
	assert_int_equal(size_of(f->path), 26);
	assert_int_equal(cs_spool_new(f->path, &spool), 0);
	record(&bytes, 64, 0);
	assert_int_equal(cs_spool_append(spool, bytes.data, bytes.len), 0);
	assert_int_equal(cs_spool_flush(spool), 0);
	check_file(f->path, 1);
}

static void test_private(void **state)
{
	_cleanup_(cs_spool_freep) struct cs_spool *spool = NULL;
	_cleanup_buf_ struct cs_buf bytes = {0};
	struct fixture *f = *state;
	char path[4096];
	struct stat st;

	record(&bytes, 64, 0);
	assert_int_equal(setenv("TMPDIR", f->dir, 1), 0);
	assert_int_equal(cs_spool_new(NULL, &spool), 0);
	snprintf(path, sizeof(path), "%s", cs_spool_path(spool));
	assert_int_equal(strncmp(path, f->dir, strlen(f->dir)), 0);
	assert_int_equal(stat(path, &st), 0);
	assert_int_equal(st.st_mode & 0777, 0600);
	cs_spool_free(TAKE_PTR(spool));
	assert_int_equal(access(path, F_OK), -1);

	assert_int_equal(cs_spool_new(NULL, &spool), 0);
	snprintf(path, sizeof(path), "%s", cs_spool_path(spool));
	assert_int_equal(cs_spool_append(spool, bytes.data, bytes.len), 0);
	cs_spool_keep(spool);
	cs_spool_free(TAKE_PTR(spool));
	check_file(path, 1);
	unlink(path);
	unsetenv("TMPDIR");
}

static void test_nowhere_to_write(void **state)
{
	struct cs_spool *spool = NULL;
	struct fixture *f = *state;
	char path[128];

	snprintf(path, sizeof(path), "%s/no/such.raw", f->dir);
	assert_int_equal(cs_spool_new(path, &spool), -ENOENT);
	assert_int_equal(cs_spool_new(f->dir, &spool), -EISDIR);
	assert_int_equal(cs_spool_new("/proc/no.raw", &spool), -ENOENT);
	setenv("TMPDIR", "/proc/no", 1);
	assert_int_equal(cs_spool_new(NULL, &spool), -ENOENT);
	unsetenv("TMPDIR");
	assert_null(spool);
}

/* Where files may not grow beyond the limit: the one capture that does, and the checks on what is left. */
static int fill_up(const char *path, size_t record_size, rlim_t limit)
{
	const struct rlimit rlimit = {limit, limit};
	_cleanup_(cs_spool_freep) struct cs_spool *spool = NULL;
	_cleanup_buf_ struct cs_buf bytes = {0};
	int err = 0;

	signal(SIGXFSZ, SIG_IGN);
	if (setrlimit(RLIMIT_FSIZE, &rlimit) || cs_spool_new(path, &spool))
		return 1;
	record(&bytes, record_size, 0);
	for (unsigned int i = 0; !err && i < 1000; i++) {
		err = cs_spool_append(spool, bytes.data, bytes.len);
		if (!err)
			err = cs_spool_flush(spool);
	}
	if (err != -EFBIG)
		return 2;
	/* the first error is the answer from then on */
	if (cs_spool_append(spool, bytes.data, bytes.len) != err || cs_spool_flush(spool) != err)
		return 3;
	return cs_spool_size(spool) == (uint64_t)size_of(path) ? 0 : 4;
}

/* In a process of its own: the limit cannot be taken back. */
static void test_disk_full(void **state)
{
	struct fixture *f = *state;
	int status;
	pid_t pid = fork();

	if (pid == 0)
		_exit(fill_up(f->path, 1000, 10500));
	assert_int_equal(waitpid(pid, &status, 0), pid);
	assert_true(WIFEXITED(status));
	assert_int_equal(WEXITSTATUS(status), 0);
	check_file(f->path, 10); /* 10 records of 1000 bytes fit, the eleventh was cut off again */
}

#define TEST(name) cmocka_unit_test_setup_teardown(name, setup, teardown)

int main(void)
{
	const struct CMUnitTest tests[] = {
		TEST(test_write),
		TEST(test_flushes_itself),
		TEST(test_an_old_file_is_replaced),
		TEST(test_private),
		TEST(test_nowhere_to_write),
		TEST(test_disk_full),
		cmocka_unit_test(test_to_a_function),
		cmocka_unit_test(test_to_a_function_that_refuses),
	};

	return cmocka_run_group_tests(tests, NULL, NULL);
}
