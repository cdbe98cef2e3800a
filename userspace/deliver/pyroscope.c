/* SPDX-License-Identifier: Apache-2.0 */
/*
 * Pyroscope's push API: series of pprof profiles, one for each service and kind of time: processes whose labels are the same share
 * one. What identifies a series is few and bounded: the kind, the service with its environment and version, where it runs, the host
 * and the user's tags; never an id (export/pprof.h leaves them out of the samples too). A request is closed before it gets larger than servers accept, and no profile has more samples.
 */
#include <errno.h>
#include <stdio.h>
#include <stdlib.h>
#include <string.h>

#include "core/cleanup.h"
#include "deliver/backend.h"
#include "export/gzip.h"
#include "export/memory.h"
#include "export/pprof.h"
#include "pyroscope.pb-c.h"

#define MAX_BYTES    (3u << 20)
#define MAX_SAMPLES  16000
#define MAX_SERIES   256 /* of a request */
#define FIXED_LABELS 4

/* Facts that are labels, besides the service. */
static const struct {
	enum cs_fact fact;
	const char *label;
} fact_labels[] = {
	{CS_FACT_SERVICE_NAMESPACE, "service_namespace"},
	{CS_FACT_ENVIRONMENT, "deployment_environment"},
	{CS_FACT_VERSION, "service_version"},
	{CS_FACT_POD_NAMESPACE, "namespace"},
	{CS_FACT_POD, "pod"},
	{CS_FACT_CONTAINER_NAME, "container"},
	{CS_FACT_NODE, "node"},
	{CS_FACT_UNIT, "systemd_unit"},
};

/* A process, and all that its labels are made of. */
struct member {
	const struct cs_process *process;
	char *key; /* owned */
};

/* Processes that share a series. */
struct group {
	const struct cs_process *first;
	const uint32_t *owners;
	size_t n;
};

struct packing {
	const struct cs_profile *profile;
	const struct cs_pack_options *options;
	cs_pack_fn *put;
	void *ctx;
	/* The request under way. */
	struct cs_memory memory;
	Pyroscope__Series *series[MAX_SERIES];
	size_t nseries, bytes;
};

/* Those of a kind of UUID that says "random"; Pyroscope wants one, and tells by it what it has seen. */
static void format_uuid(const char *id, char uuid[37])
{
	snprintf(uuid, 37, "%.8s-%.4s-4%.3s-8%.3s-%.12s", id, id + 8, id + 13, id + 17, id + 20);
}

static int flush(struct packing *p)
{
	_cleanup_(cs_parcel_free) struct cs_parcel parcel = {0};
	Pyroscope__PushRequest request = PYROSCOPE__PUSH_REQUEST__INIT;
	_cleanup_free_ uint8_t *packed = NULL;
	size_t len;
	int err;

	if (!p->nseries)
		return 0;
	request.series = p->series;
	request.n_series = p->nseries;
	len = pyroscope__push_request__get_packed_size(&request);
	packed = malloc(len);
	err = packed ? cs_parcel_begin(&parcel, "application/proto", "") : -ENOMEM;
	if (!err) {
		pyroscope__push_request__pack(&request, packed);
		err = cs_buf_append(&parcel.body, packed, len);
	}
	cs_memory_free(&p->memory);
	p->nseries = p->bytes = 0;
	return err ? err : p->put(p->ctx, &parcel);
}

static char *copy(struct cs_memory *memory, const char *text, size_t len)
{
	char *to = cs_memory_get(memory, len + 1, 1);

	return to ? memcpy(to, text, len) : NULL;
}

static void add_label(struct packing *p, Pyroscope__Series *series, const char *name,
		      const char *value)
{
	Pyroscope__LabelPair *label = series->labels[series->n_labels++];

	pyroscope__label_pair__init(label);
	label->name = (char *)name;
	label->value = value ? (char *)value : (char *)"";
}

static int add_labels(struct packing *p, Pyroscope__Series *series,
		      const struct cs_process *process, enum cs_value kind)
{
	const char *host = cs_profile_meta(p->profile)->host, *service = p->options->service;
	const struct cs_export_tag *tags = p->options->tags;
	_cleanup_buf_ struct cs_buf found = {0};

	series->labels = cs_memory_messages(
		&p->memory, FIXED_LABELS + ARRAY_SIZE(fact_labels) + p->options->ntags,
		sizeof(**series->labels));
	if (!series->labels)
		return -ENOMEM;
	if (!service) {
		if (cs_process_service(p->profile, process, &found))
			return -ENOMEM;
		service = copy(&p->memory, found.data, found.len);
	}
	/* the names that its own tools search for */
	add_label(p, series, "__name__",
		  kind == CS_VALUE_OFF_NS    ? "off_cpu"
		  : kind == CS_VALUE_WALL_NS ? "wall"
					     : "process_cpu");
	add_label(p, series, "service_name", service);
	add_label(p, series, "pyroscope_spy", "coroscope");
	if (*host)
		add_label(p, series, "hostname", copy(&p->memory, host, strlen(host)));
	for (size_t i = 0; i < ARRAY_SIZE(fact_labels); i++) {
		const char *fact = cs_process_fact(p->profile, process, fact_labels[i].fact);

		if (*fact && !cs_process_tagged(tags, p->options->ntags, fact_labels[i].label))
			add_label(p, series, fact_labels[i].label, fact);
	}
	for (size_t i = 0; i < p->options->ntags; i++)
		add_label(p, series, tags[i].key, tags[i].value);
	return p->memory.failed ? -ENOMEM : 0;
}

static int add_series(struct packing *p, const struct cs_process *process, enum cs_value kind,
		      const struct cs_buf *pprof)
{
	Pyroscope__Series *series = cs_memory_get(&p->memory, 1, sizeof(*series));
	_cleanup_(cs_parcel_free) struct cs_parcel unique = {0};
	Pyroscope__RawSample *sample;
	char uuid[37];
	int err = cs_parcel_begin(&unique, "", "");

	if (err || !series)
		return err ? err : -ENOMEM;
	format_uuid(unique.id, uuid);
	pyroscope__series__init(series);
	series->samples = cs_memory_messages(&p->memory, 1, sizeof(**series->samples));
	if (!series->samples)
		return -ENOMEM;
	series->n_samples = 1;
	sample = series->samples[0];
	pyroscope__raw_sample__init(sample);
	sample->id = copy(&p->memory, uuid, strlen(uuid));
	sample->raw_profile.data = (uint8_t *)copy(&p->memory, pprof->data, pprof->len);
	sample->raw_profile.len = pprof->len;
	err = add_labels(p, series, process, kind);
	p->series[p->nseries++] = series;
	p->bytes += pprof->len;
	return err;
}

static int pack_kind(struct packing *p, const struct group *group, enum cs_value kind, size_t from,
		     size_t to)
{
	const struct cs_pprof_options options = {
		.dialect = CS_PPROF_PYROSCOPE,
		.kind = kind,
		.owners = group->owners,
		.nowners = group->n,
		.from = from,
		.to = to,
	};
	_cleanup_buf_ struct cs_buf pprof = {0};
	int err = cs_pprof_write(p->profile, &options, &pprof);

	if (err)
		return err == -ENODATA ? 0 : err;
	if (p->nseries == MAX_SERIES || p->bytes + pprof.len > MAX_BYTES)
		err = flush(p);
	return err ? err : add_series(p, group->first, kind, &pprof);
}

static int pack_group(struct packing *p, const struct group *group, size_t from, size_t to)
{
	bool off = cs_profile_meta(p->profile)->off_cpu;
	int err = pack_kind(p, group, off ? CS_VALUE_OFF_NS : CS_VALUE_CPU_NS, from, to);

	/* in CPU mode it is the same */
	if (!err && cs_profile_meta(p->profile)->wall)
		err = pack_kind(p, group, CS_VALUE_WALL_NS, from, to);
	return err;
}

/* With their lengths, so that no text passes for two. */
static char *make_key(const struct packing *p, const struct cs_process *process)
{
	_cleanup_buf_ struct cs_buf key = {0};
	int err = 0;

	for (size_t i = 0; !err && i < ARRAY_SIZE(fact_labels); i++) {
		const char *fact = cs_process_fact(p->profile, process, fact_labels[i].fact);

		err = cs_buf_printf(&key, "%zu:%s", strlen(fact), fact);
	}
	if (!err && !p->options->service)
		err = cs_process_service(p->profile, process, &key);
	return err ? NULL : strdup(cs_buf_str(&key));
}

static int compare(const void *a, const void *b)
{
	const struct member *one = a, *two = b;
	int order = strcmp(one->key, two->key);

	/* of equal ones the first process stays first */
	return order ? order : (one->process > two->process) - (one->process < two->process);
}

/* Members are ordered by their keys. */
static int pack_groups(struct packing *p, const struct member *members, uint32_t *owners, size_t n,
		       size_t from, size_t to)
{
	int err = 0;

	for (size_t i = 0, next; !err && i < n; i = next) {
		for (next = i; next < n && !strcmp(members[i].key, members[next].key); next++)
			owners[next] = members[next].process->owner;
		err = pack_group(p, &(struct group){members[i].process, owners + i, next - i}, from,
				 to);
	}
	return err;
}

static int pack_range(struct packing *p, size_t from, size_t to)
{
	_cleanup_(cs_processes_free) struct cs_processes processes = {0};
	_cleanup_free_ struct member *members = NULL;
	_cleanup_free_ uint32_t *owners = NULL;
	int err = cs_processes_find(p->profile, from, to, &processes);
	size_t n = processes.n;

	members = calloc(n + 1, sizeof(*members));
	owners = calloc(n + 1, sizeof(*owners));
	if (!err && (!members || !owners))
		err = -ENOMEM;
	for (size_t i = 0; !err && i < n; i++) {
		members[i] = (struct member){&processes.at[i], make_key(p, &processes.at[i])};
		err = members[i].key ? 0 : -ENOMEM;
	}
	if (!err) {
		qsort(members, n, sizeof(*members), compare);
		err = pack_groups(p, members, owners, n, from, to);
	}
	for (size_t i = 0; members && i < n; i++)
		free(members[i].key);
	return err;
}

static int pack(const struct cs_profile *profile, const struct cs_pack_options *options,
		cs_pack_fn *put, void *ctx)
{
	struct packing p = {.profile = profile, .options = options, .put = put, .ctx = ctx};
	size_t n = cs_profile_nsamples(profile);
	int err = 0;

	for (size_t from = 0; !err && from < n; from += MAX_SAMPLES)
		err = pack_range(&p, from, n - from < MAX_SAMPLES ? n : from + MAX_SAMPLES);
	if (!err)
		err = flush(&p);
	cs_memory_free(&p.memory);
	return err;
}

const struct cs_backend cs_backend_pyroscope = {
	.name = "pyroscope",
	.path = "/push.v1.PusherService/Push",
	.pack = pack,
};
