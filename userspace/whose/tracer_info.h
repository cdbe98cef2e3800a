/* SPDX-License-Identifier: Apache-2.0 */
/*
 * What Datadog's tracers say of the process that they are in: a memfd "datadog-tracer-info-XXXXXXXX" that holds one map of MessagePack
 * (ddtrace from 3.5 on). Source: libdatadog, libdd-library-config/src/tracer_metadata.rs.
 */
#pragma once

#include <stdbool.h>
#include <stdint.h>
#include <sys/types.h>

#include "whose/facts.h"

/*
 * Look through /proc/PID/fd, no further than CS_MAX_FDS, for the newest one. started_ns: when the process began (CLOCK_REALTIME; 0: not
 * known). A file that is older, or that the parent has (0: not known; a clock that was set changes nothing about that), was inherited, and what it says of that
 * very process is left out. Returns 0 or -ENOMEM.
 */
int cs_tracer_info_read(pid_t pid, pid_t parent, uint64_t started_ns, struct cs_facts *facts);
#define CS_MAX_FDS 4096

/* From the bytes. What is no such map tells what stands before the first byte that is wrong. Returns 0 or -ENOMEM. */
int cs_tracer_info_parse(const void *bytes, size_t len, bool inherited, struct cs_facts *facts);
