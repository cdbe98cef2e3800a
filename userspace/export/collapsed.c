/* SPDX-License-Identifier: Apache-2.0 */
/*
 * Collapsed stacks, as flamegraph.pl, speedscope and inferno read them: `frame;frame;frame COUNT`,
 * root first. Lines are sorted, so that equal profiles give equal files. Samples that differ in
 * nothing the text shows become one line; their nanoseconds are added before they are rounded to a
 * count.
 */
#include <errno.h>
#include <inttypes.h>
#include <stdlib.h>
#include <string.h>

#include "core/cleanup.h"
#include "export/exporter.h"

struct line {
	const char *text;
	const struct cs_sample *sample;
};

/* Texts of frames and stacks are shared by many samples: each is made once. */
struct texts {
	char **at;
	size_t n;
};

static void texts_free(struct texts *texts)
{
	size_t i;

	for (i = 0; texts->at && i < texts->n; i++)
		free(texts->at[i]);
	free(texts->at);
}

static int texts_alloc(struct texts *texts, size_t n)
{
	texts->at = calloc(n ? n : 1, sizeof(*texts->at));
	texts->n = n;
	return texts->at ? 0 : -ENOMEM;
}

/* A terminated copy of what text holds: NULL without memory. */
static char *copy_text(const struct cs_buf *text)
{
	char *copy = malloc(text->len + 1);

	if (copy) {
		if (text->len)
			memcpy(copy, text->data, text->len);
		copy[text->len] = '\0';
	}
	return copy;
}

static int make_frames(const struct cs_profile *profile, struct texts *frames)
{
	_cleanup_buf_ struct cs_buf escaped = {0};
	_cleanup_buf_ struct cs_buf text = {0};
	size_t i;
	int err;

	err = texts_alloc(frames, cs_profile_nframes(profile));
	for (i = 0; !err && i < frames->n; i++) {
		text.len = escaped.len = 0;
		err = cs_export_frame_text(profile, cs_profile_get_frame(profile, (uint32_t)i),
					   &text);
		if (!err)
			err = cs_buf_append_escaped(&escaped, text.data, text.len, ";");
		if (err)
			return err;
		frames->at[i] = copy_text(&escaped);
		if (!frames->at[i])
			return -ENOMEM;
	}
	return err;
}

static int make_stacks(const struct cs_profile *profile, const struct texts *frames,
		       struct texts *stacks)
{
	_cleanup_buf_ struct cs_buf text = {0};
	struct cs_stack stack;
	size_t i;
	uint32_t k;
	int err;

	err = texts_alloc(stacks, cs_profile_nstacks(profile));
	for (i = 0; !err && i < stacks->n; i++) {
		stack = cs_profile_stack(profile, (uint32_t)i);
		text.len = 0;
		for (k = 0; !err && k < stack.n; k++)
			err = cs_buf_printf(&text, "%s%s", k ? ";" : "",
					    frames->at[stack.frames[k]]);
		if (err)
			return err;
		stacks->at[i] = copy_text(&text);
		if (!stacks->at[i])
			return -ENOMEM;
	}
	return err;
}

static int compare_lines(const void *a, const void *b)
{
	return strcmp(((const struct line *)a)->text, ((const struct line *)b)->text);
}

static int write_lines(const struct cs_profile *profile, const struct line *lines, size_t n,
		       struct cs_buf *out)
{
	struct cs_sample sum;
	size_t i = 0, k, value;
	int err;

	while (i < n) {
		sum = *lines[i].sample;
		for (k = i + 1; k < n && !strcmp(lines[k].text, lines[i].text); k++)
			for (value = 0; value < CS_VALUE_MAX_; value++)
				sum.values[value] += lines[k].sample->values[value];
		err = cs_buf_printf(out, "%s %" PRIu64 "\n", lines[i].text,
				    cs_export_intervals(profile, &sum));
		if (err)
			return err;
		i = k;
	}
	return 0;
}

static int write_collapsed(const struct cs_profile *profile, struct cs_buf *out)
{
	_cleanup_(texts_free) struct texts frames = {0};
	_cleanup_(texts_free) struct texts stacks = {0};
	size_t n = cs_profile_nsamples(profile);
	_cleanup_free_ struct line *lines = calloc(n ? n : 1, sizeof(*lines));
	size_t i;
	int err;

	if (!lines)
		return -ENOMEM;
	err = make_frames(profile, &frames);
	if (!err)
		err = make_stacks(profile, &frames, &stacks);
	if (err)
		return err;
	for (i = 0; i < n; i++) {
		lines[i].sample = cs_profile_sample(profile, i);
		lines[i].text = stacks.at[lines[i].sample->stack];
	}
	qsort(lines, n, sizeof(*lines), compare_lines);
	return write_lines(profile, lines, n, out);
}

const struct cs_exporter cs_export_collapsed = {
	.name = "collapsed",
	.suffix = ".collapsed",
	.help = "collapsed stacks for flamegraph.pl, speedscope, inferno",
	.write = write_collapsed,
};
