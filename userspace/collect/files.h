/* SPDX-License-Identifier: Apache-2.0 */
/*
 * What user space has found out about programs' files, told to the kernel side (map `files`), so that it is found out once a
 * file and not once a process.
 */
#pragma once

#include <stdbool.h>
#include <sys/types.h>

#include "collect/probes.h"
#include "python/interp.h"

struct cs_files;

int cs_files_new(struct cs_probes *probes,
		 struct cs_files **ret); /* probes is borrowed; 0 or -ENOMEM */
void cs_files_free(struct cs_files *files);

/*
 * A process has begun a program whose file is not known. Looks at the file. Returns true if the process is, or may become, a
 * Python and should be looked at; false: the kernel side will not ask about this file again.
 */
bool cs_files_met(struct cs_files *files, pid_t pid, const struct cs_file_id *id);

/* An interpreter was recognised: tell what its program's file holds, unless it is known. */
void cs_files_learn(struct cs_files *files, const struct cs_interp *interp);
