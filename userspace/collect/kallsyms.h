/* SPDX-License-Identifier: Apache-2.0 */
/* Names of the running kernel's functions, from /proc/kallsyms. */
#pragma once

#include <stddef.h>
#include <stdint.h>

struct cs_kallsyms;

/* Returns 0, -errno, or -EACCES if the kernel hides its addresses (kptr_restrict). */
int cs_kallsyms_load(struct cs_kallsyms **ret);
void cs_kallsyms_free(struct cs_kallsyms *syms); /* NULL is fine */

/* Name of the function that holds addr ("name" or "name [module]"), owned by syms; NULL if unknown. */
const char *cs_kallsyms_find(const struct cs_kallsyms *syms, uint64_t addr);

struct cs_kallsyms_range {
	uint64_t from, to; /* to: where the next function begins */
};

/* The first function whose name is `name`, alone or with a compiler's ending (".isra.0"), as it is called and where; NULL: none. */
const char *cs_kallsyms_named(const struct cs_kallsyms *syms, const char *name,
			      struct cs_kallsyms_range *ret);
