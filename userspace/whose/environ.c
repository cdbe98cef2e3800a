/* SPDX-License-Identifier: Apache-2.0 */
/*
 * The environment, read in pieces and forgotten piece by piece.
 *
 * Source: environ of proc_pid_environ(5); OpenTelemetry's "Resource SDK" for OTEL_RESOURCE_ATTRIBUTES (key=value, commas between, values
 * percent-encoded; OTEL_SERVICE_NAME goes first), Datadog's "Unified Service Tagging" for DD_*.
 */
#include "whose/environ.h"

#include <ctype.h>
#include <errno.h>
#include <stdbool.h>
#include <stdlib.h>
#include <string.h>
#include <unistd.h>

#include "core/cleanup.h"

#define PIECE_BYTES 4096
/* The kernel gives a new program 6 MiB for its arguments and environment (fs/exec.c); what a process makes of it later is its own. */
#define MAX_BYTES   (8u << 20)
#define NAME_BYTES  32   /* longer than each of the names below */
#define VALUE_BYTES 4096 /* of a value that are looked at */

/* In the order in which they are believed. */
enum variable {
	OTEL_SERVICE_NAME,
	OTEL_RESOURCE_ATTRIBUTES,
	DD_SERVICE,
	DD_ENV,
	DD_VERSION,
	NVARIABLES
};

static const char *const names[NVARIABLES] = {
	[OTEL_SERVICE_NAME] = "OTEL_SERVICE_NAME",
	[OTEL_RESOURCE_ATTRIBUTES] = "OTEL_RESOURCE_ATTRIBUTES",
	[DD_SERVICE] = "DD_SERVICE",
	[DD_ENV] = "DD_ENV",
	[DD_VERSION] = "DD_VERSION",
};

struct value {
	bool known;
	size_t len;
	char text[VALUE_BYTES];
};

struct reading {
	char piece[PIECE_BYTES];
	char name
		[NAME_BYTES]; /* of the variable under way; NAME_BYTES long: of none that matters */
	size_t name_len;
	struct value *value; /* NULL: its value is passed over, or its name is not over yet */
	bool skip;           /* until the end of the variable */
	struct value values[NVARIABLES];
};

/* A name is over. As getenv() has it, the first of a name counts. */
static void begin_value(struct reading *r)
{
	r->skip = true;
	for (int i = 0; i < NVARIABLES; i++)
		if (r->name_len == strlen(names[i]) && !memcmp(r->name, names[i], r->name_len) &&
		    !r->values[i].known) {
			r->value = &r->values[i];
			r->value->known = true;
			r->skip = false;
		}
}

static void begin_variable(struct reading *r)
{
	r->name_len = 0;
	r->value = NULL;
	r->skip = false;
}

static void take_name(struct reading *r, char c)
{
	if (c == '=')
		begin_value(r);
	else if (r->name_len == NAME_BYTES)
		r->skip = true;
	else
		r->name[r->name_len++] = c;
}

static void take_piece(struct reading *r, size_t n)
{
	for (const char *at = r->piece, *end = at + n; at < end; at++) {
		if (r->skip) {
			at = memchr(at, '\0', (size_t)(end - at));
			if (!at)
				return;
		}
		if (!*at)
			begin_variable(r);
		else if (!r->value)
			take_name(r, *at);
		else if (r->value->len < VALUE_BYTES)
			r->value->text[r->value->len++] = *at;
	}
}

/* The beginning of a value of OTEL_RESOURCE_ATTRIBUTES without its percent-encoding; returns its length. */
static size_t decode(const char *text, size_t len, char out[CS_MAX_FACT + 1])
{
	size_t n = 0;

	for (size_t i = 0; i < len && n <= CS_MAX_FACT; i++) {
		char hex[3] = {0};

		if (text[i] == '%' && len - i > 2 && isxdigit((unsigned char)text[i + 1]) &&
		    isxdigit((unsigned char)text[i + 2])) {
			memcpy(hex, text + i + 1, 2);
			out[n++] = (char)strtoul(hex, NULL, 16);
			i += 2;
		} else {
			out[n++] = text[i];
		}
	}
	return n;
}

static void trim(const char **text, size_t *len)
{
	while (*len && isspace((unsigned char)**text)) {
		(*text)++;
		(*len)--;
	}
	while (*len && isspace((unsigned char)(*text)[*len - 1]))
		(*len)--;
}

static int tell_attribute(struct cs_facts *facts, const char *pair, size_t len)
{
	const char *equals = memchr(pair, '=', len), *value = equals ? equals + 1 : NULL;
	size_t key_len = equals ? (size_t)(equals - pair) : 0, value_len = len - key_len - 1;
	char decoded[CS_MAX_FACT + 1];
	enum cs_fact fact;

	if (!equals)
		return 0;
	trim(&pair, &key_len);
	trim(&value, &value_len);
	fact = cs_facts_by_key(pair, key_len);
	return fact ? cs_facts_tell(facts, fact, decoded, decode(value, value_len, decoded)) : 0;
}

static int tell_attributes(struct cs_facts *facts, const struct value *list)
{
	int err = 0;

	for (size_t from = 0, to; !err && from < list->len; from = to + 1) {
		for (to = from; to < list->len && list->text[to] != ',';)
			to++;
		/* a list that is longer than what is looked at ends with a part of a pair */
		if (to < VALUE_BYTES)
			err = tell_attribute(facts, list->text + from, to - from);
	}
	return err;
}

static int tell_all(const struct value values[NVARIABLES], struct cs_facts *facts)
{
	static const struct {
		enum variable variable;
		enum cs_fact fact;
	} plain[] = {{DD_SERVICE, CS_FACT_SERVICE},
		     {DD_ENV, CS_FACT_ENVIRONMENT},
		     {DD_VERSION, CS_FACT_VERSION}};
	const struct value *value = &values[OTEL_SERVICE_NAME];
	int err = cs_facts_tell(facts, CS_FACT_SERVICE, value->text, value->len);

	if (!err)
		err = tell_attributes(facts, &values[OTEL_RESOURCE_ATTRIBUTES]);
	for (size_t i = 0; !err && i < ARRAY_SIZE(plain); i++) {
		value = &values[plain[i].variable];
		err = cs_facts_tell(facts, plain[i].fact, value->text, value->len);
	}
	return err;
}

int cs_environ_read(int fd, struct cs_facts *facts)
{
	struct reading *r = calloc(1, sizeof(*r));
	size_t total = 0;
	ssize_t n;
	int err;

	if (!r)
		return -ENOMEM;
	while (total < MAX_BYTES && (n = read(fd, r->piece, sizeof(r->piece))) > 0) {
		take_piece(r, (size_t)n);
		total += (size_t)n;
	}
	err = tell_all(r->values, facts);
	explicit_bzero(r, sizeof(*r));
	free(r);
	return err;
}
