/* SPDX-License-Identifier: Apache-2.0 */
/*
 * Datadog's intake, through the local agent or directly: for each process a form of two parts, event.json (version 4)
 * and the pprof profile. Sources: what ddtrace's own profiler uploads.
 */
#include <errno.h>
#include <jansson.h>
#include <stdio.h>
#include <stdlib.h>
#include <string.h>
#include <time.h>

#include "core/cleanup.h"
#include "deliver/backend.h"
#include "export/pprof.h"

struct packing {
	const struct cs_profile *profile;
	const struct cs_pack_options *options;
	const struct cs_process *process;
	const uint32_t *next; /* its samples: see cs_processes */
	bool python;
};

static void json_freep(json_t **json)
{
	json_decref(*json);
}

/* RFC 3339 in UTC, with nanoseconds. */
static void format_time(uint64_t ns, char text[40])
{
	time_t seconds = (time_t)(ns / 1000000000u);
	struct tm tm;
	size_t n;

	gmtime_r(&seconds, &tm);
	n = strftime(text, 40, "%Y-%m-%dT%H:%M:%S", &tm);
	snprintf(text + n, 40 - n, ".%09uZ", (unsigned int)(ns % 1000000000u));
}

/* Tags are separated by commas, so a value has none; nor what would break a line. */
static int add_tag(struct cs_buf *tags, const char *key, const char *value, size_t len)
{
	int err = tags->len ? cs_buf_append(tags, ",", 1) : 0;

	if (!err)
		err = cs_buf_printf(tags, "%s:", key);
	for (size_t i = 0; !err && i < len; i++)
		err = cs_buf_append(
			tags, value[i] == ',' || (unsigned char)value[i] < 0x20 ? "_" : &value[i],
			1);
	return err;
}

static int add_text_tag(struct cs_buf *tags, const char *key, const char *value)
{
	return add_tag(tags, key, value, strlen(value));
}

static int add_service(const struct packing *p, struct cs_buf *tags)
{
	const char *service = p->options->service;
	_cleanup_buf_ struct cs_buf name = {0};
	int err;

	if (!service)
		service = cs_process_fact(p->profile, p->process, CS_FACT_SERVICE);
	if (*service)
		return add_text_tag(tags, "service", service);
	/* here a service without a name is its program's */
	err = cs_process_name(p->profile, p->process, &name);
	return err ? err : add_tag(tags, "service", name.data, name.len);
}

/* What ddtrace's own profiler tags, and where the process runs as Datadog's agent calls it; what the user says goes first. */
static int add_facts(const struct packing *p, struct cs_buf *tags)
{
	static const struct {
		enum cs_fact fact;
		const char *tag;
	} names[] = {
		{CS_FACT_ENVIRONMENT, "env"},
		{CS_FACT_VERSION, "version"},
		{CS_FACT_RUNTIME_ID, "runtime-id"},
		{CS_FACT_TRACER_VERSION, "library_version"},
		{CS_FACT_CONTAINER, "container_id"},
		{CS_FACT_CONTAINER_NAME, "kube_container_name"},
		{CS_FACT_POD, "pod_name"},
		{CS_FACT_POD_NAMESPACE, "kube_namespace"},
		{CS_FACT_NODE, "kube_node"},
	};
	const struct cs_export_tag *own = p->options->tags;
	int err = 0;

	for (size_t i = 0; !err && i < ARRAY_SIZE(names); i++) {
		const char *fact = cs_process_fact(p->profile, p->process, names[i].fact);

		if (*fact && !cs_process_tagged(own, p->options->ntags, names[i].tag))
			err = add_text_tag(tags, names[i].tag, fact);
	}
	return err;
}

/* Its Python, if it is one of a known version. */
static int add_runtime(const struct packing *p, struct cs_buf *tags)
{
	const struct cs_owner *owner = cs_profile_get_owner(p->profile, p->process->owner);
	char version[16];
	int err;

	if (!owner->py_major)
		return 0;
	snprintf(version, sizeof(version), "%u.%u.%u", owner->py_major, owner->py_minor,
		 owner->py_micro);
	err = add_text_tag(tags, "runtime", "CPython");
	return err ? err : add_text_tag(tags, "runtime_version", version);
}

static int make_tags(const struct packing *p, struct cs_buf *tags)
{
	const char *host = cs_profile_meta(p->profile)->host;
	char pid[16];
	int err = add_service(p, tags);

	snprintf(pid, sizeof(pid), "%u", p->process->pid);
	if (!err && p->python)
		err = add_text_tag(tags, "language", "python");
	if (!err)
		err = add_text_tag(tags, "process_id", pid);
	if (!err)
		err = add_runtime(p, tags);
	if (!err)
		err = add_facts(p, tags);
	if (!err && *host)
		err = add_text_tag(tags, "host", host);
	if (!err)
		err = add_text_tag(tags, "profiler", "coroscope");
	if (!err && p->options->version)
		err = add_text_tag(tags, "profiler_version", p->options->version);
	for (size_t i = 0; !err && i < p->options->ntags; i++)
		err = add_text_tag(tags, p->options->tags[i].key, p->options->tags[i].value);
	return err;
}

/* A request of this process that ended: of those Datadog shows how many there were, by endpoint. */
static bool is_request(const struct packing *p, const struct cs_traced *span)
{
	return span->owner == p->process->owner && span->span_id == span->root_span_id &&
	       span->to_ns && span->resource &&
	       !strcmp(cs_profile_str(p->profile, span->type), "web");
}

static int count_request(const struct packing *p, const struct cs_traced *span, json_t *counts)
{
	const char *endpoint = cs_profile_str(p->profile, span->resource);
	json_int_t n = json_integer_value(json_object_get(counts, endpoint));

	return json_object_set_new(counts, endpoint, json_integer(n + 1));
}

/* Of the requests that were seen to end, as ddtrace counts them (ddtrace/internal/processor/endpoint_call_counter.py); null if there are none. */
static json_t *make_endpoint_counts(const struct packing *p)
{
	_cleanup_(json_freep) json_t *counts = json_object();
	int err = counts ? 0 : -ENOMEM;

	for (size_t i = 0; !err && i < cs_profile_ntraced(p->profile); i++) {
		const struct cs_traced *span = cs_profile_get_traced(p->profile, i);

		if (is_request(p, span))
			err = count_request(p, span, counts);
	}
	if (err)
		return NULL;
	return json_object_size(counts) ? TAKE_PTR(counts) : json_null();
}

static char *make_event(const struct packing *p)
{
	const struct cs_profile_meta *meta = cs_profile_meta(p->profile);
	_cleanup_(json_freep) json_t *event = NULL;
	_cleanup_buf_ struct cs_buf tags = {0};
	char start[40], end[40];

	format_time(meta->start_realtime_ns, start);
	format_time(meta->start_realtime_ns + meta->duration_ns, end);
	if (make_tags(p, &tags))
		return NULL;
	event = json_pack("{s:[s], s:s#, s:s, s:s, s:s, s:s, s:o}", "attachments", "profile.pprof",
			  "tags_profiler", tags.data, (int)tags.len, "start", start, "end", end,
			  "family", p->python ? "python" : "native", "version", "4",
			  "endpoint_counts", make_endpoint_counts(p));
	return event ? json_dumps(event, JSON_COMPACT) : NULL;
}

static int append_part(struct cs_buf *body, const char *boundary, const char *name,
		       const char *file, const char *type, const void *bytes, size_t len)
{
	int err = cs_buf_printf(body,
				"--%s\r\nContent-Disposition: form-data; name=\"%s\"; "
				"filename=\"%s\"\r\nContent-Type: %s\r\n\r\n",
				boundary, name, file, type);

	if (!err)
		err = cs_buf_append(body, bytes, len);
	return err ? err : cs_buf_append(body, "\r\n", 2);
}

/* The boundary is the parcel's random id, so it does not occur in a part. */
static int fill(struct cs_parcel *parcel, const struct packing *p, const struct cs_buf *pprof)
{
	_cleanup_free_ char *event = make_event(p);
	int err;

	if (!event)
		return -ENOMEM;
	snprintf(parcel->type, sizeof(parcel->type), "multipart/form-data; boundary=%s",
		 parcel->id);
	err = append_part(&parcel->body, parcel->id, "event", "event.json", "application/json",
			  event, strlen(event));
	if (!err)
		err = append_part(&parcel->body, parcel->id, "profile.pprof", "profile.pprof",
				  "application/octet-stream", pprof->data, pprof->len);
	return err ? err : cs_buf_printf(&parcel->body, "--%s--\r\n", parcel->id);
}

static int pack_process(const struct packing *p, cs_pack_fn *put, void *ctx)
{
	const struct cs_pprof_options options = {
		.dialect = CS_PPROF_DATADOG,
		.owners = &p->process->owner,
		.nowners = 1,
		.from = p->process->first,
		.to = (size_t)p->process->last + 1,
		.next = p->next,
	};
	_cleanup_(cs_parcel_free) struct cs_parcel parcel = {0};
	_cleanup_buf_ struct cs_buf pprof = {0};
	int err = cs_pprof_write(p->profile, &options, &pprof);

	if (!err)
		err = cs_parcel_begin(&parcel, "", "");
	if (!err)
		err = fill(&parcel, p, &pprof);
	return err ? err : put(ctx, &parcel);
}

static bool has_python(const struct cs_profile *profile, const struct cs_processes *processes,
		       const struct cs_process *process)
{
	for (uint32_t i = process->first;; i = processes->next[i]) {
		struct cs_stack stack =
			cs_profile_stack(profile, cs_profile_sample(profile, i)->stack);

		for (uint32_t j = 0; j < stack.n; j++)
			if (cs_profile_get_frame(profile, stack.frames[j])->kind == CS_FRAME_PYTHON)
				return true;
		if (i == process->last)
			return false;
	}
}

static int pack(const struct cs_profile *profile, const struct cs_pack_options *options,
		cs_pack_fn *put, void *ctx)
{
	_cleanup_(cs_processes_free) struct cs_processes processes = {0};
	int err = cs_processes_find(profile, 0, cs_profile_nsamples(profile), &processes);

	for (size_t i = 0; !err && i < processes.n; i++) {
		const struct packing p = {
			.profile = profile,
			.options = options,
			.process = &processes.at[i],
			.next = processes.next,
			.python = has_python(profile, &processes, &processes.at[i]),
		};

		err = pack_process(&p, put, ctx);
	}
	return err;
}

static const struct cs_header headers[] = {
	{.name = "DD-EVP-ORIGIN", .text = "coroscope"},
	{.name = "DD-EVP-ORIGIN-VERSION", .text = CS_VERSION},
};

const struct cs_backend cs_backend_datadog = {
	.name = "datadog",
	.path = "/profiling/v1/input",
	.headers = headers,
	.nheaders = ARRAY_SIZE(headers),
	.pack = pack,
};
