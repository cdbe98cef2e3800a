/* SPDX-License-Identifier: Apache-2.0 */
/* The table of the agent's options. A new one is a line here, a setter above it, and a field of struct cs_config. */
#include "agent/config.h"

#include <ctype.h>
#include <errno.h>
#include <stdio.h>
#include <stdlib.h>
#include <string.h>
#include <strings.h>
#include <sys/param.h>

#include "cli/agent_request.h"
#include "core/cleanup.h"

/* The place of text among names, or -EINVAL. */
static int choose(const char *text, const char *const *names, size_t n)
{
	for (size_t i = 0; i < n; i++)
		if (!strcasecmp(text, names[i]))
			return (int)i;
	return -EINVAL;
}

static int parse_switch(const char *text, bool *ret, struct cs_why *why)
{
	static const char *const words[] = {"false", "true", "off", "on", "no", "yes", "0", "1"};
	int word = choose(text, words, ARRAY_SIZE(words));

	*ret = word % 2 == 1;
	return word < 0 ? cs_refuse(why, "'%s' is neither true nor false", text) : 0;
}

static int parse_time(const char *text, uint64_t *ret_ns, struct cs_why *why)
{
	if (cs_parse_duration(text, ret_ns) || !*ret_ns)
		return cs_refuse(why, "'%s' is no duration: 500ms, 10s, 5m", text);
	return 0;
}

static int parse_size(const char *text, size_t *ret, struct cs_why *why)
{
	return cs_parse_size(text, ret) ? cs_refuse(why, "'%s' is no size up to 1G: 64K, 8M", text)
					: 0;
}

#define SETTER(name)                                                                           \
	static int set_##name(struct cs_config *config, struct cs_destination *to, char *text, \
			      struct cs_why *why)

SETTER(pid)
{
	if (cs_parse_pids(text, config->pids, &config->npids))
		return cs_refuse(why, "'%s' is no list of process ids", text);
	return 0;
}

SETTER(subprocesses)
{
	return parse_switch(text, &config->subprocesses, why);
}

SETTER(comm)
{
	/* the kernel keeps this much of a name */
	snprintf(config->selection.comm, sizeof(config->selection.comm), "%s", text);
	return 0;
}

SETTER(user)
{
	config->selection.by_user = true;
	return cs_parse_user(text, &config->selection.uid) ? cs_refuse(why, "no user '%s'", text)
							   : 0;
}

SETTER(cgroup)
{
	if (cs_selection_set_cgroup(&config->selection, text))
		return cs_refuse(why, "no cgroup '%s' in the unified hierarchy (/sys/fs/cgroup)",
				 text);
	return 0;
}

SETTER(mode)
{
	if (strcmp(text, "cpu") && strcmp(text, "wall"))
		return cs_refuse(why, "no mode '%s': cpu or wall", text);
	config->mode = strcmp(text, "cpu") ? CS_MODE_WALL : CS_MODE_CPU;
	return 0;
}

SETTER(rate)
{
	if (cs_parse_rate(text, &config->rate_hz))
		return cs_refuse(why, "'%s' is not from 1 to %d Hz", text, CS_MAX_RATE_HZ);
	return 0;
}

SETTER(no_idle)
{
	return parse_switch(text, &config->no_idle, why);
}

SETTER(async)
{
	static const char *const names[] = {
		[CS_ASYNC_ALL] = "all",
		[CS_ASYNC_RUNNING] = "running",
		[CS_ASYNC_OFF] = "off",
	};
	int async = choose(text, names, ARRAY_SIZE(names));

	config->async = async < 0 ? CS_ASYNC_ALL : (enum cs_async)async;
	return async < 0 ? cs_refuse(why, "'%s' is not off, running or all", text) : 0;
}

static int set_probing(const char *text, enum cs_probing *ret, struct cs_why *why)
{
	int probing = cs_probing_by_name(text);

	*ret = probing < 0 ? CS_PROBING_OFF : (enum cs_probing)probing;
	return probing < 0 ? cs_refuse(why, "'%s' is not off, auto or on", text) : 0;
}

SETTER(span_events)
{
	return set_probing(text, &config->span_events, why);
}

SETTER(task_events)
{
	return set_probing(text, &config->task_events, why);
}

SETTER(gil)
{
	return parse_switch(text, &config->only_gil, why);
}

SETTER(native)
{
	return parse_switch(text, &config->native, why);
}

SETTER(ring_size)
{
	return parse_size(text, &config->ring_bytes, why);
}

static int set_whose(struct cs_config *config, enum cs_filter_whose whose, const char *text,
		     struct cs_why *why)
{
	config->only.whose[whose] = text;
	return cs_filter_is_pattern(text) ? 0
					  : cs_refuse(why, "'%s' is no regular expression", text);
}

SETTER(container)
{
	return set_whose(config, CS_FILTER_CONTAINER, text, why);
}

SETTER(pod)
{
	return set_whose(config, CS_FILTER_POD, text, why);
}

SETTER(pod_namespace)
{
	return set_whose(config, CS_FILTER_POD_NAMESPACE, text, why);
}

SETTER(pod_label)
{
	return set_whose(config, CS_FILTER_POD_LABEL, text, why);
}

SETTER(kubelet)
{
	config->kubelet.url = text;
	if (strncmp(text, "https://", 8) && strncmp(text, "http://", 7))
		return cs_refuse(why, "'%s' is no URL of a kubelet: https://NODE:10250", text);
	return 0;
}

SETTER(kubelet_ca)
{
	config->kubelet.ca_file = text;
	return 0;
}

SETTER(kubelet_token_file)
{
	config->kubelet.token_file = text;
	return 0;
}

SETTER(period)
{
	int err = parse_time(text, &config->period_ns, why);

	if (!err && config->period_ns < 1000000000u)
		return cs_refuse(why, "'%s' is shorter than 1s", text);
	return err;
}

SETTER(cpu_budget)
{
	char *end;
	double percent = strtod(text, &end);

	if (end == text || (*end && strcmp(end, "%")) || !(percent > 0 && percent <= 100))
		return cs_refuse(why, "'%s' is no share of the machine: 1%%, 0.5%%", text);
	config->cpu_share = percent / 100;
	return 0;
}

SETTER(memory_budget)
{
	return parse_size(text, &config->memory_bytes, why);
}

SETTER(flush)
{
	return parse_time(text, &config->flush_ns, why);
}

SETTER(listen)
{
	const char *colon = strrchr(text, ':'), *port = colon ? colon + 1 : text;
	size_t len = colon ? (size_t)(colon - text) : 0;
	struct cs_listen *listen = &config->listen;
	char *end;
	unsigned long number = strtoul(port, &end, 10);

	*listen = (struct cs_listen){"127.0.0.1", (uint16_t)number};
	if (!strcmp(text, "off")) {
		*listen->address = '\0';
		return 0;
	}
	if (!isdigit((unsigned char)*port) || *end || number > UINT16_MAX ||
	    len >= sizeof(listen->address))
		return cs_refuse(why, "'%s' is neither off nor [ADDRESS:]PORT", text);
	/* [::1] is ::1 */
	if (len > 2 && text[0] == '[' && text[len - 1] == ']')
		snprintf(listen->address, sizeof(listen->address), "%.*s", (int)len - 2, text + 1);
	else if (len)
		snprintf(listen->address, sizeof(listen->address), "%.*s", (int)len, text);
	return 0;
}

SETTER(socket)
{
	config->socket = text;
	if (!strcmp(text, "off"))
		config->socket = NULL;
	else if (*text != '/')
		return cs_refuse(why, "'%s' is neither off nor a whole path", text);
	return 0;
}

SETTER(log_format)
{
	if (strcmp(text, "text") && strcmp(text, "json"))
		return cs_refuse(why, "no format '%s': text or json", text);
	config->log_json = !strcmp(text, "json");
	return 0;
}

SETTER(log_level)
{
	static const char *const names[] = {"error", "warning", "info", "debug"};
	int level = choose(text, names, ARRAY_SIZE(names));

	config->log_level = level < 0 ? CS_LOG_INFO : (enum cs_log_level)level;
	return level < 0 ? cs_refuse(why, "'%s' is not error, warning, info or debug", text) : 0;
}

SETTER(to)
{
	return cs_destination_set_to(to, text, why);
}

SETTER(service)
{
	return cs_destination_set_service(to, text, why);
}

SETTER(tag)
{
	return cs_destination_add_tag(to, text, why);
}

SETTER(header)
{
	return cs_destination_add_header(to, text, why);
}

SETTER(header_file)
{
	return cs_destination_add_header_file(to, text, why);
}

SETTER(token_file)
{
	return cs_destination_add_token_file(to, text, why);
}

SETTER(ca)
{
	to->transport.ca_file = text;
	return 0;
}

SETTER(cert)
{
	to->transport.cert_file = text;
	return 0;
}

SETTER(key)
{
	to->transport.key_file = text;
	return 0;
}

SETTER(proxy)
{
	to->transport.proxy = text;
	return 0;
}

SETTER(timeout)
{
	return parse_time(text, &to->transport.timeout_ns, why);
}

SETTER(spool)
{
	to->spool_parent = text;
	return 0;
}

SETTER(max_size)
{
	size_t bytes;
	int err = parse_size(text, &bytes, why);

	to->limits.bytes = err ? to->limits.bytes : bytes;
	return err;
}

SETTER(max_age)
{
	return parse_time(text, &to->limits.age_ns, why);
}

#define CAPTURE     .of = CS_OF_CAPTURE
#define AGENT       .of = CS_OF_AGENT
#define LISTEN      .of = CS_OF_LISTEN
#define DESTINATION .of = CS_OF_DESTINATION

const struct cs_option cs_options[] = {
	{"to", 't', "KIND=WHERE",
	 "otlp=URL, pyroscope=URL, datadog=URL or dir=PATH; may be repeated. What follows is of this destination, what stands before the first of all",
	 NULL, DESTINATION, .many = true, .set = set_to},

	{"pid", 'p', "PID[,PID...]", "only these processes (default: all of the machine)", NULL,
	 CAPTURE, .many = true, .set = set_pid},
	{"subprocesses", 's', NULL, "and their children, also those born later", "false", CAPTURE,
	 .set = set_subprocesses},
	{"comm", 0, "NAME", "only processes of this name (as in ps -o comm)", NULL, CAPTURE,
	 .set = set_comm},
	{"user", 0, "USER", "only processes of this user", NULL, CAPTURE, .set = set_user},
	{"cgroup", 'G', "PATH", "only processes in or below this cgroup (v2)", NULL, CAPTURE,
	 .set = set_cgroup},
	{"mode", 'm', "cpu|wall",
	 "cpu: what runs; wall: also what sleeps, suspended tasks included", "wall", CAPTURE,
	 .set = set_mode},
	{"rate", 'r', "HZ", "samples a second of each CPU, while the budgets allow it", "49",
	 CAPTURE, .set = set_rate},
	{"no-idle", 0, NULL, "only what runs or waits for a CPU", "false", CAPTURE,
	 .set = set_no_idle},
	{"async", 0, "off|running|all", "asyncio's tasks: none; those that run; suspended ones too",
	 "all", CAPTURE, .set = set_async},
	{"span-events", 0, "off|auto|on",
	 "when each span begins and ends, by a probe: not; as long as it costs a process no more than 1% of a CPU; always",
	 "off", CAPTURE, .set = set_span_events},
	{"task-events", 0, "off|auto|on",
	 "who creates each task, by a probe: not; for part of the time if all the time would cost more than 1% of a CPU; always",
	 "auto", CAPTURE, .set = set_task_events},
	{"gil", 'g', NULL, "only threads that hold the interpreter's lock", "false", CAPTURE,
	 .set = set_gil},
	{"native", 0, "off|on", "native frames too, of what runs", "off", CAPTURE,
	 .set = set_native},
	{"ring-size", 0, "BYTES", "of the kernel's ring buffer", "4M", CAPTURE,
	 .set = set_ring_size},

	{"kubelet", 0, "URL",
	 "ask this node's kubelet whose pods are, as https://NODE:10250; else only what processes and the downward API say is known",
	 NULL, CAPTURE, .set = set_kubelet},
	{"kubelet-ca", 0, "FILE", "certificates to trust for it instead of the system's (PEM)",
	 NULL, CAPTURE, .set = set_kubelet_ca},
	{"kubelet-token-file", 0, "FILE", "the bearer token for it, read for each request", NULL,
	 CAPTURE, .set = set_kubelet_token_file},

	{"container", 0, "RE",
	 "tell only of processes in a container whose id or name matches (an extended regular expression)",
	 NULL, AGENT, .set = set_container},
	{"pod", 0, "RE", "tell only of processes of a pod whose name matches", NULL, AGENT,
	 .set = set_pod},
	{"pod-namespace", 0, "RE", "likewise: of its namespace", NULL, AGENT,
	 .set = set_pod_namespace},
	{"pod-label", 0, "RE", "likewise: of its labels, as key=value with commas between them",
	 NULL, AGENT, .set = set_pod_label},
	{"period", 0, "TIME", "a profile is delivered so often", "60s", AGENT, .set = set_period},
	{"cpu-budget", 0, "PERCENT",
	 "of the whole machine, time of the programs in the kernel included: above it rates are lowered",
	 "1%", AGENT, .set = set_cpu_budget},
	{"memory-budget", 0, "BYTES", "of the agent's own memory, likewise", "256M", AGENT,
	 .set = set_memory_budget},
	{"flush", 0, "TIME", "how long delivering may take when the agent ends", "10s", AGENT,
	 .set = set_flush},
	{"listen", 0, "off|[ADDRESS:]PORT",
	 "answer /healthz, /readyz and Prometheus' /metrics over HTTP there, and not only on this machine if ADDRESS is another",
	 "127.0.0.1:9464", LISTEN, .set = set_listen},
	{"socket", 0, "off|PATH", "where root may ask for captures, by coroscope record --agent",
	 CS_AGENT_SOCKET, LISTEN, .set = set_socket},
	{"log-format", 0, "text|json", "of messages on stderr", "text", AGENT,
	 .set = set_log_format},
	{"log-level", 0, "LEVEL", "error, warning, info or debug", "info", AGENT,
	 .set = set_log_level},

	{"service", 0, "NAME", "service of every process; else each is named after its program",
	 NULL, DESTINATION, .set = set_service},
	{"tag", 0, "KEY=VALUE", "of every process, as env=prod; may be repeated", NULL, DESTINATION,
	 .many = true, .pairs = true, .set = set_tag},
	{"header", 0, "NAME=VALUE", "of every request; may be repeated", NULL, DESTINATION,
	 .many = true, .pairs = true, .set = set_header},
	{"header-file", 0, "NAME=FILE",
	 "the same with the text of a file, read for each request: for secrets", NULL, DESTINATION,
	 .many = true, .pairs = true, .set = set_header_file},
	{"token-file", 0, "FILE", "the bearer token, read for each request", NULL, DESTINATION,
	 .set = set_token_file},
	{"ca", 0, "FILE", "certificates to trust instead of the system's (PEM)", NULL, DESTINATION,
	 .set = set_ca},
	{"cert", 0, "FILE", "our certificate (PEM), with key", NULL, DESTINATION, .set = set_cert},
	{"key", 0, "FILE", "its private key (PEM)", NULL, DESTINATION, .set = set_key},
	{"proxy", 0, "URL", "instead of http_proxy, https_proxy, no_proxy of the environment", NULL,
	 DESTINATION, .set = set_proxy},
	{"timeout", 0, "TIME", "of one request", "30s", DESTINATION, .set = set_timeout},
	{"spool", 0, "DIR",
	 "keep what is not delivered in DIR/KIND, also for the next run; else in memory, up to a quarter of its budget",
	 NULL, DESTINATION, .set = set_spool},
	{"max-size", 0, "BYTES", "of what waits, or of the files of dir=: the oldest go", "256M",
	 DESTINATION, .set = set_max_size},
	{"max-age", 0, "TIME", "likewise", "24h", DESTINATION, .set = set_max_age},
};
const size_t cs_noptions = ARRAY_SIZE(cs_options);

const struct cs_option *const cs_option_to = &cs_options[0];

#define MAX_NAME 32

/* How many letters must change to make one word of the other (Levenshtein), for short words. */
static size_t distance(const char *a, const char *b)
{
	size_t row[MAX_NAME + 1], n = MIN(strlen(b), (size_t)MAX_NAME);

	for (size_t i = 0; i <= n; i++)
		row[i] = i;
	for (size_t i = 0; a[i]; i++) {
		size_t diagonal = row[0];

		row[0] = i + 1;
		for (size_t k = 0; k < n; k++) {
			size_t replaced = diagonal + (a[i] != b[k]);

			diagonal = row[k + 1];
			row[k + 1] = MIN(MIN(row[k], row[k + 1]) + 1, replaced);
		}
	}
	return row[n];
}

const struct cs_option *cs_option_find(const char *name, const char **ret_near)
{
	size_t best = strlen(name) / 3 + 1;

	*ret_near = NULL;
	for (size_t i = 0; i < cs_noptions; i++) {
		size_t far;

		if (!strcmp(name, cs_options[i].name))
			return &cs_options[i];
		far = strlen(name) > MAX_NAME ? SIZE_MAX : distance(cs_options[i].name, name);
		if (far <= best) {
			best = far ? far - 1 : 0;
			*ret_near = cs_options[i].name;
		}
	}
	return NULL;
}

int cs_config_new(struct cs_config **ret)
{
	_cleanup_(cs_config_freep) struct cs_config *config = calloc(1, sizeof(*config));

	if (config)
		config->to = calloc(1, sizeof(*config->to));
	if (!config || !config->to)
		return -ENOMEM;
	*ret = TAKE_PTR(config);
	return 0;
}

static void destinations_free(struct cs_destinations *to)
{
	if (!to)
		return;
	for (size_t i = 0; i < to->n; i++)
		cs_destination_free(&to->at[i]);
	for (size_t i = 0; i < to->ntexts; i++)
		free(to->texts[i]);
	free(to->texts);
	free(to);
}

void cs_config_free(struct cs_config *config)
{
	if (!config)
		return;
	destinations_free(config->to);
	free(config);
}
