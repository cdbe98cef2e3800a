/* SPDX-License-Identifier: Apache-2.0 */
/* Native code of one process. An address means what the latest event said about it; what is asked elsewhere is asked once for each. */
#include "symbolize/native.h"

#include <errno.h>
#include <inttypes.h>
#include <stdlib.h>
#include <string.h>

/* Without memory an element is not added and its hh.tbl stays NULL, instead of exit(). */
#define HASH_NONFATAL_OOM 1
#include <uthash.h>

#include "core/cleanup.h"
#include "symbolize/demangle.h"

struct cs_native_symbol {
	uint64_t addr;
	struct cs_own_text name;
	UT_hash_handle hh;
};

struct cs_native_frame {
	uint64_t addr;
	uint32_t index;
	UT_hash_handle hh;
};

static struct cs_native_symbol *find(const struct cs_native *native, uint64_t addr)
{
	struct cs_native_symbol *symbol;

	HASH_FIND(hh, native->names, &addr, sizeof(addr), symbol);
	return symbol;
}

static void forget(struct cs_native *native, struct cs_native_symbol *symbol)
{
	HASH_DEL(native->names, symbol);
	free(symbol->name.bytes);
	free(symbol);
}

static void forget_frames(struct cs_native *native)
{
	struct cs_native_frame *frame, *next;

	HASH_ITER (hh, native->frames, frame, next) {
		HASH_DEL(native->frames, frame);
		free(frame);
	}
}

static void forget_frame(struct cs_native *native, uint64_t addr)
{
	struct cs_native_frame *frame;

	HASH_FIND(hh, native->frames, &addr, sizeof(addr), frame);
	if (!frame)
		return;
	HASH_DEL(native->frames, frame);
	free(frame);
}

void cs_native_free(struct cs_native *native)
{
	struct cs_native_symbol *symbol, *next;

	cs_places_free(&native->places);
	forget_frames(native);
	HASH_ITER (hh, native->names, symbol, next)
		forget(native, symbol);
}

void cs_native_begin(struct cs_native *native)
{
	cs_places_begin(&native->places);
	forget_frames(native);
	for (struct cs_native_symbol *it = native->names; it; it = it->hh.next)
		it->name.string = 0;
}

int cs_native_feed_mapping(struct cs_native *native, const struct cs_event_mapping *event)
{
	forget_frames(native);
	return cs_places_add(&native->places, event);
}

static int set_name(struct cs_native *native, uint64_t addr, struct cs_text name)
{
	struct cs_native_symbol *symbol = find(native, addr);

	if (symbol)
		return cs_own_text_set(&symbol->name, name);
	symbol = calloc(1, sizeof(*symbol));
	if (!symbol)
		return -ENOMEM;
	symbol->addr = addr;
	HASH_ADD(hh, native->names, addr, sizeof(symbol->addr), symbol);
	if (!symbol->hh.tbl) {
		free(symbol);
		return -ENOMEM;
	}
	return cs_own_text_set(&symbol->name, name);
}

int cs_native_feed_symbol(struct cs_native *native, const struct cs_event_symbol *event,
			  struct cs_buf *scratch)
{
	struct cs_native_symbol *symbol = find(native, event->addr);
	struct cs_text name = event->name;

	forget_frame(native, event->addr);
	if (!name.len) {
		if (symbol)
			forget(native, symbol);
		return 0;
	}
	scratch->len = 0;
	if (!cs_demangle(name.str, name.len, scratch))
		name = (struct cs_text){scratch->data, scratch->len};
	return set_name(native, event->addr, name);
}

/* The text of an address that has no name. Returns a string of the profile or -ENOMEM. */
static int64_t place_name(struct cs_profile *profile, const struct cs_place *place, uint64_t addr,
			  struct cs_buf *scratch)
{
	int err;

	scratch->len = 0;
	if (place && place->file.len)
		err = cs_buf_printf(scratch, "%s+0x%" PRIx64, place->file.bytes,
				    addr - place->start + place->offset);
	else
		err = cs_buf_printf(scratch, "[0x%" PRIx64 "]", addr);
	return err ? err : cs_profile_string(profile, scratch->data, scratch->len);
}

/* What the capture says of an address. Returns 0 or -ENOMEM. */
static int make_frame(struct cs_native *native, struct cs_profile *profile, struct cs_place *place,
		      uint64_t addr, struct cs_buf *scratch, struct cs_frame *ret)
{
	struct cs_native_symbol *symbol = find(native, addr);
	int64_t mapping = place ? cs_place_mapping(place, profile) : 0, name;

	if (mapping < 0)
		return (int)mapping;
	*ret = (struct cs_frame){.kind = CS_FRAME_NATIVE,
				 .address = addr,
				 .mapping = (uint32_t)mapping,
				 .unnamed = !symbol};
	if (symbol)
		return cs_own_text_string(&symbol->name, profile, &ret->name) ||
				       (place &&
					cs_own_text_string(&place->file, profile, &ret->file))
			       ? -ENOMEM
			       : 0;
	name = place_name(profile, place, addr, scratch);
	if (name < 0)
		return (int)name;
	ret->name = (uint32_t)name;
	return 0;
}

/* What is found elsewhere: how many functions. */
static size_t ask(const struct cs_native *native, const struct cs_lookup *lookup,
		  const struct cs_place *place, const struct cs_frame *frame,
		  struct cs_code_function found[CS_MAX_INLINED])
{
	struct cs_code_address question = {.pid = native->pid, .named = !frame->unnamed};

	if (!lookup || !place || !place->build_id.len)
		return 0;
	question.path = place->path.bytes;
	question.build_id = place->build_id_bytes;
	question.build_id_len = place->build_id.len / 2;
	question.vaddr = frame->address - place->start + place->vaddr;
	return lookup->find(lookup->ctx, &question, found);
}

/* A name of debug information, as a person wrote it. Returns a string of the profile or -ENOMEM. */
static int64_t intern_name(struct cs_profile *profile, const char *name, struct cs_buf *scratch)
{
	size_t len = strnlen(name, CS_MAX_SYMBOL);

	scratch->len = 0;
	if (cs_demangle(name, len, scratch))
		return cs_profile_string(profile, name, len);
	return cs_profile_string(profile, scratch->data, scratch->len);
}

/* Put a found function's source and line into its frame, and its name if that has none. Returns 0 or -ENOMEM. */
static int add_found(struct cs_profile *profile, const struct cs_code_function *found,
		     struct cs_place *place, struct cs_frame *frame, struct cs_buf *scratch)
{
	int64_t file = frame->file, name = frame->name;

	if (found->name && frame->unnamed) {
		name = intern_name(profile, found->name, scratch);
		frame->unnamed = false;
		if (!file && cs_own_text_string(&place->file, profile, &frame->file))
			return -ENOMEM;
		file = frame->file;
	}
	if (found->file)
		file = cs_profile_string(profile, found->file, strnlen(found->file, CS_MAX_PATH));
	if (file < 0 || name < 0)
		return -ENOMEM;
	frame->file = (uint32_t)file;
	frame->name = (uint32_t)name;
	frame->line = found->line;
	return 0;
}

/* The frames of functions that were put into the one of this frame, from the outermost on. Returns the last one's index or -ENOMEM. */
static int64_t add_inlined(struct cs_profile *profile, const struct cs_code_function *found,
			   size_t n, struct cs_place *place, const struct cs_frame *below,
			   struct cs_buf *scratch)
{
	int64_t index = cs_profile_frame(profile, below), unknown;

	while (n-- > 0 && index >= 0) {
		struct cs_frame frame = {
			.kind = CS_FRAME_INLINED,
			.address = below->address,
			.mapping = below->mapping,
			.unnamed = true,
			.inlined_into = (uint32_t)index,
		};

		unknown = cs_profile_string(profile, "[inlined]", 9);
		if (unknown < 0)
			return unknown;
		frame.name = (uint32_t)unknown;
		if (add_found(profile, &found[n], place, &frame, scratch))
			return -ENOMEM;
		frame.unnamed = false;
		index = cs_profile_frame(profile, &frame);
	}
	return index;
}

static int remember(struct cs_native *native, uint64_t addr, uint32_t index)
{
	struct cs_native_frame *frame = calloc(1, sizeof(*frame));

	if (!frame)
		return -ENOMEM;
	frame->addr = addr;
	frame->index = index;
	HASH_ADD(hh, native->frames, addr, sizeof(frame->addr), frame);
	if (frame->hh.tbl)
		return 0;
	free(frame);
	return -ENOMEM;
}

int64_t cs_native_frame(struct cs_native *native, struct cs_profile *profile,
			const struct cs_lookup *lookup, uint64_t addr, struct cs_buf *scratch)
{
	struct cs_place *place = cs_places_find(&native->places, addr);
	struct cs_code_function found[CS_MAX_INLINED];
	struct cs_native_frame *made;
	struct cs_frame frame;
	int64_t index;
	size_t n;

	HASH_FIND(hh, native->frames, &addr, sizeof(addr), made);
	if (made)
		return made->index;
	if (make_frame(native, profile, place, addr, scratch, &frame))
		return -ENOMEM;
	n = ask(native, lookup, place, &frame, found);
	if (n && add_found(profile, &found[n - 1], place, &frame, scratch))
		return -ENOMEM;
	index = add_inlined(profile, found, n ? n - 1 : 0, place, &frame, scratch);
	if (index >= 0 && remember(native, addr, (uint32_t)index))
		return -ENOMEM;
	return index;
}
