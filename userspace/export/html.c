/* SPDX-License-Identifier: Apache-2.0 */
/*
 * A flame graph as one self-contained HTML file. The page (html/) is part of the binary; this file
 * puts the tree of the samples into it as JSON. What must hold: nothing is left out, equal profiles
 * give equal bytes in whatever order their samples came, and no name can end the script element.
 */
#include <errno.h>
#include <inttypes.h>
#include <stdint.h>
#include <string.h>

#include "core/buf.h"
#include "core/cleanup.h"
#include "core/counters.h"
#include "export/exporter.h"
#include "export/html_json.h"
#include "export/html_trees.h"
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
PAGE_PART(spans_js, "spans.js");
PAGE_PART(graph_js, "graph.js");
PAGE_PART(tables_js, "tables.js");
PAGE_PART(timeline_js, "timeline.js");
PAGE_PART(page_js, "page.js");

/*
 * The accounts that are not zero, as [name, sentence, value, is it a loss]; null if the capture
 * has none.
 */
static void put_counters(struct cs_json *json, const struct cs_profile_meta *meta)
{
	const char *separator = "";

	if (!meta->has_counters) {
		cs_json_raw(json, "null");
		return;
	}
	cs_json_raw(json, "[");
	for (uint32_t i = 0; i < CS_COUNTER_MAX_; i++) {
		const struct cs_counter_text *text = cs_counter_text(i);

		if (!meta->counters[i])
			continue;
		cs_json_raw(json, separator);
		cs_json_raw(json, "[");
		cs_json_str(json, text->name);
		cs_json_raw(json, ",");
		cs_json_str(json, text->sentence);
		cs_json_raw(json, ",");
		cs_json_u64(json, meta->counters[i]);
		cs_json_raw(json, text->loss ? ",true]" : ",false]");
		separator = ",";
	}
	cs_json_raw(json, "]");
}

static void put_meta(struct cs_json *json, const struct cs_profile *profile)
{
	const struct cs_profile_meta *meta = cs_profile_meta(profile);

	cs_json_raw(json, "\"meta\":{\"host\":");
	cs_json_str(json, meta->host);
	cs_json_raw(json, ",\"command\":");
	cs_json_str(json, meta->command);
	if (!json->err)
		json->err = cs_buf_printf(
			json->out,
			",\"start_ns\":%" PRIu64 ",\"duration_ns\":%" PRIu64
			",\"interval_ns\":%" PRIu64
			",\"ncpu\":%u,\"wall\":%s,%s\"partial\":%s,\"end_reason\":%u",
			meta->start_realtime_ns, meta->duration_ns, meta->interval_ns, meta->ncpu,
			meta->wall ? "true" : "false", meta->off_cpu ? "\"off_cpu\":true," : "",
			meta->partial ? "true" : "false", meta->end_reason);
	cs_json_raw(json, ",\"notes\":[");
	for (size_t i = 0; i < cs_profile_nnotes(profile); i++) {
		if (i)
			cs_json_raw(json, ",");
		cs_json_str(json, cs_profile_get_note(profile, i));
	}
	cs_json_raw(json, "],\n\"counters\":");
	put_counters(json, meta);
	cs_json_raw(json, "},\n");
}

/*
 * The page up to this mark; returns what follows the mark. A page without its marks is a bug of
 * the build.
 */
static const char *put_until(struct cs_json *json, const char *page, const char *mark)
{
	const char *at = memmem(page, (size_t)(page_html_end - page), mark, strlen(mark));

	if (!at) {
		json->err = -EINVAL;
		return page;
	}
	cs_json_bytes(json, page, (size_t)(at - page));
	return at + strlen(mark);
}

static int html_write(const struct cs_profile *profile, struct cs_buf *out)
{
	struct cs_json json = {.out = out};
	const char *rest = page_html;
	int err;

	rest = put_until(&json, rest, "@CSS@");
	cs_json_bytes(&json, page_css, (size_t)(page_css_end - page_css));
	rest = put_until(&json, rest, "@DATA@");
	cs_json_raw(&json, "{");
	put_meta(&json, profile);
	err = cs_html_trees(&json, profile);
	cs_json_raw(&json, "}\n");
	rest = put_until(&json, rest, "@JS@");
	cs_json_bytes(&json, tree_js, (size_t)(tree_js_end - tree_js));
	cs_json_bytes(&json, spans_js, (size_t)(spans_js_end - spans_js));
	cs_json_bytes(&json, graph_js, (size_t)(graph_js_end - graph_js));
	cs_json_bytes(&json, tables_js, (size_t)(tables_js_end - tables_js));
	cs_json_bytes(&json, timeline_js, (size_t)(timeline_js_end - timeline_js));
	cs_json_bytes(&json, page_js, (size_t)(page_js_end - page_js));
	cs_json_bytes(&json, rest, (size_t)(page_html_end - rest));
	return err ? err : json.err;
}

const struct cs_exporter cs_export_html = {
	.name = "html",
	.suffix = ".html",
	.help = "interactive flame graph in one self-contained file",
	.all_trees = true,
	.write = html_write,
};
