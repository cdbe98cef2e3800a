/* SPDX-License-Identifier: Apache-2.0 */
/* The entries of .eh_frame that describe functions, in the order of their addresses. */
#pragma once

#include "unwind/cfi.h"

struct cs_function {
	uint64_t start; /* address of its code */
	size_t at;      /* of its entry in .eh_frame */
};

struct cs_functions {
	struct cs_function *items; /* owned */
	size_t n, cap;
	size_t ndamaged; /* 1 if the section could not be read to its end */
};

void cs_functions_free(struct cs_functions *functions); /* an empty one is fine */
#define _cleanup_functions_ __attribute__((cleanup(cs_functions_free)))

/* From the section itself, entry by entry. Returns 0 or -ENOMEM. */
int cs_functions_walk(const struct cs_eh_frame *frame, struct cs_functions *ret);
