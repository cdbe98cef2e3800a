/* SPDX-License-Identifier: Apache-2.0 */
/* The values that several subcommands take. */
#include "cli/args.h"

#include <ctype.h>
#include <errno.h>
#include <pwd.h>
#include <stdarg.h>
#include <stdlib.h>
#include <string.h>
#include <strings.h>

#include "cli/cli.h"
#include "core/cleanup.h"
#include "core/log.h"

struct unit {
	const char *name;
	double factor;
};

/* A non-negative number and one of the units (the one named "" is the default). */
static int parse_with_unit(const char *text, const struct unit *units, size_t nunits, double *ret)
{
	char *end;
	double number;

	if (!isdigit((unsigned char)*text) && *text != '.')
		return -EINVAL;
	errno = 0;
	number = strtod(text, &end);
	if (errno || end == text || number < 0)
		return -EINVAL;
	for (size_t i = 0; i < nunits; i++) {
		if (strcasecmp(end, units[i].name) == 0) {
			*ret = number * units[i].factor;
			return 0;
		}
	}
	return -EINVAL;
}

int cs_parse_duration(const char *text, uint64_t *ret_ns)
{
	static const struct unit units[] = {{"", 1e9},   {"s", 1e9},    {"ms", 1e6},
					    {"m", 60e9}, {"min", 60e9}, {"h", 3600e9}};
	double ns;
	int err;

	if (strcmp(text, "unlimited") == 0) {
		*ret_ns = 0;
		return 0;
	}
	err = parse_with_unit(text, units, ARRAY_SIZE(units), &ns);
	if (err)
		return err;
	if (ns < 1e6 || ns > 366 * 86400e9)
		return -ERANGE;
	*ret_ns = (uint64_t)ns;
	return 0;
}

int cs_parse_moment(const char *text, uint64_t *ret_ns)
{
	static const struct unit units[] = {{"us", 1e3}, {"ms", 1e6}, {"s", 1e9}};
	double ns;
	int err = parse_with_unit(text, units, ARRAY_SIZE(units), &ns);

	if (err)
		return err;
	if (ns < 1e3 || ns > 3600e9)
		return -ERANGE;
	*ret_ns = (uint64_t)ns;
	return 0;
}

int cs_parse_rate(const char *text, uint32_t *ret_hz)
{
	static const struct unit units[] = {{"", 1}, {"hz", 1}, {"k", 1e3}, {"khz", 1e3}};
	double hz;
	int err = parse_with_unit(text, units, ARRAY_SIZE(units), &hz);

	if (err)
		return err;
	if (hz < 1 || hz > CS_MAX_RATE_HZ)
		return -ERANGE;
	*ret_hz = (uint32_t)hz;
	return 0;
}

int cs_parse_size(const char *text, size_t *ret_bytes)
{
	static const struct unit units[] = {
		{"", 1}, {"k", 1 << 10}, {"m", 1 << 20}, {"g", 1 << 30}};
	double bytes;
	int err = parse_with_unit(text, units, ARRAY_SIZE(units), &bytes);

	if (err)
		return err;
	if (bytes < 1 || bytes > (1 << 30))
		return -ERANGE;
	*ret_bytes = (size_t)bytes;
	return 0;
}

int cs_parse_pids(const char *text, pid_t *pids, unsigned int *n)
{
	const char *at = text;

	while (*at) {
		char *end;
		long pid;

		if (!isdigit((unsigned char)*at))
			return -EINVAL;
		errno = 0;
		pid = strtol(at, &end, strncmp(at, "0x", 2) ? 10 : 16); /* 0x1f too, as in py-spy */
		if (errno || pid <= 0 || pid > (1 << 22) || (*end && (*end != ',' || !end[1])))
			return -EINVAL;
		if (*n == CS_MAX_PIDS)
			return -E2BIG;
		pids[(*n)++] = (pid_t)pid;
		at = *end ? end + 1 : end;
	}
	return *text ? 0 : -EINVAL;
}

int cs_parse_id(const char *text, size_t digits, char ret[CS_ID_DIGITS + 1])
{
	size_t n;

	if (!strncasecmp(text, "0x", 2))
		text += 2;
	n = strlen(text);
	if (!n || n > digits || strspn(text, "0123456789abcdefABCDEF") != n)
		return -EINVAL;
	memset(ret, '0', digits - n);
	for (size_t i = 0; i <= n; i++)
		ret[digits - n + i] = (char)tolower((unsigned char)text[i]);
	return 0;
}

void cs_usage_error(const char *fmt, ...)
{
	va_list args;

	va_start(args, fmt);
	cs_logv(CS_LOG_ERROR, fmt, args);
	va_end(args);
	exit(CS_EXIT_USAGE);
}

int cs_parse_user(const char *text, uid_t *ret)
{
	const struct passwd *user = getpwnam(text);
	unsigned long number;
	char *end;

	if (user) {
		*ret = user->pw_uid;
		return 0;
	}
	errno = 0;
	number = strtoul(text, &end, 10);
	if (errno || !isdigit((unsigned char)*text) || *end || number > UINT32_MAX)
		return -ENOENT;
	*ret = (uid_t)number;
	return 0;
}
