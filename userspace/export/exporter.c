/* SPDX-License-Identifier: Apache-2.0 */
/* The table of exporters, how one is chosen, and how weights become counts. */
#include "export/exporter.h"

#include <string.h>

#include "core/cleanup.h"

const struct cs_exporter *const cs_exporters[] = {
	&cs_export_collapsed, &cs_export_pprof, &cs_export_html,
	&cs_export_tree,      &cs_export_otlp,  NULL,
};

/* Endings that other tools use for the same formats, beside each exporter's own. */
static const struct {
	const char *suffix;
	const struct cs_exporter *exporter;
} other_suffixes[] = {
	{".folded", &cs_export_collapsed},
	{".txt", &cs_export_collapsed},
	{".pprof", &cs_export_pprof},
};

const struct cs_exporter *cs_exporter_by_name(const char *name)
{
	const struct cs_exporter *const *exporter;

	for (exporter = cs_exporters; *exporter; exporter++)
		if (!strcmp((*exporter)->name, name))
			return *exporter;
	return NULL;
}

static bool ends_with(const char *str, const char *suffix)
{
	size_t len = strlen(str), suffix_len = strlen(suffix);

	return len >= suffix_len && !strcmp(str + len - suffix_len, suffix);
}

const struct cs_exporter *cs_exporter_by_path(const char *path)
{
	const struct cs_exporter *const *exporter;
	size_t i;

	for (exporter = cs_exporters; *exporter; exporter++)
		if (ends_with(path, (*exporter)->suffix))
			return *exporter;
	for (i = 0; i < ARRAY_SIZE(other_suffixes); i++)
		if (ends_with(path, other_suffixes[i].suffix))
			return other_suffixes[i].exporter;
	return NULL;
}

uint64_t cs_export_intervals(const struct cs_profile *profile, const struct cs_sample *sample)
{
	const struct cs_profile_meta *meta = cs_profile_meta(profile);
	uint64_t ns = sample->values[cs_profile_main_value(meta)];
	uint64_t interval = meta->interval_ns ? meta->interval_ns : 1;
	uint64_t n = ns / interval + (ns % interval >= interval - interval / 2);

	return n ? n : 1;
}
