/* SPDX-License-Identifier: Apache-2.0 */
/*
 * A flame graph as one self-contained HTML file. The page (html/) is part of the binary; this file
 * puts the tree of the samples into it as JSON. What must hold: nothing is left out, equal profiles
 * give equal bytes in whatever order their samples came, and no name can end the script element.
 *
 * The JSON: strings; frames as [name, file, line, kind], in the order of their text; the tree as
 * parallel arrays in preorder, siblings in the order of their frames. Node 0 is the root of all.
 */
#include <errno.h>
#include <inttypes.h>
#include <stdint.h>
#include <stdlib.h>
#include <string.h>

#include "core/buf.h"
#include "core/cleanup.h"
#include "core/counters.h"
#include "export/exporter.h"
#include "export/frame_tree.h"
#include "profile/profile.h"

/*
 * The bytes of a file next to the page, as name[] to name_end[] (see html.cmake for the rebuild).
 */
#define PAGE_PART(name, file)                                                                    \
	__asm__(".pushsection .rodata\n" #name ":\n.incbin \"" CS_HTML_DIR "/" file "\"\n" #name \
		"_end:\n.popsection");                                                           \
	extern const char name[], name##_end[]

PAGE_PART(page_html, "page.html");
PAGE_PART(page_css, "page.css");
PAGE_PART(tree_js, "tree.js");
PAGE_PART(graph_js, "graph.js");
PAGE_PART(page_js, "page.js");

/* Appends to a buffer and keeps the first error, so that a writer reads as one piece. */
struct writer {
	struct cs_buf *out;
	int err;
};

static void put(struct writer *w, const char *bytes, size_t n)
{
	if (!w->err)
		w->err = cs_buf_append(w->out, bytes, n);
}

static void put_str(struct writer *w, const char *str)
{
	put(w, str, strlen(str));
}

static void put_u64(struct writer *w, uint64_t value)
{
	if (!w->err)
		w->err = cs_buf_printf(w->out, "%" PRIu64, value);
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

/*
 * A JSON string. '<' and '>' are escaped because an HTML parser looks for the end of the script
 * element before anyone reads JSON; bytes that are not UTF-8 become U+FFFD, one each.
 */
static void put_json(struct writer *w, const char *str, size_t len)
{
	const unsigned char *s = (const unsigned char *)str;
	size_t done = 0, i = 0;

	put_str(w, "\"");
	while (i < len && !w->err) {
		size_t n = utf8_len(s + i, len - i);

		if (n && s[i] >= 0x20 && !strchr("\"\\<>&\x7f", s[i])) {
			i += n;
			continue;
		}
		put(w, str + done, i - done);
		if (!w->err)
			w->err = cs_buf_printf(w->out, "\\u%04x", n ? s[i] : 0xfffdu);
		done = ++i;
	}
	put(w, str + done, i - done);
	put_str(w, "\"");
}

static void put_json_str(struct writer *w, const char *str)
{
	put_json(w, str ? str : "", str ? strlen(str) : 0);
}

/*
 * One string of the output, the first time that it is asked for. places: by profile index, 0 if
 * not written yet.
 */
static void put_string_once(struct writer *w, const struct cs_profile *profile, uint32_t index,
			    uint32_t *places, uint32_t *n)
{
	if (index == 0 || places[index])
		return;
	places[index] = ++*n;
	put_str(w, ",");
	put_json(w, cs_profile_str(profile, index), cs_profile_str_len(profile, index));
}

static void put_frames(struct writer *w, const struct cs_profile *profile,
		       const struct cs_frame_tree *tree)
{
	_cleanup_free_ uint32_t *places = calloc(cs_profile_nstrings(profile) + 1, sizeof(*places));
	uint32_t n = 0;

	if (!places) {
		w->err = -ENOMEM;
		return;
	}
	put_str(w, "\"strings\":[\"\"");
	for (struct cs_tree_frame *frame = tree->frames; frame; frame = frame->hh.next) {
		put_string_once(w, profile, frame->key.name, places, &n);
		put_string_once(w, profile, frame->key.file, places, &n);
	}
	put_str(w, "],\n\"frames\":[");
	for (struct cs_tree_frame *frame = tree->frames; frame && !w->err; frame = frame->hh.next)
		w->err = cs_buf_printf(w->out, "%s[%u,%u,%u,%u]", frame->index ? "," : "",
				       places[frame->key.name], places[frame->key.file],
				       frame->key.line, frame->key.kind);
	put_str(w, "],\n");
}

enum column { COLUMN_PARENT, COLUMN_FRAME, COLUMN_SELF, COLUMN_SAMPLES };

static void put_cell(struct writer *w, const struct cs_frame_node *node, enum column column)
{
	if (column == COLUMN_SELF)
		put_u64(w, node->self_ns);
	else if (column == COLUMN_SAMPLES)
		put_u64(w, node->self_samples);
	else if (!node->key.parent) /* the root has neither parent nor frame */
		put_str(w, "-1");
	else
		put_u64(w,
			column == COLUMN_PARENT ? node->key.parent->index : node->key.frame->index);
}

static void put_column(struct writer *w, struct cs_frame_tree *tree, const char *name,
		       enum column column)
{
	put_json_str(w, name);
	put_str(w, ":[");
	for (struct cs_frame_node *node = &tree->root; node && !w->err;
	     node = cs_frame_tree_next(node)) {
		if (node->index)
			put_str(w, ",");
		put_cell(w, node, column);
	}
	put_str(w, "]");
}

/*
 * The accounts that are not zero, as [name, sentence, value, is it a loss]; null if the capture
 * has none.
 */
static void put_counters(struct writer *w, const struct cs_profile_meta *meta)
{
	const char *separator = "";

	if (!meta->has_counters) {
		put_str(w, "null");
		return;
	}
	put_str(w, "[");
	for (uint32_t i = 0; i < CS_COUNTER_MAX_; i++) {
		const struct cs_counter_text *text = cs_counter_text(i);

		if (!meta->counters[i])
			continue;
		put_str(w, separator);
		put_str(w, "[");
		put_json_str(w, text->name);
		put_str(w, ",");
		put_json_str(w, text->sentence);
		put_str(w, ",");
		put_u64(w, meta->counters[i]);
		put_str(w, text->loss ? ",true]" : ",false]");
		separator = ",";
	}
	put_str(w, "]");
}

static void put_meta(struct writer *w, const struct cs_profile *profile)
{
	const struct cs_profile_meta *meta = cs_profile_meta(profile);

	put_str(w, "\"meta\":{\"host\":");
	put_json_str(w, meta->host);
	put_str(w, ",\"command\":");
	put_json_str(w, meta->command);
	if (!w->err)
		w->err = cs_buf_printf(w->out,
				       ",\"start_ns\":%" PRIu64 ",\"duration_ns\":%" PRIu64
				       ",\"interval_ns\":%" PRIu64
				       ",\"ncpu\":%u,\"wall\":%s,\"partial\":%s,\"end_reason\":%u",
				       meta->start_realtime_ns, meta->duration_ns,
				       meta->interval_ns, meta->ncpu, meta->wall ? "true" : "false",
				       meta->partial ? "true" : "false", meta->end_reason);
	put_str(w, ",\"notes\":[");
	for (size_t i = 0; i < cs_profile_nnotes(profile); i++) {
		if (i)
			put_str(w, ",");
		put_json_str(w, cs_profile_get_note(profile, i));
	}
	put_str(w, "],\n\"counters\":");
	put_counters(w, meta);
	put_str(w, "},\n");
}

static void put_data(struct writer *w, const struct cs_profile *profile, struct cs_frame_tree *tree)
{
	put_str(w, "{");
	put_meta(w, profile);
	put_frames(w, profile, tree);
	put_str(w, "\"nodes\":{");
	put_column(w, tree, "parent", COLUMN_PARENT);
	put_str(w, ",\n");
	put_column(w, tree, "frame", COLUMN_FRAME);
	put_str(w, ",\n");
	put_column(w, tree, "self", COLUMN_SELF);
	put_str(w, ",\n");
	put_column(w, tree, "samples", COLUMN_SAMPLES);
	put_str(w, "}}\n");
}

/*
 * The page up to this mark; returns what follows the mark. A page without its marks is a bug of
 * the build.
 */
static const char *put_until(struct writer *w, const char *page, const char *mark)
{
	const char *at = memmem(page, (size_t)(page_html_end - page), mark, strlen(mark));

	if (!at) {
		w->err = -EINVAL;
		return page;
	}
	put(w, page, (size_t)(at - page));
	return at + strlen(mark);
}

static int html_write(const struct cs_profile *profile, struct cs_buf *out)
{
	_cleanup_(cs_frame_tree_free) struct cs_frame_tree tree = {0};
	struct writer w = {.out = out};
	const char *rest = page_html;
	int err = cs_frame_tree_build(&tree, profile);

	if (err)
		return err;
	rest = put_until(&w, rest, "@CSS@");
	put(&w, page_css, (size_t)(page_css_end - page_css));
	rest = put_until(&w, rest, "@DATA@");
	put_data(&w, profile, &tree);
	rest = put_until(&w, rest, "@JS@");
	put(&w, tree_js, (size_t)(tree_js_end - tree_js));
	put(&w, graph_js, (size_t)(graph_js_end - graph_js));
	put(&w, page_js, (size_t)(page_js_end - page_js));
	put(&w, rest, (size_t)(page_html_end - rest));
	return w.err;
}

const struct cs_exporter cs_export_html = {
	.name = "html",
	.suffix = ".html",
	.help = "interactive flame graph in one self-contained file",
	.write = html_write,
};
