/* SPDX-License-Identifier: Apache-2.0 */
/*
 * libFuzzer harness: debug information as anybody may have made it, asked for lines and inlined functions. libdw, which reads it, is
 * the system's and not instrumented: what is found is what crashes, hangs, or overruns a block of memory in a checked function.
 */
#include <string.h>
#include <sys/mman.h>
#include <unistd.h>

#include "check.h"
#include "core/cleanup.h"
#include "debuginfo/dwarf.h"

int LLVMFuzzerTestOneInput(const uint8_t *data, size_t size);
const char *__lsan_default_suppressions(void);

/* dwarf_getscopes keeps its array to itself if the entries end in damage (elfutils 0.188): 32 bytes a question, to such files only. */
const char *__lsan_default_suppressions(void)
{
	return "leak:libdw.so";
}

static void ask(struct cs_dwarf *dwarf, uint64_t vaddr)
{
	struct cs_code_function found[CS_MAX_INLINED];
	size_t n = cs_dwarf_find(dwarf, vaddr, found);

	CHECK(n <= CS_MAX_INLINED);
	for (size_t i = 0; i < n; i++) {
		CHECK(!found[i].name || strlen(found[i].name) < 1 << 20);
		CHECK(!found[i].file || strlen(found[i].file) < 1 << 20);
	}
}

int LLVMFuzzerTestOneInput(const uint8_t *data, size_t size)
{
	_cleanup_close_ int fd = memfd_create("dwarf", MFD_CLOEXEC);
	struct cs_dwarf *dwarf;

	CHECK(fd >= 0 && write(fd, data, size) == (ssize_t)size);
	if (cs_dwarf_open(fd, &dwarf))
		return 0;
	/* the kept inputs have their code here */
	for (uint64_t vaddr = 0x240; vaddr < 0x280; vaddr += 3)
		ask(dwarf, vaddr);
	ask(dwarf, 0);
	ask(dwarf, UINT64_MAX);
	cs_dwarf_free(dwarf);
	return 0;
}
