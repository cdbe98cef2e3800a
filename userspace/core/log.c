/* SPDX-License-Identifier: Apache-2.0 */
/* Messages for people: one line on stderr each. */
#include "core/log.h"

#include <stdio.h>
#include <time.h>

#include "core/buf.h"

static enum cs_log_level max_level = CS_LOG_INFO;
static bool as_json;

void cs_log_set_level(enum cs_log_level level)
{
	max_level = level;
}

enum cs_log_level cs_log_level(void)
{
	return max_level;
}

void cs_log_set_json(bool json)
{
	as_json = json;
}

/* Messages are text of ours, and may quote foreign bytes: what is no printable ASCII is told as \u00NN. */
static int put_json_string(struct cs_buf *out, const char *text)
{
	int err = cs_buf_append_str(out, "\"");

	for (; !err && *text; text++) {
		unsigned char byte = (unsigned char)*text;

		if (byte == '"' || byte == '\\')
			err = cs_buf_printf(out, "\\%c", byte);
		else if (byte < 0x20 || byte >= 0x7f)
			err = cs_buf_printf(out, "\\u%04x", byte);
		else
			err = cs_buf_append(out, text, 1);
	}
	return err ? err : cs_buf_append_str(out, "\"");
}

static void put_json(enum cs_log_level level, const char *text)
{
	static const char *const names[] = {"error", "warning", "info", "debug"};
	_cleanup_buf_ struct cs_buf line = {0};
	struct timespec now;
	char date[32];
	struct tm tm;

	clock_gettime(CLOCK_REALTIME, &now);
	gmtime_r(&now.tv_sec, &tm);
	strftime(date, sizeof(date), "%Y-%m-%dT%H:%M:%S", &tm);
	if (!cs_buf_printf(&line, "{\"time\":\"%s.%03ldZ\",\"level\":\"%s\",\"message\":", date,
			   now.tv_nsec / 1000000, names[level]) &&
	    !put_json_string(&line, text))
		fprintf(stderr, "%s}\n", cs_buf_str(&line));
}

void cs_logv(enum cs_log_level level, const char *fmt, va_list args)
{
	static const char *const prefix[] = {"error: ", "warning: ", "", "debug: "};
	char line[2048];
	int n;

	if (level > max_level)
		return;
	if (as_json) {
		vsnprintf(line, sizeof(line), fmt, args);
		put_json(level, line);
		return;
	}
	n = snprintf(line, sizeof(line), "coroscope: %s", prefix[level]);
	vsnprintf(line + n, sizeof(line) - (size_t)n, fmt, args);
	/* one write a line: other processes write there too */
	fprintf(stderr, "%s\n", line);
}

void cs_log(enum cs_log_level level, const char *fmt, ...)
{
	va_list args;

	va_start(args, fmt);
	cs_logv(level, fmt, args);
	va_end(args);
}
