/* SPDX-License-Identifier: Apache-2.0 */
/* Threads that are sampled get the names that Python knows, once, and again when they change. */
#include "collect/thread_names.h"

#include <setjmp.h>
#include <stdarg.h>
#include <stddef.h>
#include <stdint.h>

#include <cmocka.h>
#include <stdlib.h>
#include <string.h>
#include <unistd.h>

#include "collect/record.h"
#include "collect/target.h"
#include "unit/python/made_threads.h"

struct fixture {
	struct made made;
	struct made_thread threads[4];
	uint64_t interpreter;
	struct cs_target *targets, *target;
	struct cs_buf fresh, out;
};

static int setup(void **state)
{
	struct fixture *f = calloc(1, sizeof(*f));
	struct cs_target parent = {0};

	*state = f;
	made_begin(&f->made, 12);
	f->threads[0] = (struct made_thread){.ident = 0x7001, .native = 11, .name = "main"};
	f->threads[1] = (struct made_thread){.ident = 0x7002, .native = 12, .name = "w\xc3\xb6rk"};
	/* two greenlets of gevent's in the first one's thread */
	f->threads[2] = (struct made_thread){.ident = 0x5001, .native = 11, .name = "green"};
	f->threads[3] = (struct made_thread){.ident = 0x5002, .native = 11, .name = "let"};
	f->interpreter = made_interpreter(&f->made, f->threads, 4, 0);
	made_first(&f->made, f->interpreter);
	parent.interp = f->made.interp;
	if (cs_target_fork(&parent, getpid(), cs_now_ns(), &f->target))
		return -1;
	HASH_ADD_INT(f->targets, pid, f->target);
	return 0;
}

static int teardown(void **state)
{
	struct fixture *f = *state;

	HASH_DEL(f->targets, f->target);
	cs_target_free(f->target);
	cs_buf_free(&f->fresh);
	cs_buf_free(&f->out);
	made_end(&f->made);
	free(f);
	return 0;
}

static void sample(struct fixture *f, enum cs_ev_kind kind, pid_t pid, uint32_t tid)
{
	struct cs_ev_hdr *hdr =
		cs_record_begin(&f->fresh, kind, 1, pid, sizeof(struct cs_ev_stack), 0);

	hdr->tid = tid;
}

static void turn(struct fixture *f)
{
	f->out.len = 0;
	assert_int_equal(cs_thread_names_for(f->targets, &f->fresh, cs_now_ns(), &f->out), 0);
	f->fresh.len = 0;
}

/* As if so much time had gone by that names are wanted again. */
static void wait(struct fixture *f)
{
	f->target->thread_names.next_ns = 0;
	f->target->thread_names.rested_ns = 0;
}

/* Is there, from *at on, the record of that name? */
static void expect(const struct fixture *f, size_t *at, uint32_t tid, const char *name)
{
	const struct cs_ev_thread *ev = (const void *)(f->out.data + *at);

	assert_in_range(*at + sizeof(*ev), 0, f->out.len);
	assert_int_equal(ev->hdr.kind, CS_EV_THREAD);
	assert_int_equal(ev->hdr.pid, getpid());
	assert_int_equal(ev->hdr.tid, tid);
	assert_int_equal(ev->name_len, strlen(name));
	assert_memory_equal(ev->text, name, strlen(name));
	*at += ev->hdr.size;
}

/* Only of those that were sampled. */
static void test_met(void **state)
{
	struct fixture *f = *state;
	size_t at = 0;

	sample(f, CS_EV_STACK, getpid(), 11);
	turn(f);
	expect(f, &at, 11, "main");
	assert_int_equal(at, f->out.len);
	wait(f);
	sample(f, CS_EV_STACK, getpid(), 11);
	sample(f, CS_EV_SAME, getpid(), 12);
	turn(f);
	assert_int_equal(f->out.len, 0); /* one reading a turn: the second was met behind it */
	wait(f);
	sample(f, CS_EV_SAME, getpid(), 12);
	turn(f);
	at = 0;
	expect(f, &at, 12, "w\xc3\x83\xc2\xb6rk"); /* made of two Latin-1 characters */
	assert_int_equal(at, f->out.len);
}

static void test_renamed(void **state)
{
	struct fixture *f = *state;
	size_t at = 0;

	sample(f, CS_EV_STACK, getpid(), 11);
	turn(f);
	expect(f, &at, 11, "main");
	made_rename(&f->made, &f->threads[0], "busy");
	/* a reading costs time: not at every sample */
	sample(f, CS_EV_STACK, getpid(), 11);
	turn(f);
	assert_int_equal(f->out.len, 0);
	wait(f);
	sample(f, CS_EV_STACK, getpid(), 11);
	turn(f);
	at = 0;
	expect(f, &at, 11, "busy");
	wait(f);
	sample(f, CS_EV_STACK, getpid(), 11);
	turn(f);
	assert_int_equal(f->out.len, 0);
}

static void test_unknown(void **state)
{
	struct fixture *f = *state;

	sample(f, CS_EV_STACK, getpid(), 99);     /* none of Python's */
	sample(f, CS_EV_STACK, getpid() + 1, 11); /* not watched */
	sample(f, CS_EV_CODE, getpid(), 11);      /* no sample */
	turn(f);
	assert_int_equal(f->out.len, 0);
	f->target->interp.state = CS_INTERP_STARTING;
	wait(f);
	sample(f, CS_EV_STACK, getpid(), 11);
	turn(f);
	assert_int_equal(f->out.len, 0);
}

/* Of several that say to be one thread the first is it, unless only another one has a state. */
static void test_several(void **state)
{
	struct fixture *f = *state;
	size_t at = 0;

	for (int i = 0; i < 3; i++) {
		wait(f);
		sample(f, CS_EV_STACK, getpid(), 11);
		turn(f);
		if (!i)
			expect(f, &at, 11, "main");
		assert_int_equal(f->out.len, i ? 0 : at);
	}
	made_tstate(&f->made, f->interpreter, 0x5001);
	wait(f);
	sample(f, CS_EV_STACK, getpid(), 11);
	turn(f);
	at = 0;
	expect(f, &at, 11, "green");
	assert_int_equal(at, f->out.len);
	made_tstate(&f->made, f->interpreter, 0x7001);
	wait(f);
	sample(f, CS_EV_STACK, getpid(), 11);
	turn(f);
	at = 0;
	expect(f, &at, 11, "main");
	assert_int_equal(at, f->out.len);
}

/* Its threads are others' when it has become another program. */
static void test_clear(void **state)
{
	struct fixture *f = *state;
	size_t at = 0;

	for (unsigned int i = 0; i < 2; i++) {
		sample(f, CS_EV_STACK, getpid(), 11);
		turn(f);
		at = 0;
		expect(f, &at, 11, "main");
		cs_thread_names_clear(&f->target->thread_names);
	}
}

#define TEST(name) cmocka_unit_test_setup_teardown(name, setup, teardown)

int main(void)
{
	const struct CMUnitTest tests[] = {
		TEST(test_met),     TEST(test_renamed), TEST(test_unknown),
		TEST(test_several), TEST(test_clear),
	};

	return cmocka_run_group_tests(tests, NULL, NULL);
}
