/* SPDX-License-Identifier: Apache-2.0 */
/*
 * What was stripped off an ELF file: a separate debug file, found by build id or by the name that .gnu_debuglink has, and the
 * small table of symbols that Fedora and its siblings leave in .gnu_debugdata. All of it may be forged: only a file that has the
 * same build id, or the checksum that the link demands, is taken.
 */
#pragma once

#include "proc/elf.h"

/* Where a file is, for what lies beside it. */
struct cs_elf_home {
	const char *
		root; /* directory that is the root of its process, as "/proc/12/root"; "/": ours */
	const char *path; /* of the file; NULL: not known */
	const char *
		path_root; /* below which that path is: as root, or ours (a chroot's files have our paths) */
};

/*
 * The separate debug file: by build id below the home's root and below ours, by .gnu_debuglink (GDB's three places) where its path
 * is. home NULL: by build id below our root only. Returns 0, -ENOENT or -ENOMEM.
 */
int cs_debug_file_open(struct cs_elf *elf, const struct cs_elf_home *home, struct cs_elf **ret);

/* The ELF file that is packed into .gnu_debugdata (xz), of at most 64 MiB. Returns 0, -ENOENT or -ENOMEM. */
int cs_debug_data_open(struct cs_elf *elf, struct cs_elf **ret);
