/* SPDX-License-Identifier: Apache-2.0 */
/* Rows to a text, and what is refused. */
#include <setjmp.h>
#include <stdarg.h>
#include <stddef.h>
#include <stdint.h>

#include <cmocka.h>
#include <errno.h>
#include <math.h>
#include <string.h>

#include "core/cleanup.h"
#include "serve/metrics.h"

static const struct cs_metric samples = {"a_samples_total", CS_METRIC_COUNTER, "All \\ of\nthem."};
static const struct cs_metric memory = {"a_memory_bytes", CS_METRIC_GAUGE, "Memory."};

static int add(struct cs_metrics *metrics, const struct cs_metric *metric, const char *name,
	       const char *value, double number)
{
	const struct cs_metric_label label = {name, value};

	return cs_metrics_add(metrics, metric, &label, name ? 1 : 0, number);
}

static void check(const struct cs_metrics *metrics, const char *expected)
{
	_cleanup_buf_ struct cs_buf text = {0};

	assert_int_equal(cs_metrics_write(metrics, &text), 0);
	assert_string_equal(cs_buf_str(&text), expected);
}

static void test_text(void **state)
{
	_cleanup_(cs_metrics_freep) struct cs_metrics *metrics = NULL;

	assert_int_equal(cs_metrics_new(&metrics), 0);
	check(metrics, "");
	/* in any order */
	assert_int_equal(add(metrics, &samples, "reason", "full", 3), 0);
	assert_int_equal(add(metrics, &memory, NULL, NULL, 0.5), 0);
	assert_int_equal(add(metrics, &samples, "reason", "a\"\\\n\xff\xc3\xbc", 4), 0);
	check(metrics, "# HELP a_samples_total All \\\\ of\\nthem.\n"
		       "# TYPE a_samples_total counter\n"
		       "a_samples_total{reason=\"full\"} 3\n"
		       "a_samples_total{reason=\"a\\\"\\\\\\n\xef\xbf\xbd\xc3\xbc\"} 4\n"
		       "# HELP a_memory_bytes Memory.\n"
		       "# TYPE a_memory_bytes gauge\n"
		       "a_memory_bytes 0.5\n");
}

static void test_numbers(void **state)
{
	static const struct {
		double number;
		const char *text;
	} cases[] = {
		{0, "0"},
		{-1, "-1"},
		{1e15, "1000000000000000"},
		{0.1, "0.10000000000000001"},
		{NAN, "NaN"},
		{INFINITY, "+Inf"},
		{-INFINITY, "-Inf"},
		{1e300, "1.0000000000000001e+300"},
	};

	for (size_t i = 0; i < ARRAY_SIZE(cases); i++) {
		_cleanup_(cs_metrics_freep) struct cs_metrics *metrics = NULL;
		_cleanup_buf_ struct cs_buf text = {0};

		assert_int_equal(cs_metrics_new(&metrics), 0);
		assert_int_equal(add(metrics, &memory, NULL, NULL, cases[i].number), 0);
		assert_int_equal(cs_buf_printf(&text,
					       "# HELP a_memory_bytes Memory.\n# TYPE "
					       "a_memory_bytes gauge\na_memory_bytes %s\n",
					       cases[i].text),
				 0);
		check(metrics, cs_buf_str(&text));
	}
}

static void test_refused(void **state)
{
	static const char *const names[] = {"", "1a", "a-b", "a b", "a{", "\xc3\xbc"};
	static const char *const labels[] = {"", "1a", "a-b", "a:b", "__name__", "a\"="};
	const struct cs_metric counter = {"a_samples", CS_METRIC_COUNTER, ""};
	const struct cs_metric other = {"a_samples_total", CS_METRIC_GAUGE, ""};
	const struct cs_metric_label twice[] = {{"a", "1"}, {"a", "2"}};
	_cleanup_(cs_metrics_freep) struct cs_metrics *metrics = NULL;

	assert_int_equal(cs_metrics_new(&metrics), 0);
	for (size_t i = 0; i < ARRAY_SIZE(names); i++) {
		const struct cs_metric metric = {names[i], CS_METRIC_GAUGE, ""};

		assert_int_equal(cs_metrics_add(metrics, &metric, NULL, 0, 1), -EINVAL);
	}
	for (size_t i = 0; i < ARRAY_SIZE(labels); i++)
		assert_int_equal(add(metrics, &memory, labels[i], "x", 1), -EINVAL);
	assert_int_equal(cs_metrics_add(metrics, &memory, twice, 2, 1), -EINVAL);
	assert_int_equal(cs_metrics_add(metrics, &counter, NULL, 0, 1), -EINVAL);
	check(metrics, "");
	assert_int_equal(add(metrics, &samples, "a", "1", 1), 0);
	assert_int_equal(add(metrics, &samples, "a", "1", 2), -EEXIST);
	assert_int_equal(add(metrics, &other, "a", "2", 1), -EINVAL);
	check(metrics, "# HELP a_samples_total All \\\\ of\\nthem.\n# TYPE a_samples_total "
		       "counter\na_samples_total{a=\"1\"} 1\n");
}

int main(void)
{
	const struct CMUnitTest tests[] = {
		cmocka_unit_test(test_text),
		cmocka_unit_test(test_numbers),
		cmocka_unit_test(test_refused),
	};

	return cmocka_run_group_tests(tests, NULL, NULL);
}
