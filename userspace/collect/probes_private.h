/* SPDX-License-Identifier: Apache-2.0 */
/* What the files that attach programs share. */
#pragma once

#include <bpf/libbpf.h>
#include <pthread.h>
#include <stdbool.h>
#include <uthash.h>

#include "collect/probes.h"
#include "collect/programs.h"

/* Uprobes that the kernel has not let go of yet. */
struct cs_detaching {
	pthread_mutex_t lock;
	pthread_cond_t done; /* runs has become false */
	struct cs_detached *first;
	bool runs; /* the thread that detaches them */
};

struct cs_probes {
	struct cs_programs programs;
	const __typeof__(((struct proc_events *)0)->maps) *maps; /* of programs.proc_events */
	struct ring_buffer *ring;
	struct bpf_link **clocks; /* one a CPU */
	int nclocks;
	struct iterator *iterators;
	struct cs_probe_link *links;
	struct cs_detaching detaching;
	uint64_t interval_ns;
	bool follow;
	int ncpu;
	uint32_t generation; /* of the last process described */
	int (*drain_fn)(void *ctx, const struct cs_ev_hdr *record);
	void *drain_ctx;
};

const struct cs_programs *cs_probes_programs(const struct cs_probes *probes);

/* Run a BPF iterator once, from the first item to the last. Returns 0 or -errno. */
int cs_probes_iterate(const struct bpf_link *link);
