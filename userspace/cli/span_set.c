/* SPDX-License-Identifier: Apache-2.0 */
/* An array, sorted when it is first asked. */
#include "cli/span_set.h"

#include <stdlib.h>

struct ref {
	uint64_t id;
	uint32_t owner;
};

int cs_span_set_add(struct cs_span_set *set, uint32_t owner, uint64_t id)
{
	const struct ref ref = {id, owner};

	set->sorted = false;
	return id ? cs_buf_append(&set->refs, &ref, sizeof(ref)) : 0;
}

static int compare(const void *a, const void *b)
{
	const struct ref *x = a, *y = b;

	return x->id != y->id ? (x->id > y->id) - (x->id < y->id)
			      : (x->owner > y->owner) - (x->owner < y->owner);
}

bool cs_span_set_has(struct cs_span_set *set, uint32_t owner, uint64_t id)
{
	const struct ref ref = {id, owner};
	size_t n = set->refs.len / sizeof(ref);

	if (!n)
		return false;
	if (!set->sorted)
		qsort(set->refs.data, n, sizeof(ref), compare);
	set->sorted = true;
	return bsearch(&ref, set->refs.data, n, sizeof(ref), compare);
}

void cs_span_set_free(struct cs_span_set *set)
{
	cs_buf_free(&set->refs);
}
