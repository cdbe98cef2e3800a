/* SPDX-License-Identifier: Apache-2.0 */
/* Where a profile goes: a file or stdout, opened before the capture so that a bad path fails at once. */
#pragma once

#include <stdbool.h>

#include "export/exporter.h"

struct cs_output {
	const struct cs_exporter *exporter; /* NULL: the raw capture itself */
	char path[4096];                    /* "-": stdout */
	int fd;
};

/*
 * Choose format and file from -f and -o (either may be NULL): -f, else the ending of -o, else html. Without -o, collapsed and
 * tree go to stdout and everything else to coroscope plus its ending. Says what is wrong; returns 0 or -EINVAL.
 */
int cs_output_choose(struct cs_output *output, const char *format, const char *path);

/* For a text that is no profile: this file, or stdout (NULL). */
void cs_output_choose_text(struct cs_output *output, const char *path);

/* Open the file (not for raw). Says what is wrong; returns 0 or -errno. */
int cs_output_open(struct cs_output *output);

/* Export and write everything. Says what is wrong; returns 0 or -errno. */
int cs_output_write(struct cs_output *output, const struct cs_profile *profile);

/* The same for bytes that are there. */
int cs_output_write_bytes(struct cs_output *output, const struct cs_buf *bytes);

/* Write them to where fd stands; replace: in place of all that the file held. Says nothing. Returns 0 or -errno. */
int cs_output_write_fd(int fd, bool replace, const struct cs_buf *bytes);

void cs_output_close(struct cs_output *output);

/* What the profile is of, and the accounts behind it: lines, each with its end. Returns 0 or -ENOMEM. */
int cs_output_account(const struct cs_profile *profile, struct cs_buf *out);

/* That it was written, and its account, on stderr. account is changed. */
void cs_output_tell(const struct cs_output *output, char *account);

/* Both. */
void cs_output_summary(const struct cs_output *output, const struct cs_profile *profile);
