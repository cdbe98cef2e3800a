/* SPDX-License-Identifier: Apache-2.0 */
/* When it is asked whose a process is: at once, with ease when it has lived for a while; and never said in the turn in which it was found out. */
#include "collect/owners.h"

#include <setjmp.h>
#include <stdarg.h>
#include <stddef.h>
#include <stdint.h>

#include <cmocka.h>
#include <coroscope/event.h>
#include <stdlib.h>
#include <unistd.h>

#include "collect/record.h"
#include "collect/target.h"

#define SECOND 1000000000ull

struct fixture {
	struct cs_book *book;
	struct cs_target *targets, *target; /* this process */
	struct cs_buf out;
	uint64_t now_ns;
};

static int setup(void **state)
{
	struct fixture *f = calloc(1, sizeof(*f));

	*state = f;
	f->now_ns = cs_now_ns();
	if (cs_book_new(NULL, &f->book) || cs_target_new(getpid(), f->now_ns, &f->target))
		return -1;
	HASH_ADD_INT(f->targets, pid, f->target);
	return 0;
}

static int teardown(void **state)
{
	struct fixture *f = *state;

	HASH_DEL(f->targets, f->target);
	cs_target_free(f->target);
	cs_book_free(f->book);
	cs_buf_free(&f->out);
	free(f);
	return 0;
}

/* A turn so much later. Returns how many records it told. */
static unsigned int turn(struct fixture *f, uint64_t later_ns)
{
	unsigned int n = 0;

	f->now_ns += later_ns;
	f->out.len = 0;
	assert_int_equal(cs_target_owners_turn(f->book, f->targets, f->now_ns, &f->out), 0);
	for (size_t at = 0; at < f->out.len; n++) {
		const struct cs_ev_hdr *record = (const void *)(f->out.data + at);

		assert_int_equal(record->kind, CS_EV_WHOSE);
		assert_int_equal(record->pid, getpid());
		at += record->size;
	}
	return n;
}

static void test_at_once(void **state)
{
	struct fixture *f = *state;

	assert_int_equal(turn(f, 0), 0); /* an exec may not have been told yet */
	assert_int_equal(turn(f, 0), 1);
	assert_int_equal(turn(f, 0), 0);
	assert_in_range(f->target->owner.next_ns - f->now_ns, 1, SECOND);
}

static void test_with_ease(void **state)
{
	struct fixture *f = *state;
	uint64_t old_ns = cs_ease_stranger_ns(16);

	f->target->ease = 16;
	assert_int_equal(turn(f, 0), 0);
	assert_int_equal(turn(f, old_ns - 1), 0);
	assert_int_equal(f->target->owner.revision, 0);
	assert_int_equal(turn(f, 1), 0);
	assert_int_equal(turn(f, 1), 1);
	assert_in_range(f->target->owner.next_ns - f->now_ns, 29 * SECOND, 30 * SECOND);
}

/* The pause is over: another program is another process to be looked at. */
static void test_forgotten(void **state)
{
	struct fixture *f = *state;

	f->target->ease = 16;
	turn(f, cs_ease_stranger_ns(16));
	cs_target_forget(f->target, f->now_ns);
	assert_int_equal(turn(f, 1), 0);
	assert_int_equal(turn(f, 1), 0);
	turn(f, cs_ease_stranger_ns(16));
	assert_int_equal(turn(f, 1), 1);
}

int main(void)
{
	const struct CMUnitTest tests[] = {
		cmocka_unit_test_setup_teardown(test_at_once, setup, teardown),
		cmocka_unit_test_setup_teardown(test_with_ease, setup, teardown),
		cmocka_unit_test_setup_teardown(test_forgotten, setup, teardown),
	};

	return cmocka_run_group_tests(tests, NULL, NULL);
}
