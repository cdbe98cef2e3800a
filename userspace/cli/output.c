/* SPDX-License-Identifier: Apache-2.0 */
/* Where a profile goes. */
#include "cli/output.h"

#include <errno.h>
#include <fcntl.h>
#include <inttypes.h>
#include <stdio.h>
#include <stdlib.h>
#include <string.h>
#include <sys/stat.h>
#include <unistd.h>

#include "core/cleanup.h"
#include "core/counters.h"
#include "core/log.h"
#include "core/user.h"
#include "decode/decode.h"

#define RAW_SUFFIX ".raw"

static bool ends_with(const char *text, const char *suffix)
{
	size_t n = strlen(text), m = strlen(suffix);

	return n >= m && strcmp(text + n - m, suffix) == 0;
}

static int choose_format(struct cs_output *output, const char *format, const char *path,
			 bool *ret_raw)
{
	*ret_raw = format ? strcmp(format, "raw") == 0 : path && ends_with(path, RAW_SUFFIX);
	if (*ret_raw)
		return 0;
	if (format) {
		output->exporter = cs_exporter_by_name(format);
		if (!output->exporter)
			return cs_err_r(-EINVAL,
					"no format '%s': collapsed, pprof, otlp, html, tree or raw",
					format);
	} else if (path && strcmp(path, "-") != 0) {
		output->exporter = cs_exporter_by_path(path);
		if (!output->exporter)
			return cs_err_r(-EINVAL,
					"the ending of '%s' names no format; say which with -f",
					path);
	} else {
		output->exporter = &cs_export_html;
	}
	return 0;
}

int cs_output_choose(struct cs_output *output, const char *format, const char *path)
{
	bool raw;
	int err;

	*output = (struct cs_output){.fd = -1};
	err = choose_format(output, format, path, &raw);
	if (err)
		return err;
	if (path)
		snprintf(output->path, sizeof(output->path), "%s", path);
	else if (output->exporter == &cs_export_collapsed || output->exporter == &cs_export_tree)
		snprintf(output->path, sizeof(output->path), "-");
	else
		snprintf(output->path, sizeof(output->path), "coroscope%s",
			 raw ? RAW_SUFFIX : output->exporter->suffix);
	if (raw && strcmp(output->path, "-") == 0)
		return cs_err_r(-EINVAL, "a raw capture needs a file: say which with -o");
	return 0;
}

void cs_output_choose_text(struct cs_output *output, const char *path)
{
	*output = (struct cs_output){.fd = -1};
	snprintf(output->path, sizeof(output->path), "%s", path ? path : "-");
}

/*
 * Open without truncating: a capture that fails must not cost the previous profile. Only a file that is new here may be
 * given away; what was there before keeps its owner.
 */
static int open_file(const char *path)
{
	int fd = open(path, O_WRONLY | O_CREAT | O_EXCL | O_CLOEXEC, 0644);

	if (fd >= 0)
		cs_give_to_user(fd);
	else if (errno == EEXIST)
		fd = open(path, O_WRONLY | O_CLOEXEC);
	return fd;
}

int cs_output_open(struct cs_output *output)
{
	if (strcmp(output->path, "-") == 0)
		output->fd = fcntl(STDOUT_FILENO, F_DUPFD_CLOEXEC, 3);
	else
		output->fd = open_file(output->path);
	if (output->fd < 0)
		return cs_err_r(-errno, "cannot write %s: %s", output->path, strerror(errno));
	return 0;
}

static int write_all(int fd, const char *bytes, size_t n)
{
	while (n) {
		ssize_t done = write(fd, bytes, n);

		if (done < 0 && errno == EINTR)
			continue;
		if (done < 0)
			return -errno;
		bytes += done;
		n -= (size_t)done;
	}
	return 0;
}

int cs_output_write(struct cs_output *output, const struct cs_profile *profile)
{
	_cleanup_buf_ struct cs_buf bytes = {0};
	int err = output->exporter->write(profile, &bytes);

	if (err)
		return cs_err_r(err, "cannot make the %s profile: %s", output->exporter->name,
				strerror(-err));
	return cs_output_write_bytes(output, &bytes);
}

int cs_output_write_fd(int fd, bool replace, const struct cs_buf *bytes)
{
	if (replace && (lseek(fd, 0, SEEK_SET) < 0 || ftruncate(fd, 0) < 0))
		return -errno;
	return write_all(fd, bytes->data, bytes->len);
}

int cs_output_write_bytes(struct cs_output *output, const struct cs_buf *bytes)
{
	struct stat st;
	bool replace = fstat(output->fd, &st) == 0 && S_ISREG(st.st_mode) &&
		       strcmp(output->path, "-") != 0;
	int err = cs_output_write_fd(output->fd, replace, bytes);

	if (err)
		return cs_err_r(err, "cannot write %s: %s", output->path, strerror(-err));
	return 0;
}

void cs_output_close(struct cs_output *output)
{
	if (output->fd >= 0)
		close(TAKE_FD(output->fd));
}

/* Lines under construction; err sticks. */
struct account {
	struct cs_buf *out;
	int err;
};

#define PUT(account, ...)                                                            \
	do {                                                                         \
		if (!(account)->err)                                                 \
			(account)->err = cs_buf_printf((account)->out, __VA_ARGS__); \
	} while (0)

static void put_losses(struct account *a, const uint64_t *counters)
{
	for (int i = 0; i < CS_COUNTER_MAX_; i++)
		if (counters[i] && cs_counter_text(i)->loss)
			PUT(a, "  %" PRIu64 " %s\n", counters[i], cs_counter_text(i)->sentence);
}

/* There were more tasks than a pass reads: how many did it read? */
static void put_share(struct account *a, const uint64_t *counters)
{
	uint64_t read = counters[CS_COUNTER_TASKS] + counters[CS_COUNTER_TASKS_DROPPED];

	if (counters[CS_COUNTER_TASKS_UNREAD])
		PUT(a,
		    "passes over suspended tasks read %.1f%% of them, at random: each stands for others as well\n",
		    100.0 * (double)read / (double)(read + counters[CS_COUNTER_TASKS_UNREAD]));
}

/* How passes over suspended tasks were known to be true. */
static void put_passes(struct account *a, const uint64_t *c)
{
	double percent = 100.0 / (double)(c[CS_COUNTER_PASSES] ? c[CS_COUNTER_PASSES] : 1);

	if (!c[CS_COUNTER_PASSES])
		return;
	PUT(a,
	    "passes over tasks %" PRIu64
	    ": %.1f%% while the loop slept, %.1f%% copied at one instant, "
	    "%.1f%% confirmed task by task, %.1f%% given up\n",
	    c[CS_COUNTER_PASSES], (double)c[CS_COUNTER_PASSES_QUIET] * percent,
	    (double)c[CS_COUNTER_PASSES_IN_TASK] * percent,
	    (double)c[CS_COUNTER_PASSES_PER_TASK] * percent,
	    (double)c[CS_COUNTER_PASSES_FAILED] * percent);
}

/* What has become of every block. */
static void put_blocks(struct account *a, const uint64_t *c)
{
	PUT(a,
	    "blocks %" PRIu64 " = %" PRIu64 " shown + %" PRIu64 " shorter than asked for + %" PRIu64
	    " left out at random + %" PRIu64 " lost\n",
	    c[CS_COUNTER_OFF_BLOCKS], c[CS_COUNTER_OFF_SAMPLES], c[CS_COUNTER_OFF_SHORT],
	    c[CS_COUNTER_OFF_THINNED], c[CS_COUNTER_OFF_NESTED] + c[CS_COUNTER_OFF_RING_FULL]);
	PUT(a,
	    "threads were off the CPU for %.3f s, of which short blocks are %.3f s; %" PRIu64
	    " had not come back at the end\n",
	    (double)c[CS_COUNTER_OFF_NS] / 1e9, (double)c[CS_COUNTER_OFF_SHORT_NS] / 1e9,
	    c[CS_COUNTER_OFF_OPEN]);
}

static void put_ticks(struct account *a, const uint64_t *c)
{
	uint64_t lost = c[CS_COUNTER_RING_FULL] + c[CS_COUNTER_NESTED];

	PUT(a,
	    "due ticks %" PRIu64 " = %" PRIu64 " samples + %" PRIu64 " idle + %" PRIu64
	    " of other processes + %" PRIu64 " missed + %" PRIu64 " lost\n",
	    c[CS_COUNTER_TICKS] + c[CS_COUNTER_IDLE_ASLEEP] + c[CS_COUNTER_MISSED],
	    c[CS_COUNTER_SAMPLES], c[CS_COUNTER_IDLE] + c[CS_COUNTER_IDLE_ASLEEP],
	    c[CS_COUNTER_OTHER], c[CS_COUNTER_MISSED], lost);
}

/* At which moments, or how often, samples were taken. */
static void format_pace(const struct cs_profile_meta *meta, char *dst, size_t size)
{
	if (meta->off_cpu)
		snprintf(dst, size, "of blocked threads");
	else
		snprintf(dst, size, "at %.0f Hz",
			 meta->interval_ns ? 1e9 / (double)meta->interval_ns : 0.0);
}

/* Why it is less than was asked for, if it is. */
static const char *ending(const struct cs_profile_meta *meta)
{
	if (meta->partial)
		return " (partial: the capture was cut off)";
	switch (meta->end_reason) {
	case CS_END_INTERRUPTED:
		return " (interrupted)";
	case CS_END_TARGETS_GONE:
		return " (ended with its target)";
	case CS_END_SPOOL_FULL:
		return " (partial: the disk is full)";
	default:
		return "";
	}
}

/* Notes are one line each, whatever names they quote. */
static void put_notes(struct account *a, const struct cs_profile *profile)
{
	for (size_t i = 0; !a->err && i < cs_profile_nnotes(profile); i++) {
		const char *note = cs_profile_get_note(profile, i);

		a->err = cs_buf_append_escaped(a->out, note, strlen(note), "");
		PUT(a, "\n");
	}
}

int cs_output_account(const struct cs_profile *profile, struct cs_buf *out)
{
	const struct cs_profile_meta *meta = cs_profile_meta(profile);
	const uint64_t *c = meta->counters;
	struct account account = {out, 0};
	uint64_t samples = 0;
	char pace[32];

	for (size_t i = 0; i < cs_profile_nsamples(profile); i++)
		samples += cs_profile_sample(profile, i)->values[CS_VALUE_SAMPLES];
	format_pace(meta, pace, sizeof(pace));
	PUT(&account, "%" PRIu64 " samples in %.1f s %s%s\n", samples,
	    (double)meta->duration_ns / 1e9, pace, ending(meta));
	if (meta->has_counters) {
		if (meta->off_cpu)
			put_blocks(&account, c);
		else
			put_ticks(&account, c);
		put_share(&account, c);
		put_passes(&account, c);
		put_losses(&account, c);
	}
	put_notes(&account, profile);
	return account.err;
}

void cs_output_tell(const struct cs_output *output, char *account)
{
	bool first = true;
	char *rest;

	for (char *line = strtok_r(account, "\n", &rest); line;
	     line = strtok_r(NULL, "\n", &rest)) {
		if (first)
			cs_info("wrote %s: %s",
				strcmp(output->path, "-") == 0 ? "to stdout" : output->path, line);
		else
			cs_info("%s", line);
		first = false;
	}
}

void cs_output_summary(const struct cs_output *output, const struct cs_profile *profile)
{
	_cleanup_buf_ struct cs_buf account = {0};

	if (cs_output_account(profile, &account) || cs_buf_append(&account, "", 1))
		cs_err("wrote %s, without its account: out of memory", output->path);
	else
		cs_output_tell(output, account.data);
}
