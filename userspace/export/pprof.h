/* SPDX-License-Identifier: Apache-2.0 */
/* pprof as the backends take it, which differ in what samples and labels are called. */
#pragma once

#include "core/buf.h"
#include "profile/profile.h"

enum cs_pprof_dialect {
	CS_PPROF_PLAIN = 0,   /* for go tool pprof and files: all kinds of values, all labels */
	CS_PPROF_DATADOG = 1, /* its names of kinds: cpu-time, wall-time, ... */
	/*
	 * One kind of value, and as a label only span_id, by which it selects: of any other's values the server
	 * makes series, which ids and names would flood. Tasks are in the stacks.
	 */
	CS_PPROF_PYROSCOPE = 2,
};

struct cs_pprof_options {
	enum cs_pprof_dialect dialect;
	enum cs_value kind;     /* CS_PPROF_PYROSCOPE: this one; samples without it are left out */
	const uint32_t *owners; /* only of these (profile/owner.h); NULL: of all */
	size_t nowners;
	size_t from, to; /* only these samples: from <= i < to */
	const uint32_t
		*next; /* of these only from, next[from] and so on: see cs_processes; NULL: all */
};

/* Append the gzip'd profile. Returns 0, -ENODATA: no sample is left, or -ENOMEM. */
int cs_pprof_write(const struct cs_profile *profile, const struct cs_pprof_options *options,
		   struct cs_buf *out);
