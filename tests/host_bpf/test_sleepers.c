/* SPDX-License-Identifier: Apache-2.0 */
/* Visits to a thread that does not run: held, and told together without losing any. */
#include <setjmp.h>
#include <stdarg.h>
#include <stddef.h>
#include <stdint.h>

#include <cmocka.h>
#include <stdbool.h>
#include <string.h>

#include "core/cleanup.h"
#include "walk_host.h"

#include "bpf/sleepers.bpf.h"

enum { TGID = 7, TID = 9, TURN = 10, WAIT = 100 };

static struct {
	bool full; /* the ring */
	bool there, deleted;
	struct sleeper it;
	struct cs_counters all, own;
	struct cs_ev_same told[4];
	unsigned int ntold;
} fake;

void *bpf_map_lookup_elem(void *map, const void *key)
{
	if (map == (void *)&sleepers) {
		assert_int_equal(*(const __u32 *)key, TID);
		return fake.there ? &fake.it : NULL;
	}
	return map == (void *)&counters ? &fake.all : &fake.own;
}

long bpf_map_delete_elem(void *map, const void *key)
{
	assert_ptr_equal(map, &sleepers);
	assert_int_equal(*(const __u32 *)key, TID);
	fake.deleted = true;
	return 0;
}

long bpf_ringbuf_output(void *map, void *data, __u64 size, __u64 flags)
{
	assert_ptr_equal(map, &ring);
	assert_int_equal(size, sizeof(struct cs_ev_same));
	if (fake.full)
		return -1;
	assert_in_range(fake.ntold, 0, ARRAY_SIZE(fake.told) - 1);
	memcpy(&fake.told[fake.ntold++], data, size);
	return 0;
}

static int setup(void **state)
{
	memset(&fake, 0, sizeof(fake));
	fake.there = true;
	return 0;
}

/* Visits one TURN apart, each of a TURN's weight. */
static void visit(unsigned int n, __u64 wait_ns)
{
	for (unsigned int i = 1; i <= n; i++)
		sleeper_hold(&fake.it, TGID, TID, 1000 + i * TURN, TURN, wait_ns);
}

static void check_counted(enum cs_counter fate, __u64 n)
{
	assert_int_equal(fake.all.v[CS_COUNTER_WALL_THREADS], n);
	assert_int_equal(fake.own.v[CS_COUNTER_WALL_THREADS], n);
	assert_int_equal(fake.all.v[fate], n);
	assert_int_equal(fake.own.v[fate], n);
}

static void check_told(unsigned int i, __u64 visits)
{
	assert_in_range(i, 0, fake.ntold - 1);
	assert_int_equal(fake.told[i].hdr.kind, CS_EV_SAME);
	assert_int_equal(fake.told[i].hdr.pid, TGID);
	assert_int_equal(fake.told[i].hdr.tid, TID);
	assert_int_equal(fake.told[i].hdr.flags, visits);
	assert_int_equal(fake.told[i].hdr.ts_ns, 1000 + visits * TURN);
	assert_int_equal(fake.told[i].weight_ns, visits * TURN);
}

static void held_for_a_while(void **state)
{
	visit(WAIT / TURN - 1, WAIT);
	assert_int_equal(fake.ntold, 0);
	check_counted(CS_COUNTER_WALL_SAME, 0);
	setup(NULL);
	visit(WAIT / TURN, WAIT);
	assert_int_equal(fake.ntold, 1);
	check_told(0, WAIT / TURN);
	check_counted(CS_COUNTER_WALL_SAME, WAIT / TURN);
	/* and anew */
	visit(WAIT / TURN, WAIT);
	check_told(1, WAIT / TURN);
	check_counted(CS_COUNTER_WALL_SAME, 2 * WAIT / TURN);
}

static void told_once(void **state)
{
	visit(3, WAIT);
	sleeper_tell(&fake.it, TGID, TID);
	sleeper_tell(&fake.it, TGID, TID);
	assert_int_equal(fake.ntold, 1);
	check_told(0, 3);
	check_counted(CS_COUNTER_WALL_SAME, 3);
}

static void not_held(void **state)
{
	visit(1, 0);
	check_told(0, 1);
}

/* What works for a task hangs below it now; when the thread runs again the task may be over. */
static void for_a_task(void **state)
{
	fake.it.for_task = true;
	for (unsigned int i = 0; i < 3; i++) {
		sleeper_hold(&fake.it, TGID, TID, 1000 + TURN, TURN, WAIT);
		check_told(i, 1);
	}
	check_counted(CS_COUNTER_WALL_SAME, 3);
}

/* A job may sleep before somebody waits for it: for some visits it is looked again; not for ever, and anew when more is known of the process. */
static void looked_at_again(void **state)
{
	struct sleeper last = {.switches = 7, .generation = 3}, now = last;

	assert_true(sleeper_is_known(&last, &now));
	for (last.vain_looks = 1; last.vain_looks < VAIN_LOOKS; last.vain_looks++)
		assert_false(sleeper_is_known(&last, &now));
	assert_true(sleeper_is_known(&last, &now));
	now.generation++;
	assert_false(sleeper_is_same(&last, &now));
	assert_false(sleeper_is_known(&last, &now));
	now = last;
	now.switches++;
	assert_false(sleeper_is_same(&last, &now));
	assert_false(sleeper_is_known(&last, &now));
}

/* What weighs nothing, or hardly anything, is told before its number has no room. */
static void many_visits(void **state)
{
	for (unsigned int i = 0; i < SAME_MAX_VISITS; i++)
		sleeper_hold(&fake.it, TGID, TID, 5000, 0, WAIT);
	assert_int_equal(fake.ntold, 1);
	assert_int_equal(fake.told[0].hdr.flags, SAME_MAX_VISITS);
	assert_int_equal(fake.told[0].weight_ns, 0);
	assert_int_equal(SAME_MAX_VISITS, (__u16)SAME_MAX_VISITS);
}

static void no_room_in_the_ring(void **state)
{
	fake.full = true;
	visit(4, WAIT);
	sleeper_tell(&fake.it, TGID, TID);
	check_counted(CS_COUNTER_WALL_RING_FULL, 4);
	assert_int_equal(fake.all.v[CS_COUNTER_WALL_SAME], 0);
	/* lost is lost: what comes then is told as what it is */
	fake.full = false;
	visit(2, WAIT);
	sleeper_tell(&fake.it, TGID, TID);
	check_told(0, 2);
}

static void the_end(void **state)
{
	visit(2, WAIT);
	sleeper_end(TGID, TID);
	check_told(0, 2);
	assert_true(fake.deleted);
	setup(NULL);
	fake.there = false;
	sleeper_end(TGID, TID);
	assert_false(fake.deleted);
	assert_int_equal(fake.ntold, 0);
}

int main(void)
{
	const struct CMUnitTest tests[] = {
		cmocka_unit_test_setup(held_for_a_while, setup),
		cmocka_unit_test_setup(told_once, setup),
		cmocka_unit_test_setup(not_held, setup),
		cmocka_unit_test_setup(for_a_task, setup),
		cmocka_unit_test_setup(looked_at_again, setup),
		cmocka_unit_test_setup(many_visits, setup),
		cmocka_unit_test_setup(no_room_in_the_ring, setup),
		cmocka_unit_test_setup(the_end, setup),
	};

	return cmocka_run_group_tests(tests, NULL, NULL);
}
