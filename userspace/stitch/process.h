/* SPDX-License-Identifier: Apache-2.0 */
/* What stitching knows of one process: its tasks, its threads, and which code objects are event loops or asyncio's own. */
#pragma once

#include <stdbool.h>
#include <stdint.h>
#include <uthash.h>

#include "decode/decode.h"
#include "stitch/graph.h"
#include "stitch/thread.h"

struct cs_process_code;

/* How long, and in how many looks, the last pass held until ts_ns. */
struct cs_rest {
	uint64_t ts_ns, weight_ns;
	uint32_t count;
};

struct cs_process {
	uint32_t pid;
	struct cs_rest rest; /* not handed out yet */
	uint64_t seen_ns;    /* time of its last record */
	bool described;      /* there will be a record of its end */
	bool passed;         /* there was a pass */
	uint32_t every;      /* of which each listed task stands for so many */
	struct cs_graph *graph;
	struct cs_thread *threads;
	struct cs_process_code *codes;
	struct cs_process_code *natives; /* addresses of native code, likewise */
	UT_hash_handle hh;               /* by pid */
};

/* Returns the process, made if new, or NULL without memory. */
struct cs_process *cs_process_get(struct cs_process **processes, uint32_t pid);
void cs_process_free(struct cs_process **processes, struct cs_process *process);

/* CS_CODE_ASYNCIO and CS_CODE_LOOP of a code object, as far as it is known. */
unsigned int cs_process_code_flags(const struct cs_process *process, uint64_t addr);

/* Returns 0 or -ENOMEM. */
int cs_process_learn_code(struct cs_process *process, const struct cs_event_code *event);

/* enum cs_symbol_flags of an address in native stacks; learning returns 0 or -ENOMEM. */
unsigned int cs_process_native_flags(const struct cs_process *process, uint64_t addr);
int cs_process_learn_native(struct cs_process *process, const struct cs_event_symbol *event);

/* Remember the frames below which this thread's tasks hang. Incomplete stacks have no root to remember. */
void cs_process_learn_base(const struct cs_process *process, struct cs_thread *thread,
			   const struct cs_event_stack *stack);
