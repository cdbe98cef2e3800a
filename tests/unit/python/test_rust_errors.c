/* SPDX-License-Identifier: Apache-2.0 */
/* Lessons of spans that are Rust objects: when it is certain where their error is, what is not taken for it, and what contradicts. */
#include <string.h>

#include "core/cleanup.h"
#include "python/rust_private.h"
#include "test.h"

#define WORDS 44
/* Halves of words, as offsets in bytes. */
enum {
	ENDED = 16, /* as in a real span: 1 when it has ended */
	DURATION = 24,
	HAS_PARENT = 36,
	SAMPLED = 40, /* 1 at the end of most */
	COUNT = 44,   /* 0 at first, then any number */
	ERROR = 316,  /* the upper half of a word whose lower one is never the same */
};

static struct cs_rust rust;
static unsigned int nspans;

static void set(struct cs_ev_span_lesson *lesson, unsigned int at, uint32_t value)
{
	memcpy((char *)lesson->words + at, &value, sizeof(value));
}

static bool learn(enum cs_lesson kind, uint32_t error, bool sampled)
{
	struct cs_ev_span_lesson lesson = {.hdr.flags = (uint16_t)kind, .nwords = WORDS};
	bool ended = kind != CS_LESSON_BEGUN;

	nspans++;
	set(&lesson, ERROR - 4, 0x1000 + nspans);
	set(&lesson, ENDED, ended);
	set(&lesson, DURATION, ended ? 1000 + nspans : 0);
	set(&lesson, HAS_PARENT, 1);
	set(&lesson, SAMPLED, ended && sampled);
	set(&lesson, COUNT, ended ? nspans % 3 : 0);
	set(&lesson, ERROR, error);
	return cs_rust_learn(&rust, &lesson);
}

static int begin(void **state)
{
	(void)state;
	rust = (struct cs_rust){.words = WORDS};
	nspans = 0;
	return 0;
}

static void learn_all(void)
{
	for (int i = 0; i < 4; i++) {
		learn(CS_LESSON_BEGUN, 0, false);
		learn(CS_LESSON_ENDED, 0, true);
		learn(CS_LESSON_ENDED, 0, false);
		learn(CS_LESSON_FAILED, 1, i % 2);
	}
}

/* It takes several of each kind, and then the one that makes it certain says so. */
static void certain(void **state)
{
	unsigned int changed = 0;

	for (int i = 0; i < 3; i++)
		changed += learn(CS_LESSON_BEGUN, 0, false) + learn(CS_LESSON_ENDED, 0, i) +
			   learn(CS_LESSON_ENDED, 0, false);
	assert_int_equal(cs_rust_error(&rust), 0);
	for (int i = 0; i < 3; i++) {
		assert_int_equal(cs_rust_error(&rust), 0);
		changed += learn(CS_LESSON_FAILED, 1, i % 2);
	}
	assert_int_equal(changed, 1);
	assert_int_equal(cs_rust_error(&rust), ERROR);
	assert_true(cs_rust_wants_lessons(&rust));
}

/* Of what is in all that failed, and in some others, as many as there are: none is told apart. */
static void rivals(void **state)
{
	for (int i = 0; i < 4; i++) {
		learn(CS_LESSON_BEGUN, 0, false);
		learn(CS_LESSON_ENDED, 0, i < 2);
		learn(CS_LESSON_FAILED, 1, true);
	}
	assert_int_equal(cs_rust_error(&rust), 0);
	/* one that failed and has it not */
	assert_true(learn(CS_LESSON_FAILED, 1, false));
	assert_int_equal(cs_rust_error(&rust), ERROR);
}

/* Programs mark spans themselves: that speaks neither for it nor against it. */
static void marked_by_hand(void **state)
{
	for (int i = 0; i < 10; i++)
		learn(CS_LESSON_ENDED, 1, true);
	assert_int_equal(cs_rust_error(&rust), 0);
	learn_all();
	assert_int_equal(cs_rust_error(&rust), ERROR);
	assert_false(learn(CS_LESSON_ENDED, 1, true));
	assert_int_equal(cs_rust_error(&rust), ERROR);
}

/* Whatever kind of lesson says otherwise: it is not known any more, and is learned again. */
static void contradicted(void **state)
{
	const struct {
		enum cs_lesson kind;
		uint32_t error;
	} cases[] = {{CS_LESSON_BEGUN, 1}, {CS_LESSON_FAILED, 0}, {CS_LESSON_ENDED, 2}};

	for (size_t i = 0; i < ARRAY_SIZE(cases); i++) {
		begin(NULL);
		learn_all();
		assert_int_equal(cs_rust_error(&rust), ERROR);
		assert_true(learn(cases[i].kind, cases[i].error, i % 2));
		assert_int_equal(cs_rust_error(&rust), 0);
		assert_int_equal(rust.errors.nconflicts, 1);
		learn_all();
		assert_int_equal(cs_rust_error(&rust), ERROR);
	}
}

static void contradicted_often(void **state)
{
	for (int i = 0; i < 32; i++) {
		assert_true(cs_rust_wants_lessons(&rust));
		learn_all();
		learn(CS_LESSON_FAILED, 0, false);
	}
	assert_false(cs_rust_wants_lessons(&rust));
	learn_all();
	assert_int_equal(cs_rust_error(&rust), 0);
}

/* The first that failed was not what it seemed: without anything that could be it all begins anew after a while. */
static void misled(void **state)
{
	learn(CS_LESSON_FAILED, 0, false);
	for (int i = 0; i < 64; i++)
		learn(CS_LESSON_ENDED, 0, true);
	learn_all();
	assert_int_equal(cs_rust_error(&rust), ERROR);
}

/* Of another class, or forged. */
static void not_lessons(void **state)
{
	struct cs_ev_span_lesson lesson = {.hdr.flags = CS_LESSON_ENDED, .nwords = WORDS - 1};

	assert_false(cs_rust_learn(&rust, &lesson));
	lesson.nwords = WORDS;
	lesson.hdr.flags = CS_LESSON_FAILED + 1;
	assert_false(cs_rust_learn(&rust, &lesson));
	lesson.hdr.flags = CS_LESSON_NONE;
	assert_false(cs_rust_learn(&rust, &lesson));
	assert_int_equal(rust.errors.nlessons, 0);
	/* where it is a slot there is nothing to learn */
	rust.span.error = 24;
	assert_false(cs_rust_wants_lessons(&rust));
	learn_all();
	assert_int_equal(cs_rust_error(&rust), 0);
}

/* What is certain is in the class that the kernel side gets, with all else. */
static void told(void **state)
{
	struct cs_span_class class;
	char text[CS_RUST_TEXT];

	rust.span = (struct cs_span_class){.type = 1, .ended = 8, .trace_id = 16};
	rust.id = (struct cs_rust_field){.left = 1ull << 5, .witnesses = CS_RUST_ENOUGH};
	assert_true(cs_rust_span(&rust, &class));
	assert_int_equal(class.rust & (CS_RUST_ERROR | CS_RUST_LESSONS), CS_RUST_LESSONS);
	assert_int_equal(class.error, 0);
	cs_rust_tell(&rust, text, sizeof(text));
	assert_non_null(strstr(text, "errors not yet"));
	learn_all();
	assert_true(cs_rust_span(&rust, &class));
	assert_int_equal(class.rust & (CS_RUST_ERROR | CS_RUST_LESSONS),
			 CS_RUST_ERROR | CS_RUST_LESSONS);
	assert_int_equal(class.error, ERROR);
	assert_true(class.bytes >= ERROR + 4);
	cs_rust_tell(&rust, text, sizeof(text));
	assert_null(strstr(text, "errors not yet"));
}

int main(void)
{
	const struct CMUnitTest tests[] = {
		cmocka_unit_test_setup(certain, begin),
		cmocka_unit_test_setup(rivals, begin),
		cmocka_unit_test_setup(marked_by_hand, begin),
		cmocka_unit_test_setup(contradicted, begin),
		cmocka_unit_test_setup(contradicted_often, begin),
		cmocka_unit_test_setup(misled, begin),
		cmocka_unit_test_setup(not_lessons, begin),
		cmocka_unit_test_setup(told, begin),
	};

	return cmocka_run_group_tests(tests, NULL, NULL);
}
