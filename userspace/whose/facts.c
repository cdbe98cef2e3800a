/* SPDX-License-Identifier: Apache-2.0 */
/* Facts about one process: bounded and made harmless where they come in. */
#include "whose/facts.h"

#include <errno.h>
#include <stdbool.h>
#include <stdlib.h>
#include <string.h>

#include "core/buf.h"
#include "core/cleanup.h"
#include "core/utf8.h"

static const struct {
	const char *key, *words;
	bool own; /* the process may say so itself */
} table[CS_FACT_MAX_] = {
#define X(name, id, otel, may_say, text) [id] = {otel, text, may_say},
	CS_FACTS(X)
#undef X
};

void cs_facts_free(struct cs_facts *facts)
{
	for (int i = 0; i < CS_FACT_MAX_; i++)
		free(facts->at[i]);
	*facts = (struct cs_facts){0};
}

/* The beginning of text that is at most max bytes when made harmless. Returns 0 or -ENOMEM. */
static int clean(const char *text, size_t len, size_t max, struct cs_buf *out)
{
	static const char cut[] = "...";
	size_t whole = 0, n, before;
	int err = 0;

	for (size_t i = 0; i < len; i += n ? n : 1) {
		n = cs_utf8_len((const uint8_t *)text + i, len - i);
		before = out->len;
		err = n ? cs_buf_append_escaped(out, text + i, n, "")
			: cs_buf_printf(out, "\\x%02x", (unsigned char)text[i]);
		if (err)
			return err;
		if (before <= max - strlen(cut))
			whole = before;
		if (out->len > max) {
			out->len = whole;
			return cs_buf_append_str(out, cut);
		}
	}
	return 0;
}

/* SDKs must send some name: "unknown_service" or "unknown_service:PROGRAM" says that there is none. */
static bool says_nothing(enum cs_fact fact, const char *text, size_t len)
{
	static const char unknown[] = "unknown_service";
	const size_t n = sizeof(unknown) - 1;

	if (fact != CS_FACT_SERVICE || len < n || memcmp(text, unknown, n))
		return !len;
	return len == n || text[n] == ':';
}

int cs_facts_overrule(struct cs_facts *facts, enum cs_fact fact, const char *text, size_t len)
{
	size_t max = fact == CS_FACT_POD_LABELS ? CS_MAX_FACT_LIST : CS_MAX_FACT;
	_cleanup_buf_ struct cs_buf out = {0};
	char *copy;

	if (says_nothing(fact, text, len))
		return 0;
	if (clean(text, len, max, &out))
		return -ENOMEM;
	copy = strdup(cs_buf_str(&out));
	if (!copy)
		return -ENOMEM;
	free(facts->at[fact]);
	facts->at[fact] = copy;
	return 0;
}

int cs_facts_tell(struct cs_facts *facts, enum cs_fact fact, const char *text, size_t len)
{
	return facts->at[fact] ? 0 : cs_facts_overrule(facts, fact, text, len);
}

enum cs_fact cs_facts_by_key(const char *key, size_t len)
{
	static const char old_environment[] = "deployment.environment"; /* until 1.27 */

	if (len == sizeof(old_environment) - 1 && !memcmp(key, old_environment, len))
		return CS_FACT_ENVIRONMENT;
	for (int i = 1; i < CS_FACT_MAX_; i++)
		if (table[i].own && len == strlen(table[i].key) && !memcmp(key, table[i].key, len))
			return (enum cs_fact)i;
	return (enum cs_fact)0;
}

const char *cs_facts_words(enum cs_fact fact)
{
	return table[fact].words;
}
