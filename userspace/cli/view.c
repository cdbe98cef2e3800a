/* SPDX-License-Identifier: Apache-2.0 */
/* What of a capture is shown, how and where. */
#include "cli/view.h"

#include <errno.h>
#include <stdlib.h>
#include <string.h>

#include "cli/args.h"
#include "core/cleanup.h"

enum {
	KEY_THREAD = 0x200,
	KEY_LINES,
	KEY_SLOW_CALLBACK,
	KEY_TREE,
	KEY_TASK,
	KEY_SPAN,
	KEY_TRACE,
	KEY_SERVICE,
	KEY_ENDPOINT,
	KEY_CONTAINER,
	KEY_POD,
	KEY_POD_NAMESPACE,
	KEY_POD_LABEL,
	KEY_UNFOLD,
	KEY_INLINES,
};

static const struct argp_option options[] = {
	{"output", 'o', "FILE", 0, "where to (- is stdout); its ending chooses the format", 3},
	{"format", 'f', "FORMAT", 0, "collapsed, pprof, otlp, html or tree; from record also raw",
	 3},
	{"thread", KEY_THREAD, "NAME", 0,
	 "show only threads of this name (in Python, else as in ps -L -o comm)", 3},
	{"task", KEY_TASK, "RE", 0,
	 "show only tasks whose name matches, and threads that work for one (an extended regular expression)",
	 3},
	{"span", KEY_SPAN, "HEX", 0,
	 "show only what was done in this span, or below it if it is a local root", 3},
	{"trace-id", KEY_TRACE, "HEX", 0, "show only what was done in this trace", 3},
	{"endpoint", KEY_ENDPOINT, "RE", 0,
	 "show only requests whose endpoint matches, as \"GET /users\"", 3},
	{"service", KEY_SERVICE, "RE", 0,
	 "show only processes of a service whose name matches, or whose program's, if nobody has named it",
	 3},
	{"container", KEY_CONTAINER, "RE", 0,
	 "show only processes in a container whose id or name matches", 3},
	{"pod", KEY_POD, "RE", 0, "show only processes of a Kubernetes pod whose name matches", 3},
	{"pod-namespace", KEY_POD_NAMESPACE, "RE", 0, "likewise: of its namespace", 3},
	{"pod-label", KEY_POD_LABEL, "RE", 0,
	 "likewise: of its labels, as key=value with commas between them", 3},
	{"lines", KEY_LINES, "current|first", 0,
	 "lines of frames: what executes (default), or where the function begins", 3},
	{"tree", KEY_TREE, "await|creation|threads", 0,
	 "tasks below what waits for them (default), below what created them, or only the threads' own stacks; HTML has all three",
	 3},
	{"unfold", KEY_UNFOLD, NULL, 0,
	 "native frames of the Python interpreter itself too (not of a capture with --native off)",
	 3},
	{"inlines", KEY_INLINES, NULL, 0,
	 "lines and inlined functions of native code, where there is debug information", 3},
	{"slow-callback", KEY_SLOW_CALLBACK, "TIME", 0,
	 "list callbacks and task steps that held an event loop for so long (as 100ms)", 3},
	{0},
};

static const char *const tree_names[CS_TREE_MAX_] = {
	[CS_TREE_AWAIT] = "await",
	[CS_TREE_CREATION] = "creation",
	[CS_TREE_THREADS] = "threads",
};

const char *cs_view_tree_name(enum cs_tree tree)
{
	return tree_names[tree];
}

int cs_view_tree(const char *name)
{
	for (int tree = 0; tree < CS_TREE_MAX_; tree++)
		if (!strcmp(name, tree_names[tree]))
			return tree;
	return -EINVAL;
}

static enum cs_tree parse_tree(const char *arg)
{
	int tree = cs_view_tree(arg);

	if (tree < 0)
		cs_usage_error("no tree '%s': await, creation or threads", arg);
	return (enum cs_tree)tree;
}

static const char *parse_pattern(const char *option, const char *arg)
{
	if (!cs_filter_is_pattern(arg))
		cs_usage_error("--%s: '%s' is no regular expression", option, arg);
	return arg;
}

static uint64_t parse_span(const char *arg)
{
	char digits[CS_ID_DIGITS + 1];
	uint64_t span = cs_parse_id(arg, 16, digits) ? 0 : strtoull(digits, NULL, 16);

	if (!span)
		cs_usage_error("--span: '%s' is no id of up to 16 hexadecimal digits", arg);
	return span;
}

/* What is shown by a pattern. */
static error_t parse_patterns(struct cs_view *view, int key, const char *arg)
{
	struct cs_filter *filter = &view->filter;
	const struct {
		int key;
		const char *option, **pattern;
	} all[] = {
		{KEY_TASK, "task", &filter->task},
		{KEY_ENDPOINT, "endpoint", &filter->endpoint},
		{KEY_SERVICE, "service", &filter->whose[CS_FILTER_SERVICE]},
		{KEY_CONTAINER, "container", &filter->whose[CS_FILTER_CONTAINER]},
		{KEY_POD, "pod", &filter->whose[CS_FILTER_POD]},
		{KEY_POD_NAMESPACE, "pod-namespace", &filter->whose[CS_FILTER_POD_NAMESPACE]},
		{KEY_POD_LABEL, "pod-label", &filter->whose[CS_FILTER_POD_LABEL]},
	};

	for (size_t i = 0; i < ARRAY_SIZE(all); i++) {
		if (all[i].key != key)
			continue;
		*all[i].pattern = parse_pattern(all[i].option, arg);
		return 0;
	}
	return ARGP_ERR_UNKNOWN;
}

static error_t parse_option(int key, char *arg, struct argp_state *state)
{
	struct cs_view *view = state->input;

	switch (key) {
	case 'o':
		view->output = arg;
		return 0;
	case 'f':
		view->format = arg;
		return 0;
	case KEY_THREAD:
		view->thread = arg;
		return 0;
	case KEY_SPAN:
		view->filter.span = parse_span(arg);
		return 0;
	case KEY_TRACE:
		if (cs_parse_id(arg, CS_ID_DIGITS, view->filter.trace))
			cs_usage_error("--trace-id: '%s' is no id of up to 32 hexadecimal digits",
				       arg);
		return 0;
	case KEY_LINES:
		if (strcmp(arg, "first") && strcmp(arg, "current"))
			cs_usage_error("no lines '%s': current or first", arg);
		view->first_lines = !strcmp(arg, "first");
		return 0;
	case KEY_INLINES:
		view->inlines = true;
		return 0;
	case KEY_UNFOLD:
		view->unfold = true;
		return 0;
	case KEY_TREE:
		view->tree = parse_tree(arg);
		return 0;
	case KEY_SLOW_CALLBACK:
		if (cs_parse_duration(arg, &view->slow_ns) || !view->slow_ns)
			cs_usage_error("--slow-callback: '%s' is no duration: 100ms, 1s", arg);
		return 0;
	default:
		return parse_patterns(view, key, arg);
	}
}

const struct argp cs_view_argp = {.options = options, .parser = parse_option};
