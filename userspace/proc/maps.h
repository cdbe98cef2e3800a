/* SPDX-License-Identifier: Apache-2.0 */
/* The address space of a process: /proc/PID/maps, parsed once into an array. */
#pragma once

#include <stdbool.h>
#include <stddef.h>
#include <stdint.h>
#include <sys/types.h>

struct cs_mapping {
	uint64_t start, end, offset;
	uint64_t inode;
	uint32_t dev_major, dev_minor;
	bool readable, writable, executable;
	bool deleted; /* the kernel appended " (deleted)"; path has it removed */
	const char
		*path; /* owned by the cs_maps; "" for anonymous memory; as the process sees it */
};

struct cs_maps {
	struct cs_mapping *items; /* ascending by address */
	size_t n;
	char *text;
};

/* Returns 0, -ENOENT (no such process), -EACCES, -ENOMEM, or -E2BIG (above 65,536 mappings). */
int cs_maps_read(pid_t pid, struct cs_maps *ret);
void cs_maps_free(struct cs_maps *maps);
#define _cleanup_maps_ __attribute__((cleanup(cs_maps_free)))

/*
 * The same from a text in the format of /proc/PID/maps: terminated, on the heap, taken over by *ret (and
 * released on failure). Lines that are no mapping, or not above the one before, are left out.
 */
int cs_maps_parse(char *text, struct cs_maps *ret);

/* The mapping that holds addr, or NULL. */
const struct cs_mapping *cs_maps_find(const struct cs_maps *maps, uint64_t addr);

/*
 * A path that opens the mapped file from here, whatever mount namespace the process lives in and
 * even if the file was deleted: /proc/PID/map_files/START-END, else /proc/PID/root/PATH.
 * Returns 0, or -ENOENT if neither opens.
 */
int cs_maps_open_path(pid_t pid, const struct cs_mapping *mapping, char *dst, size_t size);
