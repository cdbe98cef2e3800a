/* SPDX-License-Identifier: Apache-2.0 */
/* Building the collector's own wire records in a buffer. */
#pragma once

#include <coroscope/event.h>
#include <coroscope/status.h>
#include <stdbool.h>
#include <stdint.h>
#include <sys/types.h>

#include "core/buf.h"
#include "whose/facts.h"

/* CLOCK_MONOTONIC, the clock of all records, in nanoseconds. */
uint64_t cs_now_ns(void);

/*
 * Append a zeroed record of fixed_size bytes (struct cs_ev_* with its header filled) followed by room for
 * tail_size bytes, padded to 8. Returns the record, valid until the next append, or NULL without memory.
 */
void *cs_record_begin(struct cs_buf *out, enum cs_ev_kind kind, uint64_t ts_ns, pid_t pid,
		      size_t fixed_size, size_t tail_size);

/* CS_EV_PROCESS from /proc and what the caller knows. Texts may be "". Returns 0 or -ENOMEM. */
int cs_record_process(struct cs_buf *out, uint64_t ts_ns, pid_t pid,
		      const struct cs_ev_process *known, const char *note);
/* CS_EV_WHOSE. Returns 0 or -ENOMEM. */
int cs_record_whose(struct cs_buf *out, uint64_t ts_ns, pid_t pid, const struct cs_facts *facts);
int cs_record_capture(struct cs_buf *out, uint64_t interval_ns, enum cs_capture_mode mode,
		      uint32_t ncpu, const char *command);
/* CS_EV_CREATIONS: from here on they are told, or not. Returns 0 or -ENOMEM. */
int cs_record_creations(struct cs_buf *out, uint64_t ts_ns, pid_t pid, bool told);
int cs_record_stats(struct cs_buf *out, uint64_t ts_ns, pid_t pid,
		    const uint64_t counters[CS_COUNTER_MAX_]);
int cs_record_end(struct cs_buf *out, uint64_t ts_ns, enum cs_end_reason reason);
int cs_record_ksym(struct cs_buf *out, uint64_t ts_ns, uint64_t addr, const char *name);
int cs_record_symbol(struct cs_buf *out, uint64_t ts_ns, pid_t pid, uint64_t addr, const char *name,
		     unsigned int flags);
int cs_record_mapping(struct cs_buf *out, uint64_t ts_ns, pid_t pid, uint64_t start, uint64_t end,
		      uint64_t offset, const char *path);

/* A mapping of code, and of which file it is. */
struct cs_record_code {
	uint64_t start, end, offset;
	uint64_t
		vaddr; /* of its first byte in the file's own address space; told only with a build id */
	const char *path;
	const uint8_t *build_id;
	size_t build_id_len; /* 0: none */
};
int cs_record_code(struct cs_buf *out, uint64_t ts_ns, pid_t pid,
		   const struct cs_record_code *code);
