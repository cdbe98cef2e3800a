/* SPDX-License-Identifier: Apache-2.0 */
/* Names of native code from elsewhere than the capture: what is asked, and what is answered. */
#pragma once

#include <stdbool.h>
#include <stddef.h>
#include <stdint.h>

/* Functions at one address: one, and those that were put into it, one into another. Of more the outer ones are left out. */
#define CS_MAX_INLINED 16

struct cs_code_address {
	uint32_t pid;     /* of the process that had it; it may be gone, or another one */
	const char *path; /* of the file, as that process saw it */
	const uint8_t *build_id;
	size_t build_id_len; /* not 0 */
	uint64_t vaddr;      /* in the file's own address space */
	bool named;          /* its function is known; more may be */
};

/* Borrowed until the next question. */
struct cs_code_function {
	const char *name; /* as the linker or the debug information has it; NULL: not known */
	const char *file; /* of its source; NULL: not known */
	uint32_t line;    /* that executes in it, or calls the next one; 0: not known */
};

struct cs_lookup {
	/* The functions at an address, innermost first; the last is the one that the others were put into. Returns how many; 0: nothing is known. */
	size_t (*find)(void *ctx, const struct cs_code_address *address,
		       struct cs_code_function ret[CS_MAX_INLINED]);
	void *ctx;
};
