/* SPDX-License-Identifier: Apache-2.0 */
/* The collector's own records come back from the decoder as they went in. */
#include <setjmp.h>
#include <stdarg.h>
#include <stddef.h>
#include <stdint.h>

#include <cmocka.h>
#include <signal.h>
#include <stdio.h>
#include <stdlib.h>
#include <string.h>
#include <sys/prctl.h>
#include <sys/socket.h>
#include <sys/wait.h>
#include <time.h>
#include <unistd.h>

#include "collect/record.h"
#include "core/cleanup.h"
#include "decode/decode.h"

struct fixture {
	struct cs_buf out;
	struct cs_decoder *decoder;
	struct cs_event event;
};

static int setup(void **state)
{
	struct fixture *f = calloc(1, sizeof(*f));

	*state = f;
	return f ? cs_decoder_new(&f->decoder) : -1;
}

static int teardown(void **state)
{
	struct fixture *f = *state;

	cs_buf_free(&f->out);
	cs_decoder_free(f->decoder);
	free(f);
	return 0;
}

/* The one record that is in the buffer, of this kind; the buffer is empty afterwards, its bytes remain. */
static const struct cs_event *decode(struct fixture *f, enum cs_ev_kind kind)
{
	assert_int_equal(f->out.len % 8, 0);
	assert_int_equal(cs_decode(f->decoder, f->out.data, f->out.len, &f->event), f->out.len);
	assert_int_equal(f->event.kind, kind);
	f->out.len = 0;
	return &f->event;
}

static void check_text(struct cs_text text, const char *expected)
{
	assert_int_equal(text.len, strlen(expected));
	assert_memory_equal(text.str, expected, text.len);
}

static void test_begin_pads(void **state)
{
	struct fixture *f = *state;

	for (size_t tail = 0; tail < 20; tail++) {
		const struct cs_ev_hdr *hdr =
			cs_record_begin(&f->out, CS_EV_EXIT, 5, 6, sizeof(*hdr), tail);

		assert_int_equal(hdr->size, sizeof(*hdr) + (tail + 7) / 8 * 8);
		for (size_t i = sizeof(*hdr); i < f->out.len; i++)
			assert_int_equal(f->out.data[i], 0);
		assert_int_equal(decode(f, CS_EV_EXIT)->ts_ns, 5);
		assert_int_equal(f->event.pid, 6);
	}
}

static void test_whose(void **state)
{
	struct fixture *f = *state;
	struct cs_facts facts = {0};

	assert_int_equal(cs_facts_tell(&facts, CS_FACT_SERVICE, "shop", 4), 0);
	assert_int_equal(cs_facts_tell(&facts, CS_FACT_MOUNT_NAMESPACE, "12", 2), 0);
	assert_int_equal(cs_record_whose(&f->out, 5, 6, &facts), 0);
	cs_facts_free(&facts);
	decode(f, CS_EV_WHOSE);
	assert_int_equal(f->event.pid, 6);
	check_text(f->event.whose.facts[CS_FACT_SERVICE], "shop");
	check_text(f->event.whose.facts[CS_FACT_MOUNT_NAMESPACE], "12");
	check_text(f->event.whose.facts[CS_FACT_POD], "");
	assert_int_equal(cs_record_whose(&f->out, 5, 6, &facts), 0);
	decode(f, CS_EV_WHOSE);
}

static void test_process(void **state)
{
	const struct cs_ev_process known = {
		.py_major = 3, .py_minor = 12, .py_micro = 1, .status = CS_STATUS_UNSUPPORTED};
	const struct cs_event_process *process;
	struct fixture *f = *state;

	prctl(PR_SET_NAME, "a test");
	assert_int_equal(cs_record_process(&f->out, 9, getpid(), &known, "a note"), 0);
	process = &decode(f, CS_EV_PROCESS)->process;
	assert_int_equal(f->event.ts_ns, 9);
	assert_int_equal(f->event.pid, getpid());
	assert_int_equal(process->py_major, 3);
	assert_int_equal(process->py_minor, 12);
	assert_int_equal(process->py_micro, 1);
	assert_int_equal(process->status, CS_STATUS_UNSUPPORTED);
	check_text(process->comm, "a test");
	check_text(process->note, "a note");
	/* the path under which this test was started */
	assert_true(process->cmdline.len > 0);
	assert_non_null(memmem(process->cmdline.str, process->cmdline.len, "record", 6));
}

/* Arguments are joined by blanks. */
static void test_arguments(void **state)
{
	const struct cs_ev_process known = {0};
	struct fixture *f = *state;
	int ends[2];
	char byte;
	pid_t pid;

	assert_int_equal(socketpair(AF_UNIX, SOCK_STREAM | SOCK_CLOEXEC, 0, ends), 0);
	pid = fork();
	if (pid == 0) {
		dup2(ends[1], STDIN_FILENO);
		dup2(ends[1], STDOUT_FILENO);
		execlp("cat", "cat", "-", NULL);
		_exit(127);
	}
	close(ends[1]);
	/* it runs: that files are closed at an exec is before its name is set */
	assert_int_equal(write(ends[0], "x", 1), 1);
	assert_int_equal(read(ends[0], &byte, 1), 1);
	assert_int_equal(cs_record_process(&f->out, 9, pid, &known, ""), 0);
	close(ends[0]);
	kill(pid, SIGKILL);
	waitpid(pid, NULL, 0);
	check_text(decode(f, CS_EV_PROCESS)->process.comm, "cat");
	check_text(f->event.process.cmdline, "cat -");
}

static void test_process_that_is_gone(void **state)
{
	const struct cs_ev_process known = {0};
	const struct cs_event_process *process;
	struct fixture *f = *state;

	assert_int_equal(cs_record_process(&f->out, 9, 1 << 30, &known, ""), 0);
	process = &decode(f, CS_EV_PROCESS)->process;
	check_text(process->comm, "");
	check_text(process->cmdline, "");
	check_text(process->note, "");
}

static void test_capture(void **state)
{
	const struct cs_event_capture *capture;
	uint64_t before = cs_now_ns(), seconds = (uint64_t)time(NULL);
	struct fixture *f = *state;
	char host[256] = "";

	gethostname(host, sizeof(host) - 1);
	assert_int_equal(cs_record_capture(&f->out, 123, CS_MODE_WALL, 4, "record -p 1"), 0);
	capture = &decode(f, CS_EV_CAPTURE)->capture;
	assert_in_range(f->event.ts_ns, before, cs_now_ns());
	assert_int_equal(f->event.pid, 0);
	assert_in_range(capture->realtime_ns / 1000000000, seconds, seconds + 60);
	assert_int_equal(capture->interval_ns, 123);
	assert_int_equal(capture->mode, CS_MODE_WALL);
	assert_int_equal(capture->ncpu, 4);
	check_text(capture->host, host);
	check_text(capture->command, "record -p 1");
}

/* A command line has no limit, the record has. */
static void test_long_command(void **state)
{
	struct fixture *f = *state;
	char command[100001];

	memset(command, 'x', sizeof(command) - 1);
	command[sizeof(command) - 1] = '\0';
	assert_int_equal(cs_record_capture(&f->out, 1, CS_MODE_CPU, 1, command), 0);
	assert_int_equal(decode(f, CS_EV_CAPTURE)->capture.command.len, 4096);
}

static void test_stats(void **state)
{
	const struct cs_event_stats *stats;
	uint64_t counters[CS_COUNTER_MAX_];
	struct fixture *f = *state;

	for (uint64_t i = 0; i < CS_COUNTER_MAX_; i++)
		counters[i] = i * 1000 + 1;
	assert_int_equal(cs_record_stats(&f->out, 9, 17, counters), 0);
	stats = &decode(f, CS_EV_STATS)->stats;
	assert_int_equal(f->event.pid, 17);
	assert_int_equal(stats->n, CS_COUNTER_MAX_);
	assert_memory_equal(stats->counters, counters, sizeof(counters));
}

static void test_end(void **state)
{
	struct fixture *f = *state;

	assert_int_equal(cs_record_end(&f->out, 7, CS_END_TARGETS_GONE), 0);
	assert_int_equal(decode(f, CS_EV_END)->end_reason, CS_END_TARGETS_GONE);
}

static void test_ksym(void **state)
{
	struct fixture *f = *state;

	assert_int_equal(cs_record_ksym(&f->out, 9, 0xffffffff81000010, "do_poll [mod]"), 0);
	assert_int_equal(decode(f, CS_EV_KSYM)->ksym.addr, 0xffffffff81000010);
	check_text(f->event.ksym.name, "do_poll [mod]");
}

static void test_mapping(void **state)
{
	const struct cs_event_mapping *mapping;
	struct fixture *f = *state;
	char path[CS_MAX_PATH + 100];

	assert_int_equal(cs_record_mapping(&f->out, 9, 17, 0x1000, 0x3000, 0x200, "/lib/x.so"), 0);
	mapping = &decode(f, CS_EV_MAPPING)->mapping;
	assert_int_equal(f->event.pid, 17);
	assert_int_equal(mapping->start, 0x1000);
	assert_int_equal(mapping->end, 0x3000);
	assert_int_equal(mapping->offset, 0x200);
	check_text(mapping->path, "/lib/x.so");

	memset(path, 'p', sizeof(path) - 1);
	path[sizeof(path) - 1] = '\0';
	assert_int_equal(cs_record_mapping(&f->out, 9, 17, 0, 1, 0, path), 0);
	assert_int_equal(decode(f, CS_EV_MAPPING)->mapping.path.len, CS_MAX_PATH);
}

static void test_code(void **state)
{
	static const uint8_t id[] = {1, 2, 3};
	const struct cs_record_code code = {
		.start = 0x1000,
		.end = 0x3000,
		.offset = 0x200,
		.vaddr = 0x400200,
		.path = "/bin/x",
		.build_id = id,
		.build_id_len = sizeof(id),
	};
	const struct cs_event_mapping *mapping;
	struct fixture *f = *state;

	assert_int_equal(cs_record_code(&f->out, 9, 17, &code), 0);
	mapping = &decode(f, CS_EV_MAPPING)->mapping;
	check_text(mapping->path, "/bin/x");
	assert_int_equal(mapping->offset, 0x200);
	assert_int_equal(mapping->vaddr, 0x400200);
	assert_int_equal(mapping->build_id_len, 3);
	assert_memory_equal(mapping->build_id, id, 3);
}

#define TEST(name) cmocka_unit_test_setup_teardown(name, setup, teardown)

int main(void)
{
	const struct CMUnitTest tests[] = {
		TEST(test_begin_pads),
		TEST(test_whose),
		TEST(test_process),
		TEST(test_arguments),
		TEST(test_process_that_is_gone),
		TEST(test_capture),
		TEST(test_long_command),
		TEST(test_stats),
		TEST(test_end),
		TEST(test_ksym),
		TEST(test_mapping),
		TEST(test_code),
	};

	return cmocka_run_group_tests(tests, NULL, NULL);
}
