/* SPDX-License-Identifier: Apache-2.0 */
/*
 * Fork, exec and exit in the orders in which the kernel calls their programs, over made-up tasks, files and maps.
 * After each step the process's row must be true of the program that runs, or say that it is not.
 */
#include <setjmp.h>
#include <stdarg.h>
#include <stddef.h>
#include <stdint.h>

#include <cmocka.h>
#include <coroscope/types.h>
#include <stdlib.h>
#include <string.h>

#pragma GCC diagnostic ignored "-Wmissing-prototypes" /* programs have none */
#include "bpf/proc_events.bpf.c"

#include "core/cleanup.h"

enum { SHELL = 100, CHILD = 101, MAX_ROWS = 4, MAX_EVENTS = 16 };
enum { FILE_SHELL = 1, FILE_PYTHON = 2, FILE_LAUNCHER = 3 };

#define RUNTIME 0x9000 /* of the interpreter's file */
#define TEXT    0x3000 /* its code's address there, at offset 0x1000 */
#define OLD_MM  (&kernel.mm[0])
#define NEW_MM  (&kernel.mm[1])

static struct {
	struct mm_struct mm[2];
	struct super_block super;
	struct cred cred;
	struct signal_struct signal;
	struct inode inodes[4];
	struct file files[4];
	struct task_struct task; /* the running one */
	struct css_set cgroups;
	struct {
		struct cgroup___5_10 own; /* its list goes on behind it */
		__u64 below[2];
	} cgroup;
	uint64_t now_ns;
} kernel;

static struct {
	__u32 keys[MAX_ROWS];
	struct cs_proc_info rows[MAX_ROWS];
	unsigned int n;
} rows;
/* Lists of code, by process. */
static struct {
	__u32 keys[MAX_ROWS];
	struct cs_native_proc lists[MAX_ROWS];
} natives;

static struct cs_native_proc *code_of(__u32 tgid)
{
	for (unsigned int i = 0; i < MAX_ROWS; i++)
		if (natives.keys[i] == tgid)
			return &natives.lists[i];
	return NULL;
}

static struct {
	struct cs_file_id id;
	struct cs_file_info info;
} known[4];
static struct {
	enum cs_ev_kind kind;
	__u64 flags;
	unsigned char bytes[64];
} events[MAX_EVENTS];
static unsigned int nevents;
static struct cs_counters all_counts, own_counts;
static struct {
	struct cs_tracers list, copy; /* of SHELL's, and of its child's */
	bool missing, full;
} spans;

static struct cs_proc_info *row_of(__u32 tgid)
{
	for (unsigned int i = 0; i < rows.n; i++)
		if (rows.keys[i] == tgid)
			return &rows.rows[i];
	return NULL;
}

void *bpf_map_lookup_elem(void *map, const void *key)
{
	if (map == (void *)&procs)
		return row_of(*(const __u32 *)key);
	if (map == (void *)&native_procs)
		return code_of(*(const __u32 *)key);
	if (map == (void *)&proc_counters)
		return &own_counts;
	if (map == (void *)&counters)
		return &all_counts;
	if (map == (void *)&tracers) {
		assert_int_equal(*(const __u32 *)key, SHELL);
		return spans.missing ? NULL : &spans.list;
	}
	assert_ptr_equal(map, &files);
	for (size_t i = 0; i < ARRAY_SIZE(known); i++)
		if (known[i].id.ino && !memcmp(key, &known[i].id, sizeof(known[i].id)))
			return &known[i].info;
	return NULL;
}

long bpf_map_update_elem(void *map, const void *key, const void *value, __u64 flags)
{
	struct cs_proc_info *row = row_of(*(const __u32 *)key);

	if (map == (void *)&native_procs) {
		natives.keys[MAX_ROWS - 1] = *(const __u32 *)key;
		memcpy(&natives.lists[MAX_ROWS - 1], value,
		       offsetof(struct cs_native_proc, mappings));
		return 0;
	}
	if (map == (void *)&proc_counters)
		return 0;
	if (map == (void *)&tracers) {
		assert_int_equal(*(const __u32 *)key, CHILD);
		assert_ptr_equal(value, &spans.list);
		spans.copy = spans.list;
		return spans.full ? -7 : 0;
	}
	assert_ptr_equal(map, &procs);
	if (!row && rows.n == MAX_ROWS)
		return -7;
	if (!row) {
		rows.keys[rows.n] = *(const __u32 *)key;
		row = &rows.rows[rows.n++];
	}
	*row = *(const struct cs_proc_info *)value;
	return 0;
}

long bpf_map_delete_elem(void *map, const void *key)
{
	struct cs_proc_info *row = row_of(*(const __u32 *)key);

	if (map == (void *)&native_procs) {
		for (unsigned int i = 0; i < MAX_ROWS; i++)
			if (natives.keys[i] == *(const __u32 *)key)
				natives.keys[i] = 0;
		return 0;
	}
	assert_ptr_equal(map, &procs);
	if (row)
		rows.keys[row - rows.rows] = 0;
	return row ? 0 : -2;
}

long bpf_ringbuf_output(void *map, void *data, __u64 size, __u64 flags)
{
	const struct cs_ev_hdr *hdr = data;

	assert_in_range(nevents, 0, MAX_EVENTS - 1);
	assert_in_range(size, sizeof(*hdr), sizeof(events->bytes));
	events[nevents].kind = hdr->kind;
	events[nevents].flags = flags;
	memcpy(events[nevents++].bytes, data, size);
	return 0;
}

__u64 bpf_ktime_get_ns(void)
{
	return kernel.now_ns;
}

__u64 bpf_get_current_pid_tgid(void)
{
	return (__u64)kernel.task.tgid << 32 | (__u32)kernel.task.pid;
}

__u64 bpf_get_current_task(void)
{
	return (__u64)(uintptr_t)&kernel.task;
}

struct task_struct *bpf_get_current_task_btf(void)
{
	return &kernel.task;
}

__u64 bpf_get_current_ancestor_cgroup_id(int level)
{
	fail_msg("not to be had for tracing programs of the oldest kernel");
	return 0;
}

long bpf_probe_read_kernel(void *dst, __u32 size, const void *src)
{
	memcpy(dst, src, size);
	return 0;
}

long bpf_get_current_comm(void *buf, __u32 size)
{
	memcpy(buf, kernel.task.comm, size);
	return 0;
}

static void set_config(struct cs_config value)
{
	memcpy((void *)(uintptr_t)&config, &value, sizeof(value));
}

/* A process of a shell that user space follows, and no file known. */
static int setup(void **state)
{
	memset(&kernel, 0, sizeof(kernel));
	memset(&rows, 0, sizeof(rows));
	memset(known, 0, sizeof(known));
	memset(&all_counts, 0, sizeof(all_counts));
	nevents = 0;
	set_config((struct cs_config){0});
	kernel.super.s_dev = 254u << 20 | 3;
	kernel.now_ns = 1000;
	for (unsigned int i = 0; i < ARRAY_SIZE(kernel.files); i++) {
		kernel.inodes[i] = (struct inode){.i_sb = &kernel.super,
						  .i_ino = 70 + i,
						  .i_size = 5000 + i,
						  .i_mtime = {.tv_sec = 7, .tv_nsec = i}};
		kernel.files[i].f_inode = &kernel.inodes[i];
	}
	OLD_MM->end_code = 0x500000;
	OLD_MM->exe_file = &kernel.files[FILE_SHELL];
	kernel.cgroups.dfl_cgrp = (struct cgroup *)&kernel.cgroup.own;
	kernel.task = (struct task_struct){.pid = SHELL,
					   .tgid = SHELL,
					   .mm = OLD_MM,
					   .cred = &kernel.cred,
					   .cgroups = &kernel.cgroups,
					   .comm = "sh",
					   .signal = &kernel.signal};
	rows.keys[rows.n] = SHELL;
	rows.rows[rows.n++] = (struct cs_proc_info){.flags = CS_PROC_FOLLOW, .generation = 3};
	return 0;
}

/* User space has looked at a file. */
static void know(unsigned int file, __u32 flags, __u32 asks)
{
	known[file].id = (struct cs_file_id){.ino = 70 + file, .dev_major = 254, .dev_minor = 3};
	known[file].info = (struct cs_file_info){
		.size = 5000 + file,
		.mtime_ns = 7000000000ull + file,
		.text_vaddr = TEXT,
		.asks = asks,
		.row = {.flags = flags, .interpreters_head = RUNTIME, .gil = RUNTIME + 8},
	};
	known[file].info.row.off.frame_owner = 77;
}

static void do_fork(void)
{
	struct task_struct child = kernel.task;

	child.pid = child.tgid = CHILD;
	proc_fork(&kernel.task, &child);
	kernel.task = child;
	kernel.now_ns += 1000;
}

/* The first half of exec: the new address space is there, nothing is in it. */
static void begin_exec(unsigned int file, const char *comm)
{
	kernel.task.mm = kernel.task.mm == OLD_MM ? NEW_MM : OLD_MM;
	*kernel.task.mm = (struct mm_struct){.exe_file = &kernel.files[file]};
	memset(kernel.task.comm, 0, sizeof(kernel.task.comm));
	strcpy(kernel.task.comm, comm);
}

static void end_exec(uint64_t start_code)
{
	kernel.task.mm->start_code = start_code;
	kernel.task.mm->end_code = start_code + 0x1000;
	kernel.now_ns += 1000;
	proc_exec(&kernel.task);
}

static void expect_python(__u32 tgid, uint64_t bias, uint64_t since_ns)
{
	const struct cs_proc_info *row = row_of(tgid);

	assert_non_null(row);
	assert_int_equal(row->flags, CS_PROC_PYTHON | CS_PROC_FOLLOW | CS_PROC_MADE_HERE);
	assert_int_equal(row->mm, (uintptr_t)kernel.task.mm);
	assert_int_equal(row->since_ns, since_ns);
	assert_int_equal(row->interpreters_head, RUNTIME + bias);
	assert_int_equal(row->gil, RUNTIME + 8 + bias);
	assert_int_equal(row->current_tasks, 0);
	assert_int_equal(row->off.frame_owner, 77);
}

static void expect_events(const enum cs_ev_kind *kinds, unsigned int n)
{
	assert_int_equal(nevents, n);
	for (unsigned int i = 0; i < n; i++) {
		assert_int_equal(events[i].kind, kinds[i]);
		assert_int_equal(events[i].flags,
				 kinds[i] == CS_EV_FILE ? BPF_RB_FORCE_WAKEUP : BPF_RB_NO_WAKEUP);
	}
	nevents = 0;
}

#define EXPECT_EVENTS(...)                                    \
	expect_events((const enum cs_ev_kind[]){__VA_ARGS__}, \
		      sizeof((const enum cs_ev_kind[]){__VA_ARGS__}) / sizeof(enum cs_ev_kind))

static void test_fork(void **state)
{
	struct task_struct thread = kernel.task;
	const struct cs_ev_fork *ev = (const struct cs_ev_fork *)events[0].bytes;

	thread.pid = 555;
	proc_fork(&kernel.task, &thread); /* a thread is no child */
	assert_int_equal(nevents, 0);
	do_fork();
	assert_int_equal(ev->hdr.pid, SHELL);
	assert_int_equal(ev->child, CHILD);
	EXPECT_EVENTS(CS_EV_FORK);
	assert_int_equal(row_of(CHILD)->flags, CS_PROC_FOLLOW | CS_PROC_MADE_HERE);
	assert_int_equal(row_of(CHILD)->generation, 3);
	assert_int_equal(row_of(CHILD)->mm, (uintptr_t)OLD_MM);
	assert_int_equal(row_of(CHILD)->since_ns, 1000);
	assert_int_equal(row_of(SHELL)->since_ns, 0);

	row_of(CHILD)->flags &= ~(__u32)CS_PROC_FOLLOW;
	kernel.task.tgid = CHILD;
	do_fork();
	assert_int_equal(nevents, 0);
}

/* A child's spans are found as its parent's are. */
static void test_fork_traced(void **state)
{
	spans.list.nvars = 2;
	row_of(SHELL)->flags |= CS_PROC_TRACED;
	do_fork();
	assert_true(row_of(CHILD)->flags & CS_PROC_TRACED);
	assert_int_equal(spans.copy.nvars, 2);
	kernel.task.tgid = SHELL;
	spans.full = true;
	do_fork();
	assert_false(row_of(CHILD)->flags & CS_PROC_TRACED);
	spans.full = false;
	kernel.task.tgid = SHELL;
	spans.missing = true;
	do_fork();
	assert_false(row_of(CHILD)->flags & CS_PROC_TRACED);
	spans.missing = false;
}

static void test_exec_known(void **state)
{
	know(FILE_PYTHON, CS_PROC_PYTHON, 0);
	know(FILE_SHELL, 0, 0);
	do_fork();
	begin_exec(FILE_PYTHON, "python3");
	end_exec(0x1000000 + TEXT);
	expect_python(CHILD, 0x1000000, 3000);
	EXPECT_EVENTS(CS_EV_FORK, CS_EV_EXEC);
	/* into something that is known to be none */
	begin_exec(FILE_SHELL, "sh");
	end_exec(0x2000000);
	assert_true(row_of(CHILD)->flags & CS_PROC_STALE);
	assert_int_equal(row_of(CHILD)->since_ns, 4000);
	EXPECT_EVENTS(CS_EV_EXEC);
	/* a row that user space made goes as well */
	row_of(CHILD)->mm = 0;
	row_of(CHILD)->flags = CS_PROC_PYTHON | CS_PROC_FOLLOW;
	begin_exec(FILE_SHELL, "sh");
	end_exec(0x2000000);
	assert_true(row_of(CHILD)->flags & CS_PROC_STALE);
}

static void exec_python(void)
{
	begin_exec(FILE_PYTHON, "python3");
	end_exec(0x1000000 + TEXT);
}

static void test_files_not_known(void **state)
{
	const struct cs_ev_file *ev = (const struct cs_ev_file *)events[1].bytes;

	exec_python();
	assert_int_equal(ev->hdr.pid, SHELL);
	assert_int_equal(ev->id.ino, 70 + FILE_PYTHON);
	assert_int_equal(ev->id.dev_major, 254);
	assert_int_equal(ev->id.dev_minor, 3);
	assert_true(row_of(SHELL)->flags & CS_PROC_STALE);
	EXPECT_EVENTS(CS_EV_EXEC, CS_EV_FILE);
	know(FILE_PYTHON, 0, 0); /* none in there */
	exec_python();
	EXPECT_EVENTS(CS_EV_EXEC);
	know(FILE_PYTHON, CS_PROC_PYTHON, 1); /* each process is to be looked at */
	exec_python();
	EXPECT_EVENTS(CS_EV_EXEC, CS_EV_FILE);
	know(FILE_PYTHON, CS_PROC_PYTHON, 0); /* another file by now */
	known[FILE_PYTHON].info.size++;
	exec_python();
	EXPECT_EVENTS(CS_EV_EXEC, CS_EV_FILE);
	know(FILE_PYTHON, CS_PROC_PYTHON, 0);
	known[FILE_PYTHON].info.mtime_ns++;
	exec_python();
	EXPECT_EVENTS(CS_EV_EXEC, CS_EV_FILE);
	known[FILE_PYTHON].info.mtime_ns = 0; /* not compared */
	exec_python();
	expect_python(SHELL, 0x1000000, kernel.now_ns);
	EXPECT_EVENTS(CS_EV_EXEC);
	/* nobody follows this one */
	row_of(SHELL)->flags = 0;
	known[FILE_PYTHON].id.ino = 0;
	exec_python();
	EXPECT_EVENTS(CS_EV_EXEC);
}

/* Processes that nobody has named: judged when they exec. */
static void expect_chosen(struct cs_config value, bool chosen)
{
	value.discover = 1;
	set_config(value);
	rows.n = 0;
	kernel.task.pid = kernel.task.tgid = CHILD;
	begin_exec(FILE_PYTHON, "python3");
	end_exec(0x1000000 + TEXT);
	if (chosen)
		expect_python(CHILD, 0x1000000, kernel.now_ns);
	assert_int_equal(row_of(CHILD) != NULL, chosen);
	assert_int_equal(nevents, chosen);
	nevents = 0;
}

static void test_selection(void **state)
{
	know(FILE_PYTHON, CS_PROC_PYTHON, 0);
	kernel.cred.euid.val = 1000;
	kernel.cgroup.own.level = 2;
	kernel.cgroup.below[1] = 44;
	expect_chosen((struct cs_config){0}, true);
	expect_chosen((struct cs_config){.by_user = 1, .uid = 1000}, true);
	expect_chosen((struct cs_config){.by_user = 1, .uid = 0}, false);
	expect_chosen((struct cs_config){.by_comm = 1, .comm = "python3"}, true);
	expect_chosen((struct cs_config){.by_comm = 1, .comm = "python"}, false);
	expect_chosen((struct cs_config){.cgroup = 44, .cgroup_level = 2}, true);
	expect_chosen((struct cs_config){.cgroup = 45, .cgroup_level = 2}, false);
	expect_chosen((struct cs_config){.cgroup = 44, .cgroup_level = 1}, false);
	/* not as deep: what lies behind the list is none of it */
	kernel.cgroup.own.level = 1;
	expect_chosen((struct cs_config){.cgroup = 44, .cgroup_level = 2}, false);
	kernel.cgroup.own.level = 2;
	expect_chosen(
		(struct cs_config){.by_user = 1, .uid = 1000, .cgroup = 45, .cgroup_level = 2},
		false);
	/* chosen, but no Python: it gets a row for its ticks */
	set_config((struct cs_config){.discover = 1});
	know(FILE_SHELL, 0, 0);
	rows.n = 0;
	begin_exec(FILE_SHELL, "sh");
	end_exec(0x1000000);
	assert_int_equal(row_of(CHILD)->flags, CS_PROC_FOLLOW | CS_PROC_MADE_HERE | CS_PROC_STALE);
	EXPECT_EVENTS(CS_EV_EXEC);
	/* nobody asked */
	set_config((struct cs_config){0});
	rows.n = 0;
	begin_exec(FILE_SHELL, "sh");
	end_exec(0x1000000);
	assert_int_equal(nevents, 0);
}

/* Whoever was chosen, or descends from one that was, is judged again when it begins another program. */
static void test_chosen_no_more(void **state)
{
	know(FILE_PYTHON, CS_PROC_PYTHON, 0);
	for (unsigned int follow = 0; follow < 2; follow++) {
		set_config((struct cs_config){
			.discover = 1, .by_comm = 1, .comm = "python3", .follow = follow});
		begin_exec(FILE_PYTHON, "python3");
		end_exec(0x1000000 + TEXT);
		EXPECT_EVENTS(CS_EV_EXEC);
		begin_exec(FILE_PYTHON, "another");
		end_exec(0x1000000 + TEXT);
		if (follow) {
			EXPECT_EVENTS(CS_EV_EXEC);
			assert_non_null(row_of(SHELL));
		} else {
			EXPECT_EVENTS(CS_EV_EXIT);
			assert_null(row_of(SHELL));
		}
	}
}

static void test_table_full(void **state)
{
	for (__u32 i = 0; rows.n < MAX_ROWS; i++)
		rows.keys[rows.n++] = 900 + i;
	do_fork();
	assert_null(row_of(CHILD));
	assert_int_equal(nevents, 0);
	assert_int_equal(all_counts.v[CS_COUNTER_PROCS_FULL], 1);
	know(FILE_PYTHON, CS_PROC_PYTHON, 0);
	set_config((struct cs_config){.discover = 1});
	exec_python();
	assert_int_equal(all_counts.v[CS_COUNTER_PROCS_FULL], 2);
}

static void test_exit(void **state)
{
	kernel.signal.live.counter = 1;
	proc_exit(&kernel.task);
	assert_int_equal(nevents, 0);
	kernel.signal.live.counter = 0;
	proc_exit(&kernel.task);
	EXPECT_EVENTS(CS_EV_EXIT);
	rows.n = 0;
	proc_exit(&kernel.task);
	assert_int_equal(nevents, 0);
}

/* What is known of a process's code is its child's too, and nobody's after its end or in another program. */
static void test_native_code(void **state)
{
	memset(&natives, 0, sizeof(natives));
	natives.keys[0] = SHELL;
	natives.lists[0].n = 3;
	do_fork();                   /* and goes on as the child */
	assert_null(code_of(CHILD)); /* not asked for */
	kernel.task.tgid = SHELL;
	set_config((struct cs_config){.native = 1});
	rows.n = 0; /* watched or not */
	do_fork();
	assert_int_equal(code_of(CHILD)->n, 3);
	proc_exec(&kernel.task);
	assert_null(code_of(CHILD));
	kernel.task.tgid = SHELL;
	kernel.signal.live.counter = 1;
	proc_exit(&kernel.task); /* of one of its threads */
	assert_non_null(code_of(SHELL));
	kernel.signal.live.counter = 0;
	proc_exit(&kernel.task);
	assert_null(code_of(SHELL));
}

#define TEST(name) cmocka_unit_test_setup(name, setup)

int main(void)
{
	const struct CMUnitTest tests[] = {
		TEST(test_fork),      TEST(test_exec_known),     TEST(test_files_not_known),
		TEST(test_selection), TEST(test_chosen_no_more), TEST(test_table_full),
		TEST(test_exit),      TEST(test_native_code),    TEST(test_fork_traced),
	};

	return cmocka_run_group_tests(tests, NULL, NULL);
}
