/* SPDX-License-Identifier: Apache-2.0 */
/* Blocked time: the scheduler's hooks in place of the clocks (bpf/off_cpu.bpf.c). */
#pragma once

#include <coroscope/event.h>
#include <stdint.h>

#include "collect/kallsyms.h"
#include "collect/probes.h"

struct cs_off_cpu;
struct off_cpu; /* the skeleton */

/* Before loading: choose the programs that this kernel and these options want. */
void cs_off_cpu_prepare(struct off_cpu *skel, const struct cs_probes_options *options);

/*
 * From now on every block becomes a record; threads that are off the CPU already count from now on. min_ns: as the probes were loaded.
 * kernel may be NULL. Returns 0 or -errno.
 */
int cs_off_cpu_start(struct cs_probes *probes, uint64_t min_ns, const struct cs_kallsyms *kernel,
		     struct cs_off_cpu **ret);

/*
 * Take what still lasts, and detach. The last records are in the ring afterwards. Returns how many threads are off the CPU of
 * which there is none, as the kernel cannot read them (before 5.18).
 */
uint64_t cs_off_cpu_stop(struct cs_off_cpu *off);
void cs_off_cpu_free(struct cs_off_cpu *off); /* NULL is fine */

/*
 * Tell whether a waker was a thread or an interrupt. Leave out the newest kernel frames of a stack or a waker, up to the last of the scheduler's own: every block has them, so they say nothing. The record
 * gets shorter.
 */
void cs_off_cpu_trim(const struct cs_off_cpu *off, struct cs_ev_hdr *record);

/* Of n addresses, newest first, how many go: all up to a run of such as are in the range, and that. 0: there is none. */
uint32_t cs_trim_count(const uint64_t *kernel, uint32_t n, struct cs_kallsyms_range range);
