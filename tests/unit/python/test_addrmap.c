/* SPDX-License-Identifier: Apache-2.0 */
/* The map from addresses to values. */
#include "python/addrmap.h"

#include "test.h"

static void keeps_the_first_value(void **state)
{
	struct cs_addrmap map = {0};
	uint64_t value;

	assert_false(cs_addrmap_get(&map, 16, &value));
	assert_int_equal(cs_addrmap_reset(&map, 2), 0);
	assert_true(cs_addrmap_add(&map, 16, 1));
	assert_false(cs_addrmap_add(&map, 16, 2));
	assert_false(cs_addrmap_add(&map, 0, 3));
	assert_true(cs_addrmap_get(&map, 16, &value));
	assert_int_equal(value, 1);
	assert_false(cs_addrmap_get(&map, 32, &value));
	assert_false(cs_addrmap_get(&map, 0, &value));
	cs_addrmap_free(&map);
}

static void grows_and_empties(void **state)
{
	struct cs_addrmap map = {0};
	uint64_t value;

	for (size_t n = 1; n < 5000; n *= 3) {
		assert_int_equal(cs_addrmap_reset(&map, n), 0);
		assert_false(cs_addrmap_get(&map, 4096, &value));
		for (size_t i = 1; i <= n; i++)
			assert_true(cs_addrmap_add(&map, i * 4096, i));
		for (size_t i = 1; i <= n; i++) {
			assert_true(cs_addrmap_get(&map, i * 4096, &value));
			assert_int_equal(value, i);
		}
		assert_int_equal(map.n, n);
	}
	cs_addrmap_free(&map);
}

static void is_never_overfilled(void **state)
{
	struct cs_addrmap map = {0};
	size_t n = 0;

	assert_int_equal(cs_addrmap_reset(&map, 1), 0);
	while (cs_addrmap_add(&map, (n + 1) * 8, n))
		n++;
	assert_true(n >= 1 && n <= map.nslots / 2);
	cs_addrmap_free(&map);
}

int main(void)
{
	const struct CMUnitTest tests[] = {
		cmocka_unit_test(keeps_the_first_value),
		cmocka_unit_test(grows_and_empties),
		cmocka_unit_test(is_never_overfilled),
	};

	return cmocka_run_group_tests(tests, NULL, NULL);
}
