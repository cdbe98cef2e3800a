/* SPDX-License-Identifier: Apache-2.0 */
/* What an answer means for a parcel, and when to try again. */
#pragma once

#include <stdint.h>

enum cs_verdict {
	CS_TAKEN,
	CS_LATER,   /* the server, or the way there, is to blame: the same may succeed later */
	CS_REFUSED, /* the same would be refused again */
};

/* Of an HTTP status; 0: there was no answer. */
enum cs_verdict cs_retry_judge(int status);

/*
 * How long to wait after so many failures in a row (at least 1): 1 s, doubled up to 1 min, of which a random part of up to a half is taken
 * off, so that many agents do not come back at once.
 */
uint64_t cs_retry_wait_ns(unsigned int failures, uint32_t random);
