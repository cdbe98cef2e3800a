/* SPDX-License-Identifier: Apache-2.0 */
/* UTF-8: shortest forms only, no surrogates, nothing beyond U+10FFFF. */
#include "core/utf8.h"

size_t cs_utf8_len(const uint8_t *str, size_t len)
{
	static const uint32_t least[] = {0, 0, 0x80, 0x800, 0x10000};
	uint32_t code_point;
	size_t n, i;

	if (!len)
		return 0;
	if (str[0] < 0x80)
		return 1;
	n = str[0] >= 0xf0 ? 4 : str[0] >= 0xe0 ? 3 : 2;
	if (str[0] < 0xc0 || str[0] > 0xf7 || n > len)
		return 0;
	code_point = str[0] & (0x7fu >> n);
	for (i = 1; i < n; i++) {
		if ((str[i] & 0xc0) != 0x80)
			return 0;
		code_point = code_point << 6 | (str[i] & 0x3f);
	}
	if (code_point < least[n] || code_point > 0x10ffff || (code_point >> 11) == 0xd800 >> 11)
		return 0;
	return n;
}
