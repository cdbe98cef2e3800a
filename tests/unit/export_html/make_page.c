/* SPDX-License-Identifier: Apache-2.0 */
/*
 * make_page service|large|tasks|many|spans|manyspans|hostile: write the page of a made-up profile to stdout, for the browser
 * test.
 */
#include <errno.h>
#include <stdio.h>
#include <string.h>

#include "core/buf.h"
#include "core/cleanup.h"
#include "export/exporter.h"
#include "unit/export_html/made_up.h"

int main(int argc, char **argv)
{
	_cleanup_(cs_profile_freep) struct cs_profile *profile = NULL;
	_cleanup_buf_ struct cs_buf page = {0};
	const char *which = argc > 1 ? argv[1] : "service";
	int err = !strcmp(which, "large")       ? made_up_large(&profile, 100000)
		  : !strcmp(which, "tasks")     ? made_up_tasks(&profile, 128)
		  : !strcmp(which, "many")      ? made_up_tasks(&profile, 10000)
		  : !strcmp(which, "spans")     ? made_up_spans(&profile, false)
		  : !strcmp(which, "manyspans") ? made_up_many_spans(&profile, 25000)
		  : !strcmp(which, "hostile")   ? made_up_hostile(&profile)
						: made_up_service(&profile);

	if (!err)
		err = cs_export_html.write(profile, &page);
	if (!err && fwrite(page.data, 1, page.len, stdout) != page.len)
		err = -EIO;
	if (err)
		fprintf(stderr, "make_page: %s\n", strerror(-err));
	return err ? 1 : 0;
}
