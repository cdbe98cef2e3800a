/* SPDX-License-Identifier: Apache-2.0 */
/* What a refusal says to whoever gave the text that is refused. */
#pragma once

struct cs_why {
	char text[256];
};

/* Says why, cut to fit. Returns -EINVAL, for the caller to return. */
int cs_refuse(struct cs_why *why, const char *fmt, ...) __attribute__((format(printf, 2, 3)));
