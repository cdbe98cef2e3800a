/* SPDX-License-Identifier: Apache-2.0 */
/* A function into which another is put, into which a third: the third calls `back`, which sees from where. */
#pragma once

typedef void sample_fn(const void *from); // NOLINT(modernize-use-using)

/* Returns what makes none of the calls the last thing that is done. */
int sample_outer(sample_fn *back);

/* The lines of its calls, innermost first. */
extern const int sample_lines[3];
