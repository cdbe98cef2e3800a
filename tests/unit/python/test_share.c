/* SPDX-License-Identifier: Apache-2.0 */
/*
 * Which tasks a pass reads. That is a matter of chance; the bounds are some five standard deviations wide, so that each of these tests fails
 * less than once in a million runs if all is well.
 */
#include "python/share.h"

#include "test.h"

#define N 50000

/* What the entries below are apart, and how many of them lie in a piece of memory that is read together. */
#define ENTRY_BYTES 208
#define IN_A_PIECE  (1024.0 / ENTRY_BYTES)

/* Addresses as an allocator gives them: objects of one size, one beside the other. */
static uint64_t entry(size_t i)
{
	return 0x7f0000000000ull + i * ENTRY_BYTES;
}

/* Within five standard deviations. */
static bool is_near(double value, double expected, double variance)
{
	return (value - expected) * (value - expected) < 25 * variance;
}

static void few_are_all_read(void **state)
{
	struct cs_share share;

	cs_share_init(&share, N);
	for (int pass = 0; pass < 3; pass++) {
		cs_share_begin(&share, N);
		assert_int_equal(share.every, 1);
		assert_int_equal(share.cycles, pass);
		for (size_t i = 0; i < N; i++)
			assert_true(cs_share_has(&share, entry(i)));
		cs_share_end(&share);
	}
}

/* In a cycle each is read once, in parts of the same size. */
static void a_cycle_reads_each_once(void **state)
{
	static unsigned int times[N];
	struct cs_share share;

	cs_share_init(&share, N / 8);
	for (int pass = 0; pass < 3 * 8; pass++) {
		size_t n = 0;

		cs_share_begin(&share, N);
		assert_int_equal(share.every, 8);
		assert_int_equal(share.turn, pass % 8);
		assert_int_equal(share.cycles, pass / 8);
		for (size_t i = 0; i < N; i++) {
			bool has = cs_share_has(&share, entry(i));

			n += has;
			times[i] += has;
		}
		assert_true(is_near((double)n, N / 8.0, N * (1 / 8.0) * (7 / 8.0)));
		cs_share_end(&share);
	}
	for (size_t i = 0; i < N; i++)
		assert_int_equal(times[i], 3);
}

/* What could not be read is read next. */
static void a_part_that_failed_comes_again(void **state)
{
	struct cs_share share;
	uint64_t seed;

	cs_share_init(&share, 100);
	cs_share_begin(&share, 1000);
	cs_share_end(&share);
	cs_share_begin(&share, 1000);
	assert_int_equal(share.turn, 1);
	seed = share.seed;
	cs_share_begin(&share, 1000);
	assert_int_equal(share.turn, 1);
	assert_int_equal(share.seed, seed);
	cs_share_end(&share);
	cs_share_begin(&share, 1000);
	assert_int_equal(share.turn, 2);
}

/* A cycle whose parts have become too large or too small is none: what it did not meet may live. */
static void a_cycle_ends_early_without_being_one(void **state)
{
	static const size_t other[] = {10000, 50, 100};

	for (size_t i = 0; i < 3; i++) {
		struct cs_share share;

		cs_share_init(&share, 100);
		cs_share_begin(&share, 1000);
		cs_share_end(&share);
		cs_share_begin(&share, other[i]);
		assert_int_equal(share.turn, 0);
		assert_int_equal(share.cycles, 0);
		assert_int_equal(share.every, (other[i] + 99) / 100);
	}
}

/*
 * Whatever tasks have in common, a pass reads them in proportion: those that lie together, every seventh, a rare kind. In 400 cycles' first
 * passes the mean count of each kind is right, and it varies no more than if each were picked by itself, or than what lies in the pieces at the ends
 * of a row; that of those that are far apart no less.
 */
static void no_kind_is_preferred(void **state)
{
	enum { PASSES = 400, SHARE = 5, TASKS = 2000 };
	static const struct {
		size_t first, step, n;
		bool far; /* from one another: each is in another row of SHARE pieces */
	} kinds[] = {{0, 1, 1400, false}, {1400, 1, 600, false}, {0, 7, 286, false},
		     {3, 64, 31, false},  {11, 150, 13, true},   {1999, 1, 1, true}};

	for (size_t kind = 0; kind < sizeof(kinds) / sizeof(kinds[0]); kind++) {
		double expected = (double)kinds[kind].n / SHARE, sum = 0, squares = 0;
		double variance = expected * (1 - 1.0 / SHARE), mean;
		double in_a_piece = IN_A_PIECE / (double)kinds[kind].step;
		double ends = in_a_piece * in_a_piece / 2;
		double bound = variance > ends ? variance : ends;

		for (int pass = 0; pass < PASSES; pass++) {
			struct cs_share share;
			unsigned int n = 0;

			cs_share_init(&share, TASKS / SHARE);
			cs_share_begin(&share, TASKS);
			for (size_t i = 0; i < kinds[kind].n; i++)
				n += cs_share_has(&share,
						  entry(kinds[kind].first + i * kinds[kind].step));
			sum += n;
			squares += (n - expected) * (n - expected);
		}
		mean = sum / PASSES;
		assert_true(is_near(mean, expected, bound / PASSES));
		assert_true(squares / PASSES < 1.6 * bound);
		assert_true(!kinds[kind].far || squares / PASSES > variance / 1.8);
	}
}

/* Of tasks that lie side by side a pass reads whole pieces of memory. */
static void neighbours_come_together(void **state)
{
	enum { SHARE = 10 };
	struct cs_share share;
	size_t pieces = 0, n = 0, last = 0;

	cs_share_init(&share, N / SHARE);
	cs_share_begin(&share, N);
	for (size_t i = 0; i < N; i++) {
		size_t piece = entry(i) >> 10;

		if (!cs_share_has(&share, entry(i)))
			continue;
		n++;
		pieces += piece != last;
		last = piece;
	}
	assert_in_range(n, N / SHARE - 40, N / SHARE + 40);
	assert_in_range(n / pieces, (size_t)IN_A_PIECE - 1, (size_t)IN_A_PIECE + 1);
}

int main(void)
{
	const struct CMUnitTest tests[] = {
		cmocka_unit_test(few_are_all_read),
		cmocka_unit_test(a_cycle_reads_each_once),
		cmocka_unit_test(a_part_that_failed_comes_again),
		cmocka_unit_test(a_cycle_ends_early_without_being_one),
		cmocka_unit_test(no_kind_is_preferred),
		cmocka_unit_test(neighbours_come_together),
	};

	return cmocka_run_group_tests(tests, NULL, NULL);
}
