/* SPDX-License-Identifier: Apache-2.0 */
/*
 * Tables and their places. A file that holds the same as another one (a container's copy) shares its table: the build id finds it, and that the tables are
 * equal byte by byte proves it, since anybody may give any build id to anything.
 */
#include "collect/unwind_tables.h"

#include <bpf/bpf.h>
#include <errno.h>
#include <linux/bpf.h>
#include <stdbool.h>
#include <stdlib.h>
#include <string.h>
#include <sys/mman.h>
#include <unistd.h>

#include "core/cleanup.h"
#include "unwind/unwind.h"

/* Tables that are handed over together. */
#define MAX_FRESH 64

struct cs_kernel_table {
	uint32_t number;
	uint32_t map_id; /* of the inner map */
	unsigned int users;
	size_t nwords, eh_bytes;
	uint8_t build_id[CS_BUILD_ID_BYTES];
	int build_id_len; /* 0 or less: none */
	struct cs_kernel_table *next;
};

struct cs_unwind_tables {
	int map_fd; /* borrowed */
	size_t budget, bytes;
	struct cs_kernel_table *first;
	/* Of each place of the map: is it taken, and how many tables has it had? */
	struct {
		bool taken;
		uint16_t uses;
	} places[CS_MAX_NATIVE_FILES];
	/* made, but not handed over yet */
	uint32_t fresh_places[MAX_FRESH];
	int fresh_fds[MAX_FRESH]; /* owned */
	uint32_t nfresh;
};

int cs_unwind_tables_new(int map_fd, size_t budget_bytes, struct cs_unwind_tables **ret)
{
	struct cs_unwind_tables *tables = calloc(1, sizeof(*tables));

	if (!tables)
		return -ENOMEM;
	tables->map_fd = map_fd;
	tables->budget = budget_bytes;
	for (uint32_t i = 0; i < CS_NATIVE_FIRST_TABLE; i++)
		tables->places[i].taken = true;
	*ret = tables;
	return 0;
}

void cs_unwind_tables_free(struct cs_unwind_tables *tables)
{
	struct cs_kernel_table *table;

	if (!tables)
		return;
	for (uint32_t i = 0; i < tables->nfresh; i++)
		close(tables->fresh_fds[i]);
	while ((table = tables->first)) {
		tables->first = table->next;
		free(table);
	}
	free(tables);
}

void cs_unwind_tables_flush(struct cs_unwind_tables *tables)
{
	uint32_t n = tables->nfresh;

	if (!n)
		return;
	/* Kernels without batches of maps take them one by one. A table that they refuse is none: the walk ends there. */
	if (bpf_map_update_batch(tables->map_fd, tables->fresh_places, tables->fresh_fds, &n, NULL))
		for (uint32_t i = 0; i < tables->nfresh; i++)
			bpf_map_update_elem(tables->map_fd, &tables->fresh_places[i],
					    &tables->fresh_fds[i], BPF_ANY);
	for (uint32_t i = 0; i < tables->nfresh; i++)
		close(tables->fresh_fds[i]);
	tables->nfresh = 0;
}

void cs_unwind_tables_release(struct cs_unwind_tables *tables, struct cs_kernel_table *table)
{
	struct cs_kernel_table **at = &tables->first;
	uint32_t place;

	if (--table->users)
		return;
	cs_unwind_tables_flush(tables); /* or it would be handed over afterwards */
	place = cs_native_place(table->number);
	while (*at != table)
		at = &(*at)->next;
	*at = table->next;
	bpf_map_delete_elem(tables->map_fd, &place);
	tables->places[place].taken = false;
	tables->bytes -= table->nwords * sizeof(uint64_t);
	free(table);
}

/* A number that no table has had, its place taken; 0: there is none left. */
static uint32_t number_take(struct cs_unwind_tables *tables)
{
	for (uint32_t i = CS_NATIVE_FIRST_TABLE; i < CS_MAX_NATIVE_FILES; i++) {
		if (tables->places[i].taken || tables->places[i].uses == CS_PLACE_USES)
			continue;
		tables->places[i].taken = true;
		return (uint32_t)tables->places[i].uses++ << CS_PLACE_BITS | i;
	}
	return 0;
}

static bool holds(const struct cs_kernel_table *table, const struct cs_unwind_table *compiled)
{
	size_t size = compiled->nwords * sizeof(uint64_t);
	_cleanup_close_ int fd = -1;
	void *words;
	bool same;

	if (table->nwords != compiled->nwords)
		return false;
	fd = bpf_map_get_fd_by_id(table->map_id);
	if (fd < 0)
		return false;
	words = mmap(NULL, size, PROT_READ, MAP_SHARED, fd, 0);
	if (words == MAP_FAILED)
		return false;
	same = !memcmp(words, compiled->words, size);
	munmap(words, size);
	return same;
}

/* A table of the same content, one user more, or NULL. */
static struct cs_kernel_table *table_shared(struct cs_unwind_tables *tables,
					    const uint8_t *build_id, int len,
					    const struct cs_unwind_table *compiled)
{
	for (struct cs_kernel_table *it = tables->first; it && len > 0; it = it->next) {
		if (it->build_id_len != len || memcmp(it->build_id, build_id, (size_t)len) ||
		    !holds(it, compiled))
			continue;
		it->users++;
		return it;
	}
	return NULL;
}

/* An inner map with these words. Returns its descriptor or -errno. */
static int words_to_map(const struct cs_unwind_table *compiled)
{
	LIBBPF_OPTS(bpf_map_create_opts, opts, .map_flags = BPF_F_INNER_MAP | BPF_F_MMAPABLE);
	size_t size = compiled->nwords * sizeof(uint64_t);
	_cleanup_close_ int fd =
		bpf_map_create(BPF_MAP_TYPE_ARRAY, "unwind_table", sizeof(uint32_t),
			       sizeof(uint64_t), (uint32_t)compiled->nwords, &opts);
	void *words;

	if (fd < 0)
		return -errno;
	words = mmap(NULL, size, PROT_READ | PROT_WRITE, MAP_SHARED, fd, 0);
	if (words == MAP_FAILED)
		return -errno;
	memcpy(words, compiled->words, size);
	munmap(words, size);
	return TAKE_FD(fd);
}

/* A table of its own. */
static int table_new(struct cs_unwind_tables *tables, const struct cs_unwind_table *compiled,
		     const uint8_t *build_id, int len, struct cs_kernel_table **ret)
{
	size_t size = compiled->nwords * sizeof(uint64_t);
	_cleanup_free_ struct cs_kernel_table *table = calloc(1, sizeof(*table));
	struct bpf_map_info info = {0};
	uint32_t info_len = sizeof(info);
	_cleanup_close_ int fd = -1;

	if (!table)
		return -ENOMEM;
	if (size > tables->budget - tables->bytes)
		return -ENOSPC;
	fd = words_to_map(compiled);
	if (fd < 0)
		return fd;
	if (bpf_obj_get_info_by_fd(fd, &info, &info_len))
		return -errno;
	table->number = number_take(tables);
	if (!table->number)
		return -ENOSPC;
	if (tables->nfresh == MAX_FRESH)
		cs_unwind_tables_flush(tables);
	tables->fresh_places[tables->nfresh] = cs_native_place(table->number);
	tables->fresh_fds[tables->nfresh++] = TAKE_FD(fd);
	if (len > 0)
		memcpy(table->build_id, build_id, (size_t)len);
	table->build_id_len = len;
	table->users = 1;
	table->map_id = info.id;
	table->nwords = compiled->nwords;
	table->eh_bytes = compiled->eh_bytes;
	table->next = tables->first;
	tables->first = table;
	tables->bytes += size;
	*ret = TAKE_PTR(table);
	return 0;
}

int cs_unwind_tables_make(struct cs_unwind_tables *tables, struct cs_elf *elf,
			  struct cs_kernel_table **ret)
{
	_cleanup_unwind_table_ struct cs_unwind_table compiled = {0};
	uint8_t build_id[CS_BUILD_ID_BYTES];
	int len = cs_elf_build_id(elf, build_id, sizeof(build_id));
	int err = cs_unwind_file(elf, &compiled);

	if (err)
		return err;
	*ret = table_shared(tables, build_id, len, &compiled);
	if (*ret)
		return 0;
	return table_new(tables, &compiled, build_id, len, ret);
}

uint32_t cs_kernel_table_number(const struct cs_kernel_table *table)
{
	return table->number;
}

struct cs_unwind_stats cs_unwind_tables_stats(const struct cs_unwind_tables *tables)
{
	struct cs_unwind_stats stats = {.bytes = tables->bytes};

	for (const struct cs_kernel_table *it = tables->first; it; it = it->next) {
		stats.files++;
		stats.eh_bytes += it->eh_bytes;
	}
	return stats;
}
