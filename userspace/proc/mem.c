/* SPDX-License-Identifier: Apache-2.0 */
/*
 * A cache of another process's pages, filled with as few process_vm_readv calls as possible.
 *
 * An open-addressing table maps page numbers to pages of one arena. This is the measured hot path of
 * task snapshots, so both are plain arrays: forgetting is a new generation number, and the memory
 * serves the next pass. A page that could not be read keeps its slot, so it is asked for once a pass.
 */
#include "proc/mem.h"

#include <errno.h>
#include <stdlib.h>
#include <string.h>
#include <sys/uio.h>

#include "core/cleanup.h"

#define PAGE_SHIFT   12
#define PAGE_BYTES   ((size_t)1 << PAGE_SHIFT)
#define MAX_PAGES    32768u
#define MAX_WANT     ((size_t)8 << 20) /* a set table of 4 x CS_MAX_TASKS entries is half of it */
#define MAX_RUNS     1024              /* UIO_MAXIOV */
#define MIN_RUNS     8
#define FIRST_NSLOTS 256u

/* The end of user space: 47 bits of address on x86-64, 48 on AArch64. */
#ifdef __x86_64__
#define ADDR_LIMIT (1ull << 47)
#else
#define ADDR_LIMIT (1ull << 48)
#endif

enum { SLOT_WANTED = -1, SLOT_UNREADABLE = -2 };

struct slot {
	uint64_t page;
	uint32_t generation; /* other than the cache's: the slot is free */
	int32_t index;       /* of the page in the arena, or SLOT_* */
};

struct cs_mem {
	pid_t pid;
	int err; /* of the whole process (it is gone, or not ours to read), until forgotten */
	uint32_t generation;
	struct slot *slots; /* nslots is a power of two and at least twice npages */
	uint32_t nslots;
	uint32_t npages;
	char *arena;
	size_t arena_pages;
	size_t arena_used;
	uint64_t *wanted; /* page numbers; room for nslots / 2 */
	size_t nwanted;
};

int cs_mem_new(pid_t pid, struct cs_mem **ret)
{
	_cleanup_(cs_mem_freep) struct cs_mem *mem = calloc(1, sizeof(*mem));

	if (!mem)
		return -ENOMEM;
	mem->pid = pid;
	mem->generation = 1;
	mem->nslots = FIRST_NSLOTS;
	mem->slots = calloc(FIRST_NSLOTS, sizeof(*mem->slots));
	mem->wanted = calloc(FIRST_NSLOTS / 2, sizeof(*mem->wanted));
	if (!mem->slots || !mem->wanted)
		return -ENOMEM;
	*ret = TAKE_PTR(mem);
	return 0;
}

void cs_mem_free(struct cs_mem *mem)
{
	if (!mem)
		return;
	free(mem->slots);
	free(mem->arena);
	free(mem->wanted);
	free(mem);
}

pid_t cs_mem_pid(const struct cs_mem *mem)
{
	return mem->pid;
}

void cs_mem_forget(struct cs_mem *mem)
{
	mem->err = 0;
	mem->npages = 0;
	mem->arena_used = 0;
	mem->nwanted = 0;
	if (++mem->generation == 0) {
		memset(mem->slots, 0, mem->nslots * sizeof(*mem->slots));
		mem->generation = 1;
	}
}

static bool range_is_sane(uint64_t addr, size_t size)
{
	return addr < ADDR_LIMIT && size <= ADDR_LIMIT - addr;
}

/* The slot of a page, or the free one where it belongs. */
static struct slot *slot_find(const struct cs_mem *mem, uint64_t page)
{
	uint32_t i = (uint32_t)((page * 0x9e3779b97f4a7c15ull) >> 32) & (mem->nslots - 1);

	while (mem->slots[i].generation == mem->generation && mem->slots[i].page != page)
		i = (i + 1) & (mem->nslots - 1);
	return &mem->slots[i];
}

static int table_grow(struct cs_mem *mem)
{
	struct slot *old = mem->slots;
	uint32_t nold = mem->nslots;
	uint64_t *wanted;
	struct slot *slots;

	wanted = realloc(mem->wanted, nold * sizeof(*wanted));
	if (!wanted)
		return -ENOMEM;
	mem->wanted = wanted;
	slots = calloc((size_t)nold * 2, sizeof(*slots));
	if (!slots)
		return -ENOMEM;
	mem->slots = slots;
	mem->nslots = nold * 2;
	for (uint32_t i = 0; i < nold; i++) {
		if (old[i].generation == mem->generation)
			*slot_find(mem, old[i].page) = old[i];
	}
	free(old);
	return 0;
}

/* The page's slot, made if there is none: then it is SLOT_WANTED and *ret_new is true. */
static int slot_get(struct cs_mem *mem, uint64_t page, struct slot **ret, bool *ret_new)
{
	struct slot *slot = slot_find(mem, page);

	*ret_new = slot->generation != mem->generation;
	if (*ret_new) {
		if (mem->npages >= MAX_PAGES)
			return -ENOMEM;
		if (mem->npages >= mem->nslots / 2) {
			int err = table_grow(mem);

			if (err)
				return err;
			slot = slot_find(mem, page);
		}
		*slot = (struct slot){page, mem->generation, SLOT_WANTED};
		mem->npages++;
	}
	*ret = slot;
	return 0;
}

static int arena_reserve(struct cs_mem *mem, size_t pages)
{
	size_t need = mem->arena_used + pages;
	size_t cap = mem->arena_pages ? mem->arena_pages : 16;
	char *arena;

	while (cap < need)
		cap *= 2;
	if (cap == mem->arena_pages)
		return 0;
	arena = realloc(mem->arena, cap * PAGE_BYTES);
	if (!arena)
		return -ENOMEM;
	mem->arena = arena;
	mem->arena_pages = cap;
	return 0;
}

/* Describe the first of n ascending pages in at most limit runs. Returns how many pages that covers. */
static size_t merge_runs(const uint64_t *pages, size_t n, size_t limit, struct iovec *runs,
			 size_t *ret_nruns)
{
	size_t nruns = 0, i;

	for (i = 0; i < n; i++) {
		if (i && pages[i] == pages[i - 1] + 1) {
			runs[nruns - 1].iov_len += PAGE_BYTES;
			continue;
		}
		if (nruns == limit)
			break;
		runs[nruns].iov_base = (void *)(uintptr_t)(pages[i] << PAGE_SHIFT);
		runs[nruns++].iov_len = PAGE_BYTES;
	}
	*ret_nruns = nruns;
	return i;
}

/*
 * Read ascending pages that all have slots. The kernel stops at the first page it cannot read: that one
 * is marked and reading resumes behind it. Batches shrink while that happens, so that a target full of
 * unreadable pages costs one short call a page, not one long one.
 */
static int load_pages(struct cs_mem *mem, const uint64_t *pages, size_t n)
{
	struct iovec runs[MAX_RUNS];
	size_t limit = MAX_RUNS;
	size_t i = 0;

	if (arena_reserve(mem, n))
		return -ENOMEM;
	while (i < n && !mem->err) {
		size_t nruns, good = 0;
		size_t asked = merge_runs(pages + i, n - i, limit, runs, &nruns);
		struct iovec local = {mem->arena + mem->arena_used * PAGE_BYTES,
				      asked * PAGE_BYTES};
		ssize_t got = process_vm_readv(mem->pid, &local, 1, runs, nruns, 0);

		if (got >= 0)
			good = (size_t)got / PAGE_BYTES;
		else if (errno != EFAULT)
			mem->err = -errno;
		for (size_t k = 0; k < good; k++)
			slot_find(mem, pages[i + k])->index = (int32_t)mem->arena_used++;
		i += good;
		if (good == asked) {
			limit = limit * 2 < MAX_RUNS ? limit * 2 : MAX_RUNS;
		} else if (!mem->err) {
			slot_find(mem, pages[i++])->index = SLOT_UNREADABLE;
			limit = limit / 2 > MIN_RUNS ? limit / 2 : MIN_RUNS;
		}
	}
	return mem->err;
}

void cs_mem_want(struct cs_mem *mem, uint64_t addr, size_t size)
{
	uint64_t last;

	if (!size || size > MAX_WANT || !range_is_sane(addr, size))
		return;
	last = (addr + size - 1) >> PAGE_SHIFT;
	for (uint64_t page = addr >> PAGE_SHIFT; page <= last; page++) {
		struct slot *slot;
		bool is_new;

		if (slot_get(mem, page, &slot, &is_new))
			return;
		if (is_new)
			mem->wanted[mem->nwanted++] = page;
	}
}

static int compare_pages(const void *a, const void *b)
{
	uint64_t x = *(const uint64_t *)a, y = *(const uint64_t *)b;

	return (x > y) - (x < y);
}

void cs_mem_fetch(struct cs_mem *mem)
{
	size_t n = 0;

	/* A page may have been read through since it was wanted. */
	for (size_t i = 0; i < mem->nwanted; i++) {
		if (slot_find(mem, mem->wanted[i])->index == SLOT_WANTED)
			mem->wanted[n++] = mem->wanted[i];
	}
	mem->nwanted = 0;
	qsort(mem->wanted, n, sizeof(*mem->wanted), compare_pages);
	/* Pages left unread for lack of memory stay SLOT_WANTED: reading them says why. */
	load_pages(mem, mem->wanted, n);
}

/* The cached bytes of a page, read through if need be. */
static int page_data(struct cs_mem *mem, uint64_t page, const char **ret)
{
	struct slot *slot;
	bool is_new;
	int err;

	err = slot_get(mem, page, &slot, &is_new);
	if (err)
		return err;
	if (slot->index == SLOT_WANTED) {
		err = load_pages(mem, &page, 1);
		if (err)
			return err;
	}
	if (slot->index < 0)
		return -EFAULT;
	*ret = mem->arena + (size_t)slot->index * PAGE_BYTES;
	return 0;
}

int cs_mem_read(struct cs_mem *mem, uint64_t addr, void *dst, size_t size)
{
	char *out = dst;

	if (!range_is_sane(addr, size))
		return -EFAULT;
	while (size) {
		size_t at = addr & (PAGE_BYTES - 1);
		size_t n = PAGE_BYTES - at < size ? PAGE_BYTES - at : size;
		const char *data;
		int err = page_data(mem, addr >> PAGE_SHIFT, &data);

		if (err)
			return err;
		memcpy(out, data + at, n);
		out += n;
		addr += n;
		size -= n;
	}
	return 0;
}

int cs_mem_read_now(struct cs_mem *mem, uint64_t addr, void *dst, size_t size)
{
	struct iovec local = {dst, size};
	struct iovec remote = {(void *)(uintptr_t)addr, size};
	ssize_t got;

	if (!range_is_sane(addr, size))
		return -EFAULT;
	got = process_vm_readv(mem->pid, &local, 1, &remote, 1, 0);
	if (got < 0)
		return -errno;
	return (size_t)got == size ? 0 : -EFAULT;
}

int cs_mem_read_u64(struct cs_mem *mem, uint64_t addr, uint64_t *ret)
{
	return cs_mem_read(mem, addr, ret, sizeof(*ret));
}

int cs_mem_read_str(struct cs_mem *mem, uint64_t addr, char *dst, size_t size)
{
	size_t len = 0;

	if (!size)
		return -EINVAL;
	dst[0] = '\0';
	if (!range_is_sane(addr, 1))
		return -EFAULT;
	while (len < size - 1) {
		size_t at = addr & (PAGE_BYTES - 1);
		size_t room = size - 1 - len;
		size_t n = PAGE_BYTES - at < room ? PAGE_BYTES - at : room;
		size_t got;
		const char *data;
		int err;

		err = range_is_sane(addr, 1) ? page_data(mem, addr >> PAGE_SHIFT, &data) : -EFAULT;
		if (err)
			return err == -EFAULT && len ? 0 : err;
		got = strnlen(data + at, n);
		memcpy(dst + len, data + at, got);
		len += got;
		dst[len] = '\0';
		if (got < n)
			return 0;
		addr += n;
	}
	return 0;
}
