/* SPDX-License-Identifier: Apache-2.0 */
/* Native code of one process. An address means what the latest event said about it. */
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

void cs_native_free(struct cs_native *native)
{
	struct cs_native_symbol *symbol, *next;

	cs_places_free(&native->places);
	HASH_ITER (hh, native->names, symbol, next)
		forget(native, symbol);
}

void cs_native_begin(struct cs_native *native)
{
	cs_places_begin(&native->places);
	for (struct cs_native_symbol *it = native->names; it; it = it->hh.next)
		it->name.string = 0;
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

int64_t cs_native_frame(struct cs_native *native, struct cs_profile *profile, uint64_t addr,
			struct cs_buf *scratch)
{
	struct cs_place *place = cs_places_find(&native->places, addr);
	struct cs_native_symbol *symbol = find(native, addr);
	int64_t mapping = place ? cs_place_mapping(place, profile) : 0, name;
	struct cs_frame frame = {.kind = CS_FRAME_NATIVE,
				 .address = addr,
				 .mapping = (uint32_t)mapping,
				 .unnamed = !symbol};

	if (mapping < 0)
		return mapping;
	if (!symbol) {
		name = place_name(profile, place, addr, scratch);
		if (name < 0)
			return name;
		frame.name = (uint32_t)name;
	} else if (cs_own_text_string(&symbol->name, profile, &frame.name) ||
		   (place && cs_own_text_string(&place->file, profile, &frame.file))) {
		return -ENOMEM;
	}
	return cs_profile_frame(profile, &frame);
}
