/* SPDX-License-Identifier: Apache-2.0 */
/*
 * Prometheus' text format.
 *
 * Source: Prometheus' "Exposition formats" and "Metric and label naming".
 */
#include "serve/metrics.h"

#include <ctype.h>
#include <errno.h>
#include <math.h>
#include <stdbool.h>
#include <stdlib.h>
#include <string.h>

/* Without memory an element is not added and its hh.tbl stays NULL, instead of exit(). */
#define HASH_NONFATAL_OOM 1
#include <uthash.h>

#include "core/cleanup.h"
#include "core/utf8.h"

struct row {
	UT_hash_handle hh;
	char *labels; /* "{a="b"}" or ""; owned */
	double value;
};

/* uthash keeps the order in which they came. */
struct family {
	UT_hash_handle hh;
	const struct cs_metric *metric;
	struct row *rows;
};

struct cs_metrics {
	struct family *families;
};

int cs_metrics_new(struct cs_metrics **ret)
{
	*ret = calloc(1, sizeof(**ret));
	return *ret ? 0 : -ENOMEM;
}

static void row_free(struct row *row)
{
	free(row->labels);
	free(row);
}

void cs_metrics_free(struct cs_metrics *metrics)
{
	struct family *family, *next_family;
	struct row *row, *next_row;

	if (!metrics)
		return;
	HASH_ITER (hh, metrics->families, family, next_family) {
		HASH_ITER (hh, family->rows, row, next_row) {
			HASH_DEL(family->rows, row);
			row_free(row);
		}
		HASH_DEL(metrics->families, family);
		free(family);
	}
	free(metrics);
}

/* also: what the first character may be besides a letter, and the others besides letters and digits. */
static bool is_name(const char *name, const char *also)
{
	if (!isalpha((unsigned char)*name) && (!*name || !strchr(also, *name)))
		return false;
	for (; *name; name++)
		if (!isalnum((unsigned char)*name) && !strchr(also, *name))
			return false;
	return true;
}

static bool is_metric(const struct cs_metric *metric)
{
	static const char total[] = "_total";
	size_t len = strlen(metric->name), n = sizeof(total) - 1;

	if (!is_name(metric->name, "_:"))
		return false;
	return metric->kind != CS_METRIC_COUNTER ||
	       (len > n && !strcmp(metric->name + len - n, total));
}

/* A text within its line: backslashes, line feeds, and in values quotes; what is no UTF-8 as U+FFFD. */
static int append_text(struct cs_buf *out, const char *text, bool quoted)
{
	size_t len = strlen(text), n;
	int err = 0;

	for (size_t i = 0; !err && i < len; i += n ? n : 1) {
		n = cs_utf8_len((const uint8_t *)text + i, len - i);
		if (!n)
			err = cs_buf_append_str(out, "\xef\xbf\xbd");
		else if (text[i] == '\n')
			err = cs_buf_append_str(out, "\\n");
		else if (text[i] == '\\' || (quoted && text[i] == '"'))
			err = cs_buf_printf(out, "\\%c", text[i]);
		else
			err = cs_buf_append(out, text + i, n);
	}
	return err;
}

/* Returns 0, -EINVAL or -ENOMEM. */
static int append_labels(struct cs_buf *out, const struct cs_metric_label *labels, size_t n)
{
	int err = 0;

	for (size_t i = 0; !err && i < n; i++) {
		if (!is_name(labels[i].name, "_") || !strncmp(labels[i].name, "__", 2))
			return -EINVAL;
		for (size_t j = 0; j < i; j++)
			if (!strcmp(labels[i].name, labels[j].name))
				return -EINVAL;
		err = cs_buf_printf(out, "%s%s=\"", i ? "," : "{", labels[i].name);
		if (!err)
			err = append_text(out, labels[i].value, true);
		if (!err)
			err = cs_buf_append_str(out, i + 1 == n ? "\"}" : "\"");
	}
	return err;
}

static int add_row(struct family *family, const char *labels, double value)
{
	struct row *row;

	HASH_FIND_STR(family->rows, labels, row);
	if (row)
		return -EEXIST;
	row = calloc(1, sizeof(*row));
	if (!row)
		return -ENOMEM;
	row->value = value;
	row->labels = strdup(labels);
	if (row->labels)
		HASH_ADD_KEYPTR(hh, family->rows, row->labels, strlen(row->labels), row);
	if (row->hh.tbl)
		return 0;
	row_free(row);
	return -ENOMEM;
}

static int get_family(struct cs_metrics *metrics, const struct cs_metric *metric,
		      struct family **ret)
{
	HASH_FIND_STR(metrics->families, metric->name, *ret);
	if (*ret)
		return (*ret)->metric->kind == metric->kind ? 0 : -EINVAL;
	*ret = calloc(1, sizeof(**ret));
	if (!*ret)
		return -ENOMEM;
	(*ret)->metric = metric;
	HASH_ADD_KEYPTR(hh, metrics->families, metric->name, strlen(metric->name), *ret);
	if ((*ret)->hh.tbl)
		return 0;
	free(*ret);
	return -ENOMEM;
}

int cs_metrics_add(struct cs_metrics *metrics, const struct cs_metric *metric,
		   const struct cs_metric_label *labels, size_t nlabels, double value)
{
	_cleanup_buf_ struct cs_buf text = {0};
	struct family *family;
	int err = is_metric(metric) ? append_labels(&text, labels, nlabels) : -EINVAL;

	if (!err)
		err = get_family(metrics, metric, &family);
	return err ? err : add_row(family, cs_buf_str(&text), value);
}

static int append_value(struct cs_buf *out, double value)
{
	if (isnan(value))
		return cs_buf_append_str(out, " NaN\n");
	if (isinf(value))
		return cs_buf_append_str(out, value > 0 ? " +Inf\n" : " -Inf\n");
	/* counts as such, the rest to the last bit */
	if (value == floor(value) && fabs(value) < 9e15)
		return cs_buf_printf(out, " %.0f\n", value);
	return cs_buf_printf(out, " %.17g\n", value);
}

static int append_head(struct cs_buf *out, const struct cs_metric *metric)
{
	int err = cs_buf_printf(out, "# HELP %s ", metric->name);

	if (!err)
		err = append_text(out, metric->help, false);
	return err ? err
		   : cs_buf_printf(out, "\n# TYPE %s %s\n", metric->name,
				   metric->kind == CS_METRIC_COUNTER ? "counter" : "gauge");
}

int cs_metrics_write(const struct cs_metrics *metrics, struct cs_buf *out)
{
	const struct family *family;
	const struct row *row;
	int err = 0;

	for (family = metrics->families; !err && family; family = family->hh.next) {
		err = family->rows ? append_head(out, family->metric) : 0;
		for (row = family->rows; !err && row; row = row->hh.next) {
			err = cs_buf_printf(out, "%s%s", family->metric->name, row->labels);
			if (!err)
				err = append_value(out, row->value);
		}
	}
	return err;
}
