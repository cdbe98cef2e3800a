/* SPDX-License-Identifier: Apache-2.0 */
/* Names of the running kernel's functions. */
#include "collect/kallsyms.h"

#include <errno.h>
#include <stdio.h>
#include <stdlib.h>
#include <string.h>

#include "core/buf.h"
#include "core/cleanup.h"

struct ksym {
	uint64_t addr;
	uint32_t name; /* offset into names */
};

struct cs_kallsyms {
	struct cs_buf items; /* struct ksym, ascending */
	struct cs_buf names; /* terminated strings */
};

void cs_kallsyms_free(struct cs_kallsyms *syms)
{
	if (!syms)
		return;
	cs_buf_free(&syms->items);
	cs_buf_free(&syms->names);
	free(syms);
}

static void kallsyms_freep(struct cs_kallsyms **syms)
{
	cs_kallsyms_free(*syms);
}

static int compare(const void *a, const void *b)
{
	const struct ksym *x = a, *y = b;

	return (x->addr > y->addr) - (x->addr < y->addr);
}

/* One line: address type name [module]. Only functions are kept. Returns 0 or -ENOMEM. */
static int add_line(struct cs_kallsyms *syms, char *line)
{
	struct ksym sym = {.name = (uint32_t)syms->names.len};
	char *type, *name, *module;

	/* by hand: sscanf takes five times as long, and there are hundreds of thousands of lines */
	line[strcspn(line, "\n")] = '\0';
	sym.addr = strtoull(line, &type, 16);
	if (!sym.addr || strlen(type) < 4 || !strchr("tTwW", type[1]))
		return 0;
	name = type + 3;
	module = strchr(name, '\t');
	if (module)
		*module++ = '\0';
	if (cs_buf_append(&syms->items, &sym, sizeof(sym)) || cs_buf_append_str(&syms->names, name))
		return -ENOMEM;
	if (module &&
	    (cs_buf_append_str(&syms->names, " ") || cs_buf_append_str(&syms->names, module)))
		return -ENOMEM;
	return cs_buf_append(&syms->names, "", 1);
}

int cs_kallsyms_load(struct cs_kallsyms **ret)
{
	_cleanup_(kallsyms_freep) struct cs_kallsyms *syms = calloc(1, sizeof(*syms));
	_cleanup_fclose_ FILE *file = fopen("/proc/kallsyms", "re");
	char line[512];
	int err = 0;

	if (!file)
		return -errno;
	if (!syms)
		return -ENOMEM;
	while (!err && fgets(line, sizeof(line), file))
		err = add_line(syms, line);
	if (err)
		return err;
	if (!syms->items.len)
		return -EACCES;
	qsort(syms->items.data, syms->items.len / sizeof(struct ksym), sizeof(struct ksym),
	      compare);
	*ret = TAKE_PTR(syms);
	return 0;
}

const char *cs_kallsyms_find(const struct cs_kallsyms *syms, uint64_t addr)
{
	const struct ksym *items = (const struct ksym *)syms->items.data;
	size_t low = 0, high = syms->items.len / sizeof(*items);

	while (low < high) {
		size_t middle = low + (high - low) / 2;

		if (items[middle].addr <= addr)
			low = middle + 1;
		else
			high = middle;
	}
	return low ? syms->names.data + items[low - 1].name : NULL;
}

const char *cs_kallsyms_named(const struct cs_kallsyms *syms, const char *name,
			      struct cs_kallsyms_range *ret)
{
	const struct ksym *items = (const struct ksym *)syms->items.data;
	size_t n = syms->items.len / sizeof(*items), len = strlen(name), next;

	for (size_t i = 0; i < n; i++) {
		const char *it = syms->names.data + items[i].name;

		if (strncmp(it, name, len) || (it[len] && it[len] != '.'))
			continue;
		for (next = i; next < n && items[next].addr == items[i].addr;)
			next++;
		ret->from = items[i].addr;
		ret->to = next < n ? items[next].addr : UINT64_MAX;
		return it;
	}
	return NULL;
}
