/* SPDX-License-Identifier: Apache-2.0 */
/*
 * What a capture's reader knows of a process's tasks: for each one, by its address, what its last record said. Open addressing in
 * one array that is kept, so that a steady state allocates nothing. Address 0 is no task.
 */
#pragma once

#include <stdbool.h>
#include <stddef.h>
#include <stdint.h>

struct cs_roster_entry {
	uint64_t addr;   /* 0: free */
	uint64_t digest; /* of its last record */
	uint64_t coro;
	uint32_t seen; /* the caller's: when it was met last */
};

struct cs_roster {
	struct cs_roster_entry *entries; /* owned */
	size_t cap;                      /* a power of two, at least twice n; or 0 */
	size_t n;
};

void cs_roster_free(struct cs_roster *roster);

/* Make room for n more. Entries move. Returns 0 or -ENOMEM. */
int cs_roster_reserve(struct cs_roster *roster, size_t n);

/* The entry of a task, or NULL. Valid until entries are added or left out. */
struct cs_roster_entry *cs_roster_find(const struct cs_roster *roster, uint64_t addr);

/* The entry of this task will soon be asked for: have the processor fetch it. */
void cs_roster_expect(const struct cs_roster *roster, uint64_t addr);

/* The same as cs_roster_find; made (with digest and seen 0) if there is none and room was reserved. */
struct cs_roster_entry *cs_roster_get(struct cs_roster *roster, uint64_t addr);

/* Leave out every entry for which gone says so. Returns 0 or -ENOMEM; then all are kept. */
int cs_roster_sweep(struct cs_roster *roster,
		    bool (*gone)(void *arg, const struct cs_roster_entry *entry), void *arg);
