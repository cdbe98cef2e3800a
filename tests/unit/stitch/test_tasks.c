/* SPDX-License-Identifier: Apache-2.0 */
/* Suspended tasks: who stands above whom in their stacks, and which of them a pass shows. */
#include <setjmp.h>
#include <stdarg.h>
#include <stddef.h>
#include <stdint.h>

#include <cmocka.h>
#include <string.h>

#include "unit/stitch/made_events.h"

enum { A = 0x10, B = 0x20, C = 0x30, D = 0x40, FUTURE = 0x900 };

/* The thread's loop is known: its tasks hang above r L. */
static struct made_stitch *base(void **state)
{
	struct made_stitch *made = *state;

	made_code(made, 'L', CS_CODE_LOOP | CS_CODE_ASYNCIO);
	made_code(made, 'a', CS_CODE_ASYNCIO);
	MADE_STACK(made, .frames = "rLs", .origin = CS_ORIGIN_WALL);
	made_expect(made, "r L s\n");
	return made;
}

/* A is running x when it creates `subject` through asyncio's own a. */
static void a_creates(struct made_stitch *made, uint64_t subject, uint64_t ts_ns)
{
	MADE_STACK(made, .frames = "rLxa", .task = A, .root_frame = 1, .name = "A",
		   .subject = subject, .ts_ns = ts_ns);
}

static void test_await(void **state)
{
	struct made_stitch *made = base(state);

	MADE_TASK(made, .task = A, .name = "A", .frames = "xy", .waiter = B);
	MADE_TASK(made, .task = B, .name = "B", .frames = "z", .waiter = FUTURE);
	MADE_PASS(made, 10, 0, A, B);
	made_expect(made, "r L <A> x y <B> z\n");
	assert_int_equal(made->last.weight_ns, 10);
	assert_int_equal(made->last.task_id, B);
	assert_string_equal(made->task_name, "B");
	assert_string_equal(made->thread_name, "worker");
	assert_int_equal(made->last.tid, MADE_TID);
	assert_false(made->last.on_cpu);
}

/* Only the task that waits for no other task gets the pass's time; one that merely made another is one. */
/* Of a share each task stands for others, too; those that were not read neither have time of their own nor are gone. */
static void test_share(void **state)
{
	struct made_stitch *made = base(state);
	uint64_t before = made->sum_ns;

	MADE_TASK(made, .task = A, .name = "A", .frames = "xy", .waiter = B);
	MADE_TASK(made, .task = B, .name = "B", .frames = "z", .waiter = FUTURE);
	MADE_PASS(made, 10, 0, A, B);
	made_expect(made, "r L <A> x y <B> z\n");
	MADE_SHARE(made, 20, 5, A); /* it waits for B, as far as is known */
	made_expect(made, "");
	MADE_SHARE(made, 30, 5, B);
	made_expect(made, "r L <A> x y <B> z\n");
	assert_int_equal(made->last.tasks, 5);
	assert_int_equal(made->last.count, 5);
	assert_int_equal(made->last.weight_ns, 50);
	assert_int_equal(made->sum_ns - before, 10 + 50);
	/* it was read as finished, or not met in a whole cycle */
	MADE_TASK(made, .task = A, .state = CS_TASK_DONE);
	MADE_SHARE(made, 40, 5, B);
	made_expect(made, "r L <B> z\n");
	MADE_PASS(made, 50, 0, B);
	made_expect(made, "r L <B> z\n");
	assert_int_equal(made->last.tasks, 1);
}

/* What was last known of a task that was not read is believed only as far as it fits what was read since. */
static void test_share_is_not_stale(void **state)
{
	struct made_stitch *made = base(state);

	/* A waits for B in a gather; then A goes on, which is met, and B is not */
	MADE_TASK(made, .task = A, .name = "A", .frames = "x", .waiter = FUTURE);
	MADE_TASK(made, .task = B, .name = "B", .frames = "z", .waiter = FUTURE,
		  .links = {{.waiter = A, .how = CS_WAIT_GATHER}});
	MADE_PASS(made, 10, 0, A, B);
	made_expect(made, "r L <A> x <B> z\n");
	MADE_SHARE(made, 20, 2, A);
	made_expect(made, "");
	MADE_TASK(made, .task = A, .name = "A", .frames = "y", .waiter = FUTURE);
	MADE_SHARE(made, 30, 2, A);
	made_expect(made, "r L <A> y\n");
	/* C waits for what was at an address where there is another task now */
	MADE_TASK(made, .task = C, .name = "C", .frames = "w", .waiter = B);
	MADE_SHARE(made, 40, 2, C);
	made_expect(made, "");
	MADE_TASK(made, .task = B, .coro = 77, .name = "D", .frames = "v", .waiter = FUTURE);
	MADE_SHARE(made, 50, 2, B);
	made_expect(made, "r L <D> v\n");
}

/* A pass that holds again and again is one sample, handed out before anything changes. */
static void test_pass_again(void **state)
{
	struct made_stitch *made = base(state);
	uint64_t before = made->sum_ns;

	made_pass_again(made, 5); /* without one before it there is nothing to repeat */
	MADE_TASK(made, .task = A, .name = "A", .frames = "x", .waiter = FUTURE);
	MADE_PASS(made, 10, 0, A);
	made_expect(made, "r L <A> x\n");
	made_pass_again(made, 20);
	made_event(made, CS_EV_SAME); /* a sleeping thread is seen again: it changes nothing */
	made_pass_again(made, 30);
	made_expect(made, "r L s\nr L <A> x\n");
	assert_int_equal(made->last.count, 2);
	assert_int_equal(made->last.ts_ns, 30);
	assert_int_equal(made->last.weight_ns, 20);
	made_pass_again(made, 40);
	MADE_TASK(made, .task = A, .name = "A", .frames = "y", .waiter = FUTURE, .ts_ns = 50);
	made_expect(made, "r L <A> x\n");
	assert_int_equal(made->last.count, 1);
	assert_int_equal(made->sum_ns - before, 10 + 100 + 20 + 10);
	MADE_PASS(made, 60, 0, A);
	made_pass_again(made, 70);
	made_event(made, CS_EV_EXIT);
	made_pass_again(made, 80); /* another process at this number: it had no pass */
	made_expect(made, "r L <A> y\nr L <A> y\n");
}

static void test_created(void **state)
{
	struct made_stitch *made = base(state);

	a_creates(made, B, 5);
	MADE_TASK(made, .task = A, .name = "A", .frames = "v", .ts_ns = 9);
	MADE_TASK(made, .task = B, .name = "B", .frames = "z", .ts_ns = 9);
	MADE_PASS(made, 10, 0, A, B);
	made_expect(made, "r L <A> v\nr L <A> x <B+> z\n");
	assert_int_equal(made->sum_ns, 100 + 2 * 10);

	/* what awaits it wins over what made it */
	MADE_TASK(made, .task = C, .name = "C", .frames = "w", .waiter = B, .ts_ns = 19);
	MADE_PASS(made, 20, 0, A, B, C);
	made_expect(made, "r L <A> v\nr L <C> w <B> z\n");
}

static void test_ghost(void **state)
{
	struct made_stitch *made = base(state);

	a_creates(made, B, 5);
	MADE_TASK(made, .task = B, .name = "B", .frames = "z", .ts_ns = 9);
	MADE_PASS(made, 10, 0, B);
	made_expect(made, "r L <A!> x <B+> z\n");
	assert_null(cs_graph_find(cs_stitch_graph(made->stitch, MADE_PID), A));
}

/* A pass that missed tasks proves no one's end; the next whole one does. */
static void test_incomplete_pass(void **state)
{
	struct made_stitch *made = base(state);

	a_creates(made, B, 5);
	MADE_TASK(made, .task = B, .name = "B", .frames = "z", .ts_ns = 9);
	MADE_PASS(made, 10, 1, B);
	made_expect(made, "r L <A> x <B+> z\n");
	MADE_PASS(made, 20, 0, B);
	made_expect(made, "r L <A!> x <B+> z\n");
}

static void test_created_after_the_pass(void **state)
{
	struct made_stitch *made = base(state);

	MADE_TASK(made, .task = C, .name = "C", .frames = "w", .ts_ns = 9);
	a_creates(made, B, 15);
	a_creates(made, D, 3);
	MADE_TASK(made, .task = A, .name = "A", .frames = "v", .ts_ns = 9);
	MADE_PASS(made, 10, 0, C, A);
	made_expect(made, "r L <C> w\nr L <A> v\n");
	assert_non_null(cs_graph_find(cs_stitch_graph(made->stitch, MADE_PID), B));
	assert_null(cs_graph_find(cs_stitch_graph(made->stitch, MADE_PID), D));
	MADE_TASK(made, .task = B, .name = "B", .frames = "z", .ts_ns = 19);
	MADE_PASS(made, 20, 0, A, B);
	made_expect(made, "r L <A> v\nr L <A> x <B+> z\n");
}

/* An address in a pass that was taken before its present task was made is the previous task's. */
static void test_pass_before_creation(void **state)
{
	struct made_stitch *made = base(state);

	MADE_TASK(made, .task = B, .name = "Old", .frames = "o", .ts_ns = 9);
	MADE_TASK(made, .task = A, .name = "A", .frames = "v", .ts_ns = 9);
	a_creates(made, B, 15);
	MADE_PASS(made, 10, 0, A, B);
	made_expect(made, "r L <A> v\n");
}

static void test_address_reused_after_creation(void **state)
{
	struct made_stitch *made = base(state);

	a_creates(made, B, 5);
	/* B makes D, ends, and A makes another task where B was */
	MADE_STACK(made, .frames = "rLy", .task = B, .name = "B", .subject = D, .ts_ns = 6);
	a_creates(made, B, 7);
	MADE_TASK(made, .task = A, .name = "A", .frames = "v", .ts_ns = 9);
	MADE_TASK(made, .task = B, .name = "B2", .frames = "u", .ts_ns = 9, .coro = 0x7777);
	MADE_TASK(made, .task = D, .name = "D", .frames = "z", .ts_ns = 9);
	MADE_PASS(made, 10, 0, A, B, D);
	made_expect(made, "r L <A> v\n"
			  "r L <A> x <B!> y <D+> z\n"
			  "r L <A> x <B2+> u\n");
}

static void test_address_reused_unseen(void **state)
{
	struct made_stitch *made = base(state);

	a_creates(made, B, 5);
	MADE_STACK(made, .frames = "rLy", .task = B, .name = "B", .subject = D, .ts_ns = 6);
	/* another coroutine at the same address: another task, of which no creation was seen */
	MADE_TASK(made, .task = B, .name = "B2", .frames = "u", .ts_ns = 9, .coro = 0x7777);
	MADE_TASK(made, .task = D, .name = "D", .frames = "z", .ts_ns = 9);
	MADE_PASS(made, 10, 1, B, D);
	made_expect(made, "r L <A> x <B!> y <D+> z\nr L <B2> u\n");
}

static void test_record_older_than_creation(void **state)
{
	struct made_stitch *made = base(state);

	a_creates(made, B, 15);
	MADE_TASK(made, .task = B, .name = "Old", .frames = "o", .ts_ns = 14, .coro = 0x7777);
	MADE_TASK(made, .task = B, .name = "New", .frames = "n", .ts_ns = 16);
	MADE_PASS(made, 20, 1, B);
	made_expect(made, "r L <A> x <New+> n\n");
}

/* The same waiter stands above in every pass, whichever was heard of first. */
static void test_several_waiters(void **state)
{
	static const uint64_t orders[][3] = {{A, B, C}, {C, A, B}, {B, C, A}};
	struct made_stitch *made = base(state);

	for (unsigned int i = 0; i < 3; i++) {
		made_event(made, CS_EV_EXIT);
		for (unsigned int k = 0; k < 3; k++)
			MADE_TASK(made, .task = orders[i][k], .name = "W",
				  .frames = (const char[]){(char)('0' + orders[i][k] / 0x10), 0},
				  .waiter = D);
		MADE_TASK(made, .task = D, .name = "D", .frames = "z");
		MADE_PASS(made, 10, 0, C, D, B, A);
		made_expect(made, "[not seen] <W> 1 <D*3> z\n");
	}
}

/* The oldest comes first where creations are known; what was there before the capture is older. */
static void test_oldest_waiter(void **state)
{
	struct made_stitch *made = base(state);

	a_creates(made, C, 5);
	a_creates(made, B, 6);
	MADE_TASK(made, .task = B, .name = "B", .frames = "b", .waiter = D, .ts_ns = 9);
	MADE_TASK(made, .task = C, .name = "C", .frames = "c", .waiter = D, .ts_ns = 9);
	MADE_TASK(made, .task = D, .name = "D", .frames = "z", .ts_ns = 9);
	MADE_PASS(made, 10, 0, B, C, D);
	made_expect(made, "r L <A!> x <C+> c <D*2> z\n");
	MADE_TASK(made, .task = 0x99, .name = "E", .frames = "e", .waiter = D, .ts_ns = 19);
	MADE_PASS(made, 20, 0, B, C, D, 0x99);
	made_expect(made, "r L <E> e <D*3> z\n");
}

/* Two tasks that await each other, and one that waits for them: shown once, marked, not lost. */
static void test_cycle(void **state)
{
	struct made_stitch *made = base(state);

	MADE_TASK(made, .task = A, .name = "A", .frames = "x", .waiter = B);
	MADE_TASK(made, .task = B, .name = "B", .frames = "y", .waiter = A);
	MADE_TASK(made, .task = C, .name = "C", .frames = "z", .waiter = B);
	MADE_PASS(made, 10, 0, A, B, C);
	made_expect(made, "r L [cut] <B*2> y <A> x\n");
}

/* A task may be listed as waiting for itself by memory that lies. */
static void test_waits_for_itself(void **state)
{
	struct made_stitch *made = base(state);

	MADE_TASK(made, .task = A, .name = "A", .frames = "x", .waiter = A);
	MADE_PASS(made, 10, 0, A);
	made_expect(made, "r L <A> x\n");
}

static unsigned int count(const char *text, char c)
{
	unsigned int n = 0;

	for (; *text; text++)
		n += *text == c;
	return n;
}

static void test_deep_chain(void **state)
{
	struct made_stitch *made = base(state);
	uint64_t tasks[3 * CS_MAX_TASK_DEPTH];
	const unsigned int n = sizeof(tasks) / sizeof(*tasks);
	const char *text;

	for (unsigned int i = 0; i < n; i++) {
		tasks[i] = 0x10000 + i;
		MADE_TASK(made, .task = tasks[i], .name = i == n - 1 ? "leaf" : "T", .frames = "x",
			  .waiter = i < n - 1 ? tasks[i] + 1 : 0, .coro = 1);
	}
	made_pass(made, 10, 0, tasks, n);
	assert_int_equal(made->nsamples, 2); /* the base's, and the leaf's */
	text = cs_buf_str(&made->text);
	assert_int_equal(strncmp(text, "r L [cut] <T> x <T> ", 20), 0);
	assert_non_null(strstr(text, " <leaf> x\n"));
	assert_int_equal(count(text, '<'), CS_MAX_TASK_DEPTH);
	made->text.len = 0;
	/* exactly as deep as the bound: nothing is cut */
	made_pass(made, 20, 0, tasks + n - CS_MAX_TASK_DEPTH, CS_MAX_TASK_DEPTH);
	assert_null(strstr(cs_buf_str(&made->text), "[cut]"));
	assert_int_equal(count(cs_buf_str(&made->text), '<'), CS_MAX_TASK_DEPTH);
}

static void test_more_parts_than_room(void **state)
{
	struct made_stitch *made = base(state);
	uint64_t tasks[CS_MAX_TASK_DEPTH];
	char frames[CS_MAX_CHAIN + 1] = {0};

	memset(frames, 'x', CS_MAX_CHAIN);
	for (unsigned int i = 0; i < CS_MAX_TASK_DEPTH; i++) {
		tasks[i] = 0x10000 + i;
		MADE_TASK(made, .task = tasks[i], .name = "T", .frames = frames, .coro = 1,
			  .waiter = i < CS_MAX_TASK_DEPTH - 1 ? tasks[i] + 1 : 0);
	}
	made_pass(made, 10, 0, tasks, CS_MAX_TASK_DEPTH);
	assert_int_equal(made->nsamples, 2);
	assert_in_range(made->last.n, CS_MAX_CHAIN, CS_MAX_CHAIN * CS_MAX_TASK_DEPTH / 2);
	assert_int_equal(made->last_part.kind, CS_PART_TASKS_CUT);
	assert_int_equal(count(cs_buf_str(&made->text), '['), 1);
}

static void test_how_the_chain_ended(void **state)
{
	struct made_stitch *made = base(state);

	MADE_TASK(made, .task = A, .name = "A", .frames = "x", .leaf = "Event");
	MADE_PASS(made, 10, 0, A);
	made_expect(made, "r L <A> x ~Event\n");
	MADE_TASK(made, .task = A, .name = "A", .frames = "x", .flags = CS_TASKF_CHAIN_CUT);
	MADE_PASS(made, 20, 0, A);
	made_expect(made, "r L <A> x [truncated]\n");
	MADE_TASK(made, .task = A, .name = "A", .frames = "x", .flags = CS_TASKF_CHAIN_UNREADABLE);
	MADE_PASS(made, 30, 0, A);
	made_expect(made, "r L <A> x [unreadable]\n");
	MADE_TASK(made, .task = A, .frames = "y");
	MADE_PASS(made, 40, 0, A);
	made_expect(made, "r L <A> y\n"); /* a name stays known */
}

/* A running task's time is its thread's; a task of which no record came is not shown. */
static void test_not_shown(void **state)
{
	struct made_stitch *made = base(state);

	MADE_TASK(made, .task = A, .name = "A", .state = CS_TASK_RUNNING);
	MADE_TASK(made, .task = B, .name = "B", .frames = "y", .state = CS_TASK_READY);
	MADE_TASK(made, .task = D, .name = "D", .state = CS_TASK_CREATED, .frames = "z");
	MADE_PASS(made, 10, 0, A, B, C, D);
	made_expect(made, "r L <B> y\nr L <D> z\n");
}

/* What called a loop that is not written in Python: the same when it sleeps and below a task that runs. */
static void test_loop_in_c(void **state)
{
	struct made_stitch *made = *state;

	MADE_TASK(made, .task = A, .name = "A", .frames = "x");
	MADE_STACK(made, .frames = "m", .origin = CS_ORIGIN_WALL);
	MADE_STACK(made, .frames = "mcx", .task = A, .root_frame = 0, .name = "A");
	MADE_PASS(made, 10, 0, A);
	made_expect(made,
		    "m\n[not seen] <A> x\n[not seen] <A> x\n"); /* c began it, or called back */
	MADE_STACK(made, .frames = "mx", .task = A, .root_frame = 0, .name = "A");
	MADE_PASS(made, 20, 0, A);
	made_expect(made, "m <A> x\nm <A> x\n");
}

/* A task of a thread whose loop was never seen still shows, and says that its base is missing. */
static void test_unknown_loop(void **state)
{
	struct made_stitch *made = base(state);

	MADE_TASK(made, .task = A, .name = "A", .frames = "x", .tid = 71);
	MADE_PASS(made, 10, 0, A);
	made_expect(made, "[not seen] <A> x\n");
	assert_int_equal(made->last.tid, 71);
	assert_string_equal(made->thread_name, "");
}

#define TEST(name) cmocka_unit_test_setup_teardown(name, made_setup, made_teardown)

int main(void)
{
	const struct CMUnitTest tests[] = {
		TEST(test_await),
		TEST(test_pass_again),
		TEST(test_share),
		TEST(test_share_is_not_stale),
		TEST(test_created),
		TEST(test_ghost),
		TEST(test_incomplete_pass),
		TEST(test_created_after_the_pass),
		TEST(test_pass_before_creation),
		TEST(test_address_reused_after_creation),
		TEST(test_address_reused_unseen),
		TEST(test_record_older_than_creation),
		TEST(test_several_waiters),
		TEST(test_oldest_waiter),
		TEST(test_cycle),
		TEST(test_waits_for_itself),
		TEST(test_deep_chain),
		TEST(test_more_parts_than_room),
		TEST(test_how_the_chain_ended),
		TEST(test_not_shown),
		TEST(test_unknown_loop),
		TEST(test_loop_in_c),
	};

	return cmocka_run_group_tests(tests, NULL, NULL);
}
