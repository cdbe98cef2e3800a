/* SPDX-License-Identifier: Apache-2.0 */
/* A map from object addresses to 64-bit values. */
#include "python/addrmap.h"

#include <errno.h>
#include <stdlib.h>
#include <string.h>

struct cs_addrmap_slot {
	uint64_t addr; /* 0: free */
	uint64_t value;
};

#define MIN_SLOTS 64

void cs_addrmap_free(struct cs_addrmap *map)
{
	free(map->slots);
	*map = (struct cs_addrmap){0};
}

int cs_addrmap_reset(struct cs_addrmap *map, size_t n)
{
	size_t nslots = map->nslots ? map->nslots : MIN_SLOTS;
	struct cs_addrmap_slot *slots = map->slots;

	if (n > SIZE_MAX / 64)
		return -ENOMEM;
	while (nslots < 2 * n)
		nslots *= 2;
	if (nslots != map->nslots) {
		slots = realloc(map->slots, nslots * sizeof(*slots));
		if (!slots)
			return -ENOMEM;
	}
	memset(slots, 0, nslots * sizeof(*slots));
	*map = (struct cs_addrmap){slots, nslots, 0};
	return 0;
}

/* The slot of addr, or the free one where it belongs. */
static struct cs_addrmap_slot *slot_find(const struct cs_addrmap *map, uint64_t addr)
{
	size_t i = (size_t)((addr * 0x9e3779b97f4a7c15ull) >> 32) & (map->nslots - 1);

	while (map->slots[i].addr && map->slots[i].addr != addr)
		i = (i + 1) & (map->nslots - 1);
	return &map->slots[i];
}

bool cs_addrmap_add(struct cs_addrmap *map, uint64_t addr, uint64_t value)
{
	struct cs_addrmap_slot *slot;

	if (!addr || map->n >= map->nslots / 2)
		return false;
	slot = slot_find(map, addr);
	if (slot->addr)
		return false;
	*slot = (struct cs_addrmap_slot){addr, value};
	map->n++;
	return true;
}

bool cs_addrmap_get(const struct cs_addrmap *map, uint64_t addr, uint64_t *ret)
{
	const struct cs_addrmap_slot *slot;

	if (!addr || !map->nslots)
		return false;
	slot = slot_find(map, addr);
	if (!slot->addr)
		return false;
	*ret = slot->value;
	return true;
}

void cs_addrmap_change(struct cs_addrmap *map, uint64_t addr)
{
	struct cs_addrmap_slot *slot = addr && map->nslots ? slot_find(map, addr) : NULL;

	if (slot && slot->addr)
		slot->value++;
}
