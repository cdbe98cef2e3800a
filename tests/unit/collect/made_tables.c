/* SPDX-License-Identifier: Apache-2.0 */
/* Maps of unwind tables that only remember. */
#include "unit/collect/made_tables.h"

#include <setjmp.h>
#include <stdarg.h>

#include <bpf/bpf.h>
#include <cmocka.h>
#include <errno.h>
#include <string.h>
#include <sys/mman.h>
#include <unistd.h>

#include "core/cleanup.h"

struct made_tables made_tables;

void made_tables_begin(void)
{
	memset(&made_tables, 0, sizeof(made_tables));
}

void made_tables_end(void)
{
	for (unsigned int i = 0; i < made_tables.ninner; i++)
		close(made_tables.inner[i]);
}

static struct made_list *find(pid_t pid)
{
	for (size_t i = 0; i < made_tables.nlists; i++)
		if (made_tables.lists[i].pid == pid)
			return &made_tables.lists[i];
	return NULL;
}

const struct cs_native_proc *made_list(pid_t pid)
{
	const struct made_list *list = find(pid);

	return list ? &list->proc : NULL;
}

long made_table_at(const struct cs_native_proc *list, const void *addr)
{
	uint64_t page = (uint64_t)(uintptr_t)addr >> CS_PAGE_SHIFT;

	for (uint32_t i = 0; i < list->n; i++) {
		uint64_t first = list->mappings[i].start_table >> 24;

		if (page >= first &&
		    page - first < (list->mappings[i].vaddr_pages & ((1ull << 40) - 1)))
			return list->mappings[i].start_table & 0xffffff;
	}
	return -1;
}

int bpf_map_create(enum bpf_map_type type, const char *name, __u32 key_size, __u32 value_size,
		   __u32 max_entries, const struct bpf_map_create_opts *opts)
{
	int fd;

	while (made_tables.hold)
		usleep(1000);
	if (made_tables.refuses) {
		errno = EPERM;
		return -1;
	}
	fd = memfd_create(name, MFD_CLOEXEC);
	assert_int_equal(ftruncate(fd, (off_t)value_size * max_entries), 0);
	if (made_tables.forgets)
		return fd;
	assert_in_range(made_tables.ninner, 0, MADE_TABLES_MAX - 1);
	made_tables.inner[made_tables.ninner++] = dup(fd);
	return fd;
}

int bpf_obj_get_info_by_fd(int fd, void *info, __u32 *info_len)
{
	((struct bpf_map_info *)info)->id = made_tables.ninner;
	return 0;
}

int bpf_map_get_fd_by_id(__u32 id)
{
	return dup(made_tables.inner[id - 1]);
}

static void tell_list(pid_t pid, const struct cs_native_proc *proc)
{
	struct made_list *list = find(pid);

	if (!list) {
		assert_in_range(made_tables.nlists, 0, ARRAY_SIZE(made_tables.lists) - 1);
		list = &made_tables.lists[made_tables.nlists++];
	}
	/* a walk may begin at once: what the list names is there */
	for (uint32_t i = 0; i < proc->n; i++) {
		uint32_t table = proc->mappings[i].start_table & 0xffffff;

		if (table >= CS_NATIVE_FIRST_TABLE)
			assert_true(made_tables.taken[cs_native_place(table)]);
	}
	list->pid = pid;
	list->proc = *proc;
	made_tables.lists_told++;
}

int bpf_map_update_elem(int fd, const void *key, const void *value, __u64 flags)
{
	uint32_t at = *(const uint32_t *)key;

	if (fd == MADE_PROCS) {
		tell_list((pid_t)at, value);
		return 0;
	}
	assert_int_equal(fd, MADE_FILES);
	if (made_tables.forgets)
		return 0;
	assert_in_range(made_tables.ntold, 0, MADE_TABLES_MAX - 1);
	made_tables.told[made_tables.ntold++] = at;
	made_tables.taken[at] = true;
	return 0;
}

int bpf_map_update_batch(int fd, const void *keys, const void *values, __u32 *count,
			 const struct bpf_map_batch_opts *opts)
{
	if (made_tables.no_batches)
		return -1;
	for (__u32 i = 0; i < *count; i++)
		bpf_map_update_elem(fd, (const uint32_t *)keys + i, (const int *)values + i, 0);
	return 0;
}

int bpf_map_delete_elem(int fd, const void *key)
{
	uint32_t at = *(const uint32_t *)key;
	struct made_list *list = find((pid_t)at);

	if (fd == MADE_PROCS) {
		if (list)
			*list = made_tables.lists[--made_tables.nlists];
		return 0;
	}
	assert_int_equal(fd, MADE_FILES);
	made_tables.ngone++;
	made_tables.taken[at] = false;
	return 0;
}

/* In the order of the array. */
int bpf_map_get_next_key(int fd, const void *key, void *next_key)
{
	const struct made_list *list = key ? find(*(const pid_t *)key) : NULL;
	size_t i = list ? (size_t)(list - made_tables.lists) + 1 : 0;

	assert_int_equal(fd, MADE_PROCS);
	if (i >= made_tables.nlists)
		return -1;
	*(pid_t *)next_key = made_tables.lists[i].pid;
	return 0;
}
