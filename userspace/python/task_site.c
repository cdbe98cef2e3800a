/* SPDX-License-Identifier: Apache-2.0 */
/*
 * Task.__init__ in a file that nobody needs to have mapped.
 *
 * _asyncio describes its Task type in initialised data, either as a PyTypeObject or as a PyType_Spec; both begin
 * (the type at its tp_name) with a pointer to the type's name and its size. So the file's data is searched for
 * that pair of words. What it leads to is believed only if it is the one such place in the file and its function lies in
 * code. The file belongs to the process: whatever it says only ever becomes an offset into itself.
 */
#include "python/task_site.h"

#include <dirent.h>
#include <errno.h>
#include <stdio.h>
#include <string.h>

#include "core/cleanup.h"
#include "proc/elf.h"
#include "python/probe_site.h"

#define TASK_NAME  "_asyncio.Task"
#define MAX_NAMES  4096 /* words before the right size that are looked up as names */
#define MAX_SLOTS  64   /* CPython has fewer kinds */
#define MAX_FILES  4096 /* of one folder */
#define PY_TP_INIT 60   /* Include/typeslots.h: part of the stable ABI */
#define PATH_BYTES 1024

/*
 * What both shapes begin with: PyType_Spec (Include/object.h) and, from tp_name on, PyTypeObject
 * (Include/cpython/object.h), whose two sizes are 64 bits wide and whose items have no size.
 */
struct head {
	uint64_t name;
	uint32_t basicsize;
	uint32_t zero;  /* itemsize of a spec, the upper half of a type's basicsize */
	uint32_t flags; /* never 0 in a spec; the lower half of a type's itemsize */
	uint32_t unused;
	uint64_t slots; /* of a spec; a type's tp_dealloc */
};
_Static_assert(sizeof(struct head) == 32, "struct head is CPython's");

struct slot {
	int32_t id;
	uint32_t unused;
	uint64_t func;
};
_Static_assert(sizeof(struct slot) == 16, "struct slot is CPython's PyType_Slot");

static bool is_task_name(struct cs_elf *elf, uint64_t addr)
{
	char name[sizeof(TASK_NAME)];

	return !cs_elf_read(elf, addr, name, sizeof(name)) &&
	       !memcmp(name, TASK_NAME, sizeof(name));
}

/* The function that a spec's slots give for tp_init, or 0. */
static uint64_t init_in_slots(const struct cs_elf_data *data, uint64_t slots)
{
	struct slot slot;

	for (uint64_t i = 0; i < MAX_SLOTS; i++) {
		if (cs_elf_data_read(data, slots + i * sizeof(slot), &slot, sizeof(slot)) ||
		    !slot.id)
			break;
		if (slot.id == PY_TP_INIT)
			return slot.func;
	}
	return 0;
}

/* The function that a type or spec with its name at addr has for tp_init, or 0. */
static uint64_t init_of(const struct cs_elf_data *data, const struct cs_py_offsets *off,
			uint64_t addr, const struct head *head)
{
	uint64_t init;

	if (head->flags)
		return init_in_slots(data, head->slots);
	return cs_elf_data_read(data, addr - off->type_name + off->type_init, &init, sizeof(init))
		       ? 0
		       : init;
}

/* The only function in the file that is tp_init of _asyncio.Task. arg: struct cs_py_offsets. See cs_probe_site_fn. */
static int find_init(struct cs_elf *elf, const void *arg, uint64_t *ret)
{
	_cleanup_elf_data_ struct cs_elf_data data = {0};
	const struct cs_py_offsets *off = arg;
	unsigned int nnames = 0, nfound = 0;
	struct head head;
	int err = cs_elf_data_load(elf, &data);

	for (uint64_t at = 0; !err && at + sizeof(head) <= data.size; at += sizeof(uint64_t)) {
		uint64_t addr = data.start + at, init, offset;
		uint8_t insn;

		memcpy(&head, data.bytes + at, sizeof(head));
		if (head.basicsize != off->task_size || head.zero || !head.name)
			continue;
		if (++nnames > MAX_NAMES)
			return -ENOENT;
		if (!is_task_name(elf, head.name))
			continue;
		init = init_of(&data, off, addr, &head);
		if (!init || cs_elf_read_code(elf, init, &insn, sizeof(insn), &offset))
			continue;
		*ret = init;
		nfound++;
	}
	return err ? err : nfound == 1 ? 0 : -ENOENT;
}

/* Free-threaded builds may be installed beside others: their names have a letter of their own. */
static const char *threads_letter(const struct cs_interp *interp)
{
	return strstr(interp->flavour, "free-threaded") ? "t" : "";
}

/* The module's file in one folder. Its name has the version and flavour: _asyncio.cpython-312d-x86_64-linux-gnu.so. */
static int find_module(const struct cs_interp *interp, const char *folder, char *dst, size_t size)
{
	_cleanup_closedir_ DIR *dir = opendir(folder);
	const struct dirent *entry;
	char prefix[48];
	int prefix_len, len;

	prefix_len = snprintf(prefix, sizeof(prefix), "_asyncio.cpython-%d%d%s%s-", interp->major,
			      interp->minor, threads_letter(interp),
			      strstr(interp->flavour, "debug") ? "d" : "");
	for (int i = 0; dir && i < MAX_FILES && (entry = readdir(dir)); i++) {
		size_t n = strlen(entry->d_name);

		if (strncmp(entry->d_name, prefix, (size_t)prefix_len) || n < 3 ||
		    strcmp(entry->d_name + n - 3, ".so"))
			continue;
		len = snprintf(dst, size, "%s/%s", folder, entry->d_name);
		return len > 0 && (size_t)len < size ? 0 : -ENOENT;
	}
	return -ENOENT;
}

/*
 * Look for the module beside the interpreter: where an installation keeps its libraries, seen from the folder that
 * holds libpython (PREFIX/lib, PREFIX/lib64, Debian's PREFIX/lib/x86_64-linux-gnu) or the executable (PREFIX/bin).
 * Parents are told by name: "..", in the root of another process, may lead out of it.
 */
int cs_task_module_find(const struct cs_interp *interp, char *dst, size_t size)
{
	static const struct {
		int up; /* from the folder that holds the interpreter */
		const char *down;
	} places[] = {{0, ""}, {1, ""}, {1, "/lib"}, {1, "/lib64"}};
	char root[32];
	int err = -ENOENT;

	cs_interp_root(interp, root, sizeof(root));
	for (size_t i = 0; err == -ENOENT && i < ARRAY_SIZE(places); i++) {
		const char *end = interp->binary + strlen(interp->binary);
		char folder[PATH_BYTES];

		for (int up = places[i].up; end && up >= 0; up--)
			end = memrchr(interp->binary, '/', (size_t)(end - interp->binary));
		if (!end)
			continue;
		snprintf(folder, sizeof(folder), "%s%.*s%s/python%d.%d%s/lib-dynload", root,
			 (int)(end - interp->binary), interp->binary, places[i].down, interp->major,
			 interp->minor, threads_letter(interp));
		err = find_module(interp, folder, dst, size);
	}
	return err;
}

int cs_task_site_find(const struct cs_interp *interp, struct cs_probe_site *ret)
{
	char path[2 * PATH_BYTES];
	int err = -ENOENT;

	if (interp->state != CS_INTERP_READY)
		return -ENOENT;
	if (!cs_task_module_find(interp, path, sizeof(path)))
		err = cs_probe_site_in_file(path, find_init, &interp->info.off, ret);
	if (err == -ENOENT && !cs_interp_path(interp, path, sizeof(path)))
		err = cs_probe_site_in_file(path, find_init, &interp->info.off, ret);
	return err;
}
