/* SPDX-License-Identifier: Apache-2.0 */
/* Instructions to probe, told from files, which belong to the process: whatever they say only ever becomes an offset into themselves. */
#include "python/probe_site.h"

#include <errno.h>
#include <stdio.h>
#include <string.h>
#include <sys/stat.h>
#include <unistd.h>

#include "core/cleanup.h"
#include "proc/file.h"

#define PATH_BYTES 2048

/*
 * What compilers put before the first instruction that is emulated, and that changes no register in which an argument is. The first `compared` bytes tell
 * it; the others are numbers.
 */
static const struct {
	uint8_t bytes[4], compared, length;
} passed[] = {
	{{0xf3, 0x0f, 0x1e, 0xfa}, 4, 4}, /* endbr64 */
	{{0x48, 0x83, 0xec}, 3, 4},       /* sub $number,%rsp */
	{{0x48, 0x89, 0x5c, 0x24}, 4, 5}, /* mov %rbx,number(%rsp) */
	{{0x48, 0x81, 0x7f}, 3, 8}, /* cmpq $number,number(%rdi): of which type is the argument? */
};

/* push of a register, nop, jmp, call, and jumps that depend on a comparison. */
static bool is_emulated(const uint8_t *insn)
{
	uint8_t op = insn[0], next = insn[1];

	if ((op & 0xf8) == 0x50 || (op == 0x41 && (next & 0xf8) == 0x50))
		return true;
	if (op == 0x90 || op == 0xe9 || op == 0xeb || op == 0xe8)
		return true;
	return (op & 0xf0) == 0x70 || (op == 0x0f && (next & 0xf0) == 0x80);
}

static unsigned int length_passed(const uint8_t *insn)
{
	for (size_t i = 0; i < ARRAY_SIZE(passed); i++) {
		if (!memcmp(insn, passed[i].bytes, passed[i].compared))
			return passed[i].length;
	}
	return 0;
}

int cs_probe_skip(const uint8_t insn[CS_PROBE_BYTES])
{
	unsigned int at = 0, length;

	do {
		if (is_emulated(insn + at))
			return (int)at;
		length = length_passed(insn + at);
		at += length;
	} while (length && at + sizeof(passed[0].bytes) <= CS_PROBE_BYTES);
	return -1;
}

int cs_probe_site_in_file(const char *path, cs_probe_site_fn *find, const void *arg,
			  struct cs_probe_site *ret)
{
	_cleanup_(cs_elf_closep) struct cs_elf *elf = NULL;
	_cleanup_close_ int fd = cs_open_regular(path);
	uint8_t insn[CS_PROBE_BYTES];
	uint64_t addr, offset;
	char pinned[32];
	struct stat st;
	int err, skip;

	if (fd < 0 || fstat(fd, &st) < 0 || strlen(path) >= sizeof(ret->path))
		return -ENOENT;
	snprintf(pinned, sizeof(pinned), "/proc/self/fd/%d", fd);
	err = cs_elf_open(pinned, &elf);
	if (err)
		return err == -ENOMEM ? err : -ENOENT;
	if ((err = find(elf, arg, &addr)) ||
	    (err = cs_elf_read_code(elf, addr, insn, sizeof(insn), &offset)))
		return err;
	skip = cs_probe_skip(insn);
	if (skip < 0)
		return -EOPNOTSUPP;
	*ret = (struct cs_probe_site){
		.offset = offset + (uint64_t)skip,
		.dev = st.st_dev,
		.ino = st.st_ino,
	};
	memcpy(ret->path, path, strlen(path) + 1);
	return 0;
}

static int find_exported(struct cs_elf *elf, const void *arg, uint64_t *ret)
{
	uint64_t size;
	int err = cs_elf_symbol(elf, arg, ret, &size);

	return err && err != -ENOMEM ? -ENOENT : err;
}

int cs_probe_site_exported(const struct cs_interp *interp, const char *name,
			   struct cs_probe_site *ret)
{
	char path[PATH_BYTES];

	if (interp->state != CS_INTERP_READY || cs_interp_path(interp, path, sizeof(path)))
		return -ENOENT;
	return cs_probe_site_in_file(path, find_exported, name, ret);
}

void cs_interp_root(const struct cs_interp *interp, char *dst, size_t size)
{
	struct stat st;

	if (!stat(interp->binary, &st) && st.st_ino == interp->file.ino)
		*dst = '\0';
	else
		snprintf(dst, size, "/proc/%d/root", interp->pid);
}

int cs_interp_path(const struct cs_interp *interp, char *dst, size_t size)
{
	char root[32];
	int len;

	cs_interp_root(interp, root, sizeof(root));
	len = snprintf(dst, size, "%s%s", root, interp->binary);
	return len > 0 && (size_t)len < size ? 0 : -ENOENT;
}
