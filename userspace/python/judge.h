/* SPDX-License-Identifier: Apache-2.0 */
/* The verdict on one interpreter of a process: the second half of cs_interp_detect. */
#pragma once

#include <stdbool.h>

#include "proc/maps.h"
#include "proc/mem.h"
#include "python/binary.h"
#include "python/interp.h"

/* Make it UNSUPPORTED, for this reason. */
__attribute__((format(printf, 2, 3))) void cs_interp_refuse(struct cs_interp *interp,
							    const char *fmt, ...);

/* ... because there is no row for its version or flavour, or because it is an alpha or beta. */
void cs_interp_refuse_version(struct cs_interp *interp);
void cs_interp_refuse_prerelease(struct cs_interp *interp);

/* The flavour's name in the rows. */
const char *cs_py_flavour(bool debug, bool free_threaded);

/*
 * Settle the state of an interpreter whose version and addresses are known: STARTING, READY or UNSUPPORTED. One that is just starting
 * or ending can look like anything for some microseconds, so it is looked at again, for some milliseconds, before it is
 * refused. `binary` is what its file tells. Returns 0, or what cs_mem_read returns when the process is gone.
 */
int cs_interp_judge(struct cs_interp *interp, const struct cs_py_binary *binary,
		    const struct cs_maps *maps, struct cs_mem *mem);
