/* SPDX-License-Identifier: Apache-2.0 */
/*
 * Messages for people, on stderr. Stages return -errno and print nothing; the edge (cli/, collect/)
 * says it once. stdout carries data only.
 */
#pragma once

#include <stdarg.h>
#include <stdbool.h>

enum cs_log_level { CS_LOG_ERROR = 0, CS_LOG_WARN = 1, CS_LOG_INFO = 2, CS_LOG_DEBUG = 3 };

void cs_log_set_level(enum cs_log_level level);
enum cs_log_level cs_log_level(void);

/* From now on a line is a JSON object: time (UTC), level and message. For logs that machines read. */
void cs_log_set_json(bool json);

/* One line, prefixed by "coroscope: " and the level; a newline is added. */
void cs_log(enum cs_log_level level, const char *fmt, ...) __attribute__((format(printf, 2, 3)));
void cs_logv(enum cs_log_level level, const char *fmt, va_list args)
	__attribute__((format(printf, 2, 0)));

#define cs_err(...)   cs_log(CS_LOG_ERROR, __VA_ARGS__)
#define cs_warn(...)  cs_log(CS_LOG_WARN, __VA_ARGS__)
#define cs_info(...)  cs_log(CS_LOG_INFO, __VA_ARGS__)
#define cs_debug(...) cs_log(CS_LOG_DEBUG, __VA_ARGS__)

/* Log an error and return its code in one line: return cs_err_r(-ENOENT, "no such process %d", pid); */
#define cs_err_r(err, ...)                         \
	({                                         \
		cs_log(CS_LOG_ERROR, __VA_ARGS__); \
		(err);                             \
	})
