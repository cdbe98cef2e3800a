/* SPDX-License-Identifier: Apache-2.0 */
/* The table of backends, and what they share. */
#include "deliver/backend.h"

#include <stdio.h>
#include <stdlib.h>
#include <string.h>

#include "core/cleanup.h"

static const struct cs_backend *const backends[] = {
	&cs_backend_otlp,
	&cs_backend_pyroscope,
	&cs_backend_datadog,
};

const struct cs_backend *cs_backend_by_name(const char *name)
{
	for (size_t i = 0; i < ARRAY_SIZE(backends); i++)
		if (!strcmp(backends[i]->name, name))
			return backends[i];
	return NULL;
}

char *cs_backend_url(const struct cs_backend *backend, const char *url)
{
	const char *host = strstr(url, "://"), *path = host ? strchr(host + 3, '/') : NULL;
	size_t len = strlen(url);
	char *whole = NULL;

	/* a path is the user's choice, unless it is "/"; a query needs one before it */
	if (!host || (path && path[1]) || strpbrk(host, "?#"))
		return strdup(url);
	if (asprintf(&whole, "%.*s%s", (int)(path ? len - 1 : len), url, backend->path) < 0)
		return NULL;
	return whole;
}

void cs_backend_read_answer(const struct cs_backend *backend, const void *body, size_t len,
			    bool taken, struct cs_verdict_text *ret)
{
	_cleanup_buf_ struct cs_buf text = {0};
	size_t most = len < sizeof(ret->message) ? len : sizeof(ret->message);

	*ret = (struct cs_verdict_text){0};
	if (backend->read_answer)
		backend->read_answer(body, len, taken, ret);
	/* what is no text would only be noise */
	if (!taken && !*ret->message && !memchr(body, '\0', most) &&
	    !cs_buf_append_escaped(&text, body, most, ""))
		snprintf(ret->message, sizeof(ret->message), "%s", cs_buf_str(&text));
}
