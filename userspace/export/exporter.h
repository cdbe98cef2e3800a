/* SPDX-License-Identifier: Apache-2.0 */
/*
 * One format or backend behind one interface: an exporter turns a finished profile into bytes of a
 * file. A new format is one .c file and one line in the table of exporter.c.
 */
#pragma once

#include <stddef.h>
#include <stdio.h>

#include "core/buf.h"
#include "profile/profile.h"

struct cs_exporter {
	const char *name;   /* as in -f NAME */
	const char *suffix; /* the file ending that selects it, e.g. ".html" */
	const char *help;
	bool all_trees; /* it shows every enum cs_tree, when samples were seen, and which task is which */
	/* Append the whole file to out. Returns 0 or -errno; prints nothing. */
	int (*write)(const struct cs_profile *profile, struct cs_buf *out);
};

extern const struct cs_exporter cs_export_collapsed;
extern const struct cs_exporter cs_export_pprof;
extern const struct cs_exporter cs_export_otlp;
extern const struct cs_exporter cs_export_html;
extern const struct cs_exporter cs_export_tree;

/* All exporters, NULL-terminated, in the order in which --help lists them. */
extern const struct cs_exporter *const cs_exporters[];

/* By name or by a file's ending; NULL if unknown. */
const struct cs_exporter *cs_exporter_by_name(const char *name);
const struct cs_exporter *cs_exporter_by_path(const char *path);

/*
 * The text of one frame as text formats show it: `qualname (path/file.py:line)`, `symbol_[k]` for
 * the kernel; frames without a file are just their name. The directory is shortened: everything up
 * to lib/pythonX.Y/ (and site-packages/, dist-packages/) goes. Nothing is escaped. Appends to out;
 * returns 0 or -ENOMEM.
 */
int cs_export_frame_text(const struct cs_profile *profile, const struct cs_frame *frame,
			 struct cs_buf *out);

/*
 * Value of a sample in whole intervals of the requested rate, rounded, at least 1: of its wall time
 * in wall mode, of its blocked time in off-CPU mode (whose interval is a microsecond), else of its CPU time. To count several samples as one, add their nanoseconds first.
 */
uint64_t cs_export_intervals(const struct cs_profile *profile, const struct cs_sample *sample);
