/* SPDX-License-Identifier: Apache-2.0 */
/*
 * A shared library for hostile_python.py: a native thread writes random, cyclic and enormous values over what the program told it
 * of its interpreter. The program's Python threads stay in hostile_live() and hostile_park(), which look at no Python object, so
 * that it survives. A wrong word is put right again some time later: else nothing below the first one would ever be read.
 */
#define _GNU_SOURCE
#include <errno.h>
#include <pthread.h>
#include <stdatomic.h>
#include <stdint.h>
#include <stdio.h>
#include <stdlib.h>
#include <sys/mman.h>
#include <sys/uio.h>
#include <time.h>
#include <unistd.h>

#define MAX_KINDS   32
#define MAX_REGIONS 1024
#define MAX_LINKS   16384
#define MAX_WRONG   256
#define PAGE        4096
/* How many words are wrong at once is drawn anew so often. */
#define ROUNDS      20
/* Changes each time it wakes up: waking up costs more than they do. */
#define AT_ONCE     20

struct region {
	uint64_t address;
	uint64_t size;
};

struct wrong {
	uint64_t address;
	uint64_t right;
};

/* What the program told, by kind, so that a rare kind is met as often as a common one. */
static struct region regions[MAX_KINDS][MAX_REGIONS];
static unsigned nregions[MAX_KINDS];
static unsigned nkinds;
/* Words that lead from one region into another: the pointers that a reader follows. */
static uint64_t links[MAX_LINKS];
static unsigned nlinks;
static struct wrong wrongs[MAX_WRONG];
static unsigned nwrong;
/* Pages that lie in wait: all words lead to the page itself, all are enormous, the next page is not there. */
static uint64_t *circle, *enormous, *cliff;
static uint64_t state;
static char **again;
static double life_s;
static int harmless;
static atomic_int nparked;

static double now(void)
{
	struct timespec ts;

	clock_gettime(CLOCK_MONOTONIC, &ts);
	return (double)ts.tv_sec + (double)ts.tv_nsec / 1e9;
}

/* xorshift64*: a run can be repeated by its seed. */
static uint64_t any(void)
{
	state ^= state >> 12;
	state ^= state << 25;
	state ^= state >> 27;
	return state * 2685821657736338717ull;
}

static uint64_t below(uint64_t n)
{
	return any() % n;
}

/* Memory may be gone or read-only: the kernel is asked, a wrong address is no signal. */
static int read_word(uint64_t address, uint64_t *value)
{
	struct iovec here = {value, sizeof(*value)}, there = {(void *)address, sizeof(*value)};

	return process_vm_readv(getpid(), &here, 1, &there, 1, 0) == sizeof(*value) ? 0 : -EFAULT;
}

static int write_word(uint64_t address, uint64_t value)
{
	struct iovec here = {&value, sizeof(value)}, there = {(void *)address, sizeof(value)};

	return process_vm_writev(getpid(), &here, 1, &there, 1, 0) == sizeof(value) ? 0 : -EFAULT;
}

void hostile_add(unsigned kind, uint64_t address, uint64_t size)
{
	if (kind >= MAX_KINDS || nregions[kind] == MAX_REGIONS || !address || size < 8)
		return;
	regions[kind][nregions[kind]++] = (struct region){address & ~7ull, size};
	if (kind >= nkinds)
		nkinds = kind + 1;
}

static int is_known(uint64_t address)
{
	for (unsigned kind = 0; kind < nkinds; kind++)
		for (unsigned i = 0; i < nregions[kind]; i++)
			if (address - regions[kind][i].address < regions[kind][i].size)
				return 1;
	return 0;
}

/* In all of the region, however large. */
static void find_links(const struct region *region)
{
	uint64_t value;

	for (uint64_t at = 0; at + 8 <= region->size && nlinks < MAX_LINKS; at += 8) {
		if (read_word(region->address + at, &value))
			return;
		if (value > PAGE && is_known(value))
			links[nlinks++] = region->address + at;
	}
}

static const struct region *any_region(void)
{
	unsigned kind;

	do {
		kind = (unsigned)below(nkinds);
	} while (!nregions[kind]);
	return &regions[kind][below(nregions[kind])];
}

static uint64_t any_word(void)
{
	const struct region *region = any_region();
	uint64_t size = region->size < PAGE / 4 ? region->size : PAGE / 4;

	return nlinks && below(2) ? links[below(nlinks)] : region->address + below(size / 8) * 8;
}

static uint64_t any_value(uint64_t address, uint64_t right)
{
	switch (below(16)) {
	case 0:
		return any();
	case 1:
		return address; /* a circle of one */
	case 2:
		return address - below(64) * 8; /* the structure itself, perhaps */
	case 3:
		return INT64_MAX;
	case 4:
		return 1ull << 62;
	case 5:
		return UINT64_MAX - below(16);
	case 6:
		return below(256);
	case 7:
		return (uint64_t)circle;
	case 8:
		return (uint64_t)enormous;
	case 9:
		return (uint64_t)cliff + PAGE - below(256); /* ends in the middle of what is read */
	case 10:
		return (uint64_t)cliff + PAGE;
	case 11:
		return right ^ (1ull << below(64));
	case 12:
		return right + (below(2) ? INT32_MAX : 1 + below(64));
	case 13:
		return 0xffff800000000000ull + any() % (1ull << 46); /* the kernel's */
	default:
		return any_region()->address + (below(4) ? 0 : below(128)); /* another object */
	}
}

static int is_wrong(uint64_t address)
{
	for (unsigned i = 0; i < nwrong; i++)
		if (wrongs[i].address == address)
			return 1;
	return 0;
}

static void damage(void)
{
	struct wrong *wrong = &wrongs[nwrong];

	wrong->address = any_word();
	if (is_wrong(wrong->address) || read_word(wrong->address, &wrong->right))
		return;
	if (write_word(wrong->address, any_value(wrong->address, wrong->right)) == 0)
		nwrong++;
}

static void put_right(void)
{
	unsigned i = (unsigned)below(nwrong);

	write_word(wrongs[i].address, wrongs[i].right);
	wrongs[i] = wrongs[--nwrong];
}

static void change(unsigned wanted)
{
	if (!harmless && nwrong < wanted)
		damage();
	while (nwrong > wanted || (nwrong && below(4) == 0))
		put_right();
}

/* One word wrong or nearly all of them: what is far from the roots is only reached while these are right. */
static void *rage(void *unused)
{
	double end = now() + life_s;

	for (unsigned wanted = 1; !again || now() < end; wanted = 1u << below(8))
		for (unsigned round = 0; round < ROUNDS; round++) {
			for (unsigned i = 0; i < AT_ONCE; i++)
				change(wanted);
			usleep((useconds_t)below(10000));
		}
	while (nwrong) /* the arguments may be among them */
		put_right();
	execv(again[0], again + 1);
	perror(again[0]);
	abort();
	return unused;
}

static void *lay(int fill_self, uint64_t value)
{
	uint64_t *page =
		mmap(NULL, 2 * PAGE, PROT_READ | PROT_WRITE, MAP_PRIVATE | MAP_ANONYMOUS, -1, 0);

	if (page == MAP_FAILED)
		abort();
	for (unsigned i = 0; i < PAGE / 8; i++)
		page[i] = fill_self ? (uint64_t)page : value;
	mprotect((char *)page + PAGE, PAGE, PROT_NONE);
	return page;
}

/*
 * Begin. arguments: a file and the arguments, the program's name first, that it is executed with in place of this program after so
 * many seconds; NULL: never. They are kept. seed is not 0. Returns how many links between structures are known, -1 without a thread.
 */
int hostile_begin(uint64_t seed, char **arguments, double seconds, int is_harmless)
{
	pthread_t thread;

	state = seed;
	again = arguments;
	life_s = seconds;
	harmless = is_harmless;
	circle = lay(1, 0);
	enormous = lay(0, INT64_MAX);
	cliff = lay(0, UINT64_MAX / 2 + 8);
	for (unsigned kind = 0; kind < nkinds; kind++)
		for (unsigned i = 0; i < nregions[kind]; i++)
			find_links(&regions[kind][i]);
	if (pthread_create(&thread, NULL, rage, NULL))
		return -1;
	return (int)nlinks;
}

/* A tenth of a CPU, in small pieces. */
static void burn(void)
{
	for (;;) {
		double end = now() + 0.001;

		while (now() < end)
			;
		usleep(9000);
	}
}

/* Begin, and never return: the caller's Python is damaged already when a call of it could come back. */
void hostile_live(uint64_t seed, char **arguments, double seconds, int is_harmless)
{
	if (hostile_begin(seed, arguments, seconds, is_harmless) < 0)
		abort();
	burn();
}

void hostile_park(void)
{
	for (nparked++;;)
		usleep(20000);
}

/* How many threads are in hostile_park(). */
int hostile_parked(void)
{
	return nparked;
}
