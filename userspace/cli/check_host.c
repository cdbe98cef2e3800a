/* SPDX-License-Identifier: Apache-2.0 */
/* Each setting is one small file; one that is absent or odd leaves its field at "could not be read". */
#include "cli/check_host.h"

#include <inttypes.h>
#include <limits.h>
#include <stdio.h>
#include <string.h>
#include <unistd.h>

#include "core/cleanup.h"

static FILE *open_below(const char *root, const char *path)
{
	char full[PATH_MAX];

	if (snprintf(full, sizeof(full), "%s%s", root, path) >= (int)sizeof(full))
		return NULL;
	return fopen(full, "re");
}

/* The first line without its newline; "" if there is none. */
static void read_line(const char *root, const char *path, char *dst, size_t size)
{
	_cleanup_fclose_ FILE *file = open_below(root, path);

	if (!file || !fgets(dst, (int)size, file))
		dst[0] = '\0';
	dst[strcspn(dst, "\n")] = '\0';
}

static int read_int(const char *root, const char *path)
{
	char line[32];
	int value;

	read_line(root, path, line, sizeof(line));
	return sscanf(line, "%d", &value) == 1 ? value : CS_CHECK_UNREAD;
}

/* The rest of the line that starts with key; false if no line does. */
static bool read_value(const char *root, const char *path, const char *key, char *dst, size_t size)
{
	_cleanup_fclose_ FILE *file = open_below(root, path);
	size_t key_len = strlen(key);
	char line[256];

	while (file && fgets(line, sizeof(line), file)) {
		if (strncmp(line, key, key_len) == 0) {
			/* cut where it does not fit */
			*(char *)mempcpy(dst, line + key_len, strnlen(line + key_len, size - 1)) =
				'\0';
			return true;
		}
	}
	return false;
}

/* "[none] integrity confidentiality": the brackets say which one holds. */
static void read_lockdown(const char *root, char *dst, size_t size)
{
	char line[128], *start, *end;

	read_line(root, "/sys/kernel/security/lockdown", line, sizeof(line));
	start = strchr(line, '[');
	end = start ? strchr(start, ']') : NULL;
	if (end)
		snprintf(dst, size, "%.*s", (int)(end - start - 1), start + 1);
}

static bool readable_below(const char *root, const char *path)
{
	_cleanup_fclose_ FILE *file = open_below(root, path);

	return file != NULL;
}

void cs_check_host_read(const char *root, struct cs_check_host *ret)
{
	struct cs_check_host host = {.memlock = CS_MEMLOCK_UNLIMITED};
	char value[128];

	read_line(root, "/proc/sys/kernel/osrelease", host.release, sizeof(host.release));
	if (sscanf(host.release, "%d.%d", &host.kernel_major, &host.kernel_minor) != 2)
		host.kernel_major = host.kernel_minor = 0;
	host.btf = readable_below(root, "/sys/kernel/btf/vmlinux");
	host.perf_paranoid = read_int(root, "/proc/sys/kernel/perf_event_paranoid");
	host.kptr_restrict = read_int(root, "/proc/sys/kernel/kptr_restrict");
	read_lockdown(root, host.lockdown, sizeof(host.lockdown));
	if (!read_value(root, "/proc/self/status", "CapEff:", value, sizeof(value)) ||
	    sscanf(value, "%" SCNx64, &host.caps) != 1)
		host.caps = 0;
	/* A limit is a number or "unlimited", which no conversion matches. */
	if (read_value(root, "/proc/self/limits", "Max locked memory", value, sizeof(value)))
		sscanf(value, "%" SCNu64, &host.memlock);
	*ret = host;
}
