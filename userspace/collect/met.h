/* SPDX-License-Identifier: Apache-2.0 */
/*
 * Objects of tracers that the kernel side met in a process since the last turn, of which something is to be learned: the last ones, because those
 * before may be there no more.
 */
#pragma once

#include <stdbool.h>
#include <stdint.h>

#define CS_MET 8

/* Zeroes: none. */
struct cs_met {
	struct cs_met_object {
		uint64_t type, object;
	} items[CS_MET];
	unsigned int n; /* that were noted; of more than CS_MET the last ones are there */
	unsigned int nlisted,
		from; /* of a list: how many there were, and which is the first to be noted */
};

/* One that is there already is noted once. */
void cs_met_note(struct cs_met *met, uint64_t type, uint64_t object);

/*
 * Of those that are met one after the other in a list, which is much the same each time, all in turn: CS_MET of them in one list, the next ones in
 * the next. cs_met_end_list stands behind each.
 */
void cs_met_note_listed(struct cs_met *met, uint64_t type, uint64_t object);
void cs_met_end_list(struct cs_met *met);

/* The i-th, the newest first; false: there are no more. */
bool cs_met_get(const struct cs_met *met, unsigned int i, struct cs_met_object *ret);

/*
 * Is it time to look at the next one? pause_ns: so far apart on average. burst: how many are looked at with no pause between them, if there was none before for
 * as long; 1 or more. last_ns: of this kind of looks, zero at first; changed if it is time.
 */
bool cs_met_is_due(uint64_t *last_ns, uint64_t now_ns, uint64_t pause_ns, unsigned int burst);
