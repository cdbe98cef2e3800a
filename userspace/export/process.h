/* SPDX-License-Identifier: Apache-2.0 */
/* The processes of a profile: backends have each as a service or a resource of its own. */
#pragma once

#include "core/buf.h"
#include "profile/profile.h"

/* What a user says of every process, as host or environment. Borrowed. */
struct cs_export_tag {
	const char *key, *value;
};

struct cs_process {
	uint32_t pid;
	uint32_t first, last; /* its samples: indices, chained by next; first <= last */
};

struct cs_processes {
	struct cs_process *at; /* by pid */
	size_t n;
	uint32_t *next; /* of each sample but a process's last: the next of the same process */
};

/* Of the samples from <= i < to. Owned by the caller. Returns 0 or -ENOMEM. */
int cs_processes_find(const struct cs_profile *profile, size_t from, size_t to,
		      struct cs_processes *ret);
void cs_processes_free(struct cs_processes *processes);

/*
 * Append the name of the process that a sample is of: its root frame's without the number in brackets; "process" if it
 * has no such frame. Returns 0 or -ENOMEM.
 */
int cs_process_name(const struct cs_profile *profile, const struct cs_sample *sample,
		    struct cs_buf *out);

/* Append what a service is called that nobody has named, as OpenTelemetry has it: unknown_service:NAME. Returns 0 or -ENOMEM. */
int cs_process_service(const struct cs_profile *profile, const struct cs_sample *sample,
		       struct cs_buf *out);
