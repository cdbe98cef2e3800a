/* SPDX-License-Identifier: Apache-2.0 */
/*
 * Fresh records refer to code objects, kernel functions and mapped files by address. Names finds the addresses that
 * nobody has named yet, asks the live machine while it still knows, and puts the answers before the records. An address may
 * be several objects' one after the other: a CS_EV_CODE record holds until the next one.
 * It reads records of this very run (from the ring, or built by the collector), never a file.
 */
#pragma once

#include <stdint.h>

#include "collect/target.h"
#include "core/buf.h"

struct cs_kallsyms;
struct cs_names;

int cs_names_new(struct cs_names **ret); /* 0 or -ENOMEM */
void cs_names_free(struct cs_names *names);
static inline void cs_names_freep(struct cs_names **names)
{
	cs_names_free(*names);
}

/* Read the kernel's symbols, which takes some 100 ms: before the clocks start. Without them its frames have no names. */
void cs_names_load_kernel(struct cs_names *names);

/* They, once read; NULL: there are none. */
const struct cs_kallsyms *cs_names_kernel(const struct cs_names *names);

/* The process has just become another program: what it was cannot be asked for any more. */
void cs_names_freeze(struct cs_names *names, pid_t pid);

/* The process has ended or become another program: its mappings are no longer what they were. */
void cs_names_forget(struct cs_names *names, pid_t pid);

struct cs_names_lost {
	uint64_t unreadable; /* code objects that could not be read */
	uint64_t stale;      /* frames whose code object was another's by then */
	uint64_t early;      /* frames of watched programs whose interpreter is not known yet */
};

/*
 * Append the whole records in fresh to out, each behind what it needs to be understood; what the sampler captured of code
 * objects becomes CS_EV_CODE records. targets is the uthash table by pid. A frame whose code object was gone or replaced
 * before it could be read gets CS_CODE_STALE in place of its address: no name is better than another's. *lost is added to.
 * Returns 0 or -ENOMEM.
 */
int cs_names_for(struct cs_names *names, struct cs_target *targets, struct cs_buf *fresh,
		 uint64_t now_ns, struct cs_buf *out, struct cs_names_lost *lost);
