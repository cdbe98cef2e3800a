/* SPDX-License-Identifier: Apache-2.0 */
/* JSON inside an HTML page: nothing in it can end the script element, and all of it is UTF-8. */
#include "export/html_json.h"

#include <inttypes.h>
#include <string.h>

void cs_json_bytes(struct cs_json *json, const char *bytes, size_t n)
{
	if (!json->err)
		json->err = cs_buf_append(json->out, bytes, n);
}

void cs_json_raw(struct cs_json *json, const char *str)
{
	cs_json_bytes(json, str, strlen(str));
}

void cs_json_u64(struct cs_json *json, uint64_t value)
{
	if (!json->err)
		json->err = cs_buf_printf(json->out, "%" PRIu64, value);
}

/*
 * Bytes of the UTF-8 character at s, or 0 if it is not one: too long a form, a surrogate and what
 * lies above U+10FFFF are not (RFC 3629, section 4).
 */
static size_t utf8_len(const unsigned char *s, size_t avail)
{
	size_t n = s[0] < 0x80 ? 1 : s[0] < 0xc2 ? 0 : s[0] < 0xe0 ? 2 : s[0] < 0xf0 ? 3 : 4;

	if (n == 0 || n > avail || s[0] > 0xf4)
		return 0;
	for (size_t i = 1; i < n; i++) {
		if ((s[i] & 0xc0) != 0x80)
			return 0;
	}
	if ((s[0] == 0xe0 && s[1] < 0xa0) || (s[0] == 0xed && s[1] > 0x9f) ||
	    (s[0] == 0xf0 && s[1] < 0x90) || (s[0] == 0xf4 && s[1] > 0x8f))
		return 0;
	return n;
}

void cs_json_text(struct cs_json *json, const char *str, size_t len)
{
	const unsigned char *s = (const unsigned char *)str;
	size_t done = 0, i = 0;

	cs_json_raw(json, "\"");
	while (i < len && !json->err) {
		size_t n = utf8_len(s + i, len - i);

		if (n && s[i] >= 0x20 && !strchr("\"\\<>&\x7f", s[i])) {
			i += n;
			continue;
		}
		cs_json_bytes(json, str + done, i - done);
		if (!json->err)
			json->err = cs_buf_printf(json->out, "\\u%04x", n ? s[i] : 0xfffdu);
		done = ++i;
	}
	cs_json_bytes(json, str + done, i - done);
	cs_json_raw(json, "\"");
}

void cs_json_str(struct cs_json *json, const char *str)
{
	cs_json_text(json, str ? str : "", str ? strlen(str) : 0);
}
