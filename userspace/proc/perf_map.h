/* SPDX-License-Identifier: Apache-2.0 */
/*
 * Names of code that a process makes while it runs, by address: from /tmp/perf-PID.map, which Node (--perf-basic-prof), Java (with
 * an agent), CPython (-X perf) and others write for perf. A line is `START SIZE NAME`, the numbers hexadecimal. The file is
 * anything that the process, or who else may write to its /tmp, makes of it: only the process's own user is believed, and every
 * read is bounded.
 */
#pragma once

#include <stdbool.h>
#include <stddef.h>
#include <stdint.h>
#include <sys/types.h>

struct cs_perf_map;

int cs_perf_map_new(struct cs_perf_map **ret);  /* 0 or -ENOMEM */
void cs_perf_map_free(struct cs_perf_map *map); /* NULL is fine */
static inline void cs_perf_map_freep(struct cs_perf_map **map)
{
	cs_perf_map_free(*map);
}

/*
 * Read what was added to the file since the last time: in the process's own /tmp, by its number in its own pid namespace. At most
 * 1 MiB is read at a time, 128 MiB in all. A file that is shorter than before, or another one, is read anew. Returns whether names may have
 * changed.
 */
bool cs_perf_map_refresh(struct cs_perf_map *map, pid_t pid);

/* The same from an open file. */
bool cs_perf_map_read(struct cs_perf_map *map, int fd);

/* The function that holds this address: its name (owned by the map, valid until the next read), or NULL. */
const char *cs_perf_map_find(const struct cs_perf_map *map, uint64_t addr);

size_t cs_perf_map_count(const struct cs_perf_map *map);
