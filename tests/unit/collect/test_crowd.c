/* SPDX-License-Identifier: Apache-2.0 */
/* Who is watched: real processes that come and go, and a kernel side that only remembers. */
#include "collect/crowd.h"

#include <setjmp.h>
#include <stdarg.h>
#include <stddef.h>
#include <stdint.h>

#include <cmocka.h>
#include <errno.h>
#include <signal.h>
#include <stdio.h>
#include <stdlib.h>
#include <string.h>
#include <sys/prctl.h>
#include <sys/wait.h>
#include <unistd.h>

#include "collect/record.h"
#include "collect/target_private.h"
#include "core/cleanup.h"
#include "unit/collect/made_probes.h"

struct fixture {
	struct cs_probes probes;
	struct cs_names *names;
	struct cs_crowd crowd;
	char name[16];  /* of both */
	char note[128]; /* that was last taken of a process */
	pid_t child, grandchild;
};

/* A child, which has a child itself; both wait. */
static int begin_family(struct fixture *f)
{
	int ends[2];

	snprintf(f->name, sizeof(f->name), "crowd-%d", getpid());

	if (pipe(ends))
		return -1;
	f->child = fork();
	if (f->child == 0) {
		prctl(PR_SET_PDEATHSIG, SIGKILL);
		prctl(PR_SET_NAME, f->name);
		pid_t pid = fork();

		if (pid == 0)
			prctl(PR_SET_PDEATHSIG, SIGKILL);
		else if (write(ends[1], &pid, sizeof(pid)) != sizeof(pid))
			_exit(1);
		for (;;)
			pause();
	}
	close(ends[1]);
	if (read(ends[0], &f->grandchild, sizeof(pid_t)) != sizeof(pid_t))
		return -1;
	return close(ends[0]);
}

static int setup(void **state)
{
	struct fixture *f = calloc(1, sizeof(*f));

	*state = f;
	return begin_family(f) || cs_names_new(&f->names) ||
	       cs_crowd_init(&f->crowd, &f->probes, f->names);
}

/* The grandchild has become a child by the time that it is waited for. */
static void end_family(struct fixture *f)
{
	if (!f->child)
		return;
	kill(f->child, SIGKILL);
	assert_int_equal(waitpid(f->child, NULL, 0), f->child);
	kill(f->grandchild, SIGKILL);
	assert_int_equal(waitpid(f->grandchild, NULL, 0), f->grandchild);
	f->child = f->grandchild = 0;
}

static int teardown(void **state)
{
	struct fixture *f = *state;

	end_family(f);
	cs_crowd_clear(&f->crowd);
	cs_names_free(f->names);
	free(f);
	return 0;
}

static unsigned int watched(const struct fixture *f)
{
	return HASH_COUNT(f->crowd.targets);
}

static void heed(struct fixture *f, enum cs_ev_kind kind, pid_t pid)
{
	const struct cs_ev_hdr record = {
		.size = sizeof(record), .kind = kind, .pid = (uint32_t)pid, .ts_ns = cs_now_ns()};

	assert_int_equal(cs_crowd_heed(&f->crowd, &record), 0);
}

static void heed_fork(struct fixture *f, pid_t parent, pid_t child)
{
	const struct cs_ev_fork record = {
		.hdr = {.size = sizeof(record),
			.kind = CS_EV_FORK,
			.pid = (uint32_t)parent,
			.ts_ns = cs_now_ns()},
		.child = (uint32_t)child,
	};

	assert_int_equal(cs_crowd_heed(&f->crowd, &record.hdr), 0);
}

static void keep_note(struct fixture *f, const struct cs_ev_process *record)
{
	assert_in_range(record->note_len, 0, sizeof(f->note) - 1);
	memcpy(f->note, record->text + record->comm_len + record->cmdline_len, record->note_len);
	f->note[record->note_len] = '\0';
}

/* How many records of that kind and process stand ahead; they are gone afterwards. */
static unsigned int take_ahead(struct fixture *f, enum cs_ev_kind kind, pid_t pid)
{
	unsigned int n = 0;

	for (size_t at = 0; at < f->crowd.ahead.len;) {
		const struct cs_ev_hdr *hdr = (const void *)(f->crowd.ahead.data + at);

		n += hdr->kind == kind && hdr->pid == (uint32_t)pid;
		if (hdr->kind == CS_EV_PROCESS)
			keep_note(f, (const void *)hdr);
		at += hdr->size;
	}
	f->crowd.ahead.len = 0;
	return n;
}

static void test_add(void **state)
{
	struct fixture *f = *state;
	pid_t gone;

	assert_null(cs_crowd_find(&f->crowd, f->child));
	assert_int_equal(cs_crowd_add(&f->crowd, f->child), 0);
	assert_int_equal(cs_crowd_add(&f->crowd, f->child), 0);
	assert_int_equal(watched(f), 1);
	assert_int_equal(cs_crowd_find(&f->crowd, f->child)->pid, f->child);
	/* no Python, but its ticks are asked for */
	assert_non_null(made_row(&f->probes, f->child));
	assert_int_equal(made_row(&f->probes, f->child)->info.flags & CS_PROC_PYTHON, 0);
	gone = f->child;
	end_family(f);
	assert_int_equal(cs_crowd_add(&f->crowd, gone), 0); /* known already */
	cs_crowd_clear(&f->crowd);
	assert_int_equal(cs_crowd_init(&f->crowd, &f->probes, f->names), 0);
	assert_int_equal(cs_crowd_add(&f->crowd, gone), -ESRCH);
	assert_int_equal(watched(f), 0);
}

/* As if it had begun long ago: by then it has mapped its interpreter, if it has one. */
static void grow_old(struct fixture *f)
{
	cs_crowd_find(&f->crowd, f->child)->since_ns -= 1000000000;
}

/* Everybody is described before anything else is said; one that has just begun may turn out to be Python, and is described until it is old. */
static void test_described(void **state)
{
	struct fixture *f = *state;

	assert_int_equal(cs_crowd_add(&f->crowd, f->child), 0);
	for (int i = 0; i < 2; i++) {
		assert_int_equal(cs_crowd_refresh(&f->crowd), 0);
		assert_int_equal(take_ahead(f, CS_EV_PROCESS, f->child), 1);
		assert_string_equal(f->note, "");
	}
	grow_old(f);
	assert_int_equal(cs_crowd_refresh(&f->crowd), 0);
	assert_int_equal(take_ahead(f, CS_EV_PROCESS, f->child), 1);
	assert_non_null(strstr(f->note, "not a Python process"));
	assert_int_equal(cs_crowd_refresh(&f->crowd), 0);
	assert_int_equal(f->crowd.ahead.len, 0);
}

static void test_children_there(void **state)
{
	struct fixture *f = *state;

	assert_int_equal(cs_crowd_add(&f->crowd, f->child), 0);
	assert_int_equal(cs_crowd_add_children(&f->crowd), 0);
	assert_non_null(cs_crowd_find(&f->crowd, f->grandchild));
	assert_int_equal(watched(f), 2); /* neither this process, nor others of its children */
}

/* By name; the same processes are found by nobody's asking for them one by one. */
static void test_selected(void **state)
{
	struct fixture *f = *state;

	assert_false(cs_crowd_discovers(&f->crowd));
	strcpy(f->crowd.selection.comm, f->name);
	assert_true(cs_crowd_discovers(&f->crowd));
	assert_int_equal(cs_crowd_add_all(&f->crowd), 0);
	/* a forked child has its parent's name */
	assert_non_null(cs_crowd_find(&f->crowd, f->child));
	assert_non_null(cs_crowd_find(&f->crowd, f->grandchild));
	assert_int_equal(watched(f), 2);
	assert_false(cs_crowd_find(&f->crowd, f->child)->asked_for);

	/* whoever looks is not meant */
	prctl(PR_GET_NAME, f->crowd.selection.comm);
	assert_int_equal(cs_crowd_add_all(&f->crowd), 0);
	assert_null(cs_crowd_find(&f->crowd, getpid()));
}

static void test_fork(void **state)
{
	struct fixture *f = *state;
	struct cs_target *parent, *child;

	heed_fork(f, f->child, f->grandchild);
	assert_int_equal(watched(f), 0); /* the parent is nobody's */
	assert_int_equal(cs_crowd_add(&f->crowd, f->child), 0);
	parent = cs_crowd_find(&f->crowd, f->child);
	parent->interp.state = CS_INTERP_READY;
	parent->interp.minor = 12;
	heed_fork(f, f->child, f->grandchild);
	heed_fork(f, f->child, f->grandchild);
	assert_int_equal(watched(f), 2);
	child = cs_crowd_find(&f->crowd, f->grandchild);
	assert_int_equal(child->interp.state, CS_INTERP_READY);
	assert_int_equal(child->interp.minor, 12);
	assert_int_equal(child->interp.pid, f->grandchild);
	assert_true(child->fresh);
	assert_false(child->asked_for);
}

/* Only now is it known that the child was forked, and its row is of another program already. */
static void test_fork_before_exec(void **state)
{
	struct cs_proc_info row = {.flags = CS_PROC_PYTHON | CS_PROC_STALE};
	struct fixture *f = *state;
	struct cs_ev_stack sample = {
		.hdr = {.size = sizeof(sample),
			.kind = CS_EV_STACK,
			.pid = (uint32_t)f->grandchild,
			.tid = (uint32_t)f->grandchild},
		.status = CS_STATUS_NO_TSTATE,
	};

	assert_int_equal(cs_crowd_add(&f->crowd, f->child), 0);
	cs_crowd_find(&f->crowd, f->child)->interp.state = CS_INTERP_READY;
	heed_fork(f, f->child, f->grandchild);
	row.since_ns = cs_now_ns();
	cs_probes_set_process(&f->probes, f->grandchild, &row);
	assert_int_equal(cs_crowd_heed(&f->crowd, &sample.hdr), 0);
	assert_int_equal(cs_crowd_refresh(&f->crowd), 0);
	assert_int_equal(made_row(&f->probes, f->grandchild)->info.flags, row.flags);
	heed(f, CS_EV_EXEC, f->grandchild);
	assert_int_equal(cs_crowd_refresh(&f->crowd), 0);
	assert_int_equal(made_row(&f->probes, f->grandchild)->info.flags & CS_PROC_STALE, 0);
}

/* A program of which the kernel side knows the file, in a process that nobody watched. */
static void test_exec_known(void **state)
{
	const struct cs_proc_info none = {0}, python = {.flags = CS_PROC_PYTHON};
	struct fixture *f = *state;

	heed(f, CS_EV_EXEC, f->child);
	assert_int_equal(watched(f), 0);
	cs_probes_set_process(&f->probes, f->child, &none);
	heed(f, CS_EV_EXEC, f->child);
	assert_int_equal(watched(f), 0);
	cs_probes_set_process(&f->probes, f->child, &python);
	heed(f, CS_EV_EXEC, f->child);
	assert_int_equal(watched(f), 1);
	assert_true(cs_crowd_find(&f->crowd, f->child)->fresh);
}

/* ... and one of which it does not: looked at, and found to be none. */
static void test_exec_unknown(void **state)
{
	struct fixture *f = *state;
	const struct cs_ev_file record = {
		.hdr = {.size = sizeof(record), .kind = CS_EV_FILE, .pid = (uint32_t)f->child},
		.id = {.ino = 77},
	};

	assert_int_equal(cs_crowd_heed(&f->crowd, &record.hdr), 0);
	assert_int_equal(watched(f), 0);
	assert_int_equal(f->probes.nfiles, 1);
	assert_int_equal(f->probes.files[0].id.ino, 77);
}

static void check_started_over(struct fixture *f)
{
	struct cs_target *target = cs_crowd_find(&f->crowd, f->child);

	assert_int_equal(target->interp.state, CS_INTERP_NOT_PYTHON);
	assert_int_equal(target->interp.pid, f->child);
	assert_true(target->asked_for);
	assert_true(target->fresh);
	assert_null(target->codes);
	assert_int_equal(f->probes.ntstates, 0);
}

/* What a target is taken for until its exec: threads and code objects are known of it. */
static struct cs_target *add_known(struct fixture *f)
{
	const struct cs_tstate_key key = {(uint32_t)f->child, 0, 0x7001};
	struct cs_target *target;
	struct cs_code_seen *seen = calloc(1, sizeof(*seen));

	assert_int_equal(cs_crowd_add(&f->crowd, f->child), 0);
	assert_int_equal(cs_crowd_refresh(&f->crowd), 0);
	assert_int_equal(take_ahead(f, CS_EV_PROCESS, f->child), 1);
	target = cs_crowd_find(&f->crowd, f->child);
	target->interp.state = CS_INTERP_READY;
	target->told = calloc(1, sizeof(*target->told));
	assert_non_null(target->told);
	target->told[target->ntold++] = key.thread_pointer;
	cs_probes_tell_tstate(&f->probes, &key, 0x1000);
	HASH_ADD(hh, target->codes, code, sizeof(seen->code), seen);
	return target;
}

static void test_exec_of_a_watched(void **state)
{
	struct fixture *f = *state;

	assert_false(add_known(f)->fresh);
	heed(f, CS_EV_EXEC, f->child);
	check_started_over(f);
	assert_int_equal(cs_crowd_refresh(&f->crowd), 0);
	assert_int_equal(take_ahead(f, CS_EV_PROCESS, f->child), 1); /* as what it is now */
	assert_int_equal(watched(f), 1);
}

/* The record of an exec was lost; the row tells. */
static void test_exec_lost(void **state)
{
	struct fixture *f = *state;

	add_known(f);
	made_row(&f->probes, f->child)->stale = true;
	f->crowd.checked_ns = 0;
	assert_int_equal(cs_crowd_refresh(&f->crowd), 0);
	check_started_over(f);
	f->crowd.ahead.len = 0;
	assert_int_equal(cs_crowd_refresh(&f->crowd), 0);
	assert_int_equal(take_ahead(f, CS_EV_PROCESS, f->child), 1);
	assert_false(made_row(&f->probes, f->child)->stale);
}

static void test_exit(void **state)
{
	struct fixture *f = *state;
	pid_t pid = f->child;

	add_known(f);
	assert_int_equal(cs_crowd_bury(&f->crowd), 0);
	assert_int_equal(watched(f), 1);
	end_family(f);
	heed(f, CS_EV_EXIT, pid);
	assert_int_equal(watched(f), 1); /* until its last samples are written */
	assert_int_equal(cs_crowd_bury(&f->crowd), 0);
	assert_int_equal(watched(f), 0);
	assert_int_equal(take_ahead(f, CS_EV_STATS, pid), 1);
	assert_null(made_row(&f->probes, pid));
	assert_int_equal(f->probes.ntstates, 0);
}

/* The record of an exit was lost; its descriptor tells. */
static void test_exit_lost(void **state)
{
	struct fixture *f = *state;
	pid_t pid = f->child;

	assert_int_equal(cs_crowd_add(&f->crowd, pid), 0);
	end_family(f);
	f->crowd.checked_ns = 0;
	assert_int_equal(cs_crowd_refresh(&f->crowd), 0);
	assert_int_equal(cs_crowd_bury(&f->crowd), 0);
	assert_int_equal(watched(f), 0);
	assert_int_equal(take_ahead(f, CS_EV_STATS, pid), 1);
}

/* Of a process that only the kernel side had a row for. */
static void test_exit_of_nobody(void **state)
{
	const struct cs_proc_info row = {.flags = CS_PROC_MADE_HERE};
	struct fixture *f = *state;

	cs_probes_set_process(&f->probes, f->child, &row);
	heed(f, CS_EV_EXIT, f->child);
	assert_null(made_row(&f->probes, f->child));
	assert_int_equal(f->crowd.ahead.len, 0);
}

/* Somebody who is sampled although nobody met him: with -a only. */
static void test_met_in_samples(void **state)
{
	_cleanup_buf_ struct cs_buf fresh = {0};
	struct fixture *f = *state;
	struct cs_ev_stack *stack =
		cs_record_begin(&fresh, CS_EV_STACK, 1, f->child, sizeof(*stack), 0);

	stack->status = CS_STATUS_NOT_PYTHON;
	assert_int_equal(cs_crowd_meet(&f->crowd, &fresh), 0);
	assert_int_equal(watched(f), 0);
	f->crowd.all_processes = true;
	assert_int_equal(cs_crowd_meet(&f->crowd, &fresh), 0);
	assert_int_equal(watched(f), 1);
	assert_int_equal(take_ahead(f, CS_EV_PROCESS, f->child), 1);
	grow_old(f);
	assert_int_equal(cs_crowd_meet(&f->crowd, &fresh), 0);
	assert_int_equal(cs_crowd_meet(&f->crowd, &fresh), 0);
	assert_int_equal(watched(f), 1);
	assert_int_equal(take_ahead(f, CS_EV_PROCESS, f->child), 1);
	assert_string_equal(f->note, ""); /* nobody asked for it */
}

/* A turn waits less while somebody is just beginning. */
static void test_hurry(void **state)
{
	struct fixture *f = *state;
	struct cs_target *target;
	uint64_t now;

	assert_int_equal(cs_crowd_add(&f->crowd, f->child), 0);
	target = cs_crowd_find(&f->crowd, f->child);
	now = cs_now_ns();
	assert_false(cs_crowd_in_a_hurry(&f->crowd, now));
	cs_target_poke(target, now);
	assert_true(cs_crowd_in_a_hurry(&f->crowd, now));
	assert_false(cs_crowd_in_a_hurry(&f->crowd, now + 3600 * 1000000000ull));
}

/* The more there are, and the lower the rates, the more seldom each is looked at: but not without end. */
static void test_stretch(void **state)
{
	static const unsigned int ease[][2] = {{0, 1}, {1, 1}, {4, 4}, {16, 16}, {1000, 16}};
	struct fixture *f = *state;
	pid_t children[55];

	assert_int_equal(cs_crowd_add(&f->crowd, f->child), 0);
	for (size_t i = 0; i < ARRAY_SIZE(ease); i++) {
		f->crowd.ease = ease[i][0];
		assert_int_equal(cs_crowd_refresh(&f->crowd), 0);
		assert_int_equal(cs_crowd_find(&f->crowd, f->child)->stretch, ease[i][1]);
	}
	for (size_t i = 0; i < ARRAY_SIZE(children); i++) {
		children[i] = fork();
		assert_true(children[i] >= 0);
		if (!children[i]) {
			prctl(PR_SET_PDEATHSIG, SIGKILL);
			for (;;)
				pause();
		}
		assert_int_equal(cs_crowd_add(&f->crowd, children[i]), 0);
	}
	f->crowd.ease = 4;
	assert_int_equal(cs_crowd_refresh(&f->crowd), 0);
	assert_int_equal(cs_crowd_find(&f->crowd, f->child)->stretch, 8);
	for (size_t i = 0; i < ARRAY_SIZE(children); i++) {
		kill(children[i], SIGKILL);
		assert_int_equal(waitpid(children[i], NULL, 0), children[i]);
	}
}

/* In a crowd some are asked less often whether something is due: not those at which it soon is. */
static void test_settle(void **state)
{
	const uint64_t now = 1000000000000ull, ms = 1000000;
	struct fixture *f = *state;
	struct cs_target *target;

	assert_int_equal(cs_crowd_add(&f->crowd, f->child), 0);
	target = cs_crowd_find(&f->crowd, f->child);
	target->refresh_at_ns = 0;
	target->published.look_at_ns = 0;
	cs_target_settle(target, now);
	assert_false(target->settled);
	target->described = true;
	cs_target_settle(target, now);
	assert_true(target->settled);
	target->published.look_at_ns = now - 1; /* due, and others were before it */
	cs_target_settle(target, now);
	assert_false(target->settled);
	target->published.look_at_ns = now + 20 * ms;
	cs_target_settle(target, now);
	assert_false(target->settled);
	target->published.look_at_ns = now + 5000 * ms;
	cs_target_settle(target, now);
	assert_true(target->settled);
	target->interp.info.flags |= CS_PROC_TRACED;
	cs_target_settle(target, now);
	assert_false(target->settled);
}

/* The distance between looks that find nothing grows in a crowd, and has an end. */
static void test_looks_in_vain(void **state)
{
	const uint64_t second = 1000000000ull;
	struct fixture *f = *state;
	struct cs_target *target;

	assert_int_equal(cs_crowd_add(&f->crowd, f->child), 0);
	target = cs_crowd_find(&f->crowd, f->child);
	target->stretch = 1;
	target->vain = 9;
	assert_int_equal(cs_target_loaded_pause(target), 5 * second);
	target->stretch = 12;
	assert_int_equal(cs_target_loaded_pause(target), 480 * second);
	target->vain = 1;
	assert_int_equal(cs_target_loaded_pause(target), 120 * second);
	target->stretch = 48;
	target->vain = 2;
	assert_int_equal(cs_target_loaded_pause(target), 480 * second);
	target->stretch = 192;
	assert_int_equal(cs_target_loaded_pause(target), 960 * second);
}

/* With ease, who has only just begun a program is watched at once and looked at later: until then it is not said what it is. */
static void test_exec_with_ease(void **state)
{
	const struct cs_proc_info python = {.flags = CS_PROC_PYTHON};
	struct fixture *f = *state;
	struct cs_target *target;

	f->crowd.ease = 16;
	cs_probes_set_process(&f->probes, f->child, &python);
	heed(f, CS_EV_EXEC, f->child);
	target = cs_crowd_find(&f->crowd, f->child);
	assert_non_null(target);
	assert_true(target->fresh);
	assert_in_range(target->refresh_at_ns - target->since_ns, 10000000ull, 1000000000ull);
	assert_int_equal(cs_crowd_refresh(&f->crowd), 0);
	assert_false(target->looked_at);
	assert_false(cs_crowd_in_a_hurry(&f->crowd, cs_now_ns()));
	/* a library is mapped: no sooner */
	cs_target_poke(target, cs_now_ns());
	assert_int_equal(cs_crowd_refresh(&f->crowd), 0);
	assert_false(target->looked_at);
	assert_int_equal(take_ahead(f, CS_EV_PROCESS, f->child), 0);
	grow_old(f);
	target->refresh_at_ns = 1;
	assert_int_equal(cs_crowd_refresh(&f->crowd), 0);
	assert_true(target->looked_at);
	assert_int_equal(take_ahead(f, CS_EV_PROCESS, f->child), 1);
	assert_int_equal(target->refresh_at_ns, 0); /* no Python, and old enough to stay none */
	heed(f, CS_EV_EXEC, f->child);
	assert_false(target->looked_at);
	assert_in_range(target->refresh_at_ns, cs_now_ns(), cs_now_ns() + 1000000000ull);
}

/* A child's interpreter is its parent's: nothing is lost if it is not looked at. */
static void test_fork_with_ease(void **state)
{
	struct fixture *f = *state;
	struct cs_target *child;

	f->crowd.ease = 16;
	assert_int_equal(cs_crowd_add(&f->crowd, f->child), 0);
	cs_crowd_find(&f->crowd, f->child)->interp.state = CS_INTERP_READY;
	heed_fork(f, f->child, f->grandchild);
	child = cs_crowd_find(&f->crowd, f->grandchild);
	assert_int_equal(child->interp.state, CS_INTERP_READY);
	assert_int_equal(child->refresh_at_ns - child->since_ns, cs_ease_stranger_ns(16));
}

/* Records that were lost are missed later. */
static void test_exit_lost_with_ease(void **state)
{
	struct fixture *f = *state;

	f->crowd.ease = 4;
	assert_int_equal(cs_crowd_add(&f->crowd, f->child), 0);
	end_family(f);
	f->crowd.checked_ns = cs_now_ns() - 900000000ull;
	assert_int_equal(cs_crowd_refresh(&f->crowd), 0);
	assert_int_equal(cs_crowd_bury(&f->crowd), 0);
	assert_int_equal(watched(f), 1);
	f->crowd.checked_ns = cs_now_ns() - 1000000000ull;
	assert_int_equal(cs_crowd_refresh(&f->crowd), 0);
	assert_int_equal(cs_crowd_bury(&f->crowd), 0);
	assert_int_equal(watched(f), 0);
}

#define TEST(name) cmocka_unit_test_setup_teardown(name, setup, teardown)

int main(void)
{
	const struct CMUnitTest tests[] = {
		TEST(test_add),
		TEST(test_described),
		TEST(test_children_there),
		TEST(test_selected),
		TEST(test_fork),
		TEST(test_fork_before_exec),
		TEST(test_exec_known),
		TEST(test_exec_unknown),
		TEST(test_exec_of_a_watched),
		TEST(test_exec_lost),
		TEST(test_exit),
		TEST(test_exit_lost),
		TEST(test_exit_of_nobody),
		TEST(test_met_in_samples),
		TEST(test_hurry),
		TEST(test_stretch),
		TEST(test_settle),
		TEST(test_looks_in_vain),
		TEST(test_exec_with_ease),
		TEST(test_fork_with_ease),
		TEST(test_exit_lost_with_ease),
	};

	if (prctl(PR_SET_CHILD_SUBREAPER, 1))
		return 1;
	return cmocka_run_group_tests(tests, NULL, NULL);
}
