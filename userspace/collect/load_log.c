/* SPDX-License-Identifier: Apache-2.0 */
/* A verifier's log has up to a million lines; the last ones are the instruction, what is wrong with it, and how far it came. */
#include "collect/load_log.h"

#include <string.h>

#include "core/cleanup.h"

#define LINES 4
/* Around the log of one program (libbpf.c). */
#define BEGIN "-- BEGIN PROG LOAD LOG --"
#define END   "-- END PROG LOAD LOG --"

/* Where the last LINES lines of these bytes begin. */
static const char *last_lines(const char *start, const char *end)
{
	unsigned int lines = 0;

	while (end > start && end[-1] == '\n')
		end--;
	while (end > start) {
		if (end[-1] == '\n' && ++lines == LINES)
			break;
		end--;
	}
	return end;
}

/* Append each line, "; " between them. Returns 0 or -ENOMEM. */
static int append_lines(struct cs_buf *why, const char *start, const char *end)
{
	int err = 0;

	while (start < end && !err) {
		const char *newline = memchr(start, '\n', (size_t)(end - start));
		const char *line_end = newline ? newline : end;

		if (line_end > start && why->len)
			err = cs_buf_append_str(why, "; ");
		if (!err)
			err = cs_buf_append_escaped(why, start, (size_t)(line_end - start), "");
		start = line_end + 1;
	}
	return err;
}

void cs_load_log_add(struct cs_load_log *log, const char *warning)
{
	_cleanup_buf_ struct cs_buf why = {0};
	const char *begin = strstr(warning, BEGIN), *end;
	struct cs_buf before = log->why;
	int err;

	if (!begin) {
		if (log->refused || append_lines(&why, warning, strchrnul(warning, '\n')))
			return;
	} else {
		const char *text = begin + strlen(BEGIN);

		end = strstr(text, END);
		if (!end)
			end = strchr(text, '\0');
		/* whose log it is */
		err = cs_buf_append_escaped(&why, warning, (size_t)(begin - warning), "");
		while (why.len && strchr(": ", why.data[why.len - 1]))
			why.len--;
		if (err || append_lines(&why, last_lines(text, end), end))
			return;
		log->refused = true;
	}
	log->why = why;
	why = before; /* freed */
}
