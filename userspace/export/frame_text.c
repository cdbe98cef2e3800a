/* SPDX-License-Identifier: Apache-2.0 */
/* One frame as a person reads it. Escaping is up to the format that shows it. */
#include "export/exporter.h"

#include <ctype.h>
#include <errno.h>
#include <string.h>

/* "python3.11", "python3.13t": what follows is the standard library's directory. */
static bool is_python_dir(const char *name, size_t len)
{
	size_t i = strlen("python");

	if (len <= i || strncmp(name, "python", i))
		return false;
	for (; i < len; i++)
		if (!isdigit((unsigned char)name[i]) && name[i] != '.' && name[i] != 't')
			return false;
	return true;
}

static bool is_packages_dir(const char *name, size_t len)
{
	return (len == strlen("site-packages") && !strncmp(name, "site-packages", len)) ||
	       (len == strlen("dist-packages") && !strncmp(name, "dist-packages", len));
}

/* The part of path that tells files apart: behind the last library directory in it. */
static const char *short_path(const char *path)
{
	const char *rest = path;
	const char *name = path;
	bool in_lib = false;
	const char *slash;
	size_t len;

	while ((slash = strchr(name, '/'))) {
		len = (size_t)(slash - name);
		if (is_packages_dir(name, len) || (in_lib && is_python_dir(name, len)))
			rest = slash + 1;
		in_lib = len >= 3 && !strncmp(name, "lib", 3);
		name = slash + 1;
	}
	return rest;
}

int cs_export_frame_text(const struct cs_profile *profile, const struct cs_frame *frame,
			 struct cs_buf *out)
{
	const char *file = cs_profile_str(profile, frame->file);
	const char *rest = short_path(file);
	size_t len = cs_profile_str_len(profile, frame->file) - (size_t)(rest - file);
	int err;

	err = cs_buf_append(out, cs_profile_str(profile, frame->name),
			    cs_profile_str_len(profile, frame->name));
	if (err)
		return err;
	if (frame->kind == CS_FRAME_KERNEL)
		return cs_buf_append_str(out, "_[k]");
	if (!len)
		return 0;
	/* by length: a path may hold anything, zero bytes too */
	if (cs_buf_append_str(out, " (") || cs_buf_append(out, rest, len))
		return -ENOMEM;
	return frame->line ? cs_buf_printf(out, ":%u)", frame->line) : cs_buf_append_str(out, ")");
}
