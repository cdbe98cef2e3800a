/* SPDX-License-Identifier: Apache-2.0 */
/* Code objects of a live process, read into CS_EV_CODE records. */
#pragma once

#include <coroscope/event.h>
#include <stddef.h>
#include <stdint.h>

#include "core/buf.h"
#include "proc/mem.h"
#include "python/interp.h"

/*
 * Append one CS_EV_CODE record per address to out, in order, stamped with ts_ns. An object that is no
 * code object or cannot be read gets a record flagged CS_CODE_UNREADABLE; *ret_unreadable counts those.
 * Flags CS_CODE_ASYNCIO and CS_CODE_LOOP by file and name. Names longer than CS_MAX_NAME and paths longer
 * than CS_MAX_PATH are cut at a character and end in "..."; text is always valid UTF-8.
 * Returns 0 or -ENOMEM. Source: Include/cpython/code.h, Objects/unicodeobject.c of 3.8 to 3.15.
 */
int cs_code_read(const struct cs_interp *interp, struct cs_mem *mem, const uint64_t *codes,
		 size_t n, uint64_t ts_ns, struct cs_buf *out, uint64_t *ret_unreadable);

/*
 * The check values (coroscope/code_check.h) of n code objects as they are now, CS_CODE_NOT_CHECKED where memory cannot be
 * read. Does not look at types: for comparing with what is known.
 */
void cs_code_checks(const struct cs_interp *interp, struct cs_mem *mem, const uint64_t *codes,
		    size_t n, uint32_t *ret_checks);

/*
 * The same from what the sampler captured when it first met the code object: appends one CS_EV_CODE with the record's time.
 * Returns 0, -ENODATA (the texts are not in it, or it contradicts itself; nothing is appended) or -ENOMEM.
 */
int cs_code_from_seen(const struct cs_interp *interp, const struct cs_ev_code_seen *seen,
		      struct cs_buf *out);
