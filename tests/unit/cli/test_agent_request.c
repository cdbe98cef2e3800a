/* SPDX-License-Identifier: Apache-2.0 */
/* What record --agent writes the agent understands; whatever else comes it refuses in one sentence. */
#include <setjmp.h>
#include <stdarg.h>
#include <stddef.h>
#include <stdint.h>

#include <cmocka.h>
#include <errno.h>
#include <stdio.h>
#include <stdlib.h>
#include <string.h>

#include "cli/agent_request.h"
#include "core/cleanup.h"

static const struct cs_agent_request plain = {.duration_ns = 10 * CS_AGENT_MIN_NS,
					      .exporter = &cs_export_html};

static void test_round_trip(void **state)
{
	const struct cs_agent_request asked = {
		.duration_ns = CS_AGENT_MAX_NS,
		.exporter = &cs_export_pprof,
		.tree = CS_TREE_CREATION,
		.first_lines = true,
		.pids = {4194304, 7, 12},
		.npids = 3,
		.thread = "a \"quoted\" \\ thread\n",
		.task = "^fetch-[0-9]+$|\xc3\xa9",
		.endpoint = "^GET /users",
		.whose = {[CS_FILTER_SERVICE] = "shop", [CS_FILTER_POD_LABEL] = "app=.*"},
		.span = 0xffffffffffffff02,
		.trace = "000000000000000000000000000000ff",
	};
	_cleanup_buf_ struct cs_buf line = {0};
	struct cs_agent_request got;
	struct cs_why why = {""};

	assert_int_equal(cs_agent_request_write(&asked, &line), 0);
	assert_ptr_equal(memchr(line.data, '\n', line.len), line.data + line.len - 1);
	assert_int_equal(cs_agent_request_parse(line.data, line.len - 1, &got, &why), 0);
	assert_int_equal(got.duration_ns, asked.duration_ns);
	assert_ptr_equal(got.exporter, asked.exporter);
	assert_int_equal(got.tree, CS_TREE_CREATION);
	assert_true(got.first_lines);
	assert_int_equal(got.npids, 3);
	assert_int_equal(got.pids[0], 7);
	assert_int_equal(got.pids[1], 12);
	assert_int_equal(got.pids[2], 4194304);
	assert_string_equal(got.thread, asked.thread);
	assert_string_equal(got.task, asked.task);
	assert_string_equal(got.endpoint, asked.endpoint);
	assert_string_equal(got.whose[CS_FILTER_SERVICE], "shop");
	assert_string_equal(got.whose[CS_FILTER_POD], "");
	assert_string_equal(got.whose[CS_FILTER_POD_LABEL], "app=.*");
	assert_true(got.span == asked.span);
	assert_string_equal(got.trace, asked.trace);
}

/* As many as record takes, and the longest texts. */
static void test_largest(void **state)
{
	struct cs_agent_request *asked = calloc(2, sizeof(*asked)), *got = asked + 1;
	_cleanup_buf_ struct cs_buf line = {0};
	struct cs_why why = {""};

	*asked = plain;
	for (; asked->npids < CS_MAX_PIDS; asked->npids++)
		asked->pids[asked->npids] = 4194304;
	memset(asked->thread, '\1', CS_AGENT_TEXT); /* six bytes each in JSON */
	memset(asked->task, 't', CS_AGENT_TEXT);
	assert_int_equal(cs_agent_request_write(asked, &line), 0);
	assert_true(line.len < CS_AGENT_REQUEST);
	assert_int_equal(cs_agent_request_parse(line.data, line.len - 1, got, &why), 0);
	assert_int_equal(got->npids, CS_MAX_PIDS);
	free(asked);
}

static void test_no_utf8(void **state)
{
	struct cs_agent_request asked = plain;
	_cleanup_buf_ struct cs_buf line = {0};

	strcpy(asked.thread, "\xff");
	assert_int_equal(cs_agent_request_write(&asked, &line), -EINVAL);
}

#define HEAD "{\"version\":1,\"duration_ns\":5000000000,\"format\":\"html\",\"tree\":\"await\","
#define TAIL \
	"\"thread\":\"\",\"task\":\"\",\"endpoint\":\"\",\"whose\":[\"\",\"\",\"\",\"\",\"\"],\"span\":\"\",\"trace\":\"\"}"

static void test_refused(void **state)
{
	static const struct {
		const char *line, *why;
		int err;
	} cases[] = {
		{"", "no request: ", -EINVAL},
		{"GET / HTTP/1.1", "no request: ", -EINVAL},
		{"[]", "no request: ", -EINVAL},
		{"{}", "no request: no version", -EINVAL},
		{"{\"version\":2,\"new\":1}", "version 2 of the request is not known",
		 -EPROTONOSUPPORT},
		{"{\"version\":1}", "no request: ", -EINVAL},
		{HEAD "\"first_lines\":false,\"pids\":[],\"new\":1," TAIL, "no request: ", -EINVAL},
		{HEAD "\"first_lines\":false,\"first_lines\":true,\"pids\":[]," TAIL,
		 "no request: duplicate", -EINVAL},
		{HEAD "\"first_lines\":false,\"pids\":[0]," TAIL, "pids: one is no process id",
		 -EINVAL},
		{HEAD "\"first_lines\":false,\"pids\":[4294967297]," TAIL, "pids: one is no",
		 -EINVAL},
		{HEAD "\"first_lines\":false,\"pids\":[\"1\"]," TAIL, "pids: one is no", -EINVAL},
		{HEAD "\"first_lines\":false,\"pids\":{}," TAIL, "pids: ", -EINVAL},
		{HEAD "\"first_lines\":0,\"pids\":[]," TAIL, "no request: ", -EINVAL},
		{HEAD "\"first_lines\":false,\"pids\":[]," TAIL "x", "no request: end of file",
		 -EINVAL},
	};

	for (size_t i = 0; i < ARRAY_SIZE(cases); i++) {
		struct cs_agent_request got;
		struct cs_why why = {""};

		assert_int_equal(
			cs_agent_request_parse(cases[i].line, strlen(cases[i].line), &got, &why),
			cases[i].err);
		if (strncmp(why.text, cases[i].why, strlen(cases[i].why)) != 0)
			fail_msg("%s: %s", cases[i].line, why.text);
	}
}

/* One member of a good request replaced. */
static void expect(const char *old, const char *new, const char *expected)
{
	_cleanup_buf_ struct cs_buf line = {0}, changed = {0};
	struct cs_agent_request got;
	struct cs_why why = {""};
	const char *at;

	assert_int_equal(cs_agent_request_write(&plain, &line), 0);
	at = strstr(cs_buf_str(&line), old);
	assert_non_null(at);
	assert_int_equal(cs_buf_printf(&changed, "%.*s%s%s", (int)(at - line.data), line.data, new,
				       at + strlen(old)),
			 0);
	assert_int_equal(cs_agent_request_parse(changed.data, changed.len - 1, &got, &why),
			 *expected ? -EINVAL : 0);
	assert_string_equal(why.text, expected);
}

static void test_members(void **state)
{
	char longer[CS_AGENT_TEXT + 32];

	expect("10000000000", "1000000000", "");
	expect("10000000000", "999999999", "an agent's capture is from 1s to 10m long");
	expect("10000000000", "600000000001", "an agent's capture is from 1s to 10m long");
	expect("10000000000", "-1", "an agent's capture is from 1s to 10m long");
	expect("html", "raw", "no format 'raw'");
	expect("html", "\\u001b[2J\xc3\xa9", "no format '?[2J\?\?'");
	expect("await", "oak", "no tree 'oak'");
	expect("\"task\":\"", "\"task\":\"(", "task: no regular expression");
	expect("\"endpoint\":\"", "\"endpoint\":\"(", "endpoint: no regular expression");
	expect("\"task\":\"", "\"task\":\"a{1000}",
	       "task: neither {} nor references back (\\1) in an agent");
	expect("\"task\":\"", "\"task\":\"(.*)\\\\1",
	       "task: neither {} nor references back (\\1) in an agent");
	expect("\"task\":\"", "\"task\":\"(.*)\\\\.", "");
	expect("\"whose\":[\"", "\"whose\":[\"(", "whose: no regular expression");
	expect("\"whose\":[", "\"whose\":[\"\",", "whose: 5 patterns");
	expect("\"whose\":[\"\"", "\"whose\":[7", "whose: one is no pattern");
	expect("\"span\":\"", "\"span\":\"12345678901234567",
	       "span: no id of up to 16 hexadecimal digits");
	expect("\"trace\":\"", "\"trace\":\"x", "trace: no id of up to 32 hexadecimal digits");
	snprintf(longer, sizeof(longer), "\"thread\":\"%0*d", CS_AGENT_TEXT + 1, 0);
	expect("\"thread\":\"", longer, "thread: longer than 255 bytes");
}

/* What is cut off at any place, and nesting without an end. */
static void test_pieces(void **state)
{
	_cleanup_buf_ struct cs_buf line = {0};
	struct cs_agent_request got;
	char deep[CS_AGENT_REQUEST];
	struct cs_why why;

	assert_int_equal(cs_agent_request_write(&plain, &line), 0);
	for (size_t len = 0; len < line.len - 1; len++)
		assert_int_equal(cs_agent_request_parse(line.data, len, &got, &why), -EINVAL);
	memset(deep, '[', sizeof(deep));
	assert_int_equal(cs_agent_request_parse(deep, sizeof(deep), &got, &why), -EINVAL);
	memset(deep, '\0', sizeof(deep));
	assert_int_equal(cs_agent_request_parse(deep, sizeof(deep), &got, &why), -EINVAL);
}

static void test_answer(void **state)
{
	_cleanup_buf_ struct cs_buf answer = {0};
	char *text = NULL;

	assert_int_equal(cs_agent_answer_write(4, "gone\n", &answer), 0);
	assert_int_equal(cs_agent_answer_parse((char *)cs_buf_str(&answer), &text), 4);
	assert_string_equal(text, "gone\n");
}

static void test_long_answer(void **state)
{
	char *lines = malloc(3 * CS_AGENT_ANSWER), *text;
	_cleanup_buf_ struct cs_buf answer = {0};
	const char *cut = "\n(the rest of the account does not fit)\n";

	memset(lines, 'x', (size_t)3 * CS_AGENT_ANSWER);
	for (size_t i = 99; i < (size_t)3 * CS_AGENT_ANSWER; i += 100)
		lines[i] = '\n';
	lines[3 * CS_AGENT_ANSWER - 1] = '\0';
	assert_int_equal(cs_agent_answer_write(0, lines, &answer), 0);
	assert_in_range(answer.len, CS_AGENT_ANSWER - 200, CS_AGENT_ANSWER);
	assert_int_equal(cs_agent_answer_parse((char *)cs_buf_str(&answer), &text), 0);
	assert_string_equal(text + strlen(text) - strlen(cut), cut);
	assert_int_equal((strlen(text) - strlen(cut) + 1) % 100, 0);
	free(lines);
}

static void test_no_answer(void **state)
{
	static const char *const cases[] = {"",       "0",      "0\n",     "0\nx",
					    "5\nx\n", "x\nx\n", "00\nx\n", "-\n\n"};

	for (size_t i = 0; i < ARRAY_SIZE(cases); i++) {
		char answer[16], *text;

		strcpy(answer, cases[i]);
		assert_int_equal(cs_agent_answer_parse(answer, &text), -EBADMSG);
	}
}

int main(void)
{
	const struct CMUnitTest tests[] = {
		cmocka_unit_test(test_round_trip), cmocka_unit_test(test_largest),
		cmocka_unit_test(test_no_utf8),    cmocka_unit_test(test_refused),
		cmocka_unit_test(test_members),    cmocka_unit_test(test_pieces),
		cmocka_unit_test(test_answer),     cmocka_unit_test(test_long_answer),
		cmocka_unit_test(test_no_answer),
	};

	return cmocka_run_group_tests(tests, NULL, NULL);
}
