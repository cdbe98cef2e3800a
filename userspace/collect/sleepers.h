/* SPDX-License-Identifier: Apache-2.0 */
/*
 * The wall clock's visit to sleeping threads from user space, record for record what the BPF iterator (bpf/wall.bpf.c)
 * makes: for kernels before 5.18. Costs several system calls a thread where the iterator costs none.
 */
#pragma once

#include <coroscope/status.h>
#include <stdint.h>

#include "core/buf.h"
#include "proc/mem.h"
#include "python/interp.h"

struct cs_sleepers; /* what is remembered of one process's threads between visits */

int cs_sleepers_new(pid_t pid, struct cs_sleepers **ret); /* 0 or -ENOMEM */
void cs_sleepers_free(struct cs_sleepers *sleepers);

/*
 * One visit: appends CS_EV_STACK and CS_EV_SAME records of the threads that are off the CPU and counts every thread in
 * one of the WALL_ accounts. Returns 0 or -ENOMEM.
 */
int cs_sleepers_visit(struct cs_sleepers *sleepers, const struct cs_interp *interp,
		      struct cs_mem *mem, uint64_t weight_ns, struct cs_buf *out,
		      uint64_t counters[CS_COUNTER_MAX_]);
