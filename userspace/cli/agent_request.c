/* SPDX-License-Identifier: Apache-2.0 */
/* Requests are one object with exactly these members, all of them always there: what is missing or new is another version's. */
#include "cli/agent_request.h"

#include <ctype.h>
#include <errno.h>
#include <inttypes.h>
#include <jansson.h>
#include <limits.h>
#include <stdio.h>
#include <stdlib.h>
#include <string.h>

#include "cli/cli.h"
#include "cli/view.h"
#include "core/cleanup.h"

#define VERSION 1
#define CUT     "(the rest of the account does not fit)\n"

static void cleanup_json(json_t **json)
{
	json_decref(*json);
}

static json_t *pack_pids(const struct cs_agent_request *request)
{
	json_t *pids = json_array();

	for (unsigned int i = 0; pids && i < request->npids; i++)
		if (json_array_append_new(pids, json_integer(request->pids[i]))) {
			json_decref(pids);
			return NULL;
		}
	return pids;
}

static json_t *pack_whose(const struct cs_agent_request *request)
{
	json_t *whose = json_array();

	for (size_t i = 0; whose && i < ARRAY_SIZE(request->whose); i++)
		if (json_array_append_new(whose, json_string(request->whose[i]))) {
			json_decref(whose);
			return NULL;
		}
	return whose;
}

int cs_agent_request_write(const struct cs_agent_request *request, struct cs_buf *out)
{
	_cleanup_(cleanup_json) json_t *root = NULL;
	_cleanup_free_ char *text = NULL;
	char span[17] = "";

	if (request->span)
		snprintf(span, sizeof(span), "%016" PRIx64, request->span);
	root = json_pack("{s:i, s:I, s:s, s:s, s:b, s:o, s:s, s:s, s:s, s:o, s:s, s:s}", "version",
			 VERSION, "duration_ns", (json_int_t)request->duration_ns, "format",
			 request->exporter->name, "tree", cs_view_tree_name(request->tree),
			 "first_lines", request->first_lines, "pids", pack_pids(request), "thread",
			 request->thread, "task", request->task, "endpoint", request->endpoint,
			 "whose", pack_whose(request), "span", span, "trace", request->trace);
	text = root ? json_dumps(root, JSON_COMPACT) : NULL;
	if (!text || cs_buf_append_str(out, text) || cs_buf_append_str(out, "\n"))
		return -EINVAL;
	return 0;
}

static int compare_pids(const void *a, const void *b)
{
	const pid_t *x = a, *y = b;

	return (*x > *y) - (*x < *y);
}

static int read_pids(const json_t *list, struct cs_agent_request *ret, struct cs_why *why)
{
	size_t n = json_array_size(list);

	if (!json_is_array(list) || n > CS_MAX_PIDS)
		return cs_refuse(why, "pids: at most %d process ids", CS_MAX_PIDS);
	for (; ret->npids < n; ret->npids++) {
		const json_t *member = json_array_get(list, ret->npids);
		json_int_t pid = json_integer_value(member);

		if (!json_is_integer(member) || pid < 1 || pid > INT_MAX)
			return cs_refuse(why, "pids: one is no process id");
		ret->pids[ret->npids] = (pid_t)pid;
	}
	qsort(ret->pids, ret->npids, sizeof(*ret->pids), compare_pids);
	return 0;
}

/*
 * A pattern is compiled and matched by the agent, where neither memory nor time may explode: {} multiplies what is before it, and references back make
 * matching exponential.
 */
static bool is_cheap(const char *pattern)
{
	for (const char *at = pattern; *at; at++)
		if (*at == '{' || (*at == '\\' && isdigit((unsigned char)at[1])))
			return false;
	return true;
}

static int read_text(const char *name, const char *text, char ret[CS_AGENT_TEXT + 1],
		     struct cs_why *why)
{
	if (strlen(text) > CS_AGENT_TEXT)
		return cs_refuse(why, "%s: longer than %d bytes", name, CS_AGENT_TEXT);
	snprintf(ret, CS_AGENT_TEXT + 1, "%s", text);
	return 0;
}

static int read_pattern(const char *name, const char *text, char ret[CS_AGENT_TEXT + 1],
			struct cs_why *why)
{
	int err = read_text(name, text, ret, why);

	if (err)
		return err;
	if (!is_cheap(text))
		return cs_refuse(why, "%s: neither {} nor references back (\\1) in an agent", name);
	return cs_filter_is_pattern(text) ? 0 : cs_refuse(why, "%s: no regular expression", name);
}

static int read_whose(const json_t *list, struct cs_agent_request *ret, struct cs_why *why)
{
	int err = 0;

	if (json_array_size(list) != ARRAY_SIZE(ret->whose))
		return cs_refuse(why, "whose: %zu patterns", ARRAY_SIZE(ret->whose));
	for (size_t i = 0; !err && i < ARRAY_SIZE(ret->whose); i++) {
		const char *text = json_string_value(json_array_get(list, i));

		if (!text)
			return cs_refuse(why, "whose: one is no pattern");
		err = read_pattern("whose", text, ret->whose[i], why);
	}
	return err;
}

static int read_ids(const char *span, const char *trace, struct cs_agent_request *ret,
		    struct cs_why *why)
{
	char digits[CS_ID_DIGITS + 1] = "";

	if (*span && cs_parse_id(span, 16, digits))
		return cs_refuse(why, "span: no id of up to 16 hexadecimal digits");
	ret->span = strtoull(digits, NULL, 16);
	if (*trace && cs_parse_id(trace, CS_ID_DIGITS, ret->trace))
		return cs_refuse(why, "trace: no id of up to 32 hexadecimal digits");
	return 0;
}

static int read_members(json_t *root, struct cs_agent_request *ret, struct cs_why *why)
{
	const char *format, *tree, *thread, *task, *endpoint, *span, *trace;
	json_error_t error;
	json_int_t ns;
	json_t *pids, *whose;
	int version, first_lines, err;

	if (json_unpack_ex(root, &error, JSON_STRICT,
			   "{s:i, s:I, s:s, s:s, s:b, s:o, s:s, s:s, s:s, s:o, s:s, s:s}",
			   "version", &version, "duration_ns", &ns, "format", &format, "tree",
			   &tree, "first_lines", &first_lines, "pids", &pids, "thread", &thread,
			   "task", &task, "endpoint", &endpoint, "whose", &whose, "span", &span,
			   "trace", &trace))
		return cs_refuse(why, "no request: %s", error.text);
	if (ns < (json_int_t)CS_AGENT_MIN_NS || ns > (json_int_t)CS_AGENT_MAX_NS)
		return cs_refuse(why, "an agent's capture is from 1s to 10m long");
	ret->duration_ns = (uint64_t)ns;
	ret->exporter = cs_exporter_by_name(format);
	if (!ret->exporter)
		return cs_refuse(why, "no format '%s'", format);
	if (cs_view_tree(tree) < 0)
		return cs_refuse(why, "no tree '%s'", tree);
	ret->tree = (enum cs_tree)cs_view_tree(tree);
	ret->first_lines = first_lines;
	err = read_pids(pids, ret, why);
	if (!err)
		err = read_text("thread", thread, ret->thread, why);
	if (!err)
		err = read_pattern("task", task, ret->task, why);
	if (!err)
		err = read_pattern("endpoint", endpoint, ret->endpoint, why);
	if (!err)
		err = read_whose(whose, ret, why);
	return err ? err : read_ids(span, trace, ret, why);
}

static int parse(const char *line, size_t len, struct cs_agent_request *ret, struct cs_why *why)
{
	_cleanup_(cleanup_json) json_t *root = NULL;
	json_error_t error;
	int version;

	*ret = (struct cs_agent_request){0};
	root = json_loadb(line, len, JSON_REJECT_DUPLICATES, &error);
	if (!root || json_unpack(root, "{s:i}", "version", &version))
		return cs_refuse(why, "no request: %s", root ? "no version" : error.text);
	if (version != VERSION) {
		cs_refuse(why, "version %d of the request is not known here, but version %d",
			  version, VERSION);
		return -EPROTONOSUPPORT;
	}
	return read_members(root, ret, why);
}

int cs_agent_request_parse(const char *line, size_t len, struct cs_agent_request *ret,
			   struct cs_why *why)
{
	int err = parse(line, len, ret, why);

	/* it may quote what was sent */
	for (char *at = why->text; err && *at; at++)
		if (!isprint((unsigned char)*at))
			*at = '?';
	return err;
}

int cs_agent_answer_write(int code, const char *text, struct cs_buf *out)
{
	size_t len = strlen(text), room = CS_AGENT_ANSWER - sizeof("0\n") - strlen(CUT);
	int err = cs_buf_printf(out, "%d\n", code);

	if (err || len <= room)
		return err ? err : cs_buf_append(out, text, len);
	while (room && text[room - 1] != '\n')
		room--;
	err = cs_buf_append(out, text, room);
	return err ? err : cs_buf_append_str(out, CUT);
}

int cs_agent_answer_parse(char *answer, char **ret_text)
{
	char code = answer[0];

	if (code < '0' + CS_EXIT_OK || code > '0' + CS_EXIT_NOTHING || answer[1] != '\n' ||
	    !answer[2] || answer[strlen(answer) - 1] != '\n')
		return -EBADMSG;
	*ret_text = answer + 2;
	return code - '0';
}
