/* SPDX-License-Identifier: Apache-2.0 */
/*
 * What the agent counts, as rows: for whoever shows them (an HTTP page, a test). Any thread may ask at any time.
 */
#pragma once

#include <stdbool.h>

struct cs_figure_label {
	const char *name, *value; /* the value may be any text */
};

struct cs_figure {
	const char *
		name; /* as Prometheus has them: coroscope_..., with its unit, _total if it only grows */
	const char
		*help; /* one sentence; the same for all rows of a name, which follow each other */
	bool counter;  /* it only grows; else a gauge */
	const struct cs_figure_label *labels;
	unsigned int nlabels;
	double value;
};

/* Called for each row; everything is borrowed for the call. */
typedef void cs_figure_fn(void *ctx, const struct cs_figure *figure);

/* Who has figures: ctx is its own. */
struct cs_figure_source {
	void (*each)(void *source, cs_figure_fn *fn, void *ctx);
	void *source;
};
