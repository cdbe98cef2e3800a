/* SPDX-License-Identifier: Apache-2.0 */
/*
 * Finding the functions of .eh_frame. The section is walked even where .eh_frame_hdr has a sorted table: static executables have
 * none, a hostile one may disagree with the section, and linkers leave so little to sort that it costs nothing to speak of.
 */
#include "unwind/functions.h"

#include <errno.h>
#include <stdlib.h>

#include "core/cleanup.h"

void cs_functions_free(struct cs_functions *functions)
{
	free(functions->items);
	*functions = (struct cs_functions){0};
}

static int append(struct cs_functions *functions, uint64_t start, size_t at)
{
	if (functions->n == functions->cap) {
		size_t cap = functions->cap ? functions->cap * 2 : 1024;
		void *items = reallocarray(functions->items, cap, sizeof(*functions->items));

		if (!items)
			return -ENOMEM;
		functions->items = items;
		functions->cap = cap;
	}
	functions->items[functions->n++] = (struct cs_function){start, at};
	return 0;
}

static int compare(const void *a, const void *b)
{
	const struct cs_function *left = a, *right = b;

	if (left->start != right->start)
		return left->start < right->start ? -1 : 1;
	return left->at < right->at ? -1 : left->at > right->at;
}

int cs_functions_walk(const struct cs_eh_frame *frame, struct cs_functions *ret)
{
	_cleanup_functions_ struct cs_functions found = {0};
	struct cs_fde fde = {.cie.at = SIZE_MAX};
	bool sorted = true;
	size_t at = 0;

	while (at < frame->size) {
		struct cs_cie known = fde.cie;
		enum cs_entry entry = cs_cfi_entry(frame, at, &known, &fde);

		if (entry == CS_ENTRY_END)
			break;
		if (entry == CS_ENTRY_DAMAGED) {
			found.ndamaged = 1;
			break;
		}
		at = fde.next;
		if (entry == CS_ENTRY_CIE)
			continue;
		sorted = sorted && (!found.n || found.items[found.n - 1].start <= fde.start);
		if (append(&found, fde.start, fde.at))
			return -ENOMEM;
	}
	if (!sorted)
		qsort(found.items, found.n, sizeof(*found.items), compare);
	*ret = found;
	found.items = NULL;
	return 0;
}
