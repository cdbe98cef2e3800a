/* SPDX-License-Identifier: Apache-2.0 */
/*
 * Prometheus' text format (version 0.0.4) of rows that come in any order: those of one metric are put together, as the format demands,
 * with its help and type before them. Names are checked, texts escaped.
 */
#pragma once

#include <stddef.h>
#include <stdint.h>

#include "core/buf.h"

enum cs_metric_kind {
	CS_METRIC_COUNTER, /* only grows; its name ends with _total */
	CS_METRIC_GAUGE,
};

/* Constant while the rows are added. */
struct cs_metric {
	const char *name; /* [a-zA-Z_:][a-zA-Z0-9_:]*, with its unit: _bytes, _seconds */
	enum cs_metric_kind kind;
	const char *help;
};

struct cs_metric_label {
	const char *name; /* [a-zA-Z_][a-zA-Z0-9_]*, not beginning with __ */
	const char *value;
};

struct cs_metrics; /* rows on their way to a text */

int cs_metrics_new(struct cs_metrics **ret);      /* 0 or -ENOMEM */
void cs_metrics_free(struct cs_metrics *metrics); /* NULL is fine */
static inline void cs_metrics_freep(struct cs_metrics **metrics)
{
	cs_metrics_free(*metrics);
}

/*
 * Add a row. Rows of one metric differ in their labels. Returns 0; -EINVAL: a name that is none, a counter's without _total, or the name
 * of a metric of another kind; -EEXIST: a row with these labels is there; or -ENOMEM. Then nothing is added.
 */
int cs_metrics_add(struct cs_metrics *metrics, const struct cs_metric *metric,
		   const struct cs_metric_label *labels, size_t nlabels, double value);

/* Append the text of all rows. Returns 0 or -ENOMEM. */
int cs_metrics_write(const struct cs_metrics *metrics, struct cs_buf *out);
