/* SPDX-License-Identifier: Apache-2.0 */
/* Code objects of a live process, read into CS_EV_CODE records. */
#pragma once

#include <stddef.h>
#include <stdint.h>

#include "core/buf.h"
#include "proc/mem.h"
#include "python/interp.h"

/*
 * Append one CS_EV_CODE record per address to out, in order, stamped with ts_ns. An object that is no
 * code object or cannot be read gets a record flagged CS_CODE_UNREADABLE; *ret_unreadable counts those.
 * Flags CS_CODE_ASYNCIO and CS_CODE_LOOP by file and name. Names longer than CS_MAX_NAME and paths longer
 * than CS_MAX_PATH are cut at a character and flagged CS_CODE_CUT; text is always valid UTF-8.
 * Returns 0 or -ENOMEM. Source: Include/cpython/code.h, Objects/unicodeobject.c of 3.11 to 3.13.
 */
int cs_code_read(const struct cs_interp *interp, struct cs_mem *mem, const uint64_t *codes,
		 size_t n, uint64_t ts_ns, struct cs_buf *out, uint64_t *ret_unreadable);

/*
 * The check values (coroscope/code_check.h) of n code objects as they are now, CS_CODE_NOT_CHECKED where memory cannot be
 * read. Does not look at types: for comparing with what is known.
 */
void cs_code_checks(const struct cs_interp *interp, struct cs_mem *mem, const uint64_t *codes,
		    size_t n, uint32_t *ret_checks);
