/* SPDX-License-Identifier: Apache-2.0 */
/* What a refusal says to whoever gave the text that is refused. */
#include "core/why.h"

#include <errno.h>
#include <stdarg.h>
#include <stdio.h>

int cs_refuse(struct cs_why *why, const char *fmt, ...)
{
	va_list args;

	va_start(args, fmt);
	vsnprintf(why->text, sizeof(why->text), fmt, args);
	va_end(args);
	return -EINVAL;
}
