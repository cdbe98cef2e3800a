/* SPDX-License-Identifier: Apache-2.0 */
/*
 * Where else the code of a function is. Compilers move parts out of it: mostly what is seldom executed, but of CPython's interpreter loop GCC 16
 * leaves 1 KiB of 85 in place. In a stripped file no symbol says so.
 */
#pragma once

#include <stddef.h>
#include <stdint.h>

#include "proc/elf.h"
#include "unwind/cfi.h"

/*
 * Find the parts of this function, at most `max`, into ret. Its code jumps there and they jump back, and unlike a function they begin with the frame in
 * place, as .eh_frame says. Returns how many, or -errno: -ENOENT without .eh_frame or code, -E2BIG above bounds, -ENOMEM.
 */
int cs_unwind_parts(struct cs_elf *elf, struct cs_elf_range function, struct cs_elf_range *ret,
		    size_t max);

/* The same with a section in memory, and code to be had by `read`, which returns 0 or -errno. */
int cs_unwind_parts_of(const struct cs_eh_frame *frame, struct cs_elf_range function,
		       int (*read)(void *ctx, uint64_t vaddr, void *dst, size_t size), void *ctx,
		       struct cs_elf_range *ret, size_t max);
