/* SPDX-License-Identifier: Apache-2.0 */
/*
 * Addresses and code objects to names, files and lines: fed with the capture's CODE, MAPPING and
 * KSYM events in order, asked for frames of the model. Knows no live process.
 */
#pragma once

#include <stdbool.h>

#include "decode/decode.h"
#include "profile/profile.h"
#include "symbolize/lookup.h"

struct cs_symbols;

/*
 * first_lines: Python frames have the line where their function begins, in place of the one that executes. profile receives the interned strings and frames; borrowed,
 * must outlive the symbols. Returns 0 or -ENOMEM.
 */
int cs_symbols_new(struct cs_profile *profile, bool first_lines, struct cs_symbols **ret);
void cs_symbols_free(struct cs_symbols *symbols);
static inline void cs_symbols_freep(struct cs_symbols **symbols)
{
	cs_symbols_free(*symbols);
}

/*
 * From now on frames are this profile's (borrowed as above); indices of the last one mean nothing any more. What was
 * learned stays, but for processes that have ended.
 */
void cs_symbols_begin(struct cs_symbols *symbols, struct cs_profile *profile);

/*
 * Learn from one event, whose its process is included (owner_names.h); kinds that carry no names are ignored. A CS_EV_EXEC forgets its
 * process. 0 or -ENOMEM.
 */
int cs_symbols_feed(struct cs_symbols *symbols, const struct cs_event *event);

/*
 * Frame index (cached) of an executing Python frame: line from the code object's location table and
 * lasti. An unknown or unreadable code object gives a CS_FRAME_MARK "[unreadable]". Returns a frame
 * index, -ENOENT (not a frame of the program: show nothing) or -ENOMEM. Source of the table's encoding: Objects/locations.md of CPython 3.11 and later.
 */
int64_t cs_symbols_python(struct cs_symbols *symbols, uint32_t pid,
			  const struct cs_py_frame *frame);

/* enum cs_code_flags of a code object, 0 if unknown. */
unsigned int cs_symbols_code_flags(const struct cs_symbols *symbols, uint32_t pid, uint64_t code);

/* Kernel function, "[kernel+0x...]" where its name is not known. Frame index or -ENOMEM. */
int64_t cs_symbols_kernel(struct cs_symbols *symbols, uint64_t addr);

/* Ask this for names of native code that the capture has not, and for what was inlined; borrowed. Without it nobody is asked. */
void cs_symbols_look_up(struct cs_symbols *symbols, const struct cs_lookup *lookup);

/*
 * The function that a CS_EV_SYMBOL named, demangled, with its file's name; else what is found elsewhere, `file+0xoffset` from the
 * process's mappings, "[0x...]" where none is known. Where functions were inlined it is the innermost one's frame, which refers to
 * the next (inlined_into): show all. Frame index or -ENOMEM.
 */
int64_t cs_symbols_native(struct cs_symbols *symbols, uint32_t pid, uint64_t addr);
