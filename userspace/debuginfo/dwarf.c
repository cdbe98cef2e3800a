/* SPDX-License-Identifier: Apache-2.0 */
/* Where in the source an address is: the innermost function with the line that executes, each outer one with the line of its call. */
#include "debuginfo/dwarf.h"

#include <dwarf.h>
#include <elfutils/libdw.h>
#include <elfutils/libdwfl.h>
#include <errno.h>
#include <stdio.h>
#include <stdlib.h>
#include <unistd.h>

#include "core/cleanup.h"

#define NAME_BYTES 1024

struct cs_dwarf {
	Dwfl *dwfl;
	Dwfl_Module *module;
	Dwarf_Addr bias;                        /* from the file's addresses to the module's */
	char names[CS_MAX_INLINED][NAME_BYTES]; /* of the last answer */
};

/* The file is the one to read: there is nothing to be looked for elsewhere. */
static int find_nothing(Dwfl_Module *module, void **data, const char *name, Dwarf_Addr base,
			const char *file, const char *link, GElf_Word crc, char **ret)
{
	return -1;
}

void cs_dwarf_free(struct cs_dwarf *dwarf)
{
	if (!dwarf)
		return;
	dwfl_end(dwarf->dwfl);
	free(dwarf);
}

static void dwarf_freep(struct cs_dwarf **dwarf)
{
	cs_dwarf_free(*dwarf);
}

int cs_dwarf_open(int fd, struct cs_dwarf **ret)
{
	static const Dwfl_Callbacks callbacks = {
		.find_debuginfo = find_nothing,
		.section_address = dwfl_offline_section_address,
	};
	_cleanup_(dwarf_freep) struct cs_dwarf *dwarf = calloc(1, sizeof(*dwarf));
	_cleanup_close_ int own = dup(fd);

	if (!dwarf || own < 0)
		return -ENOMEM;
	dwarf->dwfl = dwfl_begin(&callbacks);
	if (!dwarf->dwfl)
		return -ENOMEM;
	dwarf->module = dwfl_report_offline(dwarf->dwfl, "file", "file", own);
	if (!dwarf->module)
		return -ENOENT;
	TAKE_FD(own);
	dwfl_report_end(dwarf->dwfl, NULL, NULL);
	if (!dwfl_module_getdwarf(dwarf->module, &dwarf->bias))
		return -ENOENT;
	*ret = TAKE_PTR(dwarf);
	return 0;
}

/* Where the function of an entry was declared: an inlined one's entry only refers to it. */
static Dwarf_Die origin_of(const Dwarf_Die *die)
{
	static const unsigned int references[] = {DW_AT_abstract_origin, DW_AT_specification};
	Dwarf_Die origin = *die;
	Dwarf_Attribute attribute;

	for (size_t i = 0; i < ARRAY_SIZE(references); i++)
		if (dwarf_attr(&origin, references[i], &attribute))
			dwarf_formref_die(&attribute, &origin);
	return origin;
}

/* The name with the namespaces and classes that it is declared in. What does not fit is cut. */
static const char *qualified(Dwarf_Die *die, const char *name, char dst[NAME_BYTES])
{
	_cleanup_free_ Dwarf_Die *scopes = NULL;
	Dwarf_Die origin = origin_of(die);
	size_t at = 0;

	for (int i = dwarf_getscopes_die(&origin, &scopes); i-- > 1 && at < NAME_BYTES;) {
		const char *scope = dwarf_diename(&scopes[i]);

		switch (dwarf_tag(&scopes[i])) {
		case DW_TAG_namespace:
		case DW_TAG_class_type:
		case DW_TAG_structure_type:
		case DW_TAG_union_type:
			at += (size_t)snprintf(dst + at, NAME_BYTES - at,
					       "%s::", scope ? scope : "(anonymous)");
			break;
		default:
			break;
		}
	}
	if (!at)
		return name;
	if (at < NAME_BYTES)
		snprintf(dst + at, NAME_BYTES - at, "%s", name);
	return dst;
}

/* As the linker calls it, else by its declaration. dst: for a name that has to be put together. */
static const char *name_of(Dwarf_Die *die, char dst[NAME_BYTES])
{
	static const unsigned int linkage[] = {DW_AT_linkage_name, DW_AT_MIPS_linkage_name};
	Dwarf_Attribute attribute;
	const char *name;

	for (size_t i = 0; i < ARRAY_SIZE(linkage); i++)
		if (dwarf_attr_integrate(die, linkage[i], &attribute))
			return dwarf_formstring(&attribute);
	name = dwarf_diename(die);
	return name ? qualified(die, name, dst) : NULL;
}

/* The place of the call that was replaced by the function's own code. */
static void call_of(Dwarf_Die *cu, Dwarf_Die *die, struct cs_code_function *ret)
{
	Dwarf_Word line = 0, file = 0;
	Dwarf_Attribute attribute;
	Dwarf_Files *files;
	size_t n;

	*ret = (struct cs_code_function){0};
	if (!dwarf_formudata(dwarf_attr(die, DW_AT_call_line, &attribute), &line) &&
	    line <= INT32_MAX)
		ret->line = (uint32_t)line;
	if (!dwarf_formudata(dwarf_attr(die, DW_AT_call_file, &attribute), &file) &&
	    !dwarf_getsrcfiles(cu, &files, &n) && file < n)
		ret->file = dwarf_filesrc(files, file, NULL, NULL);
}

static void line_of(Dwarf_Die *cu, Dwarf_Addr pc, struct cs_code_function *ret)
{
	Dwarf_Line *line = dwarf_getsrc_die(cu, pc);
	int number;

	*ret = (struct cs_code_function){0};
	if (!line)
		return;
	ret->file = dwarf_linesrc(line, NULL, NULL);
	if (!dwarf_lineno(line, &number) && number > 0)
		ret->line = (uint32_t)number;
}

/* The entries around an address, innermost first, as they are nested in the code. Returns how many; *ret is the caller's. */
static int scopes_of(Dwarf_Die *cu, Dwarf_Addr pc, Dwarf_Die **ret)
{
	_cleanup_free_ Dwarf_Die *around = NULL;

	/* from an inlined function on these are where it was written, not where it was put */
	if (dwarf_getscopes(cu, pc, &around) <= 0)
		return 0;
	return dwarf_getscopes_die(&around[0], ret);
}

size_t cs_dwarf_find(struct cs_dwarf *dwarf, uint64_t vaddr,
		     struct cs_code_function ret[CS_MAX_INLINED])
{
	Dwarf_Addr bias, address = vaddr + dwarf->bias;
	Dwarf_Die *cu = dwfl_module_addrdie(dwarf->module, address, &bias);
	_cleanup_free_ Dwarf_Die *scopes = NULL;
	struct cs_code_function here;
	size_t n = 0;
	int nscopes;

	if (!cu)
		return 0;
	line_of(cu, address - bias, &here);
	nscopes = scopes_of(cu, address - bias, &scopes);
	for (int i = 0; i < nscopes; i++) {
		int tag = dwarf_tag(&scopes[i]);

		if (tag == DW_TAG_subprogram) {
			here.name = name_of(&scopes[i], dwarf->names[n]);
			break;
		}
		if (tag != DW_TAG_inlined_subroutine)
			continue;
		here.name = name_of(&scopes[i], dwarf->names[n]);
		if (n < CS_MAX_INLINED - 1) /* the last place is the whole function's */
			ret[n++] = here;
		call_of(cu, &scopes[i], &here);
	}
	if (n || here.name || here.line)
		ret[n++] = here;
	return n;
}
