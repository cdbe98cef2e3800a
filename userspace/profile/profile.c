/* SPDX-License-Identifier: Apache-2.0 */
/*
 * The model: four interned tables (strings, frames, stacks, samples). Each entry is one allocation
 * that is both in a hash by content and in an array by index; nothing but samples is ever removed, so pointers
 * handed out stay valid.
 */
#include "profile/profile.h"

#include <errno.h>
#include <stdlib.h>
#include <string.h>

#include "core/cleanup.h"
#include "profile/profile_private.h"

/* Make room for one more, so that a later push cannot fail. */
static int table_reserve(struct table *table)
{
	size_t cap = table->cap ? table->cap * 2 : 64;
	void **at;

	if (table->n < table->cap)
		return 0;
	if (table->n >= UINT32_MAX / 2)
		return -ENOMEM;
	at = reallocarray(table->at, cap, sizeof(*at));
	if (!at)
		return -ENOMEM;
	table->at = at;
	table->cap = cap;
	return 0;
}

static uint32_t table_push(struct table *table, void *entry)
{
	table->at[table->n] = entry;
	return (uint32_t)table->n++;
}

static void table_free(struct table *table, bool owned)
{
	size_t i;

	for (i = 0; owned && i < table->n; i++)
		free(table->at[i]);
	free(table->at);
}

int cs_profile_new(struct cs_profile **ret)
{
	_cleanup_(cs_profile_freep) struct cs_profile *profile = calloc(1, sizeof(*profile));
	int64_t empty;

	if (!profile)
		return -ENOMEM;
	profile->meta.host = "";
	profile->meta.command = "";
	if (cs_owners_new(&profile->owners) || cs_traced_table_new(&profile->traced))
		return -ENOMEM;
	empty = cs_profile_string(profile, "", 0);
	if (empty < 0)
		return (int)empty;
	*ret = TAKE_PTR(profile);
	return 0;
}

static void free_samples(struct cs_profile *profile, enum cs_tree tree)
{
	struct sample_entry *entry;

	HASH_CLEAR(hh, profile->sample_hash[tree]);
	for (size_t i = 0; i < profile->samples[tree].n; i++) {
		entry = profile->samples[tree].at[i];
		free(entry->sample.spans);
	}
	table_free(&profile->samples[tree], true);
}

void cs_profile_free(struct cs_profile *profile)
{
	if (!profile)
		return;
	HASH_CLEAR(hh, profile->string_hash);
	HASH_CLEAR(hh, profile->frame_hash);
	HASH_CLEAR(hh, profile->mapped_hash);
	HASH_CLEAR(hh, profile->stack_hash);
	for (int tree = 0; tree < CS_TREE_MAX_; tree++)
		free_samples(profile, tree);
	table_free(&profile->strings, true);
	table_free(&profile->frames, true);
	table_free(&profile->mappings, true);
	table_free(&profile->stacks, true);
	table_free(&profile->notes, false);
	cs_owners_free(profile->owners);
	cs_traced_table_free(profile->traced);
	free(profile->host);
	free(profile->command);
	free(profile);
}

int64_t cs_profile_string(struct cs_profile *profile, const char *str, size_t len)
{
	_cleanup_free_ struct string_entry *added = NULL;
	struct string_entry *entry;

	HASH_FIND(hh, profile->string_hash, str, len, entry);
	if (entry)
		return entry->index;
	added = calloc(1, sizeof(*added) + len + 1);
	if (!added || table_reserve(&profile->strings))
		return -ENOMEM;
	added->len = len;
	if (len)
		memcpy(added->bytes, str, len);
	HASH_ADD_KEYPTR(hh, profile->string_hash, added->bytes, len, added);
	if (!added->hh.tbl)
		return -ENOMEM;
	added->index = table_push(&profile->strings, added);
	return TAKE_PTR(added)->index;
}

int64_t cs_profile_frame(struct cs_profile *profile, const struct cs_frame *frame)
{
	_cleanup_free_ struct frame_entry *added = NULL;
	struct frame_entry *entry;
	struct cs_frame key;

	/* Member by member into zeroed memory: padding must not tell two equal frames apart. */
	memset(&key, 0, sizeof(key));
	key.name = frame->name;
	key.file = frame->file;
	key.line = frame->line;
	key.first_line = frame->first_line;
	key.kind = frame->kind;
	key.address = frame->address;
	key.mapping = frame->mapping;
	key.unnamed = frame->unnamed;
	key.inlined_into = frame->inlined_into;
	key.mark = frame->mark;
	key.coro = frame->coro;
	key.site = frame->site;
	key.task = frame->task;
	HASH_FIND(hh, profile->frame_hash, &key, sizeof(key), entry);
	if (entry)
		return entry->index;
	added = calloc(1, sizeof(*added));
	if (!added || table_reserve(&profile->frames))
		return -ENOMEM;
	memcpy(&added->frame, &key, sizeof(key));
	HASH_ADD(hh, profile->frame_hash, frame, sizeof(added->frame), added);
	if (!added->hh.tbl)
		return -ENOMEM;
	added->index = table_push(&profile->frames, added);
	return TAKE_PTR(added)->index;
}

int64_t cs_profile_mapping(struct cs_profile *profile, const struct cs_mapped *mapped)
{
	_cleanup_free_ struct mapped_entry *added = NULL;
	struct mapped_entry *entry;

	HASH_FIND(hh, profile->mapped_hash, mapped, sizeof(*mapped), entry);
	if (entry)
		return entry->index;
	added = calloc(1, sizeof(*added));
	if (!added || table_reserve(&profile->mappings))
		return -ENOMEM;
	added->mapped = *mapped;
	HASH_ADD(hh, profile->mapped_hash, mapped, sizeof(added->mapped), added);
	if (!added->hh.tbl)
		return -ENOMEM;
	added->index = table_push(&profile->mappings, added);
	return TAKE_PTR(added)->index;
}

static int64_t intern_stack(struct cs_profile *profile, const uint32_t *frames, uint32_t n)
{
	size_t bytes = n * sizeof(*frames);
	_cleanup_free_ struct stack_entry *added = NULL;
	struct stack_entry *entry;

	HASH_FIND(hh, profile->stack_hash, frames, bytes, entry);
	if (entry)
		return entry->index;
	added = calloc(1, sizeof(*added) + bytes);
	if (!added || table_reserve(&profile->stacks))
		return -ENOMEM;
	added->n = n;
	if (n)
		memcpy(added->frames, frames, bytes);
	HASH_ADD_KEYPTR(hh, profile->stack_hash, added->frames, bytes, added);
	if (!added->hh.tbl)
		return -ENOMEM;
	added->index = table_push(&profile->stacks, added);
	return TAKE_PTR(added)->index;
}

/* The index of the sample with this key, new with zero values, or -ENOMEM. */
static int64_t intern_sample(struct cs_profile *profile, enum cs_tree tree,
			     const struct sample_key *key)
{
	_cleanup_free_ struct sample_entry *added = NULL;
	struct table *samples = &profile->samples[tree];
	struct sample_entry *entry;

	HASH_FIND(hh, profile->sample_hash[tree], key, sizeof(*key), entry);
	if (entry)
		return entry->index;
	added = calloc(1, sizeof(*added));
	if (!added || table_reserve(samples))
		return -ENOMEM;
	added->key = *key;
	added->sample.stack = (uint32_t)key->stack;
	added->sample.labels = key->labels;
	HASH_ADD(hh, profile->sample_hash[tree], key, sizeof(*key), added);
	if (!added->hh.tbl)
		return -ENOMEM;
	added->index = table_push(samples, added);
	return TAKE_PTR(added)->index;
}

static void add_clamped(uint64_t *sum, uint64_t add)
{
	if (__builtin_add_overflow(*sum, add, sum) || *sum > INT64_MAX)
		*sum = INT64_MAX;
}

void cs_profile_add_again(struct cs_profile *profile, enum cs_tree tree, uint32_t sample,
			  const uint64_t values[CS_VALUE_MAX_])
{
	profile->last = sample;
	for (int value = 0; value < CS_VALUE_MAX_; value++)
		add_clamped(&sample_at(profile, tree, sample)->values[value], values[value]);
}

int cs_profile_add_in(struct cs_profile *profile, enum cs_tree tree, const uint32_t *frames,
		      uint32_t n, const struct cs_labels *labels,
		      const uint64_t values[CS_VALUE_MAX_])
{
	int64_t stack, sample, owner = cs_owners_find(profile->owners, labels->process_id);
	struct sample_key key = {.labels = *labels};

	if (owner < 0)
		return (int)owner;
	key.labels.owner = (uint32_t)owner;
	stack = intern_stack(profile, frames, n);
	if (stack < 0)
		return (int)stack;
	key.stack = (uint64_t)stack;
	sample = intern_sample(profile, tree, &key);
	if (sample < 0)
		return (int)sample;
	cs_profile_add_again(profile, tree, (uint32_t)sample, values);
	return 0;
}

int cs_profile_add(struct cs_profile *profile, const uint32_t *frames, uint32_t n,
		   const struct cs_labels *labels, const uint64_t values[CS_VALUE_MAX_])
{
	return cs_profile_add_in(profile, profile->meta.tree, frames, n, labels, values);
}

/* 0: not known */
static void earliest(uint64_t *known, uint64_t told)
{
	if (told && (!*known || told < *known))
		*known = told;
}

int cs_profile_see(struct cs_profile *profile, enum cs_tree tree, uint32_t sample,
		   const struct cs_seen *seen)
{
	/* Clocks jitter: spans that nearly meet are one. */
	uint64_t slack_ns = profile->meta.interval_ns / 2;
	struct cs_sample *s = sample_at(profile, tree, sample);
	struct cs_span *last = s->nspans ? &s->spans[s->nspans - 1] : NULL;
	uint32_t cap = s->spans_cap ? s->spans_cap * 2 : 1;

	earliest(&s->first_ns, seen->span.to_ns);
	if (seen->suspended) {
		add_clamped(&s->waiting_ns, seen->span.to_ns - seen->span.from_ns);
		if (seen->waited_ns > s->longest_ns)
			s->longest_ns = seen->waited_ns;
	}
	if (last && last->on_cpu == seen->span.on_cpu &&
	    seen->span.from_ns <= last->to_ns + slack_ns &&
	    last->from_ns <= seen->span.to_ns + slack_ns) {
		if (seen->span.from_ns < last->from_ns)
			last->from_ns = seen->span.from_ns;
		if (seen->span.to_ns > last->to_ns)
			last->to_ns = seen->span.to_ns;
		return 0;
	}
	if (!s->spans || s->nspans == s->spans_cap) {
		last = reallocarray(s->spans, cap, sizeof(*last));
		if (!last)
			return -ENOMEM;
		s->spans = last;
		s->spans_cap = cap;
	}
	s->spans[s->nspans++] = seen->span;
	return 0;
}

int cs_profile_see_as(struct cs_profile *profile, enum cs_tree tree, uint32_t sample,
		      const struct cs_sample *other)
{
	struct cs_sample *s = sample_at(profile, tree, sample);
	size_t n = (size_t)s->nspans + other->nspans;
	struct cs_span *spans;

	earliest(&s->first_ns, other->first_ns);
	add_clamped(&s->waiting_ns, other->waiting_ns);
	if (other->longest_ns > s->longest_ns)
		s->longest_ns = other->longest_ns;
	if (!other->nspans)
		return 0;
	spans = n <= UINT32_MAX ? reallocarray(s->spans, n, sizeof(*spans)) : NULL;
	if (!spans)
		return -ENOMEM;
	memcpy(spans + s->nspans, other->spans, other->nspans * sizeof(*spans));
	s->spans = spans;
	s->nspans = s->spans_cap = (uint32_t)n;
	return 0;
}

uint32_t cs_profile_last(const struct cs_profile *profile)
{
	return profile->last;
}

void cs_profile_add_value(struct cs_profile *profile, uint32_t sample, enum cs_value value,
			  uint64_t add)
{
	add_clamped(&sample_at(profile, profile->meta.tree, sample)->values[value], add);
}

static void keep_in(struct cs_profile *profile, enum cs_tree tree,
		    bool (*keep)(void *ctx, const struct cs_sample *sample), void *ctx)
{
	struct table *samples = &profile->samples[tree];
	size_t n = 0;

	for (size_t i = 0; i < samples->n; i++) {
		struct sample_entry *entry = samples->at[i];

		if (keep(ctx, &entry->sample)) {
			entry->index = (uint32_t)n;
			samples->at[n++] = entry;
			continue;
		}
		HASH_DEL(profile->sample_hash[tree], entry);
		free(entry->sample.spans);
		free(entry);
	}
	samples->n = n;
}

void cs_profile_keep(struct cs_profile *profile,
		     bool (*keep)(void *ctx, const struct cs_sample *sample), void *ctx)
{
	for (int tree = 0; tree < CS_TREE_MAX_; tree++)
		keep_in(profile, (enum cs_tree)tree, keep, ctx);
}

int cs_profile_complete(struct cs_profile *profile,
			int (*complete)(void *ctx, struct cs_labels *labels), void *ctx)
{
	int err = 0;

	for (int tree = 0; tree < CS_TREE_MAX_; tree++) {
		struct table *samples = &profile->samples[tree];

		for (size_t i = 0; i < samples->n && !err; i++) {
			struct sample_entry *entry = samples->at[i];

			err = complete(ctx, &entry->sample.labels);
		}
	}
	return err;
}

struct cs_profile_meta *cs_profile_meta_mut(struct cs_profile *profile)
{
	return &profile->meta;
}

int cs_profile_set_text(struct cs_profile *profile, const char *host, size_t host_len,
			const char *command, size_t command_len)
{
	_cleanup_free_ char *new_host = strndup(host, host_len);
	_cleanup_free_ char *new_command = strndup(command, command_len);

	if (!new_host || !new_command)
		return -ENOMEM;
	free(profile->host);
	free(profile->command);
	profile->meta.host = profile->host = TAKE_PTR(new_host);
	profile->meta.command = profile->command = TAKE_PTR(new_command);
	return 0;
}

struct cs_owner *cs_profile_owner(struct cs_profile *profile, uint32_t pid)
{
	int64_t index = cs_owners_find(profile->owners, pid);

	return index < 0 ? NULL : cs_owners_at(profile->owners, (uint32_t)index);
}

void cs_profile_end_owner(struct cs_profile *profile, uint32_t pid)
{
	cs_owners_end(profile->owners, pid);
}

const struct cs_owner *cs_profile_get_owner(const struct cs_profile *profile, uint32_t index)
{
	return cs_owners_at(profile->owners, index);
}

int cs_profile_add_traced(struct cs_profile *profile, const struct cs_traced *traced)
{
	int64_t owner = cs_owners_find(profile->owners, traced->process_id);
	struct cs_traced owned = *traced;

	if (owner < 0)
		return (int)owner;
	owned.owner = (uint32_t)owner;
	return cs_traced_table_add(profile->traced, &owned);
}

size_t cs_profile_ntraced(const struct cs_profile *profile)
{
	return cs_traced_table_n(profile->traced);
}

const struct cs_traced *cs_profile_get_traced(const struct cs_profile *profile, size_t i)
{
	return cs_traced_table_at(profile->traced, i);
}

uint64_t cs_profile_traced_dropped(const struct cs_profile *profile)
{
	return cs_traced_table_dropped(profile->traced);
}

void cs_profile_add_traced_dropped(struct cs_profile *profile, uint64_t n)
{
	cs_traced_table_add_dropped(profile->traced, n);
}

void cs_profile_keep_traced(struct cs_profile *profile,
			    bool (*keep)(void *ctx, const struct cs_traced *traced), void *ctx)
{
	cs_traced_table_keep(profile->traced, keep, ctx);
}

int cs_profile_note(struct cs_profile *profile, const char *note)
{
	return cs_profile_note_of(profile, 0, note);
}

int cs_profile_note_of(struct cs_profile *profile, uint32_t pid, const char *note)
{
	int64_t index = cs_profile_string(profile, note, strlen(note));
	struct string_entry *entry;

	if (index < 0)
		return (int)index;
	entry = profile->strings.at[index];
	if (entry->is_note)
		return 0;
	if (table_reserve(&profile->notes))
		return -ENOMEM;
	entry->is_note = true;
	entry->note_pid = pid;
	table_push(&profile->notes, entry);
	return 0;
}
