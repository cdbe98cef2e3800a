/* SPDX-License-Identifier: Apache-2.0 */
/* Where profiles are delivered, and how. */
#include "cli/destination.h"

#include <ctype.h>
#include <errno.h>
#include <stdbool.h>
#include <stdio.h>
#include <stdlib.h>
#include <string.h>

#include "core/cleanup.h"

const struct cs_parcels_limits cs_destination_limits = {
	.bytes = 256ull << 20,
	.age_ns = 24 * 3600 * 1000000000ull,
};

/* Splits "KEY=VALUE" in place. Returns VALUE, or NULL if it is none. */
static char *split(char *text, struct cs_why *why)
{
	char *equals = strchr(text, '=');

	if (!equals || equals == text || !equals[1]) {
		cs_refuse(why, "'%s' is not KEY=VALUE", text);
		return NULL;
	}
	*equals = '\0';
	return equals + 1;
}

static bool is_token(const char *name)
{
	for (const char *at = name; *at; at++)
		if (!isalnum((unsigned char)*at) && !strchr("-_.", *at))
			return false;
	return true;
}

static int check_line(const char *text, struct cs_why *why)
{
	for (const char *at = text; *at; at++)
		if ((unsigned char)*at < 0x20 || *at == 0x7f)
			return cs_refuse(why, "control characters in the value");
	return 0;
}

int cs_destination_set_to(struct cs_destination *to, char *text, struct cs_why *why)
{
	char *where = split(text, why);

	if (!where)
		return -EINVAL;
	to->backend = cs_backend_by_name(text);
	if (!to->backend && strcmp(text, "dir"))
		return cs_refuse(why, "no kind '%s': otlp, pyroscope, datadog or dir", text);
	free(to->where);
	to->where = to->backend ? cs_backend_url(to->backend, where) : strdup(where);
	return to->where ? 0 : -ENOMEM;
}

int cs_destination_set_service(struct cs_destination *to, const char *text, struct cs_why *why)
{
	to->service = text;
	return check_line(text, why);
}

int cs_destination_add_tag(struct cs_destination *to, char *text, struct cs_why *why)
{
	static const char *const told[] = {"service.name", "service",     "service_name",
					   "host.name",    "process.pid", "__name__"};
	const char *value = split(text, why);

	if (!value)
		return -EINVAL;
	if (to->ntags == CS_DESTINATION_LIST)
		return cs_refuse(why, "at most %d tags", CS_DESTINATION_LIST);
	for (size_t i = 0; i < ARRAY_SIZE(told); i++)
		if (!strcmp(text, told[i]))
			return cs_refuse(why, "%s: that is told already; a service with --service",
					 text);
	if (!is_token(text))
		return cs_refuse(why, "'%s' is no key: letters, digits, - _ .", text);
	to->tags[to->ntags++] = (struct cs_export_tag){text, value};
	return check_line(value, why);
}

static int add_header(struct cs_destination *to, const struct cs_header *header, struct cs_why *why)
{
	if (to->transport.nheaders == CS_DESTINATION_LIST)
		return cs_refuse(why, "at most %d headers", CS_DESTINATION_LIST);
	if (!is_token(header->name))
		return cs_refuse(why, "'%s' is no name of a header", header->name);
	to->headers[to->transport.nheaders++] = *header;
	return 0;
}

int cs_destination_add_header(struct cs_destination *to, char *text, struct cs_why *why)
{
	const struct cs_header header = {.name = text, .text = split(text, why)};

	if (!header.text || check_line(header.text, why))
		return -EINVAL;
	return add_header(to, &header, why);
}

int cs_destination_add_header_file(struct cs_destination *to, char *text, struct cs_why *why)
{
	const struct cs_header header = {.name = text, .file = split(text, why)};

	return header.file ? add_header(to, &header, why) : -EINVAL;
}

int cs_destination_add_token_file(struct cs_destination *to, char *text, struct cs_why *why)
{
	const struct cs_header header = {
		.name = "Authorization", .prefix = "Bearer ", .file = text};

	return add_header(to, &header, why);
}

int cs_destination_complete(struct cs_destination *to, struct cs_why *why)
{
	to->transport.url = to->where;
	to->transport.headers = to->headers;
	to->transport.user_agent = "coroscope/" CS_VERSION;
	if (!to->transport.cert_file != !to->transport.key_file)
		return cs_refuse(why, "cert and key belong together");
	if (to->backend && to->spool_parent &&
	    asprintf(&to->spool, "%s/%s", to->spool_parent, to->backend->name) < 0)
		return -ENOMEM;
	return 0;
}

void cs_destination_free(struct cs_destination *to)
{
	free(to->where);
	free(to->spool);
}
