/* SPDX-License-Identifier: Apache-2.0 */
/* What answers mean, and how long is waited. */
#include <setjmp.h>
#include <stdarg.h>
#include <stddef.h>
#include <stdint.h>

#include <cmocka.h>

#include "core/cleanup.h"
#include "deliver/retry.h"

static void test_judge(void **state)
{
	static const int later[] = {0, 408, 429, 500, 502, 503, 504, 599};
	static const int refused[] = {100, 199, 300, 301, 307, 400, 401, 403,
				      404, 413, 415, 422, 499, 501, 505};

	for (int status = 200; status < 300; status++)
		assert_int_equal(cs_retry_judge(status), CS_TAKEN);
	for (size_t i = 0; i < ARRAY_SIZE(later); i++)
		assert_int_equal(cs_retry_judge(later[i]), CS_LATER);
	for (size_t i = 0; i < ARRAY_SIZE(refused); i++)
		assert_int_equal(cs_retry_judge(refused[i]), CS_REFUSED);
}

static void test_wait(void **state)
{
	static const uint64_t seconds[] = {1, 2, 4, 8, 16, 32, 60, 60, 60};

	for (unsigned int i = 0; i < ARRAY_SIZE(seconds); i++) {
		assert_int_equal(cs_retry_wait_ns(i + 1, 0), seconds[i] * 1000000000);
		assert_in_range(cs_retry_wait_ns(i + 1, UINT32_MAX), seconds[i] * 500000000,
				seconds[i] * 500000000 + 100);
		assert_in_range(cs_retry_wait_ns(i + 1, 1u << 31), seconds[i] * 750000000,
				seconds[i] * 750000000);
	}
	assert_int_equal(cs_retry_wait_ns(UINT32_MAX, 0), 60000000000);
}

int main(void)
{
	const struct CMUnitTest tests[] = {cmocka_unit_test(test_judge),
					   cmocka_unit_test(test_wait)};

	return cmocka_run_group_tests(tests, NULL, NULL);
}
