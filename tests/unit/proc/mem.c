/* SPDX-License-Identifier: Apache-2.0 */
/* proc/mem.c reading this very process, with holes made in its address space. */
#include <errno.h>
#include <setjmp.h>
#include <stdarg.h>
#include <stddef.h>
#include <stdlib.h>
#include <string.h>
#include <sys/mman.h>
#include <sys/wait.h>
#include <unistd.h>

#include <cmocka.h>

#include "core/cleanup.h"
#include "proc/mem.h"

#define PAGE 4096u

static struct cs_mem *new_mem(pid_t pid)
{
	struct cs_mem *mem;

	assert_int_equal(cs_mem_new(pid, &mem), 0);
	return mem;
}

/* n pages; the first word of each is its number. */
static char *new_pages(size_t n)
{
	char *pages =
		mmap(NULL, n * PAGE, PROT_READ | PROT_WRITE, MAP_PRIVATE | MAP_ANONYMOUS, -1, 0);

	assert_ptr_not_equal(pages, MAP_FAILED);
	for (size_t i = 0; i < n; i++)
		memcpy(pages + i * PAGE, &i, sizeof(i));
	return pages;
}

static uint64_t addr_of(const void *p)
{
	return (uint64_t)(uintptr_t)p;
}

static void reads_cross_pages(void **state)
{
	_cleanup_(cs_mem_freep) struct cs_mem *mem = new_mem(getpid());
	char *pages = new_pages(4);
	char copy[3 * PAGE];

	for (size_t i = 0; i < 4 * PAGE; i++)
		pages[i] = (char)(i * 7 >> 3);
	assert_int_equal(cs_mem_read(mem, addr_of(pages) + 100, copy, sizeof(copy)), 0);
	assert_memory_equal(copy, pages + 100, sizeof(copy));
	assert_int_equal(cs_mem_read(mem, addr_of(pages) + PAGE - 3, copy, 8), 0);
	assert_memory_equal(copy, pages + PAGE - 3, 8);
	munmap(pages, 4 * PAGE);
}

static void unreadable_pages_spare_the_others(void **state)
{
	enum { NPAGES = 6000 }; /* every third is missing: 2,000 runs, twice what one call takes */
	_cleanup_(cs_mem_freep) struct cs_mem *mem = new_mem(getpid());
	char *pages = new_pages(NPAGES);

	for (size_t i = 1; i < NPAGES; i += 3) {
		if (i % 2)
			munmap(pages + i * PAGE, PAGE);
		else
			mprotect(pages + i * PAGE, PAGE, PROT_NONE);
	}
	for (int pass = 0; pass < 4; pass++) {
		for (size_t i = NPAGES; i-- > 0;)
			cs_mem_want(mem, addr_of(pages) + i * PAGE + 8, 16);
		cs_mem_fetch(mem);
		for (size_t i = 0; i < NPAGES; i++) {
			uint64_t number = 0;
			int err = cs_mem_read_u64(mem, addr_of(pages) + i * PAGE, &number);

			assert_int_equal(err, i % 3 == 1 ? -EFAULT : 0);
			assert_int_equal(number, err ? 0 : i);
		}
		pass % 2 ? cs_mem_release(mem) : cs_mem_forget(mem);
	}
	/* there may be nothing to give back */
	cs_mem_release(mem);
	munmap(pages, NPAGES * PAGE);
}

static void a_read_into_a_hole_fails(void **state)
{
	_cleanup_(cs_mem_freep) struct cs_mem *mem = new_mem(getpid());
	char *pages = new_pages(2);
	char copy[64];

	munmap(pages + PAGE, PAGE);
	assert_int_equal(cs_mem_read(mem, addr_of(pages) + PAGE - 32, copy, 64), -EFAULT);
	assert_int_equal(cs_mem_read(mem, addr_of(pages) + PAGE - 64, copy, 64), 0);
	munmap(pages, PAGE);
}

static void strings_end_with_their_mapping(void **state)
{
	_cleanup_(cs_mem_freep) struct cs_mem *mem = new_mem(getpid());
	char *pages = new_pages(3);
	char str[PAGE];

	munmap(pages + 2 * PAGE, PAGE);
	memset(pages, 'x', 2 * PAGE);
	memcpy(pages + 2 * PAGE - 6, "hello", 6);
	assert_int_equal(cs_mem_read_str(mem, addr_of(pages) + 2 * PAGE - 6, str, sizeof(str)), 0);
	assert_string_equal(str, "hello");

	cs_mem_forget(mem);
	memcpy(pages + 2 * PAGE - 5, "world", 5);
	assert_int_equal(cs_mem_read_str(mem, addr_of(pages) + 2 * PAGE - 5, str, sizeof(str)), 0);
	assert_string_equal(str, "world");

	memcpy(pages + PAGE - 4, "across pages", 13);
	cs_mem_forget(mem);
	assert_int_equal(cs_mem_read_str(mem, addr_of(pages) + PAGE - 4, str, sizeof(str)), 0);
	assert_string_equal(str, "across pages");
	assert_int_equal(cs_mem_read_str(mem, addr_of(pages) + PAGE - 4, str, 8), 0);
	assert_string_equal(str, "across ");

	assert_int_equal(cs_mem_read_str(mem, addr_of(pages) + 2 * PAGE, str, 8), -EFAULT);
	assert_int_equal(cs_mem_read_str(mem, addr_of(pages), str, 0), -EINVAL);
	munmap(pages, 2 * PAGE);
}

static void absurd_addresses_are_refused(void **state)
{
	static const uint64_t absurd[] = {0, 1ull << 47, (1ull << 47) - 4, 1ull << 63, ~0ull};
	_cleanup_(cs_mem_freep) struct cs_mem *mem = new_mem(getpid());
	char copy[8];

	for (size_t i = 0; i < ARRAY_SIZE(absurd); i++) {
		cs_mem_want(mem, absurd[i], 8);
		cs_mem_fetch(mem);
		assert_int_equal(cs_mem_read(mem, absurd[i], copy, 8), -EFAULT);
		assert_int_equal(cs_mem_read_str(mem, absurd[i], copy, 8), -EFAULT);
	}
	cs_mem_want(mem, 4096, ~(size_t)0);
	assert_int_equal(cs_mem_read(mem, 4096, copy, ~(size_t)0), -EFAULT);
}

static void the_cache_is_one_moment(void **state)
{
	_cleanup_(cs_mem_freep) struct cs_mem *mem = new_mem(getpid());
	volatile uint64_t *word = (volatile uint64_t *)new_pages(1);
	uint64_t seen;

	*word = 1;
	assert_int_equal(cs_mem_read_u64(mem, addr_of((void *)word), &seen), 0);
	*word = 2;
	assert_int_equal(cs_mem_read_u64(mem, addr_of((void *)word), &seen), 0);
	assert_int_equal(seen, 1);
	cs_mem_forget(mem);
	assert_int_equal(cs_mem_read_u64(mem, addr_of((void *)word), &seen), 0);
	assert_int_equal(seen, 2);
	munmap((void *)word, PAGE);
}

/* The word as it was when the page was fetched, seen after it has become `now`. */
static uint64_t fetched_before(struct cs_mem *mem, volatile uint64_t *word, uint64_t now)
{
	uint64_t seen;

	cs_mem_fetch(mem);
	*word = now;
	assert_int_equal(cs_mem_read_u64(mem, addr_of((void *)word), &seen), 0);
	return seen;
}

static void what_was_read_through_is_fetched_again(void **state)
{
	_cleanup_(cs_mem_freep) struct cs_mem *mem = new_mem(getpid());
	volatile uint64_t *word = (volatile uint64_t *)new_pages(1);
	uint64_t seen;

	cs_mem_renew(mem);
	*word = 1;
	assert_int_equal(fetched_before(mem, word, 2), 2); /* nobody knew of it */
	for (uint64_t i = 3; i < 6; i++) {
		cs_mem_renew(mem);
		assert_int_equal(fetched_before(mem, word, i), i - 1);
	}
	/* what is no longer read is forgotten at some time */
	for (int i = 0; i < 100; i++)
		cs_mem_renew(mem);
	*word = 6;
	assert_int_equal(fetched_before(mem, word, 7), 7);
	/* a hole is asked for only where it is read */
	munmap((void *)word, PAGE);
	cs_mem_renew(mem);
	cs_mem_fetch(mem);
	assert_int_equal(cs_mem_read_u64(mem, addr_of((void *)word), &seen), -EFAULT);
}

static void a_pass_is_bounded(void **state)
{
	enum { NPAGES = 32768 + 1 };
	_cleanup_(cs_mem_freep) struct cs_mem *mem = new_mem(getpid());
	char *pages =
		mmap(NULL, (size_t)NPAGES * PAGE, PROT_READ, MAP_PRIVATE | MAP_ANONYMOUS, -1, 0);
	uint64_t word;

	assert_ptr_not_equal(pages, MAP_FAILED);
	for (size_t i = 0; i < NPAGES; i++)
		cs_mem_want(mem, addr_of(pages) + i * PAGE, 8);
	cs_mem_fetch(mem);
	assert_int_equal(cs_mem_read_u64(mem, addr_of(pages) + (NPAGES - 2) * PAGE, &word), 0);
	assert_int_equal(cs_mem_read_u64(mem, addr_of(pages) + (NPAGES - 1) * PAGE, &word),
			 -ENOMEM);
	cs_mem_forget(mem);
	assert_int_equal(cs_mem_read_u64(mem, addr_of(pages) + (NPAGES - 1) * PAGE, &word), 0);
	munmap(pages, (size_t)NPAGES * PAGE);
}

static void bytes_are_shown_where_they_are(void **state)
{
	_cleanup_(cs_mem_freep) struct cs_mem *mem = new_mem(getpid());
	char *pages = new_pages(3);
	const char *seen;

	memcpy(pages + PAGE + 40, "forty", 6);
	munmap(pages + 2 * PAGE, PAGE);
	for (int i = 0; i < 2; i++) {
		seen = cs_mem_peek(mem, addr_of(pages) + PAGE + 40, 6);
		assert_non_null(seen);
		assert_ptr_not_equal(seen, pages + PAGE + 40);
		assert_string_equal(seen, "forty");
	}
	assert_non_null(cs_mem_peek(mem, addr_of(pages), PAGE));
	assert_null(cs_mem_peek(mem, addr_of(pages) + 1, PAGE)); /* in two pages */
	assert_null(cs_mem_peek(mem, addr_of(pages) + 2 * PAGE, 8));
	assert_null(cs_mem_peek(mem, UINT64_MAX - 100, 8));
	munmap(pages, 2 * PAGE);
}

/* Two readings of six pages, the first and third of which change, and the last of which is gone. */
static void two_readings_are_compared(void **state)
{
	_cleanup_(cs_mem_freep) struct cs_mem *before = new_mem(getpid()),
					      *after = new_mem(getpid());
	char *pages = new_pages(6);
	uint64_t at = addr_of(pages);

	cs_mem_want(before, at, 6 * PAGE);
	cs_mem_fetch(before);
	pages[100] = 1;
	pages[2 * PAGE] = 77;
	munmap(pages + 5 * PAGE, PAGE);
	assert_true(cs_mem_same(before, after, at, 100));
	assert_false(cs_mem_same(before, after, at, 101));
	assert_true(cs_mem_same(before, after, at + 101, 2 * PAGE - 101));
	assert_false(cs_mem_same(before, after, at + 101, 2 * PAGE - 100));
	assert_false(cs_mem_same(before, after, at + 5 * PAGE, 8));
	assert_false(cs_mem_same(after, before, at + 5 * PAGE, 8));
	cs_mem_forget(after);
	cs_mem_want(after, at + 3 * PAGE, 2 * PAGE);
	cs_mem_want(after, at + PAGE + 5, 10);
	cs_mem_fetch(after);
	assert_true(cs_mem_same_pages(after, before));
	cs_mem_want(after, at + 2 * PAGE + 8, 8);
	cs_mem_fetch(after);
	assert_false(cs_mem_same_pages(after, before));
	cs_mem_forget(after);
	cs_mem_want(after, at + 5 * PAGE, 8);
	cs_mem_fetch(after);
	assert_false(cs_mem_same_pages(after, before));
	munmap(pages, 5 * PAGE);
}

/* More was wanted than fits: what is not there cannot be the same. */
static void what_is_not_there_is_not_the_same(void **state)
{
	enum { NPAGES = 32768 + 8 };
	_cleanup_(cs_mem_freep) struct cs_mem *before = new_mem(getpid()),
					      *after = new_mem(getpid());
	char *pages = new_pages(1);

	cs_mem_want(after, addr_of(pages), 8);
	cs_mem_fetch(after);
	assert_true(cs_mem_same_pages(after, before));
	for (uint64_t i = 0; i < NPAGES; i++)
		cs_mem_want(after, 0x1000000 + i * PAGE, 8);
	assert_false(cs_mem_same_pages(after, before));
	munmap(pages, PAGE);
}

static void another_process_is_read_until_it_is_gone(void **state)
{
	static volatile uint64_t word = 1;
	_cleanup_(cs_mem_freep) struct cs_mem *mem = NULL;
	uint64_t seen;
	int go[2];
	pid_t pid;

	assert_int_equal(pipe(go), 0);
	pid = fork();
	if (!pid) {
		char byte;

		close(go[1]);
		_exit((int)read(go[0], &byte, 1));
	}
	close(go[0]);
	word = 2; /* not the child's copy */
	mem = new_mem(pid);
	assert_int_equal(cs_mem_read_u64(mem, addr_of((void *)&word), &seen), 0);
	assert_int_equal(seen, 1);
	close(go[1]);
	assert_int_equal(waitpid(pid, NULL, 0), pid);
	cs_mem_forget(mem);
	assert_int_equal(cs_mem_read_u64(mem, addr_of((void *)&word), &seen), -ESRCH);
}

static void caches_share_what_they_give_back(void **state)
{
	enum { NPAGES = 300 };
	_cleanup_(cs_mem_pool_freep) struct cs_mem_pool *pool = NULL;
	_cleanup_(cs_mem_freep) struct cs_mem *first = new_mem(getpid()), *second = NULL;
	char *pages = new_pages(NPAGES);
	uint64_t number;
	const char *at;

	assert_int_equal(cs_mem_pool_new(&pool), 0);
	cs_mem_use_pool(first, pool);
	assert_int_equal(cs_mem_new_beside(first, &second), 0);
	for (size_t i = 0; i < NPAGES; i++)
		cs_mem_want(first, addr_of(pages) + i * PAGE, 8);
	cs_mem_fetch(first);
	at = cs_mem_peek(first, addr_of(pages), 8);
	assert_non_null(at);
	cs_mem_release(first);

	/* the other one is read to the same place, and grows there */
	assert_int_equal(cs_mem_read_u64(second, addr_of(pages), &number), 0);
	assert_ptr_equal(cs_mem_peek(second, addr_of(pages), 8), at);
	/* which the first one no longer has: it takes another, and nothing of what it knew holds */
	memset(pages + 7 * PAGE, 1, 8);
	assert_int_equal(cs_mem_read_u64(first, addr_of(pages) + 7 * PAGE, &number), 0);
	assert_int_equal(number, 0x0101010101010101);
	assert_int_equal(cs_mem_read_u64(second, addr_of(pages), &number), 0);
	assert_int_equal(number, 0);
	cs_mem_release(second);
	cs_mem_release(second);
	cs_mem_free(TAKE_PTR(first));
	for (size_t i = 0; i < NPAGES; i++)
		assert_int_equal(cs_mem_read_u64(second, addr_of(pages) + i * PAGE, &number), 0);
	assert_int_equal(number, NPAGES - 1);
	/* what is in use is not given back with the rest */
	cs_mem_pool_trim(pool);
	assert_non_null(cs_mem_peek(second, addr_of(pages), 8));
	cs_mem_release(second);
	cs_mem_pool_trim(pool);
	assert_int_equal(cs_mem_read_u64(second, addr_of(pages), &number), 0);
	cs_mem_free(TAKE_PTR(second));
	munmap(pages, NPAGES * PAGE);
}

int main(void)
{
	const struct CMUnitTest tests[] = {
		cmocka_unit_test(reads_cross_pages),
		cmocka_unit_test(unreadable_pages_spare_the_others),
		cmocka_unit_test(caches_share_what_they_give_back),
		cmocka_unit_test(a_read_into_a_hole_fails),
		cmocka_unit_test(strings_end_with_their_mapping),
		cmocka_unit_test(absurd_addresses_are_refused),
		cmocka_unit_test(the_cache_is_one_moment),
		cmocka_unit_test(what_was_read_through_is_fetched_again),
		cmocka_unit_test(a_pass_is_bounded),
		cmocka_unit_test(bytes_are_shown_where_they_are),
		cmocka_unit_test(two_readings_are_compared),
		cmocka_unit_test(what_is_not_there_is_not_the_same),
		cmocka_unit_test(another_process_is_read_until_it_is_gone),
	};

	return cmocka_run_group_tests(tests, NULL, NULL);
}
