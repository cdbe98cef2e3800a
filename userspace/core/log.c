/* SPDX-License-Identifier: Apache-2.0 */
/* Messages for people: one line on stderr each. */
#include "core/log.h"

#include <stdio.h>

static enum cs_log_level max_level = CS_LOG_INFO;

void cs_log_set_level(enum cs_log_level level)
{
	max_level = level;
}

enum cs_log_level cs_log_level(void)
{
	return max_level;
}

void cs_logv(enum cs_log_level level, const char *fmt, va_list args)
{
	static const char *const prefix[] = {"error: ", "warning: ", "", "debug: "};
	char line[2048];
	int n;

	if (level > max_level)
		return;
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
