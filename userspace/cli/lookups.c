/* SPDX-License-Identifier: Apache-2.0 */
/* Debug information for the frames of a capture. */
#include "cli/lookups.h"

#include <stdlib.h>

int cs_lookups_begin(struct cs_lookups *lookups, const struct cs_view *view,
		     struct cs_symbols *symbols)
{
	const char *urls = getenv("DEBUGINFOD_URLS");
	int err;

	if (!view->look_up || (!view->inlines && (!urls || !*urls)))
		return 0;
	err = cs_debuginfo_new(view->inlines, &lookups->debuginfo);
	if (err)
		return err;
	lookups->lookup = cs_debuginfo_lookup(lookups->debuginfo);
	cs_symbols_look_up(symbols, &lookups->lookup);
	return 0;
}

void cs_lookups_end(struct cs_lookups *lookups)
{
	cs_debuginfo_free(lookups->debuginfo);
}

int cs_lookups_note(const struct cs_lookups *lookups, struct cs_profile *profile)
{
	if (!lookups->debuginfo || !cs_debuginfo_stats(lookups->debuginfo).timed_out)
		return 0;
	return cs_profile_note(profile,
			       "debuginfod's servers were too slow: some functions have no names");
}
