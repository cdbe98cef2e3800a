/* SPDX-License-Identifier: Apache-2.0 */
/* Texts that outlive profiles. */
#include "symbolize/text.h"

#include <errno.h>
#include <stdlib.h>
#include <string.h>

int cs_own_text_set(struct cs_own_text *text, struct cs_text value)
{
	char *bytes = calloc(1, value.len + 1);

	if (!bytes)
		return -ENOMEM;
	if (value.len)
		memcpy(bytes, value.str, value.len);
	free(text->bytes);
	*text = (struct cs_own_text){.bytes = bytes, .len = value.len};
	return 0;
}

int cs_own_text_string(struct cs_own_text *text, struct cs_profile *profile, uint32_t *ret)
{
	int64_t index = text->string;

	if (!index && text->len)
		index = cs_profile_string(profile, text->bytes, text->len);
	if (index < 0)
		return (int)index;
	*ret = text->string = (uint32_t)index;
	return 0;
}
