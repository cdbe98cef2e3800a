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

	if (level > max_level)
		return;
	flockfile(stderr);
	fprintf(stderr, "coroscope: %s", prefix[level]);
	vfprintf(stderr, fmt, args);
	fputc('\n', stderr);
	funlockfile(stderr);
}

void cs_log(enum cs_log_level level, const char *fmt, ...)
{
	va_list args;

	va_start(args, fmt);
	cs_logv(level, fmt, args);
	va_end(args);
}
