/* SPDX-License-Identifier: Apache-2.0 */
/* The processes of a profile: backends have each as a service or a resource of its own. */
#pragma once

#include "core/buf.h"
#include "profile/profile.h"

/* What a user says of every process, as host or environment. Borrowed. */
struct cs_export_tag {
	const char *key, *value;
};

/* One run of one program (profile/owner.h). */
struct cs_process {
	uint32_t pid, owner;
	uint32_t first, last; /* its samples: indices, chained by next; first <= last */
};

struct cs_processes {
	struct cs_process *at; /* by pid, then in the order in which they came */
	size_t n;
	uint32_t *next; /* of each sample but a process's last: the next of the same process */
};

/* Of the samples from <= i < to. Owned by the caller. Returns 0 or -ENOMEM. */
int cs_processes_find(const struct cs_profile *profile, size_t from, size_t to,
		      struct cs_processes *ret);
void cs_processes_free(struct cs_processes *processes);

/* What is known of whose it is; "": not known. */
const char *cs_process_fact(const struct cs_profile *profile, const struct cs_process *process,
			    enum cs_fact fact);

/* Append the program's name: a script's, else the root frame's without the number in brackets, else "process". Returns 0 or -ENOMEM. */
int cs_process_name(const struct cs_profile *profile, const struct cs_process *process,
		    struct cs_buf *out);

/* Append the service's name; if nobody has named it, as OpenTelemetry has it: unknown_service:NAME. Returns 0 or -ENOMEM. */
int cs_process_service(const struct cs_profile *profile, const struct cs_process *process,
		       struct cs_buf *out);

/* Is it among the user's own tags? Those go first. */
bool cs_process_tagged(const struct cs_export_tag *tags, size_t ntags, const char *key);
