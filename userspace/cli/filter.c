/* SPDX-License-Identifier: Apache-2.0 */
/* Which samples are shown, by their labels. */
#include "cli/filter.h"

#include <errno.h>
#include <inttypes.h>
#include <regex.h>
#include <stdio.h>
#include <stdlib.h>
#include <string.h>

#include "cli/span_set.h"
#include "core/buf.h"
#include "core/cleanup.h"
#include "profile/copy.h"

#define MAX_PIDS_TOLD 8

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
	struct pattern task, endpoint, whose[CS_FILTER_WHOSE_MAX_];
	struct cs_span_set met;   /* spans and local roots of samples that pass */
	struct cs_span_set roots; /* local roots of an endpoint that matches */
};

/* The facts that may match, and how people call them. */
static const struct {
	enum cs_fact first, second; /* 0: no second one */
	bool instead;               /* the second one counts only where the first is not known */
	const char *words;
} whose[CS_FILTER_WHOSE_MAX_] = {
	[CS_FILTER_SERVICE] = {CS_FACT_SERVICE, CS_FACT_PROGRAM, true, "services matching"},
	[CS_FILTER_CONTAINER] = {CS_FACT_CONTAINER, CS_FACT_CONTAINER_NAME, false,
				 "containers matching"},
	[CS_FILTER_POD] = {CS_FACT_POD, 0, false, "pods matching"},
	[CS_FILTER_POD_NAMESPACE] = {CS_FACT_POD_NAMESPACE, 0, false, "pod namespaces matching"},
	[CS_FILTER_POD_LABEL] = {CS_FACT_POD_LABELS, 0, false, "pod labels matching"},
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

static bool is_theirs(const struct filter *filter, const struct cs_owner *owner)
{
	for (size_t i = 0; i < ARRAY_SIZE(whose); i++) {
		const struct pattern *pattern = &filter->whose[i];
		uint32_t first = owner->facts[whose[i].first];
		uint32_t second = whose[i].second && !(whose[i].instead && first)
					  ? owner->facts[whose[i].second]
					  : 0;

		if (!matches(filter, pattern, first) &&
		    !(second && matches(filter, pattern, second)))
			return false;
	}
	return true;
}

static int compare_pids(const void *a, const void *b)
{
	const pid_t *x = a, *y = b;

	return (*x > *y) - (*x < *y);
}

static bool process_passes(void *ctx, uint32_t pid)
{
	const struct cs_filter *wanted = ((const struct filter *)ctx)->wanted;
	const pid_t key = (pid_t)pid;

	return !wanted->npids ||
	       bsearch(&key, wanted->pids, wanted->npids, sizeof(key), compare_pids);
}

static bool passes(void *ctx, const struct cs_sample *sample)
{
	const struct filter *filter = ctx;
	const struct cs_labels *labels = &sample->labels;
	const char *thread = filter->wanted->thread;
	uint64_t span = filter->wanted->span;

	if (!process_passes(ctx, labels->process_id))
		return false;
	if (thread && strcmp(cs_profile_str(filter->profile, labels->thread_name), thread))
		return false;
	if (span && labels->span_id != span && labels->root_span_id != span)
		return false;
	if (*filter->wanted->trace &&
	    strcmp(cs_profile_str(filter->profile, labels->trace_id), filter->wanted->trace))
		return false;
	if (!matches(filter, &filter->endpoint, labels->trace_endpoint))
		return false;
	if (!is_theirs(filter, cs_profile_get_owner(filter->profile, labels->owner)))
		return false;
	return matches(filter, &filter->task,
		       labels->task_name ? labels->task_name : labels->origin_task_name);
}

static int meet_samples(struct filter *filter, enum cs_tree tree)
{
	size_t n = cs_profile_nsamples_in(filter->profile, tree);
	int err = 0;

	for (size_t i = 0; !err && i < n; i++) {
		const struct cs_sample *sample = cs_profile_sample_in(filter->profile, tree, i);
		const struct cs_labels *labels = &sample->labels;

		if (!labels->span_id || !passes(filter, sample))
			continue;
		err = cs_span_set_add(&filter->met, labels->owner, labels->span_id);
		if (!err)
			err = cs_span_set_add(&filter->met, labels->owner, labels->root_span_id);
	}
	return err;
}

/* What must be known of all before one span can be judged. */
static int meet_spans(struct filter *filter)
{
	const struct cs_profile *profile = filter->profile;
	size_t n = cs_profile_ntraced(profile);
	int err = 0;

	for (int tree = 0; n && !err && tree < CS_TREE_MAX_; tree++)
		err = meet_samples(filter, (enum cs_tree)tree);
	for (size_t i = 0; !err && i < n; i++) {
		const struct cs_traced *traced = cs_profile_get_traced(profile, i);

		if (!strcmp(cs_profile_str(profile, traced->type), "web") &&
		    matches(filter, &filter->endpoint, traced->resource))
			err = cs_span_set_add(&filter->roots, traced->owner, traced->span_id);
	}
	return err;
}

/* As its samples do. Its thread's name is not known, nor every task in which it goes on: for these it is enough that a sample passes. */
static bool traced_passes(void *ctx, const struct cs_traced *traced)
{
	struct filter *filter = ctx;
	const struct cs_filter *wanted = filter->wanted;
	uint32_t owner = traced->owner;
	bool met = cs_span_set_has(&filter->met, owner, traced->span_id);

	if (!process_passes(ctx, traced->process_id) ||
	    !is_theirs(filter, cs_profile_get_owner(filter->profile, owner)))
		return false;
	if (wanted->span && traced->span_id != wanted->span && traced->root_span_id != wanted->span)
		return false;
	if (*wanted->trace &&
	    strcmp(cs_profile_str(filter->profile, traced->trace_id), wanted->trace))
		return false;
	if (wanted->endpoint && !met &&
	    !cs_span_set_has(&filter->met, owner, traced->root_span_id) &&
	    !cs_span_set_has(&filter->roots, owner, traced->root_span_id))
		return false;
	return (!wanted->thread || met) &&
	       (met || matches(filter, &filter->task, traced->task_name));
}

static double time_of(const struct cs_profile *profile, enum cs_tree tree)
{
	double ns = 0;

	for (size_t i = 0; i < cs_profile_nsamples_in(profile, tree); i++)
		ns += (double)cs_profile_sample_in(profile, tree, i)->values[CS_VALUE_WALL_NS];
	return ns;
}

static int put_pids(const struct cs_filter *filter, struct cs_buf *text)
{
	int err;

	if (filter->npids > MAX_PIDS_TOLD)
		return cs_buf_printf(text, "only %u processes", filter->npids);
	err = cs_buf_printf(text, "only process%s", filter->npids == 1 ? "" : "es");
	for (unsigned int i = 0; !err && i < filter->npids; i++)
		err = cs_buf_printf(text, "%s%d", i ? "," : " ", filter->pids[i]);
	return err;
}

static int append_part(struct cs_buf *text, const char *what, const char *value)
{
	if (!value)
		return 0;
	return cs_buf_printf(text, "%s%s %s", text->len ? ", " : "only ", what, value);
}

static int note(const struct cs_filter *filter, struct cs_profile *profile, double share)
{
	_cleanup_buf_ struct cs_buf text = {0};
	int err = 0;
	char span[17];
	const struct {
		const char *what, *value;
	} parts[] = {
		{"threads named", filter->thread},
		{"tasks matching", filter->task},
		{"span", filter->span ? span : NULL},
		{"trace", *filter->trace ? filter->trace : NULL},
		{"endpoints matching", filter->endpoint},
	};

	snprintf(span, sizeof(span), "%016" PRIx64, filter->span);
	if (filter->npids)
		err = put_pids(filter, &text);
	for (size_t i = 0; !err && i < ARRAY_SIZE(parts); i++)
		err = append_part(&text, parts[i].what, parts[i].value);
	for (size_t i = 0; !err && i < ARRAY_SIZE(whose); i++)
		err = append_part(&text, whose[i].words, filter->whose[i]);
	if (!err)
		err = cs_buf_printf(&text, ": %.1f%% of the time in samples", share * 100);
	if (err)
		return err;
	return cs_profile_note(profile, cs_buf_str(&text));
}

static void filter_free(struct filter *filter)
{
	pattern_free(&filter->task);
	pattern_free(&filter->endpoint);
	cs_span_set_free(&filter->met);
	cs_span_set_free(&filter->roots);
	for (size_t i = 0; i < ARRAY_SIZE(filter->whose); i++)
		pattern_free(&filter->whose[i]);
}

bool cs_filter_is_asked(const struct cs_filter *filter)
{
	for (size_t i = 0; i < ARRAY_SIZE(filter->whose); i++)
		if (filter->whose[i])
			return true;
	return filter->task || filter->endpoint || filter->span || *filter->trace ||
	       filter->thread || filter->npids;
}

static int make_patterns(struct filter *filter)
{
	int err = pattern_make(&filter->task, filter->wanted->task, filter->profile);

	if (!err)
		err = pattern_make(&filter->endpoint, filter->wanted->endpoint, filter->profile);
	for (size_t i = 0; !err && i < ARRAY_SIZE(filter->whose); i++)
		err = pattern_make(&filter->whose[i], filter->wanted->whose[i], filter->profile);
	return err;
}

int cs_filter_apply(const struct cs_filter *wanted, struct cs_profile *profile)
{
	_cleanup_(filter_free) struct filter filter = {.wanted = wanted, .profile = profile};
	enum cs_tree tree = cs_profile_meta(profile)->tree;
	double all = time_of(profile, tree);

	if (!cs_filter_is_asked(wanted))
		return 0;
	if (make_patterns(&filter) || meet_spans(&filter))
		return -ENOMEM;
	cs_profile_keep(profile, passes, &filter);
	cs_profile_keep_traced(profile, traced_passes, &filter);
	return note(wanted, profile, all > 0 ? time_of(profile, tree) / all : 0);
}

int cs_filter_copy(const struct cs_filter *wanted, const struct cs_profile *profile,
		   enum cs_tree tree, bool first_lines, struct cs_profile **ret)
{
	_cleanup_(filter_free) struct filter filter = {.wanted = wanted, .profile = profile};
	_cleanup_(cs_profile_freep) struct cs_profile *copy = NULL;
	const struct cs_profile_part part = {
		.keep = passes,
		.keep_process = process_passes,
		.keep_traced = traced_passes,
		.ctx = &filter,
		.tree = tree,
		.first_lines = first_lines,
	};
	double all = time_of(profile, tree);
	int err = make_patterns(&filter);

	if (!err)
		err = meet_spans(&filter);
	if (!err)
		err = cs_profile_copy(profile, &part, &copy);
	if (!err && cs_filter_is_asked(wanted))
		err = note(wanted, copy, all > 0 ? time_of(copy, tree) / all : 0);
	if (!err)
		*ret = TAKE_PTR(copy);
	return err;
}
