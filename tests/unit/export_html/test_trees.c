/* SPDX-License-Identifier: Apache-2.0 */
/* What the HTML page is told about tasks: its trees, who is who in them, when and how long they were seen. */
#include <stdarg.h>
#include <stddef.h>
#include <stdint.h>
#include <setjmp.h>
#include <cmocka.h>

#include <jansson.h>
#include <string.h>

#include "core/cleanup.h"
#include "export/html_trees.h"
#include "unit/export_html/made_up.h"

#define NAME_17 "task Task-17\\u003e" /* "<task Task-17>" as it is escaped */

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

static json_t *tree_of(json_t *json, const char *name)
{
	return json_object_get(json_object_get(json, "trees"), name);
}

/* A member of a tree as text. */
static void assert_member(json_t *json, const char *tree, const char *member, const char *text)
{
	char *seen = json_dumps(json_object_get(tree_of(json, tree), member), JSON_COMPACT);

	assert_string_equal(seen, text);
	free(seen);
}

static uint32_t task(struct cs_profile *profile, const char *name, uint64_t number, uint32_t coro)
{
	int64_t string = cs_profile_string(profile, name, strlen(name));
	int64_t frame = cs_profile_frame(profile, &(struct cs_frame){.name = (uint32_t)string,
								     .kind = CS_FRAME_TASK,
								     .task = number,
								     .coro = coro});

	assert_true(string >= 0 && frame >= 0);
	return (uint32_t)frame;
}

static void add_in(struct cs_profile *profile, enum cs_tree tree, uint32_t frame)
{
	uint64_t values[CS_VALUE_MAX_] = {1, 10, 10};

	assert_int_equal(
		cs_profile_add_in(profile, tree, &frame, 1, &(struct cs_labels){0}, values), 0);
}

static void see(struct cs_profile *profile, uint64_t from_us, uint64_t to_us, uint64_t waited_us)
{
	const struct cs_seen seen = {.span = {from_us * 1000, to_us * 1000},
				     .suspended = waited_us,
				     .waited_ns = waited_us * 1000};

	assert_int_equal(cs_profile_see(profile, CS_TREE_AWAIT, cs_profile_last(profile), &seen),
			 0);
}

static void test_trees_share_their_texts(void **state)
{
	_cleanup_(cs_profile_freep) struct cs_profile *profile = NULL;
	_cleanup_buf_ struct cs_buf text = {0};
	json_t *json;
	const char *at;

	assert_int_equal(made_up_tasks(&profile, 128), 0);
	write_trees(profile, &text);
	at = strstr(cs_buf_str(&text), NAME_17);
	assert_non_null(at);
	assert_null(strstr(at + 1, NAME_17));
	json = json_of(profile);
	assert_string_equal(json_string_value(json_object_get(json, "tree")), "await");
	assert_int_equal(json_object_size(json_object_get(json, "trees")), CS_TREE_MAX_);
	/* root, process, thread, loop and what the thread does itself */
	assert_int_equal(json_array_size(json_object_get(tree_of(json, "threads"), "parent")), 5);
	/* and two that created, with a line, and three boxes each of 128 */
	assert_int_equal(json_array_size(json_object_get(tree_of(json, "creation"), "parent")),
			 5 + 2 * 2 + 3 * 128);
	json_decref(json);
}

/* Without tasks all trees are the same; without samples they are not there. */
static void test_only_trees_worth_showing(void **state)
{
	_cleanup_(cs_profile_freep) struct cs_profile *profile = NULL;
	json_t *json;

	assert_int_equal(cs_profile_new(&profile), 0);
	for (int tree = 0; tree < CS_TREE_THREADS; tree++)
		add_in(profile, tree,
		       (uint32_t)made_up_frame(profile, CS_FRAME_PYTHON, "f", "", 1));
	json = json_of(profile);
	assert_int_equal(json_object_size(json_object_get(json, "trees")), 1);
	assert_non_null(tree_of(json, "await"));
	json_decref(json);

	add_in(profile, CS_TREE_AWAIT, task(profile, "<task T>", 1, 0));
	cs_profile_meta_mut(profile)->tree = CS_TREE_THREADS;
	json = json_of(profile);
	assert_string_equal(json_string_value(json_object_get(json, "tree")), "threads");
	assert_int_equal(json_object_size(json_object_get(json, "trees")), 3);
	assert_member(json, "threads", "parent", "[-1]");
	json_decref(json);
}

static void test_tasks_of_one_name(void **state)
{
	_cleanup_(cs_profile_freep) struct cs_profile *profile = NULL;
	uint32_t coro;
	json_t *json, *frames;
	char *last;

	assert_int_equal(cs_profile_new(&profile), 0);
	coro = (uint32_t)made_up_frame(profile, CS_FRAME_PYTHON, "fetch", "", 5) + 1;
	add_in(profile, CS_TREE_AWAIT, task(profile, "<task T>", 12, 0));
	add_in(profile, CS_TREE_AWAIT, task(profile, "<task T>", 11, coro));
	add_in(profile, CS_TREE_AWAIT, task(profile, "<task T>", 11, 0));
	json = json_of(profile);
	frames = json_object_get(json, "frames");
	/* in the order of task and coroutine; the coroutine is a frame although no stack has it */
	assert_int_equal(json_array_size(frames), 4);
	last = json_dumps(frames, JSON_COMPACT);
	assert_string_equal(last, "[[1,0,0,2,0,-1,-1,11],[1,0,0,2,0,3,-1,11],"
				  "[1,0,0,2,0,-1,-1,12],[2,0,5,3]]");
	free(last);
	assert_member(json, "await", "parent", "[-1,0,0,0]");
	json_decref(json);
}

static void test_when_samples_were_seen(void **state)
{
	_cleanup_(cs_profile_freep) struct cs_profile *profile = NULL;
	uint32_t frame;
	json_t *json;

	assert_int_equal(cs_profile_new(&profile), 0);
	cs_profile_meta_mut(profile)->interval_ns = 10000;
	frame = (uint32_t)made_up_frame(profile, CS_FRAME_PYTHON, "f", "", 1);
	add_in(profile, CS_TREE_AWAIT, frame);
	see(profile, 1000, 1010, 0);
	see(profile, 1012, 1022, 0); /* the clock was 2 us late: no gap */
	see(profile, 1100, 1110, 0);
	see(profile, 1040, 1050, 0); /* as another CPU tells it later */
	/* the same frame in another thread: its time falls into the same box */
	assert_int_equal(cs_profile_add(profile, &frame, 1, &(struct cs_labels){.thread_id = 9},
					(uint64_t[CS_VALUE_MAX_]){1, 1, 1}),
			 0);
	see(profile, 1005, 1030, 0);
	json = json_of(profile);
	assert_member(json, "await", "seen", "[[1,0,0,0,30,10,10,50,10]]");
	assert_member(json, "await", "waits", "[]");
	json_decref(json);
}

/* The sum of what was seen, and the longest wait that anybody told of, which may have begun before. */
static void test_waits(void **state)
{
	_cleanup_(cs_profile_freep) struct cs_profile *profile = NULL;
	json_t *json;

	assert_int_equal(cs_profile_new(&profile), 0);
	add_in(profile, CS_TREE_AWAIT, task(profile, "<task A>", 1, 0));
	see(profile, 0, 10, 40);
	see(profile, 10, 20, 50);
	see(profile, 30, 40, 10);
	add_in(profile, CS_TREE_AWAIT, task(profile, "<task B>", 2, 0));
	see(profile, 0, 10, 0); /* it ran */
	json = json_of(profile);
	assert_member(json, "await", "waits", "[1,0,30000,50000]");
	json_decref(json);
}

/* One box, seen running and seen waiting: the one is not drawn as the other. */
static void test_running_and_waiting(void **state)
{
	_cleanup_(cs_profile_freep) struct cs_profile *profile = NULL;
	const struct cs_seen moments[] = {{.span = {50000, 60000, false}},
					  {.span = {10000, 20000, true}},
					  {.span = {20000, 30000, false}},
					  {.span = {60000, 70000, true}}};
	json_t *json;

	assert_int_equal(cs_profile_new(&profile), 0);
	add_in(profile, CS_TREE_AWAIT,
	       (uint32_t)made_up_frame(profile, CS_FRAME_PYTHON, "f", "", 1));
	for (size_t i = 0; i < ARRAY_SIZE(moments); i++)
		assert_int_equal(cs_profile_see(profile, CS_TREE_AWAIT, 0, &moments[i]), 0);
	json = json_of(profile);
	assert_member(json, "await", "seen", "[[1,0,0,10,10,20,10],[1,0,1,0,10,40,10]]");
	json_decref(json);
}

/* Two orders of the same samples: the bytes are equal, whichever task came first. */
static void test_bytes_do_not_depend_on_the_order(void **state)
{
	_cleanup_buf_ struct cs_buf one = {0};
	_cleanup_buf_ struct cs_buf other = {0};

	for (uint32_t first = 0; first < 2; first++) {
		_cleanup_(cs_profile_freep) struct cs_profile *profile = NULL;

		assert_int_equal(cs_profile_new(&profile), 0);
		for (uint32_t k = 0; k < 6; k++) {
			uint32_t i = first ? 5 - k : k;
			int64_t coro =
				made_up_frame(profile, CS_FRAME_PYTHON, i % 2 ? "f" : "g", "", 1);

			add_in(profile, CS_TREE_AWAIT,
			       task(profile, "<task T>", 1 + i / 3, (uint32_t)coro + 1));
			see(profile, 100 * i, 100 * i + 10, 10 + i);
		}
		write_trees(profile, first ? &one : &other);
	}
	assert_string_equal(cs_buf_str(&one), cs_buf_str(&other));
}

int main(void)
{
	const struct CMUnitTest tests[] = {
		cmocka_unit_test(test_trees_share_their_texts),
		cmocka_unit_test(test_only_trees_worth_showing),
		cmocka_unit_test(test_tasks_of_one_name),
		cmocka_unit_test(test_when_samples_were_seen),
		cmocka_unit_test(test_waits),
		cmocka_unit_test(test_running_and_waiting),
		cmocka_unit_test(test_bytes_do_not_depend_on_the_order),
	};

	return cmocka_run_group_tests(tests, NULL, NULL);
}
