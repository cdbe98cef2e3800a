/* SPDX-License-Identifier: Apache-2.0 */
/*
 * What `record --agent` and the agent say to each other over a Unix stream socket, once a connection. The request is one line of JSON, with
 * the descriptor of the output, a regular file that is open for writing, as SCM_RIGHTS beside its first byte. The answer comes when the file is
 * written: a line with the exit code (cli/cli.h), then the lines of the profile's account, or one line that says what hindered; then the
 * connection ends. Who shuts down its side after the request has enough: the capture ends early. Who closes it wants nothing any more.
 */
#pragma once

#include <stdbool.h>
#include <stddef.h>
#include <stdint.h>
#include <sys/types.h>

#include "cli/args.h"
#include "cli/filter.h"
#include "core/buf.h"
#include "core/why.h"
#include "export/exporter.h"
#include "profile/profile.h"

#define CS_AGENT_SOCKET  "/run/coroscope/agent.sock"
/* Bytes, the line's end included. */
#define CS_AGENT_REQUEST 16384
#define CS_AGENT_ANSWER  65536
#define CS_AGENT_TEXT    255
#define CS_AGENT_MIN_NS  1000000000ull
#define CS_AGENT_MAX_NS  600000000000ull

struct cs_agent_request {
	uint64_t duration_ns;
	const struct cs_exporter *exporter;
	enum cs_tree tree;
	bool first_lines;        /* where functions begin, in place of where they execute */
	pid_t pids[CS_MAX_PIDS]; /* ascending */
	unsigned int npids;      /* 0: whatever the agent profiles */
	/* As in struct cs_filter; "" and 0: not asked for. */
	char thread[CS_AGENT_TEXT + 1], task[CS_AGENT_TEXT + 1], endpoint[CS_AGENT_TEXT + 1];
	char whose[CS_FILTER_WHOSE_MAX_][CS_AGENT_TEXT + 1];
	uint64_t span;
	char trace[CS_ID_DIGITS + 1];
};

/* Append the line. Returns 0 or -EINVAL: a text is not UTF-8, or without memory. */
int cs_agent_request_write(const struct cs_agent_request *request, struct cs_buf *out);

/*
 * Understand a line, which may be anything; its end is not in len. Returns 0, -EPROTONOSUPPORT: another version's, or -EINVAL; why then
 * has one sentence.
 */
int cs_agent_request_parse(const char *line, size_t len, struct cs_agent_request *ret,
			   struct cs_why *why);

/* Append an answer; text that makes it too long is left out at a line's end, and that is said. Returns 0 or -ENOMEM. */
int cs_agent_answer_write(int code, const char *text, struct cs_buf *out);

/* Its exit code; *ret_text points to the lines. Or -EBADMSG: it is none, or not whole. answer is terminated. */
int cs_agent_answer_parse(char *answer, char **ret_text);
