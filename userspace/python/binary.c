/* SPDX-License-Identifier: Apache-2.0 */
/* Python as seen in one ELF file: symbols, version, flavour. Files are hostile; proc/elf.h checks them. */
#include "python/binary.h"

#include <ctype.h>
#include <elf.h>
#include <errno.h>
#include <fcntl.h>
#include <stdio.h>
#include <string.h>
#include <sys/stat.h>
#include <unistd.h>

#include "core/cleanup.h"
#include "proc/elf.h"

#define CACHE_ENTRIES 512u /* direct mapped, a power of two; a host runs some hundred programs */

struct cached {
	struct stat st; /* st_ino 0: empty */
	struct cs_py_binary binary;
};

static struct cached cache[CACHE_ENTRIES];

static struct cached *cache_at(const struct stat *st)
{
	uint64_t key = (uint64_t)st->st_dev * 31 + st->st_ino;

	return &cache[(key * 0x9e3779b97f4a7c15ull >> 40) & (CACHE_ENTRIES - 1)];
}

static bool is_same_file(const struct stat *a, const struct stat *b)
{
	return a->st_ino == b->st_ino && a->st_dev == b->st_dev && a->st_size == b->st_size &&
	       a->st_mtim.tv_sec == b->st_mtim.tv_sec && a->st_mtim.tv_nsec == b->st_mtim.tv_nsec;
}

static const char *base_name(const char *name)
{
	const char *slash = strrchr(name, '/');

	return slash ? slash + 1 : name;
}

bool cs_py_binary_is_named(const char *name)
{
	const char *base = base_name(name);

	return (strstr(base, "python") && !strstr(base, ".cpython-")) || strstr(base, "pypy");
}

/* "python3.13t", "libpython3.6m.so.1.0", "lib/python3.9": the version and the letter behind it. */
static bool parse_version(const char *text, struct cs_py_binary *binary)
{
	const char *at = strstr(text, "python");
	int n = 0;

	if (!at || sscanf(at, "python%1d.%2d%n", &binary->major, &binary->minor, &n) != 2)
		return false;
	binary->free_threaded = at[n] == 't' && !isalnum((unsigned char)at[n + 1]);
	return true;
}

/* Of an interpreter without Py_Version: the name is no proof, but it and the library's path are two witnesses. */
static void find_old_version(struct cs_elf *elf, const char *name, struct cs_py_binary *binary)
{
	static const char *const needles[] = {"lib/python3.", "python3."};
	struct cs_py_binary by_path = {0};
	char text[64];

	/* one piece until 3.8; put together at run time since */
	for (size_t i = 0; i < ARRAY_SIZE(needles) && !by_path.major; i++) {
		if (!cs_elf_find_rodata(elf, needles[i], text, sizeof(text)))
			parse_version(text, &by_path);
	}
	/* Python 2 is refused anyway: its name will do */
	if (!by_path.major && (!parse_version(base_name(name), binary) || binary->major != 2))
		binary->major = binary->minor = 0;
	if (!by_path.major)
		return;
	if (parse_version(base_name(name), binary) &&
	    (binary->major != by_path.major || binary->minor != by_path.minor))
		binary->major = binary->minor = 0;
	else if (!binary->major) {
		binary->major = by_path.major;
		binary->minor = by_path.minor;
	}
}

static void find_version(struct cs_elf *elf, const char *name, struct cs_py_binary *binary)
{
	uint64_t at, size, version;

	binary->micro = -1;
	if (cs_elf_symbol(elf, "Py_Version", &at, &size) ||
	    cs_elf_read(elf, at, &version, sizeof(version))) {
		find_old_version(elf, name, binary);
		return;
	}
	parse_version(base_name(name), binary);
	binary->major = version >> 24 & 0xff;
	binary->minor = version >> 16 & 0xff;
	binary->micro = version >> 8 & 0xff;
	binary->prerelease = (version & 0xf0) < CS_PY_CANDIDATE;
}

static uint64_t symbol_or_0(struct cs_elf *elf, const char *name)
{
	uint64_t value, size;

	return cs_elf_symbol(elf, name, &value, &size) ? 0 : value;
}

static void look_into(struct cs_elf *elf, const char *name, struct cs_py_binary *binary)
{
	binary->has_asyncio_debug = !cs_elf_section(elf, ".AsyncioDebug", binary->asyncio_debug,
						    sizeof(binary->asyncio_debug));
	binary->runtime = symbol_or_0(elf, "_PyRuntime");
	binary->pypy = symbol_or_0(elf, "pypy_main_startup");
	binary->python = binary->pypy || binary->runtime || symbol_or_0(elf, "Py_Main");
	if (!binary->python || binary->pypy)
		return;
	binary->type_coro = symbol_or_0(elf, "PyCoro_Type");
	binary->type_gen = symbol_or_0(elf, "PyGen_Type");
	binary->type_async_gen = symbol_or_0(elf, "PyAsyncGen_Type");
	binary->debug =
		symbol_or_0(elf, "_Py_RefTotal") || symbol_or_0(elf, "_Py_NegativeRefcount");
	find_version(elf, name, binary);
}

static bool is_32bit_elf(const char *path)
{
	_cleanup_close_ int fd = open(path, O_RDONLY | O_CLOEXEC | O_NONBLOCK);
	char ident[EI_NIDENT];

	return fd >= 0 && pread(fd, ident, sizeof(ident), 0) == sizeof(ident) &&
	       !memcmp(ident, ELFMAG, SELFMAG) && ident[EI_CLASS] == ELFCLASS32;
}

int cs_py_binary_probe(const char *path, const char *name, struct cs_py_binary *ret)
{
	_cleanup_(cs_elf_closep) struct cs_elf *elf = NULL;
	struct cs_py_binary binary = {0};
	struct cached *cached;
	struct stat st;
	int err;

	if (stat(path, &st))
		return -errno;
	cached = cache_at(&st);
	if (is_same_file(&cached->st, &st)) {
		*ret = cached->binary;
		return 0;
	}
	err = cs_elf_open(path, &elf);
	if (err && err != -ENOEXEC)
		return err;
	if (!err)
		look_into(elf, name, &binary);
	else if (cs_py_binary_is_named(name) && parse_version(base_name(name), &binary))
		binary.python = binary.is_32bit = is_32bit_elf(path);
	*cached = (struct cached){st, binary};
	*ret = binary;
	return 0;
}
