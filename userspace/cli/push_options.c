/* SPDX-License-Identifier: Apache-2.0 */
/*
 * The command line of `coroscope push`. What stands before the first --to is for every destination, what follows one for that one
 * only: a token must not reach a server that it is not for.
 */
#include "cli/push_options.h"

#include <argp.h>
#include <ctype.h>
#include <stdbool.h>
#include <stdio.h>
#include <stdlib.h>
#include <string.h>

#include "cli/args.h"
#include "core/cleanup.h"

#define DEFAULT_KEEP_TRYING_NS 60000000000ull
#define DEFAULT_SPOOL_BYTES    (256ull << 20)
#define DEFAULT_SPOOL_AGE_NS   (24 * 3600 * 1000000000ull)

enum {
	KEY_TO = 0x300,
	KEY_SERVICE,
	KEY_TAG,
	KEY_HEADER,
	KEY_HEADER_FILE,
	KEY_TOKEN_FILE,
	KEY_CA,
	KEY_CERT,
	KEY_KEY,
	KEY_PROXY,
	KEY_TIMEOUT,
	KEY_SPOOL,
	KEY_MAX_SIZE,
	KEY_MAX_AGE,
	KEY_KEEP_TRYING,
};

static const struct argp_option option_table[] = {
	{"to", KEY_TO, "KIND=WHERE", 0,
	 "otlp=URL, pyroscope=URL, datadog=URL or dir=PATH; may be repeated. Options before the first are for all, others for the one they follow",
	 1},
	{"service", KEY_SERVICE, "NAME", 0,
	 "service of every process; else each is named after its program", 2},
	{"tag", KEY_TAG, "KEY=VALUE", 0, "of every process, as env=prod; may be repeated", 2},
	{"header", KEY_HEADER, "NAME=VALUE", 0, "of every request; may be repeated", 3},
	{"header-file", KEY_HEADER_FILE, "NAME=FILE", 0,
	 "the same with the text of a file, read for each request: for secrets", 3},
	{"token-file", KEY_TOKEN_FILE, "FILE", 0, "the bearer token, read for each request", 3},
	{"ca", KEY_CA, "FILE", 0, "certificates to trust instead of the system's (PEM)", 3},
	{"cert", KEY_CERT, "FILE", 0, "our certificate (PEM), with --key", 3},
	{"key", KEY_KEY, "FILE", 0, "its private key (PEM)", 3},
	{"proxy", KEY_PROXY, "URL", 0,
	 "instead of http_proxy, https_proxy, no_proxy of the environment", 3},
	{"timeout", KEY_TIMEOUT, "TIME", 0, "of one request (30s)", 3},
	{"spool", KEY_SPOOL, "DIR", 0,
	 "keep what is not delivered in DIR/KIND; a later push with it sends that first", 4},
	{"max-size", KEY_MAX_SIZE, "BYTES", 0,
	 "of the spool or the files of dir=, the oldest go (256M)", 4},
	{"max-age", KEY_MAX_AGE, "TIME", 0, "likewise (24h)", 4},
	{"keep-trying", KEY_KEEP_TRYING, "TIME", 0,
	 "while servers cannot be reached (1m); or unlimited", 4},
	{0},
};

struct parsing {
	struct cs_push_options *options;
	struct cs_push_destination defaults;
};

static struct cs_push_destination *current(struct parsing *parsing)
{
	struct cs_push_options *options = parsing->options;

	return options->n ? &options->to[options->n - 1] : &parsing->defaults;
}

/* Splits "KEY=VALUE" in place. Returns VALUE; refuses what is none. */
static char *split(char *text, const char *what)
{
	char *equals = strchr(text, '=');

	if (!equals || equals == text || !equals[1])
		cs_usage_error("%s: '%s' is not KEY=VALUE", what, text);
	*equals = '\0';
	return equals + 1;
}

static void begin_destination(struct parsing *parsing, char *arg)
{
	struct cs_push_options *options = parsing->options;
	char *where = split(arg, "--to");
	struct cs_push_destination *to;

	if (options->n == CS_PUSH_DESTINATIONS)
		cs_usage_error("at most %d destinations", CS_PUSH_DESTINATIONS);
	to = &options->to[options->n++];
	*to = parsing->defaults;
	to->backend = cs_backend_by_name(arg);
	if (!to->backend && strcmp(arg, "dir"))
		cs_usage_error("--to: no kind '%s': otlp, pyroscope, datadog or dir", arg);
	to->where = to->backend ? cs_backend_url(to->backend, where) : strdup(where);
	if (!to->where)
		cs_usage_error("out of memory");
}

static bool is_token(const char *name)
{
	for (const char *at = name; *at; at++)
		if (!isalnum((unsigned char)*at) && !strchr("-_.", *at))
			return false;
	return true;
}

static void check_line(const char *text, const char *what)
{
	for (const char *at = text; *at; at++)
		if ((unsigned char)*at < 0x20 || *at == 0x7f)
			cs_usage_error("%s: control characters", what);
}

static void add_header(struct cs_push_destination *to, const struct cs_header *header)
{
	if (to->transport.nheaders == CS_PUSH_LIST)
		cs_usage_error("at most %d headers", CS_PUSH_LIST);
	if (!is_token(header->name))
		cs_usage_error("'%s' is no name of a header", header->name);
	to->headers[to->transport.nheaders++] = *header;
}

static void add_tag(struct cs_push_destination *to, char *arg)
{
	static const char *const told[] = {"service.name", "service",     "service_name",
					   "host.name",    "process.pid", "__name__"};
	const char *value = split(arg, "--tag");

	if (to->ntags == CS_PUSH_LIST)
		cs_usage_error("at most %d tags", CS_PUSH_LIST);
	for (size_t i = 0; i < ARRAY_SIZE(told); i++)
		if (!strcmp(arg, told[i]))
			cs_usage_error("--tag %s: that is told already; a service with --service",
				       arg);
	if (!is_token(arg))
		cs_usage_error("--tag: '%s' is no key: letters, digits, - _ .", arg);
	check_line(value, "--tag");
	to->tags[to->ntags++] = (struct cs_export_tag){arg, value};
}

static uint64_t parse_time(const char *arg, const char *what)
{
	uint64_t ns;

	if (cs_parse_duration(arg, &ns))
		cs_usage_error("%s: '%s' is no duration: 10s, 5m", what, arg);
	return ns;
}

static uint64_t parse_bound(const char *arg, const char *what)
{
	uint64_t ns = parse_time(arg, what);

	return ns ? ns : UINT64_MAX;
}

static void parse_header(int key, char *arg, struct cs_push_destination *to)
{
	struct cs_header header = {.name = arg};

	if (key == KEY_TOKEN_FILE) {
		header = (struct cs_header){
			.name = "Authorization", .prefix = "Bearer ", .file = arg};
	} else if (key == KEY_HEADER_FILE) {
		header.file = split(arg, "--header-file");
	} else {
		header.text = split(arg, "--header");
		check_line(header.text, "--header");
	}
	add_header(to, &header);
}

static error_t parse_keeping(int key, char *arg, struct parsing *parsing)
{
	struct cs_push_destination *to = current(parsing);
	size_t bytes;

	switch (key) {
	case KEY_SPOOL:
		to->spool_parent = arg;
		return 0;
	case KEY_MAX_SIZE:
		if (cs_parse_size(arg, &bytes))
			cs_usage_error("--max-size: '%s' is no size: 64M", arg);
		to->limits.bytes = bytes;
		return 0;
	case KEY_MAX_AGE:
		to->limits.age_ns = parse_bound(arg, "--max-age");
		return 0;
	case KEY_KEEP_TRYING:
		parsing->options->keep_trying_ns = parse_time(arg, "--keep-trying");
		return 0;
	default:
		return ARGP_ERR_UNKNOWN;
	}
}

static error_t parse_option(int key, char *arg, struct argp_state *state)
{
	struct parsing *parsing = state->input;
	struct cs_push_destination *to = current(parsing);

	switch (key) {
	case KEY_TO:
		begin_destination(parsing, arg);
		return 0;
	case KEY_SERVICE:
		check_line(arg, "--service");
		to->service = arg;
		return 0;
	case KEY_TAG:
		add_tag(to, arg);
		return 0;
	case KEY_HEADER:
	case KEY_HEADER_FILE:
	case KEY_TOKEN_FILE:
		parse_header(key, arg, to);
		return 0;
	case KEY_CA:
		to->transport.ca_file = arg;
		return 0;
	case KEY_CERT:
		to->transport.cert_file = arg;
		return 0;
	case KEY_KEY:
		to->transport.key_file = arg;
		return 0;
	case KEY_PROXY:
		to->transport.proxy = arg;
		return 0;
	case KEY_TIMEOUT:
		to->transport.timeout_ns = parse_time(arg, "--timeout");
		return 0;
	case ARGP_KEY_ARG:
		if (parsing->options->capture)
			cs_usage_error("one capture at a time");
		parsing->options->capture = arg;
		return 0;
	default:
		return parse_keeping(key, arg, parsing);
	}
}

/* What is known only when all was read. */
static void complete(struct cs_push_options *options)
{
	bool spooled = false;

	if (!options->n)
		cs_usage_error("where to? --to otlp=URL, pyroscope=URL, datadog=URL or dir=PATH");
	for (size_t i = 0; i < options->n; i++) {
		struct cs_push_destination *to = &options->to[i];

		to->transport.url = to->where;
		to->transport.headers = to->headers;
		to->transport.user_agent = "coroscope/" CS_VERSION;
		if (!to->transport.cert_file != !to->transport.key_file)
			cs_usage_error("--cert and --key belong together");
		if (to->backend && to->spool_parent &&
		    asprintf(&to->spool, "%s/%s", to->spool_parent, to->backend->name) < 0)
			cs_usage_error("out of memory");
		spooled = spooled || to->spool;
	}
	if (!options->capture && !spooled)
		cs_usage_error("which capture?");
}

void cs_push_options_parse(struct cs_push_options *options, int argc, char **argv)
{
	static const struct argp argp = {
		.options = option_table,
		.parser = parse_option,
		.args_doc = "[CAPTURE.raw]",
		.doc = "Delivers a raw capture to servers and directories. Needs no privilege. Without a capture, what waits in the spool.",
	};
	struct parsing parsing = {
		.options = options,
		.defaults = {.limits = {.bytes = DEFAULT_SPOOL_BYTES,
					.age_ns = DEFAULT_SPOOL_AGE_NS}},
	};

	*options = (struct cs_push_options){.keep_trying_ns = DEFAULT_KEEP_TRYING_NS};
	argv[0] = (char *)"coroscope push";
	if (argp_parse(&argp, argc, argv, 0, NULL, &parsing))
		cs_usage_error("see coroscope push --help");
	complete(options);
}

void cs_push_options_free(struct cs_push_options *options)
{
	for (size_t i = 0; i < options->n; i++) {
		free(options->to[i].where);
		free(options->to[i].spool);
	}
}
