/* SPDX-License-Identifier: Apache-2.0 */
/*
 * The resource that an OpenTelemetry SDK publishes for readers outside the process: a mapping named OTEL_CTX with a header that points
 * to a message of protobuf. Source: OTEP 4719 of the OpenTelemetry specification, version 2 of the format.
 */
#pragma once

#include <stddef.h>
#include <sys/types.h>

#include "proc/maps.h"
#include "proc/mem.h"
#include "whose/facts.h"

#define CS_CONTEXT_BYTES 65536 /* the longest that is read */

/* Returns 0 (there may be none, or none that holds still) or -ENOMEM. */
int cs_process_context_read(pid_t pid, struct cs_facts *facts);

/*
 * The number that an attribute of published spans has by its key, which the process tells there, too (OTEP 4947); from its memory and maps. Returns 0, -ENOENT
 * or -ENOMEM.
 */
int cs_process_context_key(const struct cs_maps *maps, struct cs_mem *mem, const char *key,
			   unsigned int *ret);

/* The same from the message. Returns 0 or -ENOENT. */
int cs_process_context_parse_key(const void *bytes, size_t len, const char *key, unsigned int *ret);

/* From the message. Returns 0 (also if it is none) or -ENOMEM. */
int cs_process_context_parse(const void *bytes, size_t len, struct cs_facts *facts);
