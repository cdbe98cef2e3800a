/* SPDX-License-Identifier: Apache-2.0 */
/* How long what becomes ready in an event loop waits, from how long the loop was held. */
#pragma once

#include <stdint.h>

/* Lengths fall into classes, each about a fifth longer than the one before: their number and sum are kept. */
#define CS_WAIT_CLASSES 128

struct cs_waits { /* zero: no holds */
	struct {
		uint64_t n;
		double sum_ns;
	} classes[CS_WAIT_CLASSES];
};

/* The loop was held once more, for this long. */
void cs_waits_add(struct cs_waits *waits, uint64_t hold_ns);

/* The wait that a share q (0 to 1) of what becomes ready in watched_ns does not exceed; a lower bound. */
uint64_t cs_waits_quantile(const struct cs_waits *waits, uint64_t watched_ns, double q);
