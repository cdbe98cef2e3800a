/* SPDX-License-Identifier: Apache-2.0 */
/* Whether a process is probed. */
#include "collect/probing.h"

#include <string.h>

#include "core/cleanup.h"

int cs_probing_by_name(const char *name)
{
	static const char *const names[] = {
		[CS_PROBING_OFF] = "off",
		[CS_PROBING_AUTO] = "auto",
		[CS_PROBING_ON] = "on",
	};

	for (size_t i = 0; i < ARRAY_SIZE(names); i++) {
		if (!strcmp(name, names[i]))
			return (int)i;
	}
	return -1;
}
