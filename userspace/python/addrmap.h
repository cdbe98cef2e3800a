/* SPDX-License-Identifier: Apache-2.0 */
/*
 * A map from object addresses to one 64-bit value each, filled anew for every pass over the tasks: open
 * addressing in one array that is kept, so that a steady state allocates nothing. Address 0 is no key.
 */
#pragma once

#include <stdbool.h>
#include <stddef.h>
#include <stdint.h>

struct cs_addrmap {
	struct cs_addrmap_slot *slots; /* owned */
	size_t nslots;                 /* a power of two, at least twice n; or 0 */
	size_t n;
};

void cs_addrmap_free(struct cs_addrmap *map);

/* Empty the map and make room for n addresses. Returns 0 or -ENOMEM. */
int cs_addrmap_reset(struct cs_addrmap *map, size_t n);

/* Store a value, unless the address is there already or the room is used up: then false. */
bool cs_addrmap_add(struct cs_addrmap *map, uint64_t addr, uint64_t value);

/* The value stored for addr. */
bool cs_addrmap_get(const struct cs_addrmap *map, uint64_t addr, uint64_t *ret);

/* Make the value stored for addr, if there is one, another: what it was compared with no longer counts. */
void cs_addrmap_change(struct cs_addrmap *map, uint64_t addr);
