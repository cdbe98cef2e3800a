/* SPDX-License-Identifier: Apache-2.0 */
/* What a profile holds, for whoever writes it out. */
#include "profile/profile_private.h"

const struct cs_profile_meta *cs_profile_meta(const struct cs_profile *profile)
{
	return &profile->meta;
}

const char *cs_profile_str(const struct cs_profile *profile, uint32_t index)
{
	return ((const struct string_entry *)profile->strings.at[index])->bytes;
}

size_t cs_profile_str_len(const struct cs_profile *profile, uint32_t index)
{
	return ((const struct string_entry *)profile->strings.at[index])->len;
}

size_t cs_profile_nstrings(const struct cs_profile *profile)
{
	return profile->strings.n;
}

size_t cs_profile_nframes(const struct cs_profile *profile)
{
	return profile->frames.n;
}

const struct cs_frame *cs_profile_get_frame(const struct cs_profile *profile, uint32_t index)
{
	return &((const struct frame_entry *)profile->frames.at[index])->frame;
}

uint32_t cs_profile_inlined(const struct cs_profile *profile, uint32_t index)
{
	const struct cs_frame *frame = cs_profile_get_frame(profile, index);
	uint32_t n = 0;

	/* it can only refer to what was there before it: this ends */
	for (; frame->kind == CS_FRAME_INLINED; n++)
		frame = cs_profile_get_frame(profile, frame->inlined_into);
	return n;
}

size_t cs_profile_nmappings(const struct cs_profile *profile)
{
	return profile->mappings.n;
}

const struct cs_mapped *cs_profile_get_mapping(const struct cs_profile *profile, uint32_t index)
{
	return &((const struct mapped_entry *)profile->mappings.at[index])->mapped;
}

size_t cs_profile_nsamples_in(const struct cs_profile *profile, enum cs_tree tree)
{
	return profile->samples[tree].n;
}

const struct cs_sample *cs_profile_sample_in(const struct cs_profile *profile, enum cs_tree tree,
					     size_t i)
{
	return sample_at(profile, tree, i);
}

size_t cs_profile_nsamples(const struct cs_profile *profile)
{
	return cs_profile_nsamples_in(profile, profile->meta.tree);
}

const struct cs_sample *cs_profile_sample(const struct cs_profile *profile, size_t i)
{
	return cs_profile_sample_in(profile, profile->meta.tree, i);
}

struct cs_stack cs_profile_stack(const struct cs_profile *profile, uint32_t index)
{
	const struct stack_entry *entry = profile->stacks.at[index];

	return (struct cs_stack){entry->frames, entry->n};
}

size_t cs_profile_nstacks(const struct cs_profile *profile)
{
	return profile->stacks.n;
}

size_t cs_profile_nnotes(const struct cs_profile *profile)
{
	return profile->notes.n;
}

const char *cs_profile_get_note(const struct cs_profile *profile, size_t i)
{
	return ((const struct string_entry *)profile->notes.at[i])->bytes;
}

uint32_t cs_profile_note_pid(const struct cs_profile *profile, size_t i)
{
	return ((const struct string_entry *)profile->notes.at[i])->note_pid;
}
