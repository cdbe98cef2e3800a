/* SPDX-License-Identifier: Apache-2.0 */
/*
 * Captures on demand: who asks well gets the file, who does not hears why, and whatever a guest does the next one is served. Guests are root
 * here; that others are not served needs another user: tests/live/ondemand.py.
 */
#include <setjmp.h>
#include <stdarg.h>
#include <stddef.h>
#include <stdint.h>

#include <cmocka.h>
#include <errno.h>
#include <fcntl.h>
#include <ftw.h>
#include <poll.h>
#include <stdio.h>
#include <stdlib.h>
#include <string.h>
#include <sys/socket.h>
#include <sys/stat.h>
#include <sys/un.h>
#include <unistd.h>

#include "agent/ondemand.h"
#include "cli/cli.h"
#include "core/cleanup.h"
#include "decode/decode.h"
#include "unit/export/made_profile.h"

#define BEFORE "what was there before"

struct fixture {
	char root[64], path[96], file[96];
	int output;
	struct cs_ondemand *ondemand;
};

static bool is_ours(void *ctx, pid_t pid)
{
	return pid == getpid();
}

static int begin(struct fixture *f)
{
	const struct cs_ondemand_options options = {
		.path = f->path, .profiles = is_ours, .request_ns = 300000000};

	return cs_ondemand_new(&options, &f->ondemand);
}

static int setup(void **state)
{
	struct fixture *f = calloc(1, sizeof(*f));

	*state = f;
	strcpy(f->root, "/tmp/agent-ondemand-XXXXXX");
	if (!mkdtemp(f->root))
		return -1;
	snprintf(f->path, sizeof(f->path), "%s/run/agent.sock", f->root);
	snprintf(f->file, sizeof(f->file), "%s/x.collapsed", f->root);
	f->output = open(f->file, O_RDWR | O_CREAT | O_CLOEXEC, 0600);
	if (f->output < 0 || write(f->output, BEFORE, strlen(BEFORE)) < 0)
		return -1;
	return begin(f);
}

static int remove_one(const char *path, const struct stat *st, int type, struct FTW *ftw)
{
	return remove(path);
}

static int teardown(void **state)
{
	struct fixture *f = *state;
	char root[64];

	cs_ondemand_free(f->ondemand);
	close(f->output);
	strcpy(root, f->root);
	free(f);
	return nftw(root, remove_one, 8, FTW_DEPTH | FTW_PHYS);
}

static int visit(const struct fixture *f)
{
	struct sockaddr_un address = {.sun_family = AF_UNIX};
	int fd = socket(AF_UNIX, SOCK_STREAM | SOCK_CLOEXEC, 0);

	strcpy(address.sun_path, f->path);
	assert_int_equal(connect(fd, (struct sockaddr *)&address, sizeof(address)), 0);
	return fd;
}

static void say(int guest, const void *bytes, size_t len, const int *passed, size_t npassed)
{
	_Alignas(struct cmsghdr) char control[CMSG_SPACE(8 * sizeof(int))] = {0};
	struct iovec part = {(void *)bytes, len};
	struct msghdr message = {.msg_iov = &part, .msg_iovlen = 1};
	struct cmsghdr *at;

	if (npassed) {
		message.msg_control = control;
		message.msg_controllen = CMSG_SPACE(npassed * sizeof(int));
		at = CMSG_FIRSTHDR(&message);
		at->cmsg_level = SOL_SOCKET;
		at->cmsg_type = SCM_RIGHTS;
		at->cmsg_len = CMSG_LEN(npassed * sizeof(int));
		memcpy(CMSG_DATA(at), passed, npassed * sizeof(int));
	}
	assert_int_equal(sendmsg(guest, &message, MSG_NOSIGNAL), len);
}

static void make_line(struct cs_buf *line, pid_t pid)
{
	const struct cs_agent_request request = {.duration_ns = CS_AGENT_MIN_NS,
						 .exporter = &cs_export_collapsed,
						 .pids = {pid},
						 .npids = pid ? 1 : 0};

	assert_int_equal(cs_agent_request_write(&request, line), 0);
}

static int ask(const struct fixture *f)
{
	_cleanup_buf_ struct cs_buf line = {0};
	int guest = visit(f);

	make_line(&line, 0);
	say(guest, line.data, line.len, &f->output, 1);
	return guest;
}

/* Turns until one says that the period is to end. */
static bool called(const struct fixture *f)
{
	for (int i = 0; i < 300; i++) {
		if (cs_ondemand_turn(f->ondemand))
			return true;
		usleep(10000);
	}
	return false;
}

/* All that the guest hears, up to the end. */
static void hear(const struct fixture *f, int guest, char answer[4096])
{
	struct pollfd ready = {.fd = guest, .events = POLLIN};
	size_t len = 0;
	ssize_t n = 1;

	for (int i = 0; i < 500 && n > 0 && len < 4095; i++) {
		cs_ondemand_turn(f->ondemand);
		if (poll(&ready, 1, 10) <= 0)
			continue;
		n = recv(guest, answer + len, 4095 - len, 0);
		len += n > 0 ? (size_t)n : 0;
	}
	answer[len] = '\0';
	assert_true(n <= 0);
	close(guest);
}

static void expect_answer(const struct fixture *f, int guest, const char *expected)
{
	char answer[4096];

	hear(f, guest, answer);
	assert_string_equal(answer, expected);
}

static void expect_file(const struct fixture *f, const char *begins)
{
	char text[256] = "";

	assert_true(pread(f->output, text, sizeof(text) - 1, 0) >= 0);
	if (strncmp(text, begins, strlen(begins)) != 0)
		fail_msg("%s", text);
}

/* The period ends with this profile. */
static void end_period(const struct fixture *f, const char *cut)
{
	struct cs_profile *profile = made_profile(true);
	struct cs_shared_profile *shared;

	cs_profile_meta_mut(profile)->partial = false;
	assert_int_equal(cs_ondemand_tell_end(f->ondemand, cut, profile), 0);
	shared = cs_shared_profile_new(profile);
	assert_non_null(shared);
	cs_ondemand_put(f->ondemand, shared);
	cs_shared_profile_unref(shared);
}

/* From the question to the answer: it must still be possible. */
static void serve_one(const struct fixture *f)
{
	int guest = ask(f);
	char answer[4096];

	assert_true(called(f));
	assert_non_null(cs_ondemand_begin(f->ondemand));
	shutdown(guest, SHUT_WR);
	assert_true(called(f));
	end_period(f, NULL);
	hear(f, guest, answer);
	assert_int_equal(strncmp(answer, "0\n", 2), 0);
	expect_file(f, "python3 app.py (42);thread main (42);");
}

static void need_root(void)
{
	if (geteuid())
		skip();
}

static void test_answered(void **state)
{
	struct fixture *f = *state;
	char answer[4096];
	int guest;

	need_root();
	assert_false(cs_ondemand_turn(f->ondemand));
	assert_null(cs_ondemand_begin(f->ondemand));
	guest = ask(f);
	assert_true(called(f));
	assert_false(cs_ondemand_runs(f->ondemand));
	assert_int_equal(cs_ondemand_begin(f->ondemand)->duration_ns, CS_AGENT_MIN_NS);
	assert_true(cs_ondemand_runs(f->ondemand));
	assert_null(cs_ondemand_begin(f->ondemand));
	assert_false(cs_ondemand_turn(f->ondemand));
	assert_true(called(f)); /* its second is over */
	end_period(f, NULL);
	assert_false(cs_ondemand_runs(f->ondemand));
	hear(f, guest, answer);
	assert_non_null(strstr(answer, "0\n12 samples in 2.0 s at 100 Hz\ndue ticks "));
	assert_non_null(strchr(answer + 60, '\n'));
	expect_file(f, "python3 app.py (42);thread main (42);");
	serve_one(f);
}

/* What is new is shorter than what was there. */
static void test_replaces(void **state)
{
	struct fixture *f = *state;
	struct stat st;

	need_root();
	assert_int_equal(ftruncate(f->output, 1 << 20), 0);
	serve_one(f);
	assert_int_equal(fstat(f->output, &st), 0);
	assert_in_range(st.st_size, 100, 4096);
}

static void test_enough(void **state)
{
	struct fixture *f = *state;
	char answer[4096];
	int guest = -1;

	need_root();
	guest = ask(f);
	assert_true(called(f));
	cs_ondemand_begin(f->ondemand);
	shutdown(guest, SHUT_WR);
	assert_true(called(f));
	end_period(f, NULL);
	hear(f, guest, answer);
	assert_non_null(strstr(answer, " at 100 Hz (interrupted)\n"));
}

static void test_cut(void **state)
{
	struct fixture *f = *state;
	char answer[4096];
	int guest = -1;

	need_root();
	guest = ask(f);
	assert_true(called(f));
	cs_ondemand_begin(f->ondemand);
	end_period(f, "the agent ended");
	hear(f, guest, answer);
	assert_int_equal(strncmp(answer, "0\n", 2), 0);
	assert_non_null(strstr(answer, "\nthe capture on demand ended early: the agent ended\n"));
}

static void test_busy(void **state)
{
	static const char *const busy = "1\nbusy with another capture: try again later\n";
	struct fixture *f = *state;
	int first, guest;
	char answer[4096];

	need_root();
	first = visit(f);
	assert_false(cs_ondemand_turn(f->ondemand));
	expect_answer(f, visit(f), busy); /* the first has not asked yet */
	close(first);
	cs_ondemand_turn(f->ondemand);
	guest = ask(f);
	assert_true(called(f));
	expect_answer(f, ask(f), busy);
	cs_ondemand_begin(f->ondemand);
	expect_answer(f, ask(f), busy);
	shutdown(guest, SHUT_WR);
	assert_true(called(f));
	end_period(f, NULL);
	hear(f, guest, answer);
	assert_int_equal(answer[0], '0');
	serve_one(f);
}

/* A guest that goes, at any time, is forgotten, and its file is as it was. */
static void test_gone(void **state)
{
	struct fixture *f = *state;
	int guest;

	need_root();
	close(visit(f));
	cs_ondemand_turn(f->ondemand);
	close(ask(f));
	assert_true(called(f));
	cs_ondemand_begin(f->ondemand);
	assert_true(called(f));
	end_period(f, NULL);
	guest = ask(f);
	assert_true(called(f));
	cs_ondemand_begin(f->ondemand);
	close(guest);
	assert_true(called(f));
	end_period(f, NULL);
	expect_file(f, BEFORE);
	serve_one(f);
}

/* More than a request: whatever that is, it is none. */
static void test_talks_on(void **state)
{
	struct fixture *f = *state;
	int guest;

	need_root();
	guest = ask(f);
	assert_true(called(f));
	cs_ondemand_begin(f->ondemand);
	say(guest, "x", 1, NULL, 0);
	assert_true(called(f));
	end_period(f, NULL);
	expect_file(f, BEFORE);
	close(guest);
	serve_one(f);
}

static void expect_refused(const struct fixture *f, const void *bytes, size_t len,
			   const int *passed, size_t npassed)
{
	int guest = visit(f);

	say(guest, bytes, len, passed, npassed);
	expect_answer(f, guest,
		      "1\nno request: one line of JSON is, with a regular file open for writing\n");
}

static void test_no_request(void **state)
{
	struct fixture *f = *state;
	int read_only, path_only, pipes[2], many[8];
	_cleanup_buf_ struct cs_buf line = {0}, twice = {0};
	char garbage[CS_AGENT_REQUEST];

	need_root();
	read_only = open(f->file, O_RDONLY | O_CLOEXEC);
	path_only = open(f->file, O_PATH | O_CLOEXEC);
	assert_int_equal(pipe2(pipes, O_CLOEXEC), 0);
	for (size_t i = 0; i < ARRAY_SIZE(many); i++)
		many[i] = f->output;
	make_line(&line, 0);
	make_line(&twice, 0);
	make_line(&twice, 0);
	memset(garbage, 0xee, sizeof(garbage));
	expect_refused(f, garbage, sizeof(garbage), &f->output, 1);
	expect_refused(f, line.data, line.len, NULL, 0);
	expect_refused(f, line.data, line.len, many, 2);
	expect_refused(f, line.data, line.len, many, 8);
	expect_refused(f, line.data, line.len, &pipes[1], 1);
	expect_refused(f, line.data, line.len, &read_only, 1);
	expect_refused(f, line.data, line.len, &path_only, 1);
	expect_refused(f, twice.data, twice.len, &f->output, 1);
	expect_file(f, BEFORE);
	close(read_only);
	close(path_only);
	close(pipes[0]);
	close(pipes[1]);
	serve_one(f);
}

static void test_bad_request(void **state)
{
	struct fixture *f = *state;
	_cleanup_buf_ struct cs_buf line = {0};
	char expected[128];
	int guest;

	need_root();
	guest = visit(f);
	say(guest, "{\"version\":9}\n", 14, &f->output, 1);
	expect_answer(f, guest, "1\nversion 9 of the request is not known here, but version 1\n");
	make_line(&line, getppid());
	guest = visit(f);
	say(guest, line.data, line.len, &f->output, 1);
	snprintf(expected, sizeof(expected),
		 "4\nprocess %d is not there, or not among those that this agent profiles\n",
		 getppid());
	expect_answer(f, guest, expected);
	serve_one(f);
}

/* A request in pieces is one; one that stops on its way is sent away in time. */
static void test_slow(void **state)
{
	struct fixture *f = *state;
	_cleanup_buf_ struct cs_buf line = {0};
	int guest;

	need_root();
	make_line(&line, getpid());
	guest = visit(f);
	for (size_t i = 0; i < line.len; i++) {
		assert_false(cs_ondemand_turn(f->ondemand));
		say(guest, line.data + i, 1, &f->output, i == 0);
	}
	assert_true(called(f));
	assert_int_equal(cs_ondemand_begin(f->ondemand)->pids[0], getpid());
	close(guest);
	assert_true(called(f));
	end_period(f, NULL);
	guest = visit(f);
	say(guest, line.data, line.len - 1, &f->output, 1);
	expect_answer(f, guest, "1\nno request has come in time\n");
	expect_answer(f, visit(f), "1\nno request has come in time\n");
	expect_file(f, BEFORE);
	serve_one(f);
}

static void test_agent_ends(void **state)
{
	struct fixture *f = *state;
	char answer[4096] = "";
	int guest;

	need_root();
	guest = ask(f);
	assert_true(called(f));
	cs_ondemand_begin(f->ondemand);
	cs_ondemand_free(TAKE_PTR(f->ondemand));
	assert_true(recv(guest, answer, sizeof(answer) - 1, 0) > 0);
	assert_string_equal(answer, "1\nthe agent ends, or listens elsewhere now\n");
	close(guest);
	expect_file(f, BEFORE);
	/* nobody asks an agent without a socket */
	assert_false(cs_ondemand_turn(NULL));
	assert_null(cs_ondemand_begin(NULL));
	assert_false(cs_ondemand_runs(NULL));
	cs_ondemand_put(NULL, NULL);
	cs_ondemand_free(NULL);
}

static void test_place(void **state)
{
	struct fixture *f = *state;
	struct cs_ondemand *other;
	const struct cs_ondemand_options options = {.path = f->path, .profiles = is_ours};
	char folder[96];
	struct stat st;
	int fd;

	snprintf(folder, sizeof(folder), "%s/run", f->root);
	assert_int_equal(stat(f->path, &st), 0);
	assert_int_equal(st.st_mode, S_IFSOCK | 0600);
	assert_int_equal(stat(folder, &st), 0);
	assert_int_equal(st.st_mode, S_IFDIR | 0700);
	assert_int_equal(cs_ondemand_new(&options, &other), -EADDRINUSE);
	cs_ondemand_free(TAKE_PTR(f->ondemand));
	assert_int_equal(stat(f->path, &st), -1);
	/* left by one that died */
	fd = socket(AF_UNIX, SOCK_STREAM | SOCK_CLOEXEC, 0);
	{
		struct sockaddr_un address = {.sun_family = AF_UNIX};

		strcpy(address.sun_path, f->path);
		assert_int_equal(bind(fd, (struct sockaddr *)&address, sizeof(address)), 0);
	}
	close(fd);
	assert_int_equal(begin(f), 0);
	cs_ondemand_free(TAKE_PTR(f->ondemand));
	close(open(f->path, O_CREAT | O_WRONLY | O_CLOEXEC, 0600));
	assert_int_equal(begin(f), -ENOTSOCK);
	assert_int_equal(stat(f->path, &st), 0);
	unlink(f->path);
	chmod(folder, 0770);
	assert_int_equal(begin(f), -EPERM);
	chmod(folder, 0711);
	assert_int_equal(begin(f), 0);
}

#define TEST(name) cmocka_unit_test_setup_teardown(name, setup, teardown)

int main(void)
{
	const struct CMUnitTest tests[] = {
		TEST(test_answered), TEST(test_replaces),   TEST(test_enough),
		TEST(test_cut),      TEST(test_busy),       TEST(test_gone),
		TEST(test_talks_on), TEST(test_no_request), TEST(test_bad_request),
		TEST(test_slow),     TEST(test_agent_ends), TEST(test_place),
	};

	return cmocka_run_group_tests(tests, NULL, NULL);
}
