/* SPDX-License-Identifier: Apache-2.0 */
/* A part of a profile: first what its samples need is marked, then that is copied, then they are, and its spans. */
#include "profile/copy.h"

#include <errno.h>
#include <stdlib.h>
#include <string.h>

#include "core/cleanup.h"

/* Of a frame until it is copied; from then on its index in the copy + 1. */
#define NOT_WANTED 0
#define WANTED     1

/* A sample, or with CS_TREE_MAX_ for a tree a span. */
struct kept {
	uint32_t owner, index;
	enum cs_tree tree;
};

struct copier {
	const struct cs_profile *from;
	struct cs_profile *to; /* owned */
	const struct cs_profile_part *part;
	uint32_t *frames;  /* owned; by index in from */
	struct kept *kept; /* owned */
	size_t nkept;
	uint32_t *stack; /* owned; scratch */
	size_t cap;
};

static void copier_free(struct copier *c)
{
	cs_profile_free(c->to);
	free(c->frames);
	free(c->kept);
	free(c->stack);
}

static bool is_kept(const struct copier *c, const struct cs_sample *sample)
{
	return !c->part->keep || c->part->keep(c->part->ctx, sample);
}

static size_t count_all(const struct copier *c)
{
	size_t n = cs_profile_ntraced(c->from);

	for (int tree = 0; tree < CS_TREE_MAX_; tree++)
		n += cs_profile_nsamples_in(c->from, (enum cs_tree)tree);
	return n;
}

static void choose_samples(struct copier *c)
{
	for (int tree = 0; tree < CS_TREE_MAX_; tree++) {
		size_t n = cs_profile_nsamples_in(c->from, (enum cs_tree)tree);

		for (size_t i = 0; i < n; i++) {
			const struct cs_sample *sample =
				cs_profile_sample_in(c->from, (enum cs_tree)tree, i);

			if (is_kept(c, sample))
				c->kept[c->nkept++] = (struct kept){
					sample->labels.owner, (uint32_t)i, (enum cs_tree)tree};
		}
	}
}

static void choose_traced(struct copier *c)
{
	const struct cs_profile_part *part = c->part;
	size_t n = cs_profile_ntraced(c->from);

	for (size_t i = 0; i < n; i++) {
		const struct cs_traced *traced = cs_profile_get_traced(c->from, i);

		if ((!part->keep_process || part->keep_process(part->ctx, traced->process_id)) &&
		    (!part->keep_traced || part->keep_traced(part->ctx, traced)))
			c->kept[c->nkept++] =
				(struct kept){traced->owner, (uint32_t)i, CS_TREE_MAX_};
	}
}

/* An owner's samples and spans together: while they are added it is who owns its process. */
static int compare_kept(const void *a, const void *b)
{
	const struct kept *x = a, *y = b;

	if (x->owner != y->owner)
		return x->owner < y->owner ? -1 : 1;
	if (x->tree != y->tree)
		return x->tree < y->tree ? -1 : 1;
	return (x->index > y->index) - (x->index < y->index);
}

static bool is_traced(const struct kept *kept)
{
	return kept->tree == CS_TREE_MAX_;
}

static const struct cs_sample *sample_of(const struct copier *c, const struct kept *kept)
{
	return cs_profile_sample_in(c->from, kept->tree, kept->index);
}

/* A frame refers only to frames that were there before it: backwards, all that is wanted is known in one go. */
static void mark_frames(struct copier *c)
{
	for (size_t i = 0; i < c->nkept; i++) {
		struct cs_stack stack = {0};

		if (!is_traced(&c->kept[i]))
			stack = cs_profile_stack(c->from, sample_of(c, &c->kept[i])->stack);
		for (uint32_t k = 0; k < stack.n; k++)
			c->frames[stack.frames[k]] = WANTED;
	}
	for (size_t i = cs_profile_nframes(c->from); i-- > 0;) {
		const struct cs_frame *frame = cs_profile_get_frame(c->from, (uint32_t)i);

		if (c->frames[i] == NOT_WANTED)
			continue;
		if (frame->kind == CS_FRAME_INLINED)
			c->frames[frame->inlined_into] = WANTED;
		if (frame->coro)
			c->frames[frame->coro - 1] = WANTED;
		if (frame->site)
			c->frames[frame->site - 1] = WANTED;
	}
}

/* The copy's index of a string, in place. */
static int copy_string(struct copier *c, uint32_t *index)
{
	int64_t copy = cs_profile_string(c->to, cs_profile_str(c->from, *index),
					 cs_profile_str_len(c->from, *index));

	*index = (uint32_t)copy;
	return copy < 0 ? (int)copy : 0;
}

static int copy_strings(struct copier *c, uint32_t *const *indices, size_t n)
{
	int err = 0;

	for (size_t i = 0; !err && i < n; i++)
		err = *indices[i] ? copy_string(c, indices[i]) : 0;
	return err;
}

/* number: as struct cs_frame has it, 0: none. */
static int copy_mapping(struct copier *c, uint32_t *number)
{
	struct cs_mapped mapped = *cs_profile_get_mapping(c->from, *number - 1);
	int err = copy_strings(c, (uint32_t *const[]){&mapped.path, &mapped.build_id}, 2);
	int64_t index = err ? err : cs_profile_mapping(c->to, &mapped);

	*number = (uint32_t)index + 1;
	return index < 0 ? (int)index : 0;
}

static int copy_frame(struct copier *c, uint32_t index)
{
	struct cs_frame frame = *cs_profile_get_frame(c->from, index);
	int err = copy_strings(c, (uint32_t *const[]){&frame.name, &frame.file}, 2);
	int64_t copy;

	if (!err && frame.mapping)
		err = copy_mapping(c, &frame.mapping);
	if (err)
		return err;
	if (frame.kind == CS_FRAME_INLINED)
		frame.inlined_into = c->frames[frame.inlined_into] - 1;
	if (frame.coro)
		frame.coro = c->frames[frame.coro - 1];
	if (frame.site)
		frame.site = c->frames[frame.site - 1];
	if (c->part->first_lines && frame.kind == CS_FRAME_PYTHON && frame.first_line)
		frame.line = frame.first_line;
	copy = cs_profile_frame(c->to, &frame);
	c->frames[index] = (uint32_t)copy + 1;
	return copy < 0 ? (int)copy : 0;
}

static int copy_frames(struct copier *c)
{
	size_t n = cs_profile_nframes(c->from);
	int err = 0;

	for (size_t i = 0; !err && i < n; i++)
		if (c->frames[i] == WANTED)
			err = copy_frame(c, (uint32_t)i);
	return err;
}

/* From now on samples of its process are this owner's. */
static int begin_owner(struct copier *c, uint32_t index)
{
	struct cs_owner owner = *cs_profile_get_owner(c->from, index), *copy;
	int err = 0;

	for (int fact = 0; !err && fact < CS_FACT_MAX_; fact++)
		err = owner.facts[fact] ? copy_string(c, &owner.facts[fact]) : 0;
	if (err)
		return err;
	cs_profile_end_owner(c->to, owner.pid);
	copy = cs_profile_owner(c->to, owner.pid);
	if (!copy)
		return -ENOMEM;
	*copy = owner;
	return 0;
}

static int reserve_stack(struct copier *c, size_t n)
{
	uint32_t *stack;

	if (c->stack && n <= c->cap)
		return 0;
	stack = reallocarray(c->stack, n ? n : 1, sizeof(*stack));
	if (!stack)
		return -ENOMEM;
	c->stack = stack;
	c->cap = n;
	return 0;
}

static int copy_sample(struct copier *c, const struct kept *kept)
{
	const struct cs_sample *sample = sample_of(c, kept);
	struct cs_stack stack = cs_profile_stack(c->from, sample->stack);
	struct cs_labels labels = sample->labels;
	uint32_t *const texts[] = {&labels.thread_name, &labels.task_name, &labels.origin_task_name,
				   &labels.trace_type,  &labels.trace_id,  &labels.trace_endpoint};
	int err = reserve_stack(c, stack.n);

	if (!err)
		err = copy_strings(c, texts, ARRAY_SIZE(texts));
	if (err)
		return err;
	for (uint32_t i = 0; i < stack.n; i++)
		c->stack[i] = c->frames[stack.frames[i]] - 1;
	err = cs_profile_add_in(c->to, kept->tree, c->stack, stack.n, &labels, sample->values);
	return err ? err : cs_profile_see_as(c->to, kept->tree, cs_profile_last(c->to), sample);
}

static int copy_traced(struct copier *c, const struct kept *kept)
{
	struct cs_traced traced = *cs_profile_get_traced(c->from, kept->index);
	uint32_t *const texts[] = {&traced.trace_id, &traced.name, &traced.resource,
				   &traced.service,  &traced.type, &traced.task_name};
	int err = copy_strings(c, texts, ARRAY_SIZE(texts));

	return err ? err : cs_profile_add_traced(c->to, &traced);
}

static int copy_kept(struct copier *c)
{
	int err = 0;

	for (size_t i = 0; !err && i < c->nkept; i++) {
		if (!i || c->kept[i].owner != c->kept[i - 1].owner)
			err = begin_owner(c, c->kept[i].owner);
		if (!err)
			err = is_traced(&c->kept[i]) ? copy_traced(c, &c->kept[i])
						     : copy_sample(c, &c->kept[i]);
	}
	return err;
}

static int copy_notes(struct copier *c)
{
	const struct cs_profile_part *part = c->part;
	int err = 0;

	for (size_t i = 0; !err && i < cs_profile_nnotes(c->from); i++) {
		uint32_t pid = cs_profile_note_pid(c->from, i);

		if (!pid || !part->keep_process || part->keep_process(part->ctx, pid))
			err = cs_profile_note_of(c->to, pid, cs_profile_get_note(c->from, i));
	}
	return err;
}

static int copy_meta(struct copier *c)
{
	const struct cs_profile_meta *meta = cs_profile_meta(c->from);

	*cs_profile_meta_mut(c->to) = *meta;
	cs_profile_meta_mut(c->to)->tree = c->part->tree;
	cs_profile_add_traced_dropped(c->to, cs_profile_traced_dropped(c->from));
	return cs_profile_set_text(c->to, meta->host, strlen(meta->host), meta->command,
				   strlen(meta->command));
}

int cs_profile_copy(const struct cs_profile *whole, const struct cs_profile_part *part,
		    struct cs_profile **ret)
{
	_cleanup_(copier_free) struct copier c = {.from = whole, .part = part};
	int err = cs_profile_new(&c.to);

	if (err)
		return err;
	c.frames = calloc(cs_profile_nframes(whole) + 1, sizeof(*c.frames));
	c.kept = calloc(count_all(&c) + 1, sizeof(*c.kept));
	if (!c.frames || !c.kept)
		return -ENOMEM;
	choose_samples(&c);
	choose_traced(&c);
	qsort(c.kept, c.nkept, sizeof(*c.kept), compare_kept);
	mark_frames(&c);
	err = copy_meta(&c);
	if (!err)
		err = copy_frames(&c);
	if (!err)
		err = copy_kept(&c);
	if (!err)
		err = copy_notes(&c);
	if (!err)
		*ret = TAKE_PTR(c.to);
	return err;
}
