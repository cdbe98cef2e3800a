/* SPDX-License-Identifier: Apache-2.0 */
/*
 * When a process's code is looked at and told, what of it, and when all of that goes: of this very program and children of it, which map
 * copies of its file. The kernel's maps are made up (made_tables.h), time is a number.
 */
#include "collect/natives.h"

#include <setjmp.h>
#include <stdarg.h>
#include <stddef.h>
#include <stdint.h>

#include <cmocka.h>
#include <coroscope/status.h>
#include <fcntl.h>
#include <signal.h>
#include <stdio.h>
#include <stdlib.h>
#include <string.h>
#include <sys/auxv.h>
#include <sys/mman.h>
#include <sys/prctl.h>
#include <sys/sendfile.h>
#include <sys/stat.h>
#include <sys/wait.h>
#include <time.h>
#include <unistd.h>

#include "collect/record.h"
#include "core/cleanup.h"
#include "proc/maps.h"
#include "proc/threads.h"
#include "unit/collect/made_tables.h"

#define MS        1000000ull
#define START     (100000 * MS)
#define NO_TIME   0 /* for one process only */
#define LONG      (100000 * MS)
/* As in natives.c. */
#define LOOK_NS   (100 * MS)
#define LOOKS     16
#define SWEEP_NS  (5000 * MS)
#define NCHILDREN 3

struct fixture {
	struct cs_natives *natives;
	pid_t children[NCHILDREN]; /* 0: none */
	struct cs_buf out;
	char dir[64];
};

static int setup(void **state)
{
	struct fixture *f = calloc(1, sizeof(*f));

	*state = f;
	made_tables_begin();
	snprintf(f->dir, sizeof(f->dir), "/tmp/coroscope-natives-XXXXXX");
	if (!mkdtemp(f->dir) || cs_natives_new(MADE_FILES, MADE_PROCS, &f->natives))
		return -1;
	/* the first turn sweeps: from here on it is known when the next one will */
	cs_natives_turn(f->natives, START - 1, LONG);
	return 0;
}

/* The tables of this program's files, and of its children's, are made; nothing else is known. */
static void know_own_files(struct fixture *f)
{
	cs_natives_poke(f->natives, getpid());
	cs_natives_start(f->natives, START - 1, LONG, LONG);
	cs_natives_forget(f->natives, getpid());
}

/* A turn, and another one when the tables that it asked for are made. */
static void turn_and_settle(struct fixture *f, uint64_t now)
{
	cs_natives_turn(f->natives, now, LONG);
	cs_natives_wait(f->natives, LONG);
	cs_natives_turn(f->natives, now, LONG);
}

static void end_child(struct fixture *f, int i)
{
	kill(f->children[i], SIGKILL);
	assert_int_equal(waitpid(f->children[i], NULL, 0), f->children[i]);
	f->children[i] = 0;
}

static int teardown(void **state)
{
	struct fixture *f = *state;

	made_tables.hold = false; /* of a test that has failed */
	for (int i = 0; i < NCHILDREN; i++)
		if (f->children[i])
			end_child(f, i);
	cs_natives_free(f->natives);
	cs_buf_free(&f->out);
	made_tables_end();
	rmdir(f->dir);
	free(f);
	return 0;
}

static void wait_for_the_end(void)
{
	prctl(PR_SET_PDEATHSIG, SIGKILL);
	for (;;)
		pause();
}

static pid_t begin_child(struct fixture *f, int i)
{
	f->children[i] = fork();
	if (f->children[i] == 0)
		wait_for_the_end();
	return f->children[i];
}

static int known_function(void)
{
	return 42;
}

/* Code of a file of its own: this program's bytes, or others. Its file is deleted. */
struct mapped {
	void *at;
	size_t size;
};

static struct mapped map_copy(struct fixture *f, const char *text)
{
	_cleanup_close_ int from = open("/proc/self/exe", O_RDONLY | O_CLOEXEC);
	_cleanup_maps_ struct cs_maps maps = {0};
	_cleanup_close_ int to = -1;
	const struct cs_mapping *own;
	struct mapped mapped;
	char path[128];
	struct stat st;

	snprintf(path, sizeof(path), "%s/copy", f->dir);
	to = open(path, O_RDWR | O_CREAT | O_CLOEXEC, 0755);
	assert_int_equal(fstat(from, &st), 0);
	if (text)
		assert_int_equal(write(to, text, strlen(text)), strlen(text));
	else
		assert_int_equal(sendfile(to, from, NULL, (size_t)st.st_size), st.st_size);
	/* what a copy holds is not shared: its bytes differ in the build id, which the table of the other would be found by */
	assert_int_equal(cs_maps_read(getpid(), &maps), 0);
	own = cs_maps_find(&maps, (uint64_t)(uintptr_t)known_function);
	assert_non_null(own);
	mapped.size = own->end - own->start;
	mapped.at = mmap(NULL, mapped.size, PROT_READ | PROT_EXEC, MAP_PRIVATE, to,
			 text ? 0 : (off_t)own->offset);
	assert_ptr_not_equal(mapped.at, MAP_FAILED);
	unlink(path);
	return mapped;
}

static const struct cs_native_proc *told(pid_t pid)
{
	const struct cs_native_proc *list = made_list(pid);

	assert_non_null(list);
	return list;
}

/* What the records are that name this stack, as "symbol known_function" and "mapping", one a line. */
static void expect_names(struct fixture *f, pid_t pid, enum cs_status status, const char *expected)
{
	struct {
		struct cs_ev_native ev;
		uint64_t addresses[2];
	} stack = {
		.ev = {.hdr = {.size = sizeof(stack), .kind = CS_EV_NATIVE, .pid = (uint32_t)pid},
		       .n = 2,
		       .status = (uint8_t)status},
		.addresses = {(uint64_t)(uintptr_t)known_function, 0x10}, /* no code is there */
	};
	const struct cs_buf fresh = {.data = (char *)&stack, .len = sizeof(stack)};
	char found[256] = "";

	f->out.len = 0;
	assert_int_equal(cs_natives_name(f->natives, &fresh, START, &f->out), 0);
	for (size_t at = 0; at < f->out.len;) {
		const struct cs_ev_hdr *hdr = (const void *)(f->out.data + at);
		const struct cs_ev_symbol *symbol = (const void *)hdr;
		size_t len = strlen(found);

		at += hdr->size;
		if (hdr->kind == CS_EV_SYMBOL)
			snprintf(found + len, sizeof(found) - len, "symbol %.*s\n",
				 (int)symbol->name_len, symbol->name);
		else
			snprintf(found + len, sizeof(found) - len, "%s\n",
				 hdr->kind == CS_EV_MAPPING ? "mapping" : "another record");
	}
	assert_string_equal(found, expected);
}

static void a_process_is_told_once_it_is_poked(void **state)
{
	struct fixture *f = *state;
	unsigned int lists_told;

	cs_natives_turn(f->natives, START, LONG);
	assert_int_equal(made_tables.lists_told, 0);
	assert_int_equal(made_tables.ntold, 0);
	cs_natives_poke(f->natives, getpid());
	assert_int_equal(made_tables.lists_told, 0);
	turn_and_settle(f, START);
	assert_true(made_table_at(told(getpid()), known_function) >= CS_NATIVE_FIRST_TABLE);
	assert_true(made_table_at(told(getpid()), kill) >= CS_NATIVE_FIRST_TABLE);
	assert_int_equal(made_table_at(told(getpid()), f), -1); /* no code */
	assert_int_equal(cs_natives_refused(f->natives), 0);
	assert_true(cs_natives_stats(f->natives).files == made_tables.ntold);
	/* that was all */
	lists_told = made_tables.lists_told;
	cs_natives_turn(f->natives, START + LOOK_NS, LONG);
	assert_int_equal(made_tables.lists_told, lists_told);
}

/* Nobody waits for a table: what maps the file is told, and once more when it is made. */
static void what_is_being_made_is_told_as_such(void **state)
{
	struct fixture *f = *state;

	made_tables.hold = true;
	cs_natives_poke(f->natives, getpid());
	cs_natives_turn(f->natives, START, LONG);
	assert_int_equal(made_tables.lists_told, 1);
	assert_int_equal(made_table_at(told(getpid()), known_function), CS_NATIVE_NOT_MADE);
	cs_natives_turn(f->natives, START + 1, LONG);
	assert_int_equal(made_tables.lists_told, 1);
	/* its samples say so, which is no reason to look at it again */
	expect_names(f, getpid(), CS_STATUS_NATIVE_NOT_YET, "symbol known_function\nmapping\n");
	cs_natives_turn(f->natives, START + 2, LONG);
	expect_names(f, getpid(), CS_STATUS_NATIVE_NOT_YET, "");
	made_tables.hold = false;
	cs_natives_wait(f->natives, LONG);
	cs_natives_turn(f->natives, START + 3, LONG);
	assert_int_equal(made_tables.lists_told, 2);
	assert_true(made_table_at(told(getpid()), known_function) >= CS_NATIVE_FIRST_TABLE);
}

/* More files than may wait for their tables at once: none is said to have no unwind information. */
#define NFILES 300

/* A file of its own that is a whole ELF file of two pages: the kernel's vDSO. */
static void *map_vdso(const struct fixture *f, int i)
{
	const void *vdso = (const void *)getauxval(AT_SYSINFO_EHDR);
	char path[96];
	void *mapped;
	int fd;

	snprintf(path, sizeof(path), "%s/%d", f->dir, i);
	fd = open(path, O_RDWR | O_CREAT, 0700);
	assert_true(fd >= 0 && write(fd, vdso, 8192) == 8192);
	mapped = mmap(NULL, 8192, PROT_READ | PROT_EXEC, MAP_PRIVATE, fd, 0);
	assert_ptr_not_equal(mapped, MAP_FAILED);
	close(fd);
	unlink(path);
	return mapped;
}

static void what_has_to_wait_for_that_is_told_as_such(void **state)
{
	struct fixture *f = *state;
	void *mapped[NFILES];

	made_tables.hold = true;
	for (int i = 0; i < NFILES; i++)
		mapped[i] = map_vdso(f, i);
	cs_natives_poke(f->natives, getpid());
	cs_natives_turn(f->natives, START, LONG);
	for (int i = 0; i < NFILES; i++)
		assert_int_equal(made_table_at(told(getpid()), mapped[i]), CS_NATIVE_NOT_MADE);
	made_tables.hold = false;
	cs_natives_wait(f->natives, LONG);
	for (uint64_t look = 1; look <= 3; look++)
		turn_and_settle(f, START + look * LOOK_NS);
	for (int i = 0; i < NFILES; i++) {
		assert_true(made_table_at(told(getpid()), mapped[i]) >= CS_NATIVE_FIRST_TABLE);
		munmap(mapped[i], 8192);
	}
}

/* Nothing of a file's work is done again for another process. */
static void processes_share_tables(void **state)
{
	struct fixture *f = *state;
	unsigned int ntold, lists_told;

	cs_natives_poke(f->natives, getpid());
	turn_and_settle(f, START);
	ntold = made_tables.ntold;
	lists_told = made_tables.lists_told;
	cs_natives_poke(f->natives, begin_child(f, 0));
	cs_natives_turn(f->natives, START, LONG);
	assert_int_equal(made_tables.lists_told, lists_told + 1);
	assert_int_equal(made_tables.ntold, ntold);
	assert_int_equal(made_table_at(told(f->children[0]), known_function),
			 made_table_at(told(getpid()), known_function));
}

/* What is there no time for is left for the next turn, and nobody waits for ever. */
static void one_is_looked_at_however_little_time_there_is(void **state)
{
	struct fixture *f = *state;

	for (int i = 0; i < NCHILDREN; i++)
		cs_natives_poke(f->natives, begin_child(f, i));
	for (unsigned int i = 0; i < NCHILDREN; i++) {
		assert_int_equal(made_tables.nlists, i);
		cs_natives_turn(f->natives, START + i, NO_TIME);
		cs_natives_poke(f->natives, f->children[0]); /* again and again */
	}
	assert_int_equal(made_tables.nlists, NCHILDREN);
}

static void with_time_all_are_looked_at(void **state)
{
	struct fixture *f = *state;

	for (int i = 0; i < NCHILDREN; i++)
		cs_natives_poke(f->natives, begin_child(f, i));
	cs_natives_turn(f->natives, START, LONG);
	assert_int_equal(made_tables.nlists, NCHILDREN);
}

/* Before the first turn as many as there is time for; the rest comes after whoever is poked since. */
static void who_was_there_at_the_start_comes_last(void **state)
{
	struct fixture *f = *state;

	cs_natives_poke(f->natives, begin_child(f, 0));
	cs_natives_poke(f->natives, begin_child(f, 1));
	cs_natives_start(f->natives, START, NO_TIME, LONG);
	assert_int_equal(made_tables.nlists, 1);
	cs_natives_poke(f->natives, begin_child(f, 2));
	cs_natives_turn(f->natives, START + 1, NO_TIME);
	assert_int_equal(made_tables.nlists, 2);
	assert_non_null(made_list(f->children[2]));
	cs_natives_turn(f->natives, START + 2, NO_TIME);
	assert_int_equal(made_tables.nlists, 2 + 1);
}

/* ... and first those that run. */
static void who_runs_is_looked_at_before_the_start(void **state)
{
	struct fixture *f = *state;

	for (int i = 0; i < NCHILDREN; i++) {
		const struct timespec ms = {.tv_nsec = 1000000};
		struct cs_thread_rest rest = {.off_cpu = false};

		begin_child(f, i);
		for (int tries = 0; !rest.off_cpu && tries < 5000; tries++, nanosleep(&ms, NULL))
			cs_thread_rest(f->children[i], f->children[i], &rest);
		assert_true(rest.off_cpu);
		cs_natives_poke(f->natives, f->children[i]);
	}
	cs_natives_poke(f->natives, getpid());
	cs_natives_start(f->natives, START, NO_TIME, LONG);
	assert_int_equal(made_tables.nlists, 1);
	assert_non_null(made_list(getpid()));
}

/* A process that maps code without end. */
static void looks_at_one_process_become_rare(void **state)
{
	struct fixture *f = *state;
	uint64_t now = START;
	unsigned int before;

	know_own_files(f);
	before = made_tables.lists_told;
	for (int i = 0; i < LOOKS + 10; i++, now++) {
		cs_natives_poke(f->natives, getpid());
		cs_natives_turn(f->natives, now, LONG);
	}
	assert_int_equal(made_tables.lists_told - before, LOOKS);
	cs_natives_turn(f->natives, START + LOOKS - 2 + LOOK_NS, LONG);
	assert_int_equal(made_tables.lists_told - before, LOOKS);
	cs_natives_turn(f->natives, START + LOOKS - 1 + LOOK_NS, LONG);
	assert_int_equal(made_tables.lists_told - before, LOOKS + 1);
}

static void what_nobody_maps_any_more_is_dropped(void **state)
{
	struct fixture *f = *state;
	struct mapped copy = map_copy(f, NULL), text = map_copy(f, "no program\n");
	struct cs_unwind_stats before;
	size_t files;

	cs_natives_poke(f->natives, getpid());
	turn_and_settle(f, START);
	before = cs_natives_stats(f->natives);
	/* the same bytes have the same table */
	assert_int_equal(made_table_at(told(getpid()), copy.at),
			 made_table_at(told(getpid()), known_function));
	assert_int_equal(made_table_at(told(getpid()), text.at), CS_NATIVE_UNKNOWN);
	files = before.files;

	munmap(copy.at, copy.size);
	munmap(text.at, text.size);
	cs_natives_poke(f->natives, getpid());
	turn_and_settle(f, START + 2 * SWEEP_NS);
	assert_int_equal(made_table_at(told(getpid()), copy.at), -1);
	assert_int_equal(cs_natives_stats(f->natives).files, files); /* the program itself has it */
	assert_int_equal(made_tables.ngone, 0);
}

/* With the last process go its files, but not before the sweep. */
static void processes_that_have_ended_go(void **state)
{
	struct fixture *f = *state;

	cs_natives_poke(f->natives, begin_child(f, 0));
	cs_natives_poke(f->natives, begin_child(f, 1));
	turn_and_settle(f, START);
	assert_int_equal(made_tables.nlists, 2);
	end_child(f, 0);
	cs_natives_turn(f->natives, START + SWEEP_NS - 2, LONG);
	assert_int_equal(made_tables.nlists, 2);
	cs_natives_turn(f->natives, START + SWEEP_NS, LONG);
	assert_int_equal(made_tables.nlists, 1);
	assert_non_null(made_list(f->children[1]));
	assert_int_equal(made_tables.ngone, 0); /* the other one has the same files */
	end_child(f, 1);
	turn_and_settle(f, START + 2 * SWEEP_NS);
	assert_int_equal(made_tables.nlists, 0);
	assert_int_equal(cs_natives_stats(f->natives).files, 0);
	assert_int_equal(cs_natives_stats(f->natives).bytes, 0);
	assert_int_equal(made_tables.ngone, made_tables.ntold);
}

/* The kernel side has given it its parent's list, of which nothing is known here. */
static void give_parents_list(pid_t child, const struct cs_native_proc *list)
{
	assert_in_range(made_tables.nlists, 0, ARRAY_SIZE(made_tables.lists) - 1);
	made_tables.lists[made_tables.nlists++] = (struct made_list){child, *list};
}

/* A forked child keeps its parent's files: they stay when that is gone. */
static void children_are_met_before_files_go(void **state)
{
	struct fixture *f = *state;
	unsigned int files, lists_told;

	cs_natives_poke(f->natives, begin_child(f, 0));
	turn_and_settle(f, START);
	files = (unsigned int)cs_natives_stats(f->natives).files;
	lists_told = made_tables.lists_told;
	give_parents_list(begin_child(f, 1), told(f->children[0]));
	end_child(f, 0);
	turn_and_settle(f, START + SWEEP_NS);
	assert_null(made_list(0));
	assert_int_equal(made_tables.nlists, 1);
	assert_int_equal(made_tables.ngone, 0);
	assert_int_equal(cs_natives_stats(f->natives).files, files);
	assert_int_equal(made_tables.lists_told, lists_told + 1); /* it has its own now */
}

/* Those for whom there is no time have no list rather than one whose tables may go; they get it in their turn. */
static void children_that_are_not_met_have_no_list(void **state)
{
	struct fixture *f = *state;

	cs_natives_poke(f->natives, getpid());
	cs_natives_turn(f->natives, START, LONG);
	give_parents_list(begin_child(f, 0), told(getpid()));
	give_parents_list(begin_child(f, 1), told(getpid()));
	cs_natives_turn(f->natives, START + SWEEP_NS, NO_TIME);
	assert_int_equal(made_tables.nlists, 1);
	assert_non_null(made_list(getpid()));
	cs_natives_turn(f->natives, START + SWEEP_NS + 1, LONG);
	assert_int_equal(made_tables.nlists, 3);
}

/* Code made at run time has frame pointers, as far as anybody knows. */
static void code_without_a_file_is_told_as_such(void **state)
{
	struct fixture *f = *state;
	void *made = mmap(NULL, 4096, PROT_READ | PROT_EXEC, MAP_PRIVATE | MAP_ANONYMOUS, -1, 0);

	cs_natives_poke(f->natives, getpid());
	cs_natives_turn(f->natives, START, LONG);
	assert_int_equal(made_table_at(told(getpid()), made), CS_NATIVE_FRAME_POINTERS);
	munmap(made, 4096);
}

static void tables_that_are_not_to_be_had_are_counted(void **state)
{
	struct fixture *f = *state;
	size_t refused;

	made_tables.refuses = true;
	cs_natives_poke(f->natives, getpid());
	turn_and_settle(f, START);
	assert_int_equal(made_table_at(told(getpid()), known_function), CS_NATIVE_UNKNOWN);
	refused = cs_natives_refused(f->natives);
	assert_in_range(refused, 2, 100); /* this program, the C library, ... */
	assert_int_equal(cs_natives_stats(f->natives).files, 0);
	/* each file once, not each look */
	cs_natives_poke(f->natives, getpid());
	turn_and_settle(f, START + 1);
	assert_int_equal(cs_natives_refused(f->natives), refused);
}

static void what_is_forgotten_is_not_looked_at(void **state)
{
	struct fixture *f = *state;

	cs_natives_poke(f->natives, getpid());
	cs_natives_forget(f->natives, getpid());
	cs_natives_turn(f->natives, START, LONG);
	assert_int_equal(made_tables.lists_told, 0);
	cs_natives_forget(f->natives, getpid()); /* whom nobody knows */
}

static void a_process_that_is_gone_has_no_list(void **state)
{
	struct fixture *f = *state;
	pid_t pid = begin_child(f, 0);

	cs_natives_poke(f->natives, pid);
	cs_natives_turn(f->natives, START, LONG);
	assert_non_null(made_list(pid));
	end_child(f, 0);
	cs_natives_poke(f->natives, pid);
	cs_natives_turn(f->natives, START + 1, LONG);
	assert_null(made_list(pid));
}

/* Its first sample may come before its turn: it is looked at for it. */
static void addresses_are_named_once(void **state)
{
	struct fixture *f = *state;

	expect_names(f, getpid(), CS_STATUS_COMPLETE, "symbol known_function\nmapping\n");
	assert_int_equal(made_tables.lists_told, 1);
	expect_names(f, getpid(), CS_STATUS_COMPLETE, "");
	/* of another process again; and of this one when it has become another program */
	expect_names(f, begin_child(f, 0), CS_STATUS_COMPLETE, "symbol known_function\nmapping\n");
	cs_natives_forget(f->natives, getpid());
	expect_names(f, getpid(), CS_STATUS_COMPLETE, "symbol known_function\nmapping\n");
}

static void a_stack_that_ended_early_is_asked_about(void **state)
{
	static const enum cs_status statuses[] = {CS_STATUS_COMPLETE, CS_STATUS_NATIVE_NO_RULE,
						  CS_STATUS_NATIVE_NO_CODE,
						  CS_STATUS_NATIVE_NOT_YET};
	static const unsigned int told_by_then[] = {1, 1, 2, 3};
	struct fixture *f = *state;
	unsigned int before;

	know_own_files(f);
	before = made_tables.lists_told;
	cs_natives_poke(f->natives, getpid());
	cs_natives_turn(f->natives, START, LONG);
	for (size_t i = 0; i < ARRAY_SIZE(statuses); i++) {
		expect_names(f, getpid(), statuses[i], i ? "" : "symbol known_function\nmapping\n");
		cs_natives_turn(f->natives, START + i, LONG);
		assert_int_equal(made_tables.lists_told - before, told_by_then[i]);
		/* a look begins its names anew */
		if (told_by_then[i] > 1)
			expect_names(f, getpid(), CS_STATUS_COMPLETE,
				     "symbol known_function\nmapping\n");
	}
}

#define TEST(name) cmocka_unit_test_setup_teardown(name, setup, teardown)

int main(void)
{
	const struct CMUnitTest tests[] = {
		TEST(a_process_is_told_once_it_is_poked),
		TEST(what_is_being_made_is_told_as_such),
		TEST(what_has_to_wait_for_that_is_told_as_such),
		TEST(processes_share_tables),
		TEST(one_is_looked_at_however_little_time_there_is),
		TEST(with_time_all_are_looked_at),
		TEST(who_was_there_at_the_start_comes_last),
		TEST(who_runs_is_looked_at_before_the_start),
		TEST(looks_at_one_process_become_rare),
		TEST(what_nobody_maps_any_more_is_dropped),
		TEST(processes_that_have_ended_go),
		TEST(children_are_met_before_files_go),
		TEST(children_that_are_not_met_have_no_list),
		TEST(code_without_a_file_is_told_as_such),
		TEST(tables_that_are_not_to_be_had_are_counted),
		TEST(what_is_forgotten_is_not_looked_at),
		TEST(a_process_that_is_gone_has_no_list),
		TEST(addresses_are_named_once),
		TEST(a_stack_that_ended_early_is_asked_about),
	};

	return cmocka_run_group_tests(tests, NULL, NULL);
}
