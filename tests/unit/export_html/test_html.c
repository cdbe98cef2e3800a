/* SPDX-License-Identifier: Apache-2.0 */
/*
 * The HTML exporter from C: is the page whole, does its JSON hold all of the profile, and can no
 * text leave it. What the page does with it is tested in a browser (tests/live/html_page.py).
 */
#include <stdarg.h>
#include <stddef.h>
#include <stdint.h>
#include <setjmp.h>
#include <cmocka.h>

#include <jansson.h>
#include <stdlib.h>
#include <string.h>

#include "core/buf.h"
#include "core/cleanup.h"
#include "export/exporter.h"
#include "unit/export_html/made_up.h"

#define DATA_START "<script type=\"application/json\" id=\"profile\">\n"
#define DATA_END   "</script>"
#define DEEP       100000

static void write_page(const struct cs_profile *profile, struct cs_buf *page)
{
	assert_int_equal(cs_export_html.write(profile, page), 0);
}

/*
 * The JSON between its script tags, as text that the caller frees: what an HTML parser would see.
 */
static char *data_of(struct cs_buf *page)
{
	const char *start = strstr(cs_buf_str(page), DATA_START), *end;

	assert_non_null(start);
	start += strlen(DATA_START);
	end = strstr(start, DATA_END);
	assert_non_null(end);
	return strndup(start, (size_t)(end - start));
}

static json_t *json_of(const struct cs_profile *profile)
{
	_cleanup_buf_ struct cs_buf page = {0};
	_cleanup_free_ char *data = NULL;
	json_error_t error;
	json_t *json;

	write_page(profile, &page);
	data = data_of(&page);
	json = json_loads(data, JSON_ALLOW_NUL, &error);
	if (!json)
		fail_msg("line %d: %s", error.line, error.text);
	return json;
}

static json_t *await_tree(json_t *json)
{
	return json_object_get(json_object_get(json, "trees"), "await");
}

static int64_t cell(json_t *json, const char *column, size_t i)
{
	json_t *values = json_object_get(await_tree(json), column);

	assert_true(i < json_array_size(values));
	return json_integer_value(json_array_get(values, i));
}

static size_t nodes_of(json_t *json)
{
	return json_array_size(json_object_get(await_tree(json), "parent"));
}

/* The name of a node's frame; "" for the root. */
static const char *name_of(json_t *json, size_t node)
{
	json_t *frame =
		json_array_get(json_object_get(json, "frames"), (size_t)cell(json, "frame", node));
	size_t string = (size_t)json_integer_value(json_array_get(frame, 0));

	return frame ? json_string_value(json_array_get(json_object_get(json, "strings"), string))
		     : "";
}

static uint32_t frame(struct cs_profile *profile, const char *name, uint32_t line)
{
	int64_t index = made_up_frame(profile, CS_FRAME_PYTHON, name, "/a.py", line);

	assert_true(index >= 0);
	return (uint32_t)index;
}

static void add(struct cs_profile *profile, const uint32_t *frames, uint32_t n, uint64_t cpu_ns,
		uint64_t wall_ns)
{
	uint64_t values[CS_VALUE_MAX_] = {1, cpu_ns, wall_ns};

	assert_int_equal(cs_profile_add(profile, frames, n, &(struct cs_labels){0}, values), 0);
}

static void test_page_is_whole(void **state)
{
	_cleanup_(cs_profile_freep) struct cs_profile *profile = NULL;
	_cleanup_buf_ struct cs_buf page = {0};
	const char *text;

	assert_int_equal(made_up_service(&profile), 0);
	write_page(profile, &page);
	text = cs_buf_str(&page);
	assert_int_equal(strlen(text), page.len);
	assert_memory_equal(text, "<!doctype html>", 15);
	assert_memory_equal(text + page.len - 8, "</html>\n", 8);
	assert_non_null(strstr(text, "default-src 'none'"));
	assert_null(strstr(text, "@CSS@"));
	assert_null(strstr(text, "@DATA@"));
	assert_null(strstr(text, "@JS@"));
	assert_null(strstr(text, "src=\""));
	assert_null(strstr(text, "href=\""));
}

static void test_nothing_is_left_out(void **state)
{
	_cleanup_(cs_profile_freep) struct cs_profile *profile = NULL;
	uint64_t wall_ns = 0, samples = 0, self = 0, self_samples = 0;
	json_t *json;

	assert_int_equal(made_up_service(&profile), 0);
	json = json_of(profile);
	for (size_t i = 0; i < cs_profile_nsamples(profile); i++) {
		wall_ns += cs_profile_sample(profile, i)->values[CS_VALUE_WALL_NS];
		samples += cs_profile_sample(profile, i)->values[CS_VALUE_SAMPLES];
	}
	assert_int_equal(cell(json, "parent", 0), -1);
	for (size_t i = 0; i < nodes_of(json); i++) {
		assert_true(cell(json, "parent", i) < (int64_t)i);
		self += (uint64_t)cell(json, "self", i);
		self_samples += (uint64_t)cell(json, "samples", i);
	}
	assert_int_equal(self, wall_ns);
	assert_int_equal(self_samples, samples);
	json_decref(json);
}

static void test_merges_what_looks_the_same(void **state)
{
	_cleanup_(cs_profile_freep) struct cs_profile *profile = NULL;
	struct cs_frame native = {.kind = CS_FRAME_NATIVE, .address = 0x1000};
	uint32_t stack[3];
	json_t *json;

	assert_int_equal(cs_profile_new(&profile), 0);
	stack[0] = stack[1] = frame(profile, "recurse", 3);
	stack[2] = (uint32_t)cs_profile_frame(profile, &native);
	add(profile, stack, 3, 10, 0);
	native.address = 0x1008;
	stack[2] = (uint32_t)cs_profile_frame(profile, &native);
	add(profile, stack, 3, 5, 0);
	add(profile, stack, 1, 2, 99);
	add(profile, stack, 0, 1, 99);
	json = json_of(profile);
	assert_int_equal(nodes_of(json), 4); /* root, recurse, recurse, native */
	assert_int_equal(cell(json, "self", 0), 1);
	assert_int_equal(cell(json, "self", 1), 2);
	assert_int_equal(cell(json, "self", 2), 0);
	assert_int_equal(cell(json, "self", 3), 15);
	assert_int_equal(cell(json, "samples", 3), 2);
	assert_int_equal(cell(json, "parent", 3), 2);
	json_decref(json);
}

/* Stacks over three functions and two lines, in the order that step gives. */
static void add_in_order(struct cs_profile *profile, uint32_t first, uint32_t step)
{
	static const char *const names[] = {"beta", "alpha", "gamma"};

	for (uint32_t k = 0; k < 18; k++) {
		uint32_t i = (first + k * step) % 18;
		uint32_t stack[] = {frame(profile, names[i % 3], 1 + i / 3 % 2),
				    frame(profile, names[i / 6], 7)};

		add(profile, stack, 2, 100 + i, 0);
	}
}

static void test_bytes_do_not_depend_on_the_order(void **state)
{
	_cleanup_(cs_profile_freep) struct cs_profile *one = NULL, *other = NULL;
	_cleanup_buf_ struct cs_buf one_page = {0}, other_page = {0};
	json_t *json;

	assert_int_equal(cs_profile_new(&one), 0);
	assert_int_equal(cs_profile_new(&other), 0);
	add_in_order(one, 0, 1);
	add_in_order(other, 11, 5);
	write_page(one, &one_page);
	write_page(other, &other_page);
	assert_string_equal(cs_buf_str(&one_page), cs_buf_str(&other_page));

	json = json_of(one);
	assert_string_equal(name_of(json, 1), "alpha"); /* siblings by name */
	assert_string_equal(name_of(json, nodes_of(json) - 1), "gamma");
	json_decref(json);
}

static void test_no_text_leaves_its_string(void **state)
{
	static const char safe[] =
		"</script><script>window.broken=1</script><!--\"\\\x01\n\x7f"
		"\xef\xbf\xbd\xef\xbf\xbd\xef\xbf\xbd\xef\xbf\xbd\xef\xbf\xbd\xef\xbf\xbd\xe2\x82\xac";
	_cleanup_(cs_profile_freep) struct cs_profile *profile = NULL;
	_cleanup_buf_ struct cs_buf page = {0};
	_cleanup_free_ char *data = NULL;
	json_t *json, *meta;

	assert_int_equal(made_up_hostile(&profile), 0);
	write_page(profile, &page);
	data = data_of(&page);
	assert_null(strpbrk(data, "<>&"));
	json = json_of(profile);
	meta = json_object_get(json, "meta");
	assert_int_equal(nodes_of(json), 8 + 2 * 2);
	assert_string_equal(name_of(json, 1), safe);
	assert_string_equal(json_string_value(json_object_get(meta, "command")), safe);
	assert_string_equal(json_string_value(json_array_get(json_object_get(meta, "notes"), 0)),
			    safe);
	json_decref(json);
}

static void test_utf8_at_its_edges(void **state)
{
	static const struct {
		const char *bytes;
		size_t len;
		const char *shown;
	} cases[] = {
		{"\xf4\x8f\xbf\xbf", 4, "\xf4\x8f\xbf\xbf"},
		{"\xf4\x90\x80\x80", 4, "\ufffd\ufffd\ufffd\ufffd"},
		{"\xe0\x9f\xbf", 3, "\ufffd\ufffd\ufffd"},
		{"\xf0\x8f\xbf\xbf", 4, "\ufffd\ufffd\ufffd\ufffd"},
		{"\xed\x9f\xbf\xee\x80\x80", 6, "\xed\x9f\xbf\xee\x80\x80"},
		{"x\xe2\x82", 3, "x\ufffd\ufffd"},
		{"\xc3", 1, "\ufffd"},
	};

	for (size_t i = 0; i < ARRAY_SIZE(cases); i++) {
		_cleanup_(cs_profile_freep) struct cs_profile *profile = NULL;
		uint32_t stack;
		json_t *json;

		assert_int_equal(cs_profile_new(&profile), 0);
		stack = frame(profile, cases[i].bytes, 1);
		add(profile, &stack, 1, 1, 0);
		json = json_of(profile);
		assert_string_equal(name_of(json, 1), cases[i].shown);
		json_decref(json);
	}
}

static void test_accounts(void **state)
{
	_cleanup_(cs_profile_freep) struct cs_profile *profile = NULL;
	json_t *json, *counters, *first;

	assert_int_equal(made_up_service(&profile), 0);
	json = json_of(profile);
	counters = json_object_get(json_object_get(json, "meta"), "counters");
	first = json_array_get(counters, 0);
	assert_int_equal(json_array_size(counters), 13); /* those that are not zero */
	assert_string_equal(json_string_value(json_array_get(first, 0)), "TICKS");
	assert_string_equal(json_string_value(json_array_get(first, 1)), "CPU ticks seen");
	assert_int_equal(json_integer_value(json_array_get(first, 2)), 3988);
	assert_true(json_is_false(json_array_get(first, 3)));
	assert_true(json_is_true(json_array_get(json_array_get(counters, 4), 3))); /* RING_FULL */
	json_decref(json);

	cs_profile_meta_mut(profile)->has_counters = false;
	json = json_of(profile);
	assert_true(json_is_null(json_object_get(json_object_get(json, "meta"), "counters")));
	json_decref(json);
}

static void test_empty(void **state)
{
	_cleanup_(cs_profile_freep) struct cs_profile *profile = NULL;
	json_t *json;

	assert_int_equal(cs_profile_new(&profile), 0);
	json = json_of(profile);
	assert_int_equal(nodes_of(json), 1);
	assert_string_equal(
		json_string_value(json_object_get(json_object_get(json, "meta"), "host")), "");
	json_decref(json);
}

/* A recursive writer would end here. */
static void test_deep(void **state)
{
	_cleanup_(cs_profile_freep) struct cs_profile *profile = NULL;
	_cleanup_free_ uint32_t *stack = calloc(DEEP, sizeof(*stack));
	json_t *json;

	assert_non_null(stack);
	assert_int_equal(cs_profile_new(&profile), 0);
	for (uint32_t i = 0; i < DEEP; i++)
		stack[i] = frame(profile, "down", 1 + i % 2);
	add(profile, stack, DEEP, 7, 0);
	json = json_of(profile);
	assert_int_equal(nodes_of(json), DEEP + 1);
	assert_int_equal(cell(json, "self", DEEP), 7);
	json_decref(json);
}

int main(void)
{
	const struct CMUnitTest tests[] = {
		cmocka_unit_test(test_page_is_whole),
		cmocka_unit_test(test_nothing_is_left_out),
		cmocka_unit_test(test_merges_what_looks_the_same),
		cmocka_unit_test(test_bytes_do_not_depend_on_the_order),
		cmocka_unit_test(test_no_text_leaves_its_string),
		cmocka_unit_test(test_utf8_at_its_edges),
		cmocka_unit_test(test_accounts),
		cmocka_unit_test(test_empty),
		cmocka_unit_test(test_deep),
	};

	return cmocka_run_group_tests(tests, NULL, NULL);
}
