/* SPDX-License-Identifier: Apache-2.0 */
/* How long what became ready waited for its loop. */
#include <setjmp.h>
#include <stdarg.h>
#include <stddef.h>
#include <stdint.h>

#include <cmocka.h>
#include <stdlib.h>

#include "stitch/waits.h"
#include "unit/stitch/made_loop.h"

/* The share of what becomes ready in watched ms that waits longer than x, by its definition. */
static double share_above(const uint64_t *holds, size_t n, double watched, double x)
{
	double sum = 0;

	for (size_t i = 0; i < n; i++)
		sum += (double)holds[i] > x ? (double)holds[i] - x : 0;
	return sum / watched;
}

static void test_waits(void **state)
{
	static const double quantiles[] = {0.5, 0.9, 0.99, 0.999};
	struct cs_waits waits = {0};
	uint64_t holds[500], sum = 0, random = 1;

	assert_int_equal(cs_waits_quantile(&waits, 1000 * MS, 0.5), 0);
	assert_int_equal(cs_waits_quantile(&waits, 0, 0.99), 0);
	for (size_t i = 0; i < ARRAY_SIZE(holds); i++) {
		random = random * 6364136223846793005ull + 1442695040888963407ull;
		holds[i] = 2 + (random >> 40) % 30 * ((random >> 50) % 30);
		sum += holds[i];
		cs_waits_add(&waits, holds[i] * MS);
	}
	for (size_t i = 0; i < ARRAY_SIZE(quantiles); i++) {
		double x = (double)cs_waits_quantile(&waits, sum * 3 / 2 * MS, quantiles[i]) / MS;
		double share = 1 - quantiles[i];

		assert_true(x > 0);
		/* classes are a fifth wide: so exact is the wait */
		assert_true(share_above(holds, ARRAY_SIZE(holds), (double)sum * 1.5, x * 1.1) <
			    share);
		assert_true(share_above(holds, ARRAY_SIZE(holds), (double)sum * 1.5, x * 0.9) >
			    share);
	}
	assert_int_equal(cs_waits_quantile(&waits, sum * 3 * MS, 0.5), 0);
	cs_waits_add(&waits, UINT64_MAX);
	assert_true(cs_waits_quantile(&waits, UINT64_MAX, 0.01) > 0);
}

int main(void)
{
	const struct CMUnitTest tests[] = {
		cmocka_unit_test(test_waits),
	};

	return cmocka_run_group_tests(tests, NULL, NULL);
}
