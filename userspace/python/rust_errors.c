/* SPDX-License-Identifier: Apache-2.0 */
/*
 * Which 32 bits of a Rust span are its error. The kernel side shows spans as they are when they begin and when they end, in the midst of that, and says of which
 * ddtrace's own __exit__ was called with an exception: 0 in all that begin, 1 in all that it was, 0 or 1 in all others that end. Those may have been marked by
 * hand, so a 1 tells nothing there; but what never is a 0 in any of them says that a span has ended, not how.
 */
#include "python/rust_private.h"

/* So many lessons are looked at, whatever they say. */
#define MAX_LESSONS 20000
/* After so many spans that ended, none of which left a field that is ever 0, something was not what it seemed. */
#define HOPELESS    64

static bool is_out(const struct cs_rust_errors *errors, unsigned int half)
{
	return errors->out[half / 64] >> half % 64 & 1;
}

static bool fits(enum cs_lesson lesson, uint32_t value)
{
	switch (lesson) {
	case CS_LESSON_BEGUN:
		return !value;
	case CS_LESSON_FAILED:
		return value == 1;
	default:
		return value <= 1;
	}
}

uint16_t cs_rust_error(const struct cs_rust *rust)
{
	const struct cs_rust_errors *errors = &rust->errors;
	uint16_t found = 0;

	if (errors->n[CS_LESSON_BEGUN] < CS_RUST_ENOUGH ||
	    errors->n[CS_LESSON_FAILED] < CS_RUST_ENOUGH ||
	    errors->nconflicts >= CS_RUST_MAX_CONFLICTS)
		return 0;
	for (unsigned int half = 4; half < 2 * rust->words; half++) {
		if (is_out(errors, half) || !errors->zeros[half])
			continue;
		if (found || errors->zeros[half] < CS_RUST_ENOUGH)
			return 0;
		found = (uint16_t)(4 * half);
	}
	return found;
}

bool cs_rust_wants_lessons(const struct cs_rust *rust)
{
	return rust->words && !rust->span.error && rust->errors.nlessons < MAX_LESSONS &&
	       rust->errors.nconflicts < CS_RUST_MAX_CONFLICTS;
}

/* Fields that may be the error. */
static unsigned int candidates(const struct cs_rust *rust)
{
	unsigned int n = 0;

	for (unsigned int half = 4; half < 2 * rust->words; half++)
		n += !is_out(&rust->errors, half) && rust->errors.zeros[half];
	return n;
}

static void begin_anew(struct cs_rust_errors *errors, bool conflict)
{
	*errors = (struct cs_rust_errors){.nlessons = errors->nlessons,
					  .nconflicts = errors->nconflicts + conflict};
}

bool cs_rust_learn(struct cs_rust *rust, const struct cs_ev_span_lesson *told)
{
	struct cs_rust_errors *errors = &rust->errors;
	enum cs_lesson lesson = told->hdr.flags;
	uint16_t before = cs_rust_error(rust);
	bool hoped = candidates(rust);

	if (!cs_rust_wants_lessons(rust) || told->nwords < rust->words ||
	    lesson < CS_LESSON_BEGUN || lesson > CS_LESSON_FAILED)
		return false;
	errors->nlessons++;
	errors->n[lesson]++;
	for (unsigned int half = 4; half < 2 * rust->words; half++) {
		uint32_t value = (uint32_t)(told->words[half / 2] >> 32 * (half % 2));

		if (!fits(lesson, value))
			errors->out[half / 64] |= 1ull << half % 64;
		else if (lesson == CS_LESSON_ENDED && !value)
			errors->zeros[half] += errors->zeros[half] < CS_RUST_ENOUGH;
	}
	if (!candidates(rust) && (hoped || errors->n[CS_LESSON_ENDED] >= HOPELESS))
		begin_anew(errors, hoped);
	return cs_rust_error(rust) != before;
}
