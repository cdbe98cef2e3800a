/* SPDX-License-Identifier: Apache-2.0 */
/* The values that several subcommands take: durations, rates, lists of pids, sizes. */
#pragma once

#include <stddef.h>
#include <stdint.h>
#include <sys/types.h>

#define CS_MAX_RATE_HZ 10000
#define CS_MAX_PIDS    1024
#define CS_ID_DIGITS   32

/* "30", "30s", "5m", "1h", "250ms", "unlimited" (0) to nanoseconds. Returns 0, -EINVAL or -ERANGE (0 or above a year). */
int cs_parse_duration(const char *text, uint64_t *ret_ns);

/* "1us", "500us", "10ms", "1s" to nanoseconds; a number needs its unit. Returns 0, -EINVAL or -ERANGE (below 1us, above an hour). */
int cs_parse_moment(const char *text, uint64_t *ret_ns);

/* "99", "99hz", "1khz", "1k" to Hz, 1 to CS_MAX_RATE_HZ. Returns 0, -EINVAL or -ERANGE. */
int cs_parse_rate(const char *text, uint32_t *ret_hz);

/* "4096", "64K", "8M" to bytes. Returns 0, -EINVAL or -ERANGE (above 1G). */
int cs_parse_size(const char *text, size_t *ret_bytes);

/* "12,345" into pids (at most CS_MAX_PIDS, appended at *n). Returns 0, -EINVAL or -E2BIG. */
int cs_parse_pids(const char *text, pid_t *pids, unsigned int *n);

/* "00Ab12", "0xab12" to `digits` (at most CS_ID_DIGITS) lower-case digits with zeros before them, terminated. Returns 0 or -EINVAL. */
int cs_parse_id(const char *text, size_t digits, char ret[CS_ID_DIGITS + 1]);

/* Say in one line what is wrong with the command line, and exit with CS_EXIT_USAGE. */
_Noreturn void cs_usage_error(const char *fmt, ...) __attribute__((format(printf, 1, 2)));

/* A user's name or number. Returns 0 or -ENOENT. */
int cs_parse_user(const char *text, uid_t *ret);
