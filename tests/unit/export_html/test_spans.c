/* SPDX-License-Identifier: Apache-2.0 */
/* What the HTML page is told about spans: which there are, what is known of them, and whose each sample is. */
#include <stdarg.h>
#include <stddef.h>
#include <stdint.h>
#include <setjmp.h>
#include <cmocka.h>

#include <jansson.h>
#include <stdlib.h>
#include <string.h>

#include "core/cleanup.h"
#include "export/html_rows.h"
#include "export/html_trees.h"
#include "unit/export_html/made_up.h"

static void write_trees(const struct cs_profile *profile, struct cs_buf *text)
{
	struct cs_json json = {.out = text};

	cs_json_raw(&json, "{");
	assert_int_equal(cs_html_trees(&json, profile), 0);
	cs_json_raw(&json, "}");
	assert_int_equal(json.err, 0);
}

static json_t *json_of(const struct cs_profile *profile)
{
	_cleanup_buf_ struct cs_buf text = {0};
	json_error_t error;
	json_t *json;

	write_trees(profile, &text);
	json = json_loads(cs_buf_str(&text), JSON_ALLOW_NUL, &error);
	if (!json)
		fail_msg("line %d: %s", error.line, error.text);
	return json;
}

static json_t *member(json_t *json, const char *name)
{
	return json_object_get(json_object_get(json, "spans"), name);
}

static const char *text(json_t *json, json_t *index)
{
	return json_string_value(
		json_array_get(member(json, "texts"), (size_t)json_integer_value(index)));
}

/* With its texts in place of their indices, at these places. */
static char *resolved(json_t *json, json_t *row, const char *places)
{
	json_t *copy = json_copy(row);
	char *dump;

	for (; *places; places++) {
		size_t at = (size_t)(*places - 'a');

		json_array_set_new(copy, at, json_string(text(json, json_array_get(row, at))));
	}
	dump = json_dumps(copy, JSON_COMPACT);
	json_decref(copy);
	return dump;
}

static void assert_row(json_t *json, const char *name, size_t i, const char *places,
		       const char *expected)
{
	_cleanup_free_ char *seen = resolved(json, json_array_get(member(json, name), i), places);

	assert_string_equal(seen, expected);
}

static void test_rows(void **state)
{
	static const char places[] = "dfghijkm";
	_cleanup_(cs_profile_freep) struct cs_profile *profile = NULL;
	json_t *json;

	assert_int_equal(made_up_spans(&profile, false), 0);
	json = json_of(profile);
	assert_int_equal(json_array_size(member(json, "rows")), 6);
	/* a child of the root that failed, with its begin and end since the first moment of all */
	assert_row(
		json, "rows", 2, places,
		"[\"00000000000000a3\",0,0,\"000000000000000000000000000000aa\",4711,\"shop\","
		"\"GET /items\",\"postgres.query\",\"SELECT us\",\"\",\"sql\",4711,\"\",2,55000,175000]");
	/* one that no sample met: its endpoint is its root's resource */
	assert_row(
		json, "rows", 3, places,
		"[\"00000000000000a4\",0,2,\"000000000000000000000000000000aa\",4711,\"shop\","
		"\"GET /items\",\"cache.get\",\"GET price\",\"\",\"cache\",4711,\"\",0,172000,174000]");
	/* one of which only samples tell: nothing is made up */
	assert_row(json, "rows", 5, places,
		   "[\"00000000000000c1\",-1,-1,\"000000000000000000000000000000cc\",4712,\"jobs\","
		   "\"\",\"\",\"\",\"\",\"\",0,\"\",0,null,null]");
	json_decref(json);
}

/* Every sample's time is in exactly one part, with its labels. */
static void test_parts(void **state)
{
	_cleanup_(cs_profile_freep) struct cs_profile *profile = NULL;
	uint64_t self = 0, samples = 0, items = 0;
	json_t *json, *parts;

	assert_int_equal(made_up_spans(&profile, false), 0);
	json = json_of(profile);
	parts = json_object_get(json_object_get(json_object_get(json, "trees"), "await"), "parts");
	for (size_t k = 0; k < json_array_size(parts); k += 4) {
		json_t *labels =
			json_array_get(member(json, "labels"),
				       (size_t)json_integer_value(json_array_get(parts, k + 1)));
		uint64_t ns = (uint64_t)json_integer_value(json_array_get(parts, k + 2));

		self += ns;
		samples += (uint64_t)json_integer_value(json_array_get(parts, k + 3));
		if (!strcmp(text(json, json_array_get(labels, 1)), "GET /items"))
			items += ns;
	}
	assert_int_equal(self, 1460000000);
	assert_int_equal(samples, 146);
	assert_int_equal(items, (40 + 160 + 50 + 90 + 20) * 1000000);
	/* without a span and with the first service in the order of text; then the spans in their order */
	assert_int_equal(json_array_size(member(json, "labels")), 7);
	assert_row(json, "labels", 0, "abde", "[\"shop\",\"\",-1,\"\",\"\",10000]");
	assert_row(json, "labels", 3, "abde",
		   "[\"shop\",\"GET /items\",2,\"query-us\",\"\",70000]");
	assert_row(json, "labels", 6, "abde", "[\"jobs\",\"\",5,\"\",\"MainThread\",310000]");
	json_decref(json);
}

static void test_bytes_do_not_depend_on_the_order(void **state)
{
	_cleanup_buf_ struct cs_buf one = {0};
	_cleanup_buf_ struct cs_buf other = {0};

	for (int backwards = 0; backwards < 2; backwards++) {
		_cleanup_(cs_profile_freep) struct cs_profile *profile = NULL;

		assert_int_equal(made_up_spans(&profile, backwards), 0);
		write_trees(profile, backwards ? &other : &one);
	}
	assert_string_equal(cs_buf_str(&one), cs_buf_str(&other));
}

/* What has no room is said, and its samples' endpoint is still told; what failed always has room. */
static void test_many(void **state)
{
	_cleanup_(cs_profile_freep) struct cs_profile *profile = NULL;
	const uint32_t n = CS_HTML_MAX_SPANS + 20000;
	uint64_t errors = 0, odd = 0;
	json_t *json, *parts, *row;
	size_t i;

	assert_int_equal(made_up_many_spans(&profile, n), 0);
	cs_profile_add_traced_dropped(profile, 7);
	json = json_of(profile);
	assert_int_equal(json_array_size(member(json, "rows")), CS_HTML_MAX_SPANS);
	json_array_foreach(member(json, "rows"), i, row) errors +=
		json_integer_value(json_array_get(row, 13)) == CS_OUTCOME_ERROR;
	assert_int_equal(errors, n / 10);
	assert_int_equal(json_integer_value(json_array_get(member(json, "left"), 0)),
			 n - CS_HTML_MAX_SPANS);
	/* half of all had samples, of 10 ms each: 4,000 of them found no room beside the failed ones */
	assert_int_equal(json_integer_value(json_array_get(member(json, "left"), 1)),
			 4000ull * 10000000);
	assert_int_equal(json_integer_value(json_array_get(member(json, "left"), 2)), 7);
	parts = json_object_get(json_object_get(json_object_get(json, "trees"), "await"), "parts");
	for (size_t k = 0; k < json_array_size(parts); k += 4) {
		json_t *labels =
			json_array_get(member(json, "labels"),
				       (size_t)json_integer_value(json_array_get(parts, k + 1)));

		if (!strcmp(text(json, json_array_get(labels, 1)), "GET /odd"))
			odd += (uint64_t)json_integer_value(json_array_get(parts, k + 2));
	}
	assert_int_equal(odd, n / 2 * 10000000ull);
	json_decref(json);
}

/* Foreign ids and texts: hostile ones are written as what they are. */
static void test_hostile(void **state)
{
	_cleanup_(cs_profile_freep) struct cs_profile *profile = NULL;
	json_t *json;

	assert_int_equal(made_up_hostile(&profile), 0);
	json = json_of(profile);
	assert_int_equal(json_array_size(member(json, "rows")), 4);
	assert_string_equal(
		json_string_value(json_array_get(json_array_get(member(json, "rows"), 3), 0)),
		"ffffffffffffffff");
	json_decref(json);
}

int main(void)
{
	const struct CMUnitTest tests[] = {
		cmocka_unit_test(test_rows),
		cmocka_unit_test(test_parts),
		cmocka_unit_test(test_bytes_do_not_depend_on_the_order),
		cmocka_unit_test(test_many),
		cmocka_unit_test(test_hostile),
	};

	return cmocka_run_group_tests(tests, NULL, NULL);
}
