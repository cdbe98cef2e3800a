/* SPDX-License-Identifier: Apache-2.0 */
/* Blocked time: why a thread waits, the table of threads, and which blocks are shown. */
#include <setjmp.h>
#include <stdarg.h>
#include <stddef.h>
#include <stdint.h>

#include <cmocka.h>
#include <string.h>
#include <sys/stat.h>

#include "core/cleanup.h"

#include "bpf/off_table.bpf.h"
#include "bpf/wait_reason.bpf.h"

#define MIN_NS 1000u
#define BUDGET 20000u
#define SECOND 1000000000ull

static struct cs_counters all_counts, own_counts;
static struct cs_off_set set;
static struct cs_off_rate rate;
static uint64_t seed;

/* The same in every run. */
static uint64_t next_random(void)
{
	seed = seed * 6364136223846793005u + 1442695040888963407u;
	return seed >> 32;
}

__u32 bpf_get_prandom_u32(void)
{
	return (__u32)next_random();
}

/* Not inlined: gcc 12 follows the NULL into code that has checked it. */
__attribute__((noinline)) void *bpf_map_lookup_elem(void *map, const void *key)
{
	if (map == (void *)&off_sets)
		return &set;
	if (map == (void *)&off_rates)
		return &rate;
	if (map == (void *)&counters)
		return &all_counts;
	assert_ptr_equal(map, &proc_counters);
	return *(const __u32 *)key == 7 ? &own_counts : NULL;
}

static int setup(void **state)
{
	const struct cs_config knobs = {.off_min_ns = MIN_NS, .off_budget = BUDGET};

	memcpy((void *)(uintptr_t)&config, &knobs, sizeof(knobs));
	memset(&all_counts, 0, sizeof(all_counts));
	memset(&own_counts, 0, sizeof(own_counts));
	memset(&set, 0, sizeof(set));
	rate = (struct cs_off_rate){.stands_ns = MIN_NS};
	seed = 1;
	return 0;
}

struct reason_case {
	struct wait_facts facts;
	enum cs_wait_reason reason;
};

static void expect_reasons(const struct reason_case *cases, size_t n)
{
	for (size_t i = 0; i < n; i++) {
		enum cs_wait_reason reason = wait_reason(&cases[i].facts);

		if (reason != cases[i].reason)
			fail_msg("case %zu: %d in place of %d", i, reason, cases[i].reason);
	}
}

#define S WAIT_INTERRUPTIBLE
#define D WAIT_UNINTERRUPTIBLE

/* What a call waits for, if its wait is its own. */
static void test_calls(void **state)
{
	static const struct reason_case cases[] = {
		{{.state = S, .call = __NR_futex}, CS_WAIT_REASON_FUTEX},
		{{.state = S, .call = __NR_futex, .gil = true}, CS_WAIT_REASON_GIL},
		{{.state = D, .call = __NR_futex, .gil = true}, CS_WAIT_REASON_BLOCKED},
		{{.state = S, .call = __NR_clock_nanosleep}, CS_WAIT_REASON_SLEEP},
		{{.state = S, .call = __NR_nanosleep}, CS_WAIT_REASON_SLEEP},
		{{.state = S, .call = __NR_pselect6, .args = {3}}, CS_WAIT_REASON_POLL},
		{{.state = S, .call = __NR_pselect6, .args = {0, 9}}, CS_WAIT_REASON_SLEEP},
		{{.state = S, .call = __NR_ppoll, .args = {9, 2}}, CS_WAIT_REASON_POLL},
		{{.state = S, .call = __NR_ppoll, .args = {0, 0}}, CS_WAIT_REASON_SLEEP},
		{{.state = S, .call = __NR_epoll_pwait, .args = {3}}, CS_WAIT_REASON_POLL},
		{{.state = S, .call = __NR_recvfrom}, CS_WAIT_REASON_SOCKET},
		{{.state = D, .call = __NR_recvfrom}, CS_WAIT_REASON_BLOCKED},
		{{.state = S, .call = __NR_accept4}, CS_WAIT_REASON_SOCKET},
		{{.state = S, .call = __NR_wait4}, CS_WAIT_REASON_CHILD},
		{{.state = S, .call = __NR_rt_sigtimedwait}, CS_WAIT_REASON_SIGNAL},
		{{.state = D, .call = __NR_fsync}, CS_WAIT_REASON_FILE},
		{{.state = D, .call = __NR_fdatasync, .io = true}, CS_WAIT_REASON_FILE},
		{{.state = S, .call = __NR_io_uring_enter}, CS_WAIT_REASON_IO},
		{{.state = D, .call = __NR_openat, .io = true}, CS_WAIT_REASON_IO},
		{{.state = D, .call = __NR_openat}, CS_WAIT_REASON_BLOCKED},
		{{.state = S, .call = __NR_ioctl}, CS_WAIT_REASON_BLOCKED},
	};

	expect_reasons(cases, ARRAY_SIZE(cases));
}

/* read() and the like: what they are about. */
static void test_files(void **state)
{
	static const struct reason_case cases[] = {
		{{.state = S, .call = __NR_read, .mode = S_IFIFO | 0600}, CS_WAIT_REASON_PIPE},
		{{.state = S, .call = __NR_write, .mode = S_IFIFO}, CS_WAIT_REASON_PIPE},
		{{.state = D, .call = __NR_read, .mode = S_IFIFO}, CS_WAIT_REASON_BLOCKED},
		{{.state = S, .call = __NR_readv, .mode = S_IFSOCK}, CS_WAIT_REASON_SOCKET},
		{{.state = D, .call = __NR_read, .mode = S_IFREG, .io = true}, CS_WAIT_REASON_FILE},
		{{.state = D, .call = __NR_pwrite64, .mode = S_IFREG}, CS_WAIT_REASON_FILE},
		{{.state = D, .call = __NR_pread64, .mode = S_IFBLK}, CS_WAIT_REASON_FILE},
		{{.state = S, .call = __NR_read, .mode = S_IFCHR}, CS_WAIT_REASON_IO},
		/* an eventfd calls itself a regular file since 6.16 */
		{{.state = S, .call = __NR_read, .mode = S_IFREG, .anonymous = true},
		 CS_WAIT_REASON_IO},
		{{.state = S, .call = __NR_read, .anonymous = true}, CS_WAIT_REASON_IO},
		{{.state = D, .call = __NR_read, .anonymous = true}, CS_WAIT_REASON_BLOCKED},
		/* its file could not be read */
		{{.state = S, .call = __NR_read}, CS_WAIT_REASON_BLOCKED},
	};

	expect_reasons(cases, ARRAY_SIZE(cases));
}

static void test_outside_of_calls(void **state)
{
	static const struct reason_case cases[] = {
		{{.state = 0, .call = WAIT_NO_CALL}, CS_WAIT_REASON_PREEMPTED},
		/* on its way to sleep: it will go on all the same */
		{{.state = 0, .call = __NR_futex, .gil = true}, CS_WAIT_REASON_PREEMPTED},
		{{.state = D, .call = WAIT_NO_CALL, .io = true}, CS_WAIT_REASON_PAGE_FAULT},
		{{.state = 0x102, .call = WAIT_NO_CALL}, CS_WAIT_REASON_PAGE_FAULT}, /* killable */
		{{.state = S, .call = WAIT_NO_CALL}, CS_WAIT_REASON_BLOCKED},
		{{.state = WAIT_STOPPED, .call = __NR_read, .mode = S_IFIFO},
		 CS_WAIT_REASON_STOPPED},
		{{.state = WAIT_TRACED, .call = WAIT_NO_CALL}, CS_WAIT_REASON_STOPPED},
		/* its waker was quicker than the look at it (TASK_WAKING): what it was is not told, what it does is */
		{{.state = 0x200, .call = __NR_futex}, CS_WAIT_REASON_FUTEX},
		{{.state = 0x200, .call = WAIT_NO_CALL}, CS_WAIT_REASON_BLOCKED},
	};

	expect_reasons(cases, ARRAY_SIZE(cases));
}

/* struct _gil_runtime_state with locks of glibc on x86-64; without and with the field `enabled` in front. */
struct made_gil {
	uint64_t interval, last_holder;
	int locked;
	uint64_t switch_number;
	char cond[48], mutex[40], switch_cond[48], switch_mutex[40];
};

static void test_gil(void **state)
{
	for (uint64_t front = 0; front <= 8; front += 8) {
		uint64_t gil = 0x7f0000001000, at = gil + front;
		uint32_t locked = (uint32_t)(front + offsetof(struct made_gil, locked));

		assert_true(wait_in_gil(at + offsetof(struct made_gil, cond), gil, locked));
		assert_true(wait_in_gil(at + offsetof(struct made_gil, cond) + 40, gil, locked));
		assert_true(wait_in_gil(at + offsetof(struct made_gil, mutex), gil, locked));
		assert_true(wait_in_gil(at + offsetof(struct made_gil, switch_cond), gil, locked));
		assert_true(wait_in_gil(at + offsetof(struct made_gil, switch_mutex) + 36, gil,
					locked));
		assert_false(wait_in_gil(at + sizeof(struct made_gil), gil, locked));
		assert_false(wait_in_gil(gil - 8, gil, locked));
		assert_false(wait_in_gil(0, gil, locked));
	}
}

static void test_share(void **state)
{
	assert_int_equal(off_share(0, UINT32_MAX), 0);
	assert_int_equal(off_share(1000, 0), 0);
	assert_int_equal(off_share(1000, UINT32_MAX), 999);
	assert_int_equal(off_share(1000, 1u << 31), 500);
	assert_in_range(off_share(8 * SECOND, 1u << 31), 4 * SECOND - UINT16_MAX, 4 * SECOND);
	assert_true(off_share(OFF_MAX_NS, UINT32_MAX) < OFF_MAX_NS);
}

/* A thread keeps its slot; who finds none is not put in another's place. */
static void test_table(void **state)
{
	struct cs_off_slot *slot;

	assert_null(off_find(&set, 5));
	for (__u32 tid = 1; tid <= CS_OFF_WAYS; tid++) {
		slot = off_find(&set, 0);
		assert_non_null(slot);
		off_begin_block(slot, tid, S, 100 + tid);
		assert_ptr_equal(off_find(&set, tid), slot);
	}
	assert_null(off_find(&set, 0));
	assert_null(off_find(&set, 5));
	assert_null(off_find(NULL, 5));
	slot = off_find(&set, 2);
	assert_int_equal(slot->since_ns, 102);
	assert_int_equal(slot->state, S);
	assert_int_equal(slot->stands_ns, MIN_NS);
	assert_in_range(slot->above_ns, 0, MIN_NS - 1);
	slot->tid = 0; /* its thread has ended */
	assert_ptr_equal(off_find(&set, 0), slot);
}

static uint64_t counted(enum cs_counter id)
{
	assert_int_equal(all_counts.v[id], own_counts.v[id]);
	return all_counts.v[id];
}

/* The clock, and lengths from one to four: most are short, and a few make up the time. */
struct world {
	uint64_t now_ns, pause_ns;
	double shown_ns, true_ns, variance;
	uint64_t kept;
};

static uint64_t a_length(void)
{
	uint64_t r = next_random() % 1000, jitter = next_random() % 4096;

	return r == 0 ? 20000000 + jitter : r < 20 ? 200000 + jitter : 2000 + jitter;
}

static void one_block(struct world *world, uint64_t lasted_ns)
{
	struct cs_off_slot slot;
	uint64_t weight;

	world->now_ns += world->pause_ns;
	off_begin_block(&slot, 1, S, world->now_ns);
	weight = off_weigh(&slot, 7, lasted_ns, world->now_ns);
	world->true_ns += (double)lasted_ns;
	world->shown_ns += (double)weight;
	world->kept += weight != 0;
	if (slot.stands_ns > lasted_ns)
		world->variance += (double)lasted_ns * (double)(slot.stands_ns - lasted_ns);
}

/* As many as there are, less than the budget: each is shown as it is. */
static void test_within_budget(void **state)
{
	struct world world = {.now_ns = SECOND, .pause_ns = SECOND / 1000};

	for (int i = 0; i < 20000; i++)
		one_block(&world, a_length());
	assert_int_equal(world.kept, 20000);
	assert_true(world.shown_ns == world.true_ns);
	assert_int_equal(counted(CS_COUNTER_OFF_BLOCKS), 20000);
	assert_int_equal(counted(CS_COUNTER_OFF_NS), (uint64_t)world.true_ns);
	assert_int_equal(counted(CS_COUNTER_OFF_THINNED), 0);
}

/* A million a second for five seconds, then again few: the budget holds, the sum is right, and the few are all shown soon. */
static void test_beyond_budget(void **state)
{
	struct world world = {.now_ns = SECOND, .pause_ns = 1000}, calm;
	double error, seconds = 5;

	for (int i = 0; i < 5000000; i++)
		one_block(&world, a_length());
	assert_in_range(world.kept, (uint64_t)(0.7 * seconds * BUDGET),
			(uint64_t)(1.05 * seconds * BUDGET));
	error = world.shown_ns - world.true_ns;
	assert_true(error * error < 16 * world.variance); /* four standard deviations */
	assert_true(16 * world.variance < 1e-4 * world.true_ns * world.true_ns);
	assert_int_equal(counted(CS_COUNTER_OFF_BLOCKS), 5000000);
	assert_int_equal(counted(CS_COUNTER_OFF_THINNED), 5000000 - world.kept);

	calm = (struct world){.now_ns = world.now_ns, .pause_ns = SECOND / 1000};
	for (int i = 0; i < 1000; i++)
		one_block(&calm, 20000);
	calm = (struct world){.now_ns = calm.now_ns, .pause_ns = SECOND / 1000};
	for (int i = 0; i < 1000; i++)
		one_block(&calm, 20000);
	assert_int_equal(calm.kept, 1000);
}

/* Too short to be asked for: counted with their time, and nothing of the budget is spent on them. */
static void test_short(void **state)
{
	struct world world = {.now_ns = SECOND, .pause_ns = 1000};

	for (int i = 0; i < 100000; i++)
		one_block(&world, MIN_NS - 1);
	assert_int_equal(world.kept, 0);
	assert_int_equal(counted(CS_COUNTER_OFF_SHORT), 100000);
	assert_int_equal(counted(CS_COUNTER_OFF_SHORT_NS), 100000 * (MIN_NS - 1));
	assert_int_equal(counted(CS_COUNTER_OFF_NS), 100000 * (MIN_NS - 1));
	assert_int_equal(rate.stands_ns, MIN_NS);
}

int main(void)
{
	const struct CMUnitTest tests[] = {
		cmocka_unit_test_setup(test_calls, setup),
		cmocka_unit_test_setup(test_files, setup),
		cmocka_unit_test_setup(test_outside_of_calls, setup),
		cmocka_unit_test_setup(test_gil, setup),
		cmocka_unit_test_setup(test_share, setup),
		cmocka_unit_test_setup(test_table, setup),
		cmocka_unit_test_setup(test_within_budget, setup),
		cmocka_unit_test_setup(test_beyond_budget, setup),
		cmocka_unit_test_setup(test_short, setup),
	};

	return cmocka_run_group_tests(tests, NULL, NULL);
}
