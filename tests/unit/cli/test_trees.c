/* SPDX-License-Identifier: Apache-2.0 */
/* One capture as all its trees: what they share, who is who in them, and when and how long tasks were seen. */
#include <setjmp.h>
#include <stdarg.h>
#include <stddef.h>
#include <stdint.h>

#include <cmocka.h>
#include <coroscope/event.h>
#include <string.h>
#include <sys/mman.h>
#include <unistd.h>

#include "cli/pipeline.h"
#include "core/buf.h"
#include "core/cleanup.h"
#include "golden/made_capture.h"

#define MS 1000000ull

static struct cs_buf capture;

static int setup(void **state)
{
	return made_capture(&capture);
}

static int teardown(void **state)
{
	cs_buf_free(&capture);
	return 0;
}

static struct cs_profile *read_capture(const struct cs_buf *records, const struct cs_view *view)
{
	_cleanup_close_ int fd = memfd_create("capture", MFD_CLOEXEC);
	struct cs_profile *profile = NULL;

	assert_true(fd >= 0);
	assert_int_equal(write(fd, records->data, records->len), records->len);
	assert_int_equal(cs_pipeline_read(fd, view, &profile), 0);
	return profile;
}

static struct cs_profile *read_view(const struct cs_view *view)
{
	return read_capture(&capture, view);
}

static struct cs_profile *read_all(void)
{
	return read_view(&(struct cs_view){.all_trees = true});
}

static uint64_t wall_ns(const struct cs_profile *profile, enum cs_tree tree)
{
	uint64_t sum = 0;

	for (size_t i = 0; i < cs_profile_nsamples_in(profile, tree); i++)
		sum += cs_profile_sample_in(profile, tree, i)->values[CS_VALUE_WALL_NS];
	return sum;
}

/* The tasks of a sample, root first, each in brackets. Freed by the caller. */
static char *tasks_of(const struct cs_profile *profile, const struct cs_sample *sample)
{
	struct cs_stack stack = cs_profile_stack(profile, sample->stack);
	_cleanup_buf_ struct cs_buf text = {0};

	for (uint32_t i = 0; i < stack.n; i++) {
		const struct cs_frame *frame = cs_profile_get_frame(profile, stack.frames[i]);

		if (frame->kind == CS_FRAME_TASK)
			assert_int_equal(
				cs_buf_append_str(&text, cs_profile_str(profile, frame->name)), 0);
	}
	return strdup(cs_buf_str(&text));
}

/* How many samples of a tree have exactly these tasks. */
static unsigned int count(const struct cs_profile *profile, enum cs_tree tree, const char *tasks)
{
	unsigned int n = 0;

	for (size_t i = 0; i < cs_profile_nsamples_in(profile, tree); i++) {
		_cleanup_free_ char *seen =
			tasks_of(profile, cs_profile_sample_in(profile, tree, i));

		n += !strcmp(seen, tasks);
	}
	return n;
}

static void test_sums(void **state)
{
	_cleanup_(cs_profile_freep) struct cs_profile *profile = read_all();
	uint64_t suspended_ns = 4 * 10 * MS; /* two passes of two samples each */

	assert_int_equal(wall_ns(profile, CS_TREE_AWAIT), 12 * 10 * MS);
	assert_int_equal(wall_ns(profile, CS_TREE_CREATION), 12 * 10 * MS);
	assert_int_equal(wall_ns(profile, CS_TREE_THREADS), 12 * 10 * MS - suspended_ns);
}

static void test_who_is_above(void **state)
{
	_cleanup_(cs_profile_freep) struct cs_profile *profile = read_all();

	assert_int_equal(
		count(profile, CS_TREE_AWAIT, "<task main><task fetch-1><task query (2 parents)>"),
		1);
	assert_int_equal(count(profile, CS_TREE_CREATION, "<task main><task query>"), 1);
	assert_int_equal(count(profile, CS_TREE_CREATION, "<task main (finished)><task Task-7>"),
			 1);
	/* nobody knows who created it: one of the two that wait for each other stands for both */
	assert_int_equal(count(profile, CS_TREE_CREATION, "<task left>"), 1);
	assert_int_equal(count(profile, CS_TREE_THREADS, ""),
			 cs_profile_nsamples_in(profile, CS_TREE_THREADS));
}

/* What is read for one tree is what is read for all, as far as it is shown. */
static void test_one_tree_alone(void **state)
{
	for (int tree = 0; tree < CS_TREE_MAX_; tree++) {
		_cleanup_(cs_profile_freep) struct cs_profile *all = read_all();
		_cleanup_(cs_profile_freep) struct cs_profile *one =
			read_view(&(struct cs_view){.tree = (enum cs_tree)tree});

		assert_int_equal(cs_profile_nsamples(one), cs_profile_nsamples_in(all, tree));
		assert_int_equal(wall_ns(one, tree), wall_ns(all, tree));
		for (int other = 0; other < CS_TREE_MAX_; other++)
			assert_true(other == tree || !cs_profile_nsamples_in(one, other));
		for (size_t i = 0; i < cs_profile_nframes(one); i++)
			assert_int_equal(cs_profile_get_frame(one, (uint32_t)i)->task, 0);
		assert_int_equal(cs_profile_sample(one, 0)->nspans, 0);
	}
}

static const struct cs_frame *task_frame(const struct cs_profile *profile, const char *name)
{
	for (size_t i = 0; i < cs_profile_nframes(profile); i++) {
		const struct cs_frame *frame = cs_profile_get_frame(profile, (uint32_t)i);

		if (frame->kind == CS_FRAME_TASK &&
		    !strcmp(cs_profile_str(profile, frame->name), name))
			return frame;
	}
	fail_msg("no %s", name);
	return NULL;
}

static void assert_reference(const struct cs_profile *profile, uint32_t reference, const char *name,
			     uint32_t line)
{
	const struct cs_frame *frame;

	assert_int_not_equal(reference, 0);
	frame = cs_profile_get_frame(profile, reference - 1);
	assert_string_equal(cs_profile_str(profile, frame->name), name);
	assert_int_equal(frame->line, line);
}

static void test_who_is_who(void **state)
{
	_cleanup_(cs_profile_freep) struct cs_profile *profile = read_all();
	const struct cs_frame *query = task_frame(profile, "<task query>"),
			      *parents = task_frame(profile, "<task query (2 parents)>"),
			      *created = task_frame(profile, "<task Task-7 (created)>"),
			      *first = task_frame(profile, "<task main>");

	assert_int_not_equal(query->task, 0);
	assert_int_equal(query->task, parents->task);
	assert_int_not_equal(query->task, created->task);
	assert_int_equal(created->mark, CS_MARK_CREATED);
	assert_int_equal(task_frame(profile, "<task main (finished)>")->task, first->task);
	assert_int_equal(task_frame(profile, "<task main (finished)>")->mark, CS_MARK_FINISHED);
	/* the function where it begins, the creation where it happened; asyncio's own frames are left out */
	assert_reference(profile, query->coro, "Pool.query", 30);
	assert_reference(profile, query->site, "main", 10);
	assert_int_equal(first->site, 0);
}

/* Task-7 is seen in the first pass, 1 ms after it was read, and in the second, 4 ms later; each stands for 10 ms. */
static void test_when_and_how_long(void **state)
{
	static const struct {
		const char *tasks;
		uint64_t longest_ms;
	} cases[] = {
		{"<task main><task Task-7 (created)>", 10 + 1},
		{"<task main (finished)><task Task-7 (created)>", 10 + 1 + 4},
	};
	_cleanup_(cs_profile_freep) struct cs_profile *profile = read_all();
	unsigned int found = 0;

	for (size_t i = 0; i < cs_profile_nsamples(profile); i++) {
		const struct cs_sample *sample = cs_profile_sample(profile, i);
		_cleanup_free_ char *tasks = tasks_of(profile, sample);

		assert_true(sample->nspans > 0);
		for (size_t k = 0; k < ARRAY_SIZE(cases); k++) {
			if (strcmp(tasks, cases[k].tasks))
				continue;
			assert_int_equal(sample->nspans, 1);
			assert_int_equal(sample->spans->to_ns - sample->spans->from_ns, 10 * MS);
			assert_int_equal(sample->waiting_ns, 10 * MS);
			assert_int_equal(sample->longest_ns, cases[k].longest_ms * MS);
			found++;
		}
		/* it was running */
		if (!strcmp(tasks, "<task main><task fetch-1>"))
			assert_int_equal(sample->waiting_ns, 0);
	}
	assert_int_equal(found, 2);
}

/* Nothing runs after the last pass: five more looks, of 10 ms each. Their time counts once, though they are one sample with it. */
static void test_how_long_without_a_change(void **state)
{
	static const char waiting[] = "<task main (finished)><task Task-7 (created)>";
	_cleanup_(cs_profile_freep) struct cs_profile *profile = NULL;
	_cleanup_buf_ struct cs_buf longer = {0};
	size_t at = sizeof(struct cs_raw_file_header), behind = 0;
	struct cs_ev_pass_again again = {.weight_ns = 10 * MS};
	unsigned int found = 0;

	for (struct cs_ev_hdr hdr; at < capture.len; at += hdr.size) {
		memcpy(&hdr, capture.data + at, sizeof(hdr));
		if (hdr.kind != CS_EV_PASS)
			continue;
		behind = at + hdr.size;
		again.hdr = hdr;
	}
	again.hdr.kind = CS_EV_PASS_AGAIN;
	again.hdr.size = sizeof(again);
	assert_int_equal(cs_buf_append(&longer, capture.data, behind), 0);
	for (int i = 0; i < 5; i++) {
		again.hdr.ts_ns += 10 * MS;
		assert_int_equal(cs_buf_append(&longer, &again, sizeof(again)), 0);
	}
	assert_int_equal(cs_buf_append(&longer, capture.data + behind, capture.len - behind), 0);
	profile = read_capture(&longer, &(struct cs_view){.all_trees = true});
	for (size_t i = 0; i < cs_profile_nsamples(profile); i++) {
		const struct cs_sample *sample = cs_profile_sample(profile, i);
		_cleanup_free_ char *tasks = tasks_of(profile, sample);

		if (strcmp(tasks, waiting))
			continue;
		assert_int_equal(sample->waiting_ns, 60 * MS);
		assert_int_equal(sample->longest_ns, (10 + 1 + 4 + 50) * MS);
		found++;
	}
	assert_int_equal(found, 1);
}

/* Only the shown tree's share of one thread is told. */
static void test_one_thread(void **state)
{
	_cleanup_(cs_profile_freep) struct cs_profile *profile =
		read_view(&(struct cs_view){.all_trees = true, .thread = "python3"});

	assert_string_equal(cs_profile_get_note(profile, 1),
			    "only threads named python3: 66.7% of the time in samples");
}

/* No damage ends it, whatever it makes of the links. */
static void test_damaged_bytes(void **state)
{
	unsigned int whole = 0;

	for (size_t i = sizeof(uint64_t) * 2; i < capture.len; i++) {
		_cleanup_close_ int fd = memfd_create("capture", MFD_CLOEXEC);
		_cleanup_(cs_profile_freep) struct cs_profile *profile = NULL;

		capture.data[i] = (char)~capture.data[i];
		assert_int_equal(write(fd, capture.data, capture.len), capture.len);
		if (!cs_pipeline_read(fd, &(struct cs_view){.all_trees = true}, &profile))
			whole++;
		capture.data[i] = (char)~capture.data[i];
	}
	assert_true(whole > 200);
}

int main(void)
{
	const struct CMUnitTest tests[] = {
		cmocka_unit_test(test_sums),
		cmocka_unit_test(test_who_is_above),
		cmocka_unit_test(test_one_tree_alone),
		cmocka_unit_test(test_who_is_who),
		cmocka_unit_test(test_when_and_how_long),
		cmocka_unit_test(test_how_long_without_a_change),
		cmocka_unit_test(test_one_thread),
		cmocka_unit_test(test_damaged_bytes),
	};

	return cmocka_run_group_tests(tests, setup, teardown);
}
