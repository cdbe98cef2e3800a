/* SPDX-License-Identifier: Apache-2.0 */
/* How the model is kept: profile.c fills it, read.c hands it out. */
#pragma once

#include <stdbool.h>
#include <stddef.h>
#include <stdint.h>

/* Without memory an element is not added and its hh.tbl stays NULL, instead of exit(). */
#define HASH_NONFATAL_OOM 1
#include <uthash.h>

#include "profile/profile.h"

/* Entries by index. */
struct table {
	void **at;
	size_t n, cap;
};

struct string_entry {
	UT_hash_handle hh;
	uint32_t index;
	bool is_note;
	uint32_t note_pid;
	size_t len;
	char bytes[];
};

struct frame_entry {
	UT_hash_handle hh;
	uint32_t index;
	struct cs_frame frame;
};

struct mapped_entry {
	UT_hash_handle hh;
	uint32_t index;
	struct cs_mapped mapped;
};
_Static_assert(sizeof(struct cs_mapped) == 32, "padding would be part of the key");

struct stack_entry {
	UT_hash_handle hh;
	uint32_t index;
	uint32_t n;
	uint32_t frames[];
};

/* What makes two samples one. No padding: the bytes are the key. */
struct sample_key {
	struct cs_labels labels;
	uint64_t stack;
};
_Static_assert(sizeof(struct sample_key) == 80, "padding would be part of the key");

struct sample_entry {
	UT_hash_handle hh;
	uint32_t index;
	struct sample_key key;
	struct cs_sample sample;
};

struct cs_profile {
	struct cs_profile_meta meta;
	char *host, *command;
	struct string_entry *string_hash;
	struct frame_entry *frame_hash;
	struct mapped_entry *mapped_hash;
	struct stack_entry *stack_hash;
	struct sample_entry *sample_hash[CS_TREE_MAX_];
	struct table strings, frames, mappings, stacks, samples[CS_TREE_MAX_];
	struct table notes; /* of string entries; owned by strings */
	struct cs_owners *owners;
	struct cs_traced_table *traced;
	uint32_t last; /* sample */
};

static inline struct cs_sample *sample_at(const struct cs_profile *profile, enum cs_tree tree,
					  size_t i)
{
	return &((struct sample_entry *)profile->samples[tree].at[i])->sample;
}
