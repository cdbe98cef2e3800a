/* SPDX-License-Identifier: Apache-2.0 */
/* Readings from copies of this process's own pages, which the test makes. */
#include "python/instant.h"

#include <errno.h>
#include <string.h>
#include <sys/mman.h>
#include <unistd.h>

#include "core/cleanup.h"
#include "test.h"

#define PAGE   4096u
#define MOST   8
#define NPAGES 16

/* Makes copies. */
struct copier {
	struct cs_instant_source source;
	uint64_t pages[MOST];
	char copies[MOST * PAGE];
	size_t n;
	uint32_t tid;
	uint64_t hole; /* a page that cannot be read, or 0 */
	int err;
};

static int take(void *ctx, uint32_t tid, const uint64_t *pages, size_t n,
		struct cs_instant_copy *ret)
{
	struct copier *copier = ctx;

	copier->tid = tid;
	copier->n = n;
	if (copier->err)
		return copier->err;
	assert_true(n <= MOST);
	for (size_t i = 0; i < n; i++) {
		assert_true(!i || pages[i] > pages[i - 1]);
		copier->pages[i] = pages[i];
		if (pages[i] == copier->hole)
			copier->pages[i] |= CS_MEM_UNREADABLE;
		else
			memcpy(copier->copies + i * PAGE, (void *)(uintptr_t)pages[i], PAGE);
	}
	*ret = (struct cs_instant_copy){{copier->pages, copier->copies, n}, 5, 6};
	return 0;
}

struct world {
	struct copier copier;
	struct cs_instant_reader reader;
	struct cs_mem *mem;
	uint64_t *words; /* the first of each of NPAGES pages */
};

static void world_begin(struct world *world)
{
	*world = (struct world){.copier.source = {&world->copier, MOST, take}};
	world->reader.source = &world->copier.source;
	assert_int_equal(cs_mem_new(getpid(), &world->mem), 0);
	world->words = mmap(NULL, NPAGES * PAGE, PROT_READ | PROT_WRITE,
			    MAP_PRIVATE | MAP_ANONYMOUS, -1, 0);
	assert_ptr_not_equal(world->words, MAP_FAILED);
}

static void world_end(struct world *world)
{
	munmap(world->words, NPAGES * PAGE);
	cs_mem_free(world->mem);
	cs_instant_reader_free(&world->reader);
}

static uint64_t *word(struct world *world, size_t page)
{
	return world->words + page * PAGE / 8;
}

static int read_word(struct world *world, size_t page, uint64_t *ret)
{
	return cs_mem_read_u64(world->mem, (uint64_t)(uintptr_t)word(world, page), ret);
}

/* A reading that asked for page 1 alone. */
static void learn_one(struct world *world)
{
	uint64_t seen;

	assert_int_equal(read_word(world, 1, &seen), 0);
	assert_int_equal(cs_instant_learn(&world->reader, world->mem), 1);
}

static void readings_are_of_the_instant(void **state)
{
	struct world world;
	uint64_t seen;

	world_begin(&world);
	*word(&world, 1) = 11;
	*word(&world, 3) = 13;
	assert_int_equal(read_word(&world, 3, &seen), 0);
	assert_int_equal(read_word(&world, 1, &seen), 0);
	assert_int_equal(cs_instant_learn(&world.reader, world.mem), 2);
	*word(&world, 1) = 21;
	assert_int_equal(cs_instant_begin(&world.reader, world.mem, 77), 0);
	assert_int_equal(world.copier.tid, 77);
	assert_int_equal(world.copier.n, 2);
	assert_int_equal(world.reader.copy.began_ns, 5);
	*word(&world, 1) = 31; /* too late */
	assert_int_equal(read_word(&world, 1, &seen), 0);
	assert_int_equal(seen, 21);
	cs_mem_renew(world.mem); /* as walks do: the copy stays */
	cs_mem_want(world.mem, (uint64_t)(uintptr_t)word(&world, 3), 8);
	cs_mem_fetch(world.mem);
	assert_int_equal(read_word(&world, 3, &seen), 0);
	assert_int_equal(seen, 13);
	assert_int_equal(read_word(&world, 1, &seen), 0);
	assert_int_equal(seen, 21);
	assert_int_equal(cs_instant_end(&world.reader, world.mem), 0);
	cs_mem_forget(world.mem);
	assert_int_equal(read_word(&world, 1, &seen), 0);
	assert_int_equal(seen, 31);
	world_end(&world);
}

static void what_a_copy_lacks_the_next_one_has(void **state)
{
	struct world world;
	uint64_t seen;

	world_begin(&world);
	*word(&world, 1) = 11;
	*word(&world, 2) = 12;
	learn_one(&world);
	assert_int_equal(cs_instant_begin(&world.reader, world.mem, 1), 0);
	/* what it lacks leads to more: a list is followed to its end, beside pages that are of the instant */
	cs_mem_want(world.mem, (uint64_t)(uintptr_t)word(&world, 1), 8);
	cs_mem_want(world.mem, (uint64_t)(uintptr_t)word(&world, 4), 8);
	cs_mem_want(world.mem, (uint64_t)(uintptr_t)word(&world, 3), 8);
	*word(&world, 1) = 31;
	*word(&world, 4) = 14;
	cs_mem_fetch(world.mem);
	assert_int_equal(read_word(&world, 1, &seen), 0);
	assert_int_equal(seen, 11);
	assert_int_equal(read_word(&world, 4, &seen), 0);
	assert_int_equal(seen, 14);
	assert_int_equal(read_word(&world, 2, &seen), 0);
	assert_int_equal(seen, 12);
	assert_int_equal(cs_instant_end(&world.reader, world.mem), 3);
	assert_int_equal(cs_instant_begin(&world.reader, world.mem, 1), 0);
	assert_int_equal(world.copier.n, 4);
	assert_int_equal(read_word(&world, 2, &seen), 0);
	assert_int_equal(cs_instant_end(&world.reader, world.mem), 0);
	world_end(&world);
}

/* A long reading forgets what it has read: what was not of the instant is not forgotten. */
static void what_was_lacking_and_forgotten_counts(void **state)
{
	struct world world;
	uint64_t seen;

	world_begin(&world);
	learn_one(&world);
	assert_int_equal(cs_instant_begin(&world.reader, world.mem, 1), 0);
	assert_int_equal(read_word(&world, 2, &seen), 0);
	assert_true(cs_mem_trim(world.mem, 0));
	assert_int_equal(read_word(&world, 1, &seen), 0);
	assert_int_equal(cs_instant_end(&world.reader, world.mem), 1);
	assert_int_equal(cs_instant_begin(&world.reader, world.mem, 1), 0);
	assert_int_equal(read_word(&world, 1, &seen), 0);
	assert_int_equal(cs_instant_end(&world.reader, world.mem), 0);
	world_end(&world);
}

static void a_page_without_bytes_is_no_lack(void **state)
{
	struct world world;
	uint64_t seen;

	world_begin(&world);
	assert_int_equal(mprotect(word(&world, 2), PAGE, PROT_NONE), 0);
	assert_int_equal(read_word(&world, 1, &seen), 0);
	assert_int_equal(read_word(&world, 2, &seen), -EFAULT);
	assert_int_equal(cs_instant_learn(&world.reader, world.mem), 2);
	world.copier.hole = (uint64_t)(uintptr_t)word(&world, 2);
	assert_int_equal(cs_instant_begin(&world.reader, world.mem, 1), 0);
	assert_int_equal(read_word(&world, 1, &seen), 0);
	assert_int_equal(read_word(&world, 2, &seen), -EFAULT);
	assert_int_equal(cs_instant_end(&world.reader, world.mem), 0);
	world_end(&world);
}

static void more_than_a_copy_holds_is_refused(void **state)
{
	struct world world;
	uint64_t seen;

	world_begin(&world);
	for (size_t i = 0; i < MOST; i++)
		assert_int_equal(read_word(&world, i, &seen), 0);
	assert_int_equal(cs_instant_learn(&world.reader, world.mem), MOST);
	/* others are read now: they are what counts */
	cs_mem_forget(world.mem);
	assert_int_equal(read_word(&world, MOST, &seen), 0);
	assert_int_equal(cs_instant_learn(&world.reader, world.mem), 1);
	assert_int_equal(world.reader.pages.n, 1);
	for (size_t i = 0; i < MOST; i++)
		assert_int_equal(read_word(&world, i, &seen), 0);
	assert_int_equal(cs_instant_learn(&world.reader, world.mem), -E2BIG);
	world_end(&world);
}

/* A copy of a part, whose reading asks for more than one can hold, is not soon made again. */
static void what_has_grown_too_large_rests(void **state)
{
	struct world world;
	uint64_t seen;

	world_begin(&world);
	learn_one(&world);
	assert_int_equal(cs_instant_begin(&world.reader, world.mem, 1), 0);
	for (size_t i = 0; i <= MOST; i++)
		assert_int_equal(read_word(&world, i, &seen), 0);
	assert_int_equal(cs_instant_end(&world.reader, world.mem), -E2BIG);
	assert_int_equal(cs_instant_begin(&world.reader, world.mem, 1), -EAGAIN);
	world_end(&world);
}

static void without_a_copy_nothing_is_sealed(void **state)
{
	struct world world;
	uint64_t seen;

	world_begin(&world);
	learn_one(&world);
	world.copier.err = -EBUSY;
	assert_int_equal(cs_instant_begin(&world.reader, world.mem, 1), -EBUSY);
	assert_int_equal(read_word(&world, 2, &seen), 0);
	/* held for too long, in vain: not again at once */
	world.copier.err = -E2BIG;
	assert_int_equal(cs_instant_begin(&world.reader, world.mem, 1), -E2BIG);
	world.copier.err = 0;
	assert_int_equal(cs_instant_begin(&world.reader, world.mem, 1), -EAGAIN);
	for (int i = 0; i < 1000 && cs_instant_begin(&world.reader, world.mem, 1); i++)
		;
	assert_int_equal(read_word(&world, 2, &seen), 0); /* it lacks one */
	assert_int_equal(cs_instant_end(&world.reader, world.mem), 1);
	world_end(&world);
}

int main(void)
{
	const struct CMUnitTest tests[] = {
		cmocka_unit_test(readings_are_of_the_instant),
		cmocka_unit_test(what_a_copy_lacks_the_next_one_has),
		cmocka_unit_test(what_was_lacking_and_forgotten_counts),
		cmocka_unit_test(a_page_without_bytes_is_no_lack),
		cmocka_unit_test(more_than_a_copy_holds_is_refused),
		cmocka_unit_test(what_has_grown_too_large_rests),
		cmocka_unit_test(without_a_copy_nothing_is_sealed),
	};

	return cmocka_run_group_tests(tests, NULL, NULL);
}
