/* SPDX-License-Identifier: Apache-2.0 */
/*
 * A cache of another process's pages, filled with as few process_vm_readv calls as possible.
 *
 * An open-addressing table maps groups of neighbouring pages to pages of one arena. This is the measured hot path of
 * task snapshots, so both are plain arrays: forgetting is a new generation number, and the memory
 * serves the next pass. Objects lie in few, dense places: the group found last is mostly the right one, and the others
 * are so few that they stay in the processor's cache. Between readings the arena is another cache's, by way of a pool.
 * A page that could not be read keeps its entry, so it is asked for once a pass.
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
#define MAX_WANT     ((size_t)8 << 20) /* what is larger is read in pieces */
#define MAX_RUNS     1024              /* UIO_MAXIOV */
#define MIN_RUNS     8
#define NEAR_PAGES   32u /* a power of two */
#define ASKED_PAGES  32u /* likewise */
#define MAX_THROUGH  256u
#define THROUGH_AGE  64u
#define FIRST_PAGES  16u
#define FIRST_GROUPS 64u
#define FIRST_WANTED 128u
#define GROUP_SHIFT  4
#define GROUP_PAGES  (1u << GROUP_SHIFT)

/* The end of user space: 47 bits of address on x86-64, 48 on AArch64. */
#ifdef __x86_64__
#define ADDR_LIMIT (1ull << 47)
#else
#define ADDR_LIMIT (1ull << 48)
#endif

/* What is known of a page: one of these, or 1 + its index in the arena. */
enum { PAGE_UNKNOWN = 0, PAGE_WANTED = -1, PAGE_UNREADABLE = -2 };

struct group {
	uint64_t key;        /* page number >> GROUP_SHIFT */
	uint32_t generation; /* other than the cache's: free */
	int32_t pages[GROUP_PAGES];
};

struct cs_mem {
	pid_t pid;
	int err;      /* of the whole process (it is gone, or not ours to read), until forgotten */
	bool lacking; /* something wanted could not be noted */
	bool mixed;   /* not all pages since it was sealed were in the image */
	uint32_t generation;
	struct group *groups; /* cap_groups is a power of two and at least twice ngroups */
	struct group *last;   /* found last, or NULL */
	uint32_t cap_groups, ngroups;
	uint32_t npages; /* that are not unknown */
	char *arena;
	size_t arena_pages;
	size_t arena_used;
	uint64_t *wanted; /* page numbers */
	size_t nwanted, cap_wanted;
	/* Pages read last: the next object mostly lies in one of them. data is NULL where there is none. */
	struct near {
		uint64_t page;
		const char *data;
	} near[NEAR_PAGES];
	/* Pages that are not unknown: 1 + their numbers. Most wishes are for what was wished for just before. */
	uint64_t asked[ASKED_PAGES];
	const struct cs_mem_image *image; /* sealed: pages come from there */
	uint64_t through[MAX_THROUGH];    /* page numbers: see cs_mem_renew */
	uint32_t nthrough, renewed;
	struct cs_mem_pool *pool; /* NULL: the heap */
};

void cs_mem_use_pool(struct cs_mem *mem, struct cs_mem_pool *pool)
{
	mem->pool = pool;
}

int cs_mem_new(pid_t pid, struct cs_mem **ret)
{
	_cleanup_(cs_mem_freep) struct cs_mem *mem = calloc(1, sizeof(*mem));

	if (!mem)
		return -ENOMEM;
	mem->pid = pid;
	mem->generation = 1;
	mem->cap_groups = FIRST_GROUPS;
	mem->cap_wanted = FIRST_WANTED;
	mem->groups = calloc(FIRST_GROUPS, sizeof(*mem->groups));
	mem->wanted = calloc(FIRST_WANTED, sizeof(*mem->wanted));
	if (!mem->groups || !mem->wanted)
		return -ENOMEM;
	*ret = TAKE_PTR(mem);
	return 0;
}

int cs_mem_new_beside(const struct cs_mem *mem, struct cs_mem **ret)
{
	int err = cs_mem_new(mem->pid, ret);

	if (!err)
		cs_mem_use_pool(*ret, mem->pool);
	return err;
}

static void arena_give(struct cs_mem *mem)
{
	cs_mem_pool_give(mem->pool, TAKE_PTR(mem->arena), mem->arena_pages);
	mem->arena_pages = 0;
}

void cs_mem_free(struct cs_mem *mem)
{
	if (!mem)
		return;
	arena_give(mem);
	free(mem->groups);
	free(mem->wanted);
	free(mem);
}

void cs_mem_forget(struct cs_mem *mem)
{
	mem->err = 0;
	mem->lacking = false;
	mem->last = NULL;
	mem->ngroups = 0;
	mem->npages = 0;
	mem->arena_used = 0;
	mem->nwanted = 0;
	memset(mem->near, 0, sizeof(mem->near));
	memset(mem->asked, 0, sizeof(mem->asked));
	if (++mem->generation == 0) {
		memset(mem->groups, 0, mem->cap_groups * sizeof(*mem->groups));
		mem->generation = 1;
	}
}

void cs_mem_release(struct cs_mem *mem)
{
	if (!mem || (!mem->arena && !mem->npages && !mem->err && !mem->lacking))
		return;
	cs_mem_forget(mem);
	arena_give(mem);
}

void cs_mem_renew(struct cs_mem *mem)
{
	cs_mem_forget(mem);
	if (++mem->renewed % THROUGH_AGE == 0)
		mem->nthrough = 0;
	for (uint32_t i = 0; i < mem->nthrough; i++)
		cs_mem_want(mem, mem->through[i] << PAGE_SHIFT, 1);
}

bool cs_mem_trim(struct cs_mem *mem, uint32_t pages)
{
	if (mem->npages <= pages)
		return false;
	cs_mem_forget(mem);
	return true;
}

static bool range_is_sane(uint64_t addr, size_t size)
{
	return addr < ADDR_LIMIT && size <= ADDR_LIMIT - addr;
}

/* The group with this key, or the free one where it belongs. */
static struct group *group_find(const struct cs_mem *mem, uint64_t key)
{
	uint32_t i = (uint32_t)((key * 0x9e3779b97f4a7c15ull) >> 32) & (mem->cap_groups - 1);

	while (mem->groups[i].generation == mem->generation && mem->groups[i].key != key)
		i = (i + 1) & (mem->cap_groups - 1);
	return &mem->groups[i];
}

static int groups_grow(struct cs_mem *mem)
{
	struct group *old = mem->groups, *groups;
	uint32_t nold = mem->cap_groups;

	groups = calloc((size_t)nold * 2, sizeof(*groups));
	if (!groups)
		return -ENOMEM;
	mem->groups = groups;
	mem->cap_groups = nold * 2;
	for (uint32_t i = 0; i < nold; i++) {
		if (old[i].generation == mem->generation)
			*group_find(mem, old[i].key) = old[i];
	}
	free(old);
	return 0;
}

/* What is known of a page, to be changed; NULL if that is nothing and no more may be known. Valid until the next call. */
static int32_t *page_entry(struct cs_mem *mem, uint64_t page)
{
	uint64_t key = page >> GROUP_SHIFT;
	struct group *group = mem->last;

	if (!group || group->key != key) {
		group = group_find(mem, key);
		if (group->generation != mem->generation) {
			if (mem->npages >= MAX_PAGES ||
			    (mem->ngroups >= mem->cap_groups / 2 && groups_grow(mem)))
				return NULL;
			group = group_find(mem, key);
			*group = (struct group){.key = key, .generation = mem->generation};
			mem->ngroups++;
		}
		mem->last = group;
	}
	return &group->pages[page & (GROUP_PAGES - 1)];
}

/* The same, of a page that is to be read: no longer unknown. NULL also if there are too many. */
static int32_t *page_get(struct cs_mem *mem, uint64_t page)
{
	int32_t *entry = page_entry(mem, page);

	if (!entry || *entry != PAGE_UNKNOWN)
		return entry;
	if (mem->npages >= MAX_PAGES)
		return NULL;
	mem->npages++;
	*entry = PAGE_WANTED;
	return entry;
}

static int arena_reserve(struct cs_mem *mem, size_t pages)
{
	size_t need = mem->arena_used + pages, cap;
	char *arena;

	if (!mem->arena)
		mem->arena = cs_mem_pool_take(mem->pool, &mem->arena_pages);
	cap = mem->arena_pages ? mem->arena_pages : FIRST_PAGES;
	while (cap < need)
		cap *= 2;
	if (cap == mem->arena_pages)
		return 0;
	arena = realloc(mem->arena, cap * PAGE_BYTES);
	if (!arena)
		return -ENOMEM;
	mem->arena = arena;
	mem->arena_pages = cap;
	memset(mem->near, 0, sizeof(mem->near));
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

static int compare_image_page(const void *key, const void *item)
{
	uint64_t page = *(const uint64_t *)key, other = *(const uint64_t *)item >> PAGE_SHIFT;

	return (page > other) - (page < other);
}

/* Take from the image what it has of n pages, which all have entries, and move the others to the front. Returns their number. */
static size_t take_pages(struct cs_mem *mem, uint64_t *pages, size_t n)
{
	const struct cs_mem_image *image = mem->image;
	size_t nothers = 0;

	for (size_t i = 0; i < n; i++) {
		const uint64_t *at =
			bsearch(&pages[i], image->pages, image->n, sizeof(*at), compare_image_page);

		if (!at) {
			pages[nothers++] = pages[i];
			continue;
		}
		if (*at & CS_MEM_UNREADABLE) {
			*page_entry(mem, pages[i]) = PAGE_UNREADABLE;
			continue;
		}
		memcpy(mem->arena + mem->arena_used * PAGE_BYTES,
		       image->data + (size_t)(at - image->pages) * PAGE_BYTES, PAGE_BYTES);
		*page_entry(mem, pages[i]) = (int32_t)++mem->arena_used;
	}
	return nothers;
}

/*
 * Read ascending pages that all have entries. The kernel stops at the first page it cannot read: that one
 * is marked and reading resumes behind it. Batches shrink while that happens, so that a target full of
 * unreadable pages costs one short call a page, not one long one. What there is an image of is taken from there (and the order of
 * `pages` changes).
 */
static int load_pages(struct cs_mem *mem, uint64_t *pages, size_t n)
{
	struct iovec runs[MAX_RUNS];
	size_t limit = MAX_RUNS;
	size_t i = 0;

	if (arena_reserve(mem, n))
		return -ENOMEM;
	if (mem->image) {
		n = take_pages(mem, pages, n);
		mem->mixed = mem->mixed || n;
	}
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
			*page_entry(mem, pages[i + k]) = (int32_t)++mem->arena_used;
		i += good;
		if (good == asked) {
			limit = limit * 2 < MAX_RUNS ? limit * 2 : MAX_RUNS;
		} else if (!mem->err) {
			*page_entry(mem, pages[i++]) = PAGE_UNREADABLE;
			limit = limit / 2 > MIN_RUNS ? limit / 2 : MIN_RUNS;
		}
	}
	return mem->err;
}

/* Note a page that is to be fetched. Returns 0 or -ENOMEM. */
static int add_wanted(struct cs_mem *mem, uint64_t page)
{
	if (mem->nwanted == mem->cap_wanted) {
		size_t cap = mem->cap_wanted ? 2 * mem->cap_wanted : 64;
		uint64_t *wanted = realloc(mem->wanted, cap * sizeof(*mem->wanted));

		if (!wanted)
			return -ENOMEM;
		mem->wanted = wanted;
		mem->cap_wanted = cap;
	}
	mem->wanted[mem->nwanted++] = page;
	return 0;
}

void cs_mem_want(struct cs_mem *mem, uint64_t addr, size_t size)
{
	uint64_t last = (addr + size - 1) >> PAGE_SHIFT;
	uint64_t *asked = &mem->asked[last & (ASKED_PAGES - 1)];

	if (addr >> PAGE_SHIFT == last && *asked == last + 1)
		return;
	if (!size || size > MAX_WANT || !range_is_sane(addr, size))
		return;
	for (uint64_t page = addr >> PAGE_SHIFT; page <= last; page++) {
		int32_t *entry = page_entry(mem, page);

		if (entry && *entry != PAGE_UNKNOWN)
			continue;
		/* what is not noted is read through, or says why not */
		if (!entry || mem->npages >= MAX_PAGES || add_wanted(mem, page)) {
			mem->lacking = true;
			return;
		}
		mem->npages++;
		*entry = PAGE_WANTED;
	}
	*asked = last + 1;
}

void cs_mem_seal(struct cs_mem *mem, const struct cs_mem_image *image)
{
	cs_mem_forget(mem);
	mem->image = image;
	mem->mixed = false;
}

bool cs_mem_unseal(struct cs_mem *mem)
{
	mem->image = NULL;
	return !mem->mixed;
}

size_t cs_mem_asked(const struct cs_mem *mem, uint64_t *ret, size_t max)
{
	size_t n = 0;

	for (uint32_t i = 0; i < mem->cap_groups; i++) {
		const struct group *group = &mem->groups[i];

		for (uint32_t k = 0; group->generation == mem->generation && k < GROUP_PAGES; k++) {
			if (group->pages[k] == PAGE_UNKNOWN)
				continue;
			if (n++ < max)
				ret[n - 1] = ((group->key << GROUP_SHIFT) + k) << PAGE_SHIFT;
		}
	}
	return n;
}

static int compare_pages(const void *a, const void *b)
{
	uint64_t x = *(const uint64_t *)a, y = *(const uint64_t *)b;

	return (x > y) - (x < y);
}

void cs_mem_fetch(struct cs_mem *mem)
{
	bool sorted = true;
	size_t n = 0;

	/* A page may have been read through since it was wanted. */
	for (size_t i = 0; i < mem->nwanted; i++) {
		if (*page_entry(mem, mem->wanted[i]) != PAGE_WANTED)
			continue;
		mem->wanted[n++] = mem->wanted[i];
		sorted &= n < 2 || mem->wanted[n - 2] < mem->wanted[n - 1];
	}
	mem->nwanted = 0;
	if (!sorted)
		qsort(mem->wanted, n, sizeof(*mem->wanted), compare_pages);
	/* Pages left unread for lack of memory stay PAGE_WANTED: reading them says why. */
	load_pages(mem, mem->wanted, n);
}

/* The cached bytes of a page, read through if need be. */
static int page_data(struct cs_mem *mem, uint64_t page, const char **ret)
{
	int32_t *entry = page_get(mem, page);

	if (!entry)
		return -ENOMEM;
	if (*entry == PAGE_WANTED) {
		int err = load_pages(mem, &page, 1);

		if (err)
			return err;
		if (*entry > 0 && mem->nthrough < MAX_THROUGH)
			mem->through[mem->nthrough++] = page;
	}
	if (*entry <= 0)
		return -EFAULT;
	*ret = mem->arena + (size_t)(*entry - 1) * PAGE_BYTES;
	mem->near[page & (NEAR_PAGES - 1)] = (struct near){page, *ret};
	return 0;
}

/* A plain memcpy of at most a page is made "rep movs" by GCC: slow to begin, and slow to read back. Its library's is called instead. */
static void copy(char *dst, const char *src, size_t n)
{
	__asm__("" : "+r"(n));
	memcpy(dst, src, n);
}

int cs_mem_read(struct cs_mem *mem, uint64_t addr, void *dst, size_t size)
{
	const struct near *near = &mem->near[addr >> PAGE_SHIFT & (NEAR_PAGES - 1)];
	char *out = dst;

	if (near->page == addr >> PAGE_SHIFT && near->data &&
	    size <= PAGE_BYTES - (addr & (PAGE_BYTES - 1))) {
		copy(dst, near->data + (addr & (PAGE_BYTES - 1)), size);
		return 0;
	}
	if (!range_is_sane(addr, size))
		return -EFAULT;
	while (size) {
		size_t at = addr & (PAGE_BYTES - 1);
		size_t n = PAGE_BYTES - at < size ? PAGE_BYTES - at : size;
		const char *data;
		int err = page_data(mem, addr >> PAGE_SHIFT, &data);

		if (err)
			return err;
		copy(out, data + at, n);
		out += n;
		addr += n;
		size -= n;
	}
	return 0;
}

const char *cs_mem_peek(struct cs_mem *mem, uint64_t addr, size_t size)
{
	uint64_t page = addr >> PAGE_SHIFT, at = addr & (PAGE_BYTES - 1);
	const struct near *near = &mem->near[page & (NEAR_PAGES - 1)];
	const char *data;

	if (size > PAGE_BYTES - at)
		return NULL;
	if (near->page == page && near->data)
		return near->data + at;
	return range_is_sane(addr, size) && !page_data(mem, page, &data) ? data + at : NULL;
}

bool cs_mem_same(struct cs_mem *mem, struct cs_mem *other, uint64_t addr, size_t size)
{
	while (size) {
		size_t room = PAGE_BYTES - (addr & (PAGE_BYTES - 1)), n = size < room ? size : room;
		const char *a = cs_mem_peek(mem, addr, n), *b = cs_mem_peek(other, addr, n);

		if (!a || !b || memcmp(a, b, n) != 0)
			return false;
		addr += n;
		size -= n;
	}
	return true;
}

static bool is_same_page(struct cs_mem *mem, struct cs_mem *other, uint64_t page)
{
	const char *a, *b;

	return !page_data(mem, page, &a) && !page_data(other, page, &b) &&
	       memcmp(a, b, PAGE_BYTES) == 0;
}

bool cs_mem_same_pages(struct cs_mem *mem, struct cs_mem *other)
{
	for (uint32_t i = 0; i < mem->cap_groups && !mem->lacking; i++) {
		const struct group *group = &mem->groups[i];

		for (uint32_t k = 0; group->generation == mem->generation && k < GROUP_PAGES; k++) {
			if (group->pages[k] != PAGE_UNKNOWN &&
			    !is_same_page(mem, other, (group->key << GROUP_SHIFT) + k))
				return false;
		}
	}
	return !mem->lacking;
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
