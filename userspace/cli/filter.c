/* SPDX-License-Identifier: Apache-2.0 */
/* Which samples are shown, by their labels. */
#include "cli/filter.h"

#include <errno.h>
#include <inttypes.h>
#include <regex.h>
#include <stdio.h>
#include <stdlib.h>
#include <string.h>

#include "core/buf.h"
#include "core/cleanup.h"

enum verdict { NOT_ASKED = 0, PASSES, FAILS };

/* A pattern, asked once about each text: few texts, many samples. */
struct pattern {
	regex_t regex;
	bool given;
	unsigned char *verdicts; /* owned; enum verdict by string index */
};

struct filter {
	const struct cs_filter *wanted;
	const struct cs_profile *profile;
	struct pattern task;
};

bool cs_filter_is_pattern(const char *text)
{
	regex_t regex;

	if (regcomp(&regex, text, REG_EXTENDED | REG_NOSUB))
		return false;
	regfree(&regex);
	return true;
}

static void pattern_free(struct pattern *pattern)
{
	if (pattern->given)
		regfree(&pattern->regex);
	free(pattern->verdicts);
}

static int pattern_make(struct pattern *pattern, const char *text, const struct cs_profile *profile)
{
	if (!text)
		return 0;
	if (regcomp(&pattern->regex, text, REG_EXTENDED | REG_NOSUB))
		return -ENOMEM; /* what is no pattern was refused before */
	pattern->given = true;
	pattern->verdicts = calloc(cs_profile_nstrings(profile), sizeof(*pattern->verdicts));
	return pattern->verdicts ? 0 : -ENOMEM;
}

static bool matches(const struct filter *filter, const struct pattern *pattern, uint32_t text)
{
	unsigned char *verdict = pattern->given ? &pattern->verdicts[text] : NULL;

	if (!verdict)
		return true;
	if (*verdict == NOT_ASKED)
		*verdict = text && !regexec(&pattern->regex, cs_profile_str(filter->profile, text),
					    0, NULL, 0)
				   ? PASSES
				   : FAILS;
	return *verdict == PASSES;
}

static bool passes(void *ctx, const struct cs_sample *sample)
{
	const struct filter *filter = ctx;
	const struct cs_labels *labels = &sample->labels;
	uint64_t span = filter->wanted->span;

	if (span && labels->span_id != span && labels->root_span_id != span)
		return false;
	if (*filter->wanted->trace &&
	    strcmp(cs_profile_str(filter->profile, labels->trace_id), filter->wanted->trace))
		return false;
	return matches(filter, &filter->task,
		       labels->task_name ? labels->task_name : labels->origin_task_name);
}

static double time_of(const struct cs_profile *profile)
{
	double ns = 0;

	for (size_t i = 0; i < cs_profile_nsamples(profile); i++)
		ns += (double)cs_profile_sample(profile, i)->values[CS_VALUE_WALL_NS];
	return ns;
}

static int note(const struct cs_filter *filter, struct cs_profile *profile, double share)
{
	_cleanup_buf_ struct cs_buf text = {0};
	const char *separator = "only ";
	char span[17];
	const struct {
		const char *what, *value;
	} parts[] = {
		{"tasks matching", filter->task},
		{"span", filter->span ? span : NULL},
		{"trace", *filter->trace ? filter->trace : NULL},
	};

	snprintf(span, sizeof(span), "%016" PRIx64, filter->span);
	for (size_t i = 0; i < ARRAY_SIZE(parts); i++) {
		if (!parts[i].value)
			continue;
		if (cs_buf_printf(&text, "%s%s %s", separator, parts[i].what, parts[i].value))
			return -ENOMEM;
		separator = ", ";
	}
	if (cs_buf_printf(&text, ": %.1f%% of the time in samples", share * 100))
		return -ENOMEM;
	return cs_profile_note(profile, cs_buf_str(&text));
}

static void filter_free(struct filter *filter)
{
	pattern_free(&filter->task);
}

int cs_filter_apply(const struct cs_filter *wanted, struct cs_profile *profile)
{
	_cleanup_(filter_free) struct filter filter = {.wanted = wanted, .profile = profile};
	double all = time_of(profile);

	if (!wanted->task && !wanted->span && !*wanted->trace)
		return 0;
	if (pattern_make(&filter.task, wanted->task, profile))
		return -ENOMEM;
	cs_profile_keep(profile, passes, &filter);
	return note(wanted, profile, all > 0 ? time_of(profile) / all : 0);
}
