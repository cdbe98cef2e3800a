/* SPDX-License-Identifier: Apache-2.0 */
/* Secrets, which come from files. */
#include "core/secret.h"

#include <ctype.h>
#include <errno.h>
#include <fcntl.h>
#include <string.h>
#include <unistd.h>

#include "core/cleanup.h"

int cs_secret_read(const char *path, char text[CS_SECRET_BYTES])
{
	_cleanup_close_ int fd = open(path, O_RDONLY | O_CLOEXEC | O_NONBLOCK);
	size_t len = 0, from = 0;
	ssize_t n = 0;

	if (fd < 0)
		return -errno;
	do {
		len += (size_t)n;
		n = read(fd, text + len, CS_SECRET_BYTES - len);
	} while (n > 0);
	if (n < 0)
		return -errno;
	while (len && isspace((unsigned char)text[len - 1]))
		len--;
	while (from < len && isspace((unsigned char)text[from]))
		from++;
	if (from == len || len == CS_SECRET_BYTES)
		return -EINVAL;
	memmove(text, text + from, len - from);
	text[len - from] = '\0';
	for (const char *at = text; at < text + len - from; at++)
		if ((unsigned char)*at < 0x20 || *at == 0x7f)
			return -EINVAL;
	return 0;
}
