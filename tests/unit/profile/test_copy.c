/* SPDX-License-Identifier: Apache-2.0 */
/* A part of a profile: what is kept is whole, of the rest nothing is there. */
#include <setjmp.h>
#include <stdarg.h>
#include <stddef.h>
#include <stdint.h>

#include <cmocka.h>
#include <string.h>

#include "core/cleanup.h"
#include "profile/copy.h"

#define MINE   10
#define OTHERS 20

static uint32_t text(struct cs_profile *profile, const char *str)
{
	int64_t index = cs_profile_string(profile, str, strlen(str));

	assert_true(index >= 0);
	return (uint32_t)index;
}

static uint32_t frame(struct cs_profile *profile, const struct cs_frame *frame)
{
	int64_t index = cs_profile_frame(profile, frame);

	assert_true(index >= 0);
	return (uint32_t)index;
}

static uint32_t python(struct cs_profile *profile, const char *name, uint32_t line)
{
	return frame(profile, &(struct cs_frame){.kind = CS_FRAME_PYTHON,
						 .name = text(profile, name),
						 .file = text(profile, "app.py"),
						 .line = line,
						 .first_line = line / 10 * 10});
}

static uint32_t inlined(struct cs_profile *profile, const char *name)
{
	const struct cs_mapped mapped = {
		.start = 0x1000, .end = 0x2000, .path = text(profile, name)};
	int64_t mapping = cs_profile_mapping(profile, &mapped);
	uint32_t outer = frame(profile, &(struct cs_frame){.kind = CS_FRAME_NATIVE,
							   .name = text(profile, name),
							   .mapping = (uint32_t)mapping + 1});

	return frame(profile, &(struct cs_frame){.kind = CS_FRAME_INLINED,
						 .name = text(profile, name),
						 .inlined_into = outer});
}

static uint32_t task(struct cs_profile *profile, const char *name, uint32_t coro, uint32_t site)
{
	return frame(profile, &(struct cs_frame){.kind = CS_FRAME_TASK,
						 .name = text(profile, name),
						 .task = 7,
						 .coro = coro + 1,
						 .site = site + 1});
}

static void add(struct cs_profile *profile, enum cs_tree tree, uint32_t pid, const char *name,
		uint32_t line)
{
	const uint64_t values[CS_VALUE_MAX_] = {1, 0, 10};
	const struct cs_labels labels = {.process_id = pid,
					 .thread_name = text(profile, name),
					 .span_id = pid,
					 .trace_endpoint = text(profile, name)};
	const struct cs_seen seen = {
		.span = {pid, pid + line}, .suspended = true, .waited_ns = line};
	uint32_t coro = python(profile, name, line);
	uint32_t frames[] = {
		task(profile, name, coro, python(profile, "site", 3)),
		coro,
		inlined(profile, name) - 1,
		inlined(profile, name),
	};

	assert_int_equal(
		cs_profile_add_in(profile, tree, frames, ARRAY_SIZE(frames), &labels, values), 0);
	assert_int_equal(cs_profile_see(profile, tree, cs_profile_last(profile), &seen), 0);
}

static void add_traced(struct cs_profile *profile, uint32_t pid, uint64_t span, const char *name)
{
	const struct cs_traced traced = {
		.process_id = pid,
		.thread_id = pid + 1,
		.trace_id = text(profile, "00000000000000000000000000000abc"),
		.span_id = span,
		.root_span_id = 1,
		.name = text(profile, name),
		.resource = text(profile, "GET /"),
		.service = text(profile, "shop"),
		.type = text(profile, "web"),
		.task_name = text(profile, "Task-1"),
		.outcome = CS_OUTCOME_ERROR,
		.from_ns = 5,
	};

	assert_int_equal(cs_profile_add_traced(profile, &traced), 0);
}

static struct cs_profile *made(void)
{
	struct cs_profile *profile;

	assert_int_equal(cs_profile_new(&profile), 0);
	assert_int_equal(cs_profile_set_text(profile, "host", 4, "command", 7), 0);
	cs_profile_meta_mut(profile)->interval_ns = 5;
	cs_profile_owner(profile, OTHERS)->facts[CS_FACT_SERVICE] = text(profile, "secret service");
	add(profile, CS_TREE_AWAIT, OTHERS, "secret", 11);
	add_traced(profile, OTHERS, 1, "secret span");
	cs_profile_owner(profile, MINE)->facts[CS_FACT_SERVICE] = text(profile, "before");
	add(profile, CS_TREE_AWAIT, MINE, "work", 21);
	add(profile, CS_TREE_AWAIT, MINE, "work", 22);
	add(profile, CS_TREE_CREATION, MINE, "work", 21);
	add_traced(profile, MINE, 1, "mine before");
	add_traced(profile, MINE, 2, "another");
	/* the same process after an exec */
	cs_profile_end_owner(profile, MINE);
	cs_profile_owner(profile, MINE)->facts[CS_FACT_SERVICE] = text(profile, "after");
	add_traced(profile, MINE, 1, "mine after");
	add(profile, CS_TREE_AWAIT, MINE, "work", 21);
	assert_int_equal(cs_profile_note(profile, "of all"), 0);
	assert_int_equal(cs_profile_note_of(profile, OTHERS, "secret note"), 0);
	assert_int_equal(cs_profile_note_of(profile, MINE, "my note"), 0);
	return profile;
}

static bool is_mine(void *ctx, const struct cs_sample *sample)
{
	return sample->labels.process_id == MINE;
}

static bool none(void *ctx, const struct cs_sample *sample)
{
	return false;
}

static bool process_is_mine(void *ctx, uint32_t pid)
{
	return pid == MINE;
}

static const char *service_of(const struct cs_profile *profile, uint32_t owner)
{
	return cs_profile_str(profile,
			      cs_profile_get_owner(profile, owner)->facts[CS_FACT_SERVICE]);
}

static const char *service(const struct cs_profile *profile, size_t sample)
{
	return service_of(profile, cs_profile_sample(profile, sample)->labels.owner);
}

static const char *name_at(const struct cs_profile *profile, size_t sample, uint32_t depth)
{
	struct cs_stack stack =
		cs_profile_stack(profile, cs_profile_sample(profile, sample)->stack);

	return cs_profile_str(profile, cs_profile_get_frame(profile, stack.frames[depth])->name);
}

static void test_part(void **state)
{
	_cleanup_(cs_profile_freep) struct cs_profile *whole = made(), *part = NULL;
	const struct cs_profile_part options = {.keep = is_mine, .keep_process = process_is_mine};
	const struct cs_frame *frame;
	struct cs_stack stack;

	assert_int_equal(cs_profile_copy(whole, &options, &part), 0);
	assert_int_equal(cs_profile_nsamples(whole), 4);
	assert_int_equal(cs_profile_nsamples(part), 3);
	assert_int_equal(cs_profile_nsamples_in(part, CS_TREE_CREATION), 1);
	for (uint32_t i = 0; i < cs_profile_nstrings(part); i++)
		assert_null(strstr(cs_profile_str(part, i), "secret"));
	assert_string_equal(service(part, 0), "before");
	assert_string_equal(service(part, 1), "before");
	assert_string_equal(service(part, 2), "after");
	assert_int_equal(cs_profile_sample(part, 0)->labels.span_id, MINE);
	assert_string_equal(cs_profile_str(part, cs_profile_sample(part, 0)->labels.thread_name),
			    "work");
	assert_string_equal(cs_profile_str(part, cs_profile_sample(part, 0)->labels.trace_endpoint),
			    "work");
	assert_string_equal(name_at(part, 0, 1), "work");
	stack = cs_profile_stack(part, cs_profile_sample(part, 0)->stack);
	assert_int_equal(stack.n, 4);
	frame = cs_profile_get_frame(part, stack.frames[0]);
	assert_int_equal(frame->task, 7);
	assert_int_equal(frame->coro, stack.frames[1] + 1);
	frame = cs_profile_get_frame(part, frame->site - 1);
	assert_string_equal(cs_profile_str(part, frame->name), "site");
	assert_int_equal(cs_profile_inlined(part, stack.frames[3]), 1);
	assert_int_equal(cs_profile_get_frame(part, stack.frames[3])->inlined_into,
			 stack.frames[2]);
	frame = cs_profile_get_frame(part, stack.frames[2]);
	assert_string_equal(
		cs_profile_str(part, cs_profile_get_mapping(part, frame->mapping - 1)->path),
		"work");
	assert_int_equal(cs_profile_nmappings(part), 1);
	assert_int_equal(cs_profile_nnotes(part), 2);
	assert_string_equal(cs_profile_get_note(part, 0), "of all");
	assert_string_equal(cs_profile_get_note(part, 1), "my note");
	assert_int_equal(cs_profile_note_pid(part, 1), MINE);
}

static bool is_first_span(void *ctx, const struct cs_traced *traced)
{
	return traced->span_id == 1;
}

/* Spans are told with their owner, also where none of its samples is, and of others' nothing is there. */
static void test_traced(void **state)
{
	_cleanup_(cs_profile_freep) struct cs_profile *whole = made(), *part = NULL;
	const struct cs_profile_part options = {
		.keep = none, .keep_process = process_is_mine, .keep_traced = is_first_span};
	const struct cs_traced *before, *after;

	cs_profile_add_traced_dropped(whole, 3);
	assert_int_equal(cs_profile_copy(whole, &options, &part), 0);
	assert_int_equal(cs_profile_nsamples(part), 0);
	assert_int_equal(cs_profile_ntraced(whole), 4);
	assert_int_equal(cs_profile_ntraced(part), 2);
	assert_int_equal(cs_profile_traced_dropped(part), 3);
	for (uint32_t i = 0; i < cs_profile_nstrings(part); i++)
		assert_null(strstr(cs_profile_str(part, i), "secret"));
	before = cs_profile_get_traced(part, 0);
	after = cs_profile_get_traced(part, 1);
	assert_string_equal(cs_profile_str(part, before->name), "mine before");
	assert_string_equal(cs_profile_str(part, after->name), "mine after");
	assert_string_equal(service_of(part, before->owner), "before");
	assert_string_equal(service_of(part, after->owner), "after");
	assert_string_equal(cs_profile_str(part, after->trace_id),
			    "00000000000000000000000000000abc");
	assert_string_equal(cs_profile_str(part, after->resource), "GET /");
	assert_string_equal(cs_profile_str(part, after->service), "shop");
	assert_string_equal(cs_profile_str(part, after->type), "web");
	assert_string_equal(cs_profile_str(part, after->task_name), "Task-1");
	assert_int_equal(after->thread_id, MINE + 1);
	assert_int_equal(after->outcome, CS_OUTCOME_ERROR);
	assert_int_equal(after->from_ns, 5);
}

/* It lives without the one that it is of. */
static void test_whole(void **state)
{
	struct cs_profile *whole = made();
	_cleanup_(cs_profile_freep) struct cs_profile *copy = NULL;

	assert_int_equal(
		cs_profile_copy(whole, &(struct cs_profile_part){.tree = CS_TREE_CREATION}, &copy),
		0);
	assert_int_equal(cs_profile_nframes(copy), cs_profile_nframes(whole));
	assert_int_equal(cs_profile_nstacks(copy), cs_profile_nstacks(whole));
	assert_int_equal(cs_profile_nnotes(copy), 3);
	assert_int_equal(cs_profile_ntraced(copy), 4);
	cs_profile_free(whole);
	assert_int_equal(cs_profile_nsamples_in(copy, CS_TREE_AWAIT), 4);
	assert_int_equal(cs_profile_nsamples(copy), 1);
	assert_string_equal(cs_profile_meta(copy)->host, "host");
	assert_string_equal(cs_profile_meta(copy)->command, "command");
	assert_int_equal(cs_profile_meta(copy)->interval_ns, 5);
}

/* What differs in its line only becomes one, with the time, the spans and the waits of both. */
static void test_first_lines(void **state)
{
	_cleanup_(cs_profile_freep) struct cs_profile *whole = made(), *part = NULL;
	const struct cs_profile_part options = {.keep = is_mine, .first_lines = true};
	const struct cs_sample *sample;
	struct cs_stack stack;

	assert_int_equal(cs_profile_copy(whole, &options, &part), 0);
	assert_int_equal(cs_profile_nsamples(part), 2);
	sample = cs_profile_sample(part, 0);
	assert_int_equal(sample->values[CS_VALUE_WALL_NS], 20);
	assert_int_equal(sample->nspans, 2);
	assert_int_equal(sample->spans[0].to_ns, MINE + 21);
	assert_int_equal(sample->spans[1].to_ns, MINE + 22);
	assert_int_equal(sample->waiting_ns, 43);
	assert_int_equal(sample->first_ns, MINE + 21);
	assert_int_equal(sample->longest_ns, 22);
	stack = cs_profile_stack(part, sample->stack);
	assert_int_equal(cs_profile_get_frame(part, stack.frames[1])->line, 20);
}

static void test_nothing(void **state)
{
	_cleanup_(cs_profile_freep) struct cs_profile *whole = made(), *part = NULL;

	assert_int_equal(cs_profile_copy(whole, &(struct cs_profile_part){.keep = none}, &part), 0);
	assert_int_equal(cs_profile_nsamples(part), 0);
	assert_int_equal(cs_profile_nframes(part), 0);
	assert_int_equal(cs_profile_nnotes(part), 3);
}

int main(void)
{
	const struct CMUnitTest tests[] = {
		cmocka_unit_test(test_part),    cmocka_unit_test(test_traced),
		cmocka_unit_test(test_whole),   cmocka_unit_test(test_first_lines),
		cmocka_unit_test(test_nothing),
	};

	return cmocka_run_group_tests(tests, NULL, NULL);
}
