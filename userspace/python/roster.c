/* SPDX-License-Identifier: Apache-2.0 */
/* What a capture's reader knows of a process's tasks. */
#include "python/roster.h"

#include <errno.h>
#include <stdlib.h>

#define MIN_ENTRIES 64

void cs_roster_free(struct cs_roster *roster)
{
	free(roster->entries);
	*roster = (struct cs_roster){0};
}

/* Where a task's entry is if nothing else is there. */
static size_t home(const struct cs_roster *roster, uint64_t addr)
{
	return (size_t)((addr * 0x9e3779b97f4a7c15ull) >> 32) & (roster->cap - 1);
}

/* The entry of a task, or the free one where it belongs. */
static struct cs_roster_entry *find(const struct cs_roster *roster, uint64_t addr)
{
	size_t i = home(roster, addr);

	while (roster->entries[i].addr && roster->entries[i].addr != addr)
		i = (i + 1) & (roster->cap - 1);
	return &roster->entries[i];
}

static bool none_gone(void *arg, const struct cs_roster_entry *entry)
{
	return false;
}

/* Move what is not gone to an array of another size. */
static int rebuild(struct cs_roster *roster, size_t cap,
		   bool (*gone)(void *arg, const struct cs_roster_entry *entry), void *arg)
{
	struct cs_roster grown = {calloc(cap, sizeof(*grown.entries)), cap, 0};

	if (!grown.entries)
		return -ENOMEM;
	for (size_t i = 0; i < roster->cap; i++) {
		const struct cs_roster_entry *entry = &roster->entries[i];

		if (!entry->addr || gone(arg, entry))
			continue;
		*find(&grown, entry->addr) = *entry;
		grown.n++;
	}
	free(roster->entries);
	*roster = grown;
	return 0;
}

int cs_roster_reserve(struct cs_roster *roster, size_t n)
{
	size_t cap = roster->cap ? roster->cap : MIN_ENTRIES;

	if (n > SIZE_MAX / 64 - roster->n)
		return -ENOMEM;
	while (cap < 2 * (roster->n + n))
		cap *= 2;
	return cap == roster->cap ? 0 : rebuild(roster, cap, none_gone, NULL);
}

struct cs_roster_entry *cs_roster_find(const struct cs_roster *roster, uint64_t addr)
{
	struct cs_roster_entry *entry = addr && roster->cap ? find(roster, addr) : NULL;

	return entry && entry->addr ? entry : NULL;
}

void cs_roster_expect(const struct cs_roster *roster, uint64_t addr)
{
	if (roster->cap)
		__builtin_prefetch(&roster->entries[home(roster, addr)], 1);
}

struct cs_roster_entry *cs_roster_get(struct cs_roster *roster, uint64_t addr)
{
	struct cs_roster_entry *entry;

	if (!addr || !roster->cap)
		return NULL;
	entry = find(roster, addr);
	if (!entry->addr && roster->n >= roster->cap / 2)
		return NULL;
	if (!entry->addr) {
		*entry = (struct cs_roster_entry){.addr = addr};
		roster->n++;
	}
	return entry;
}

int cs_roster_sweep(struct cs_roster *roster,
		    bool (*gone)(void *arg, const struct cs_roster_entry *entry), void *arg)
{
	return roster->cap ? rebuild(roster, roster->cap, gone, arg) : 0;
}
