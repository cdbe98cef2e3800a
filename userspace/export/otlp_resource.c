/* SPDX-License-Identifier: Apache-2.0 */
/*
 * Resource attributes.
 *
 * Source: OpenTelemetry's semantic conventions: service, deployment, process, container, k8s, host.
 */
#include "export/otlp_resource.h"

#include <errno.h>
#include <stdio.h>
#include <string.h>

#include "core/cleanup.h"
#include "export/otlp_tables.h"

#define MAX_POD_LABELS 32
#define OTHERS         5 /* attributes besides facts, pod labels and tags: name, pid, host, runtime */

struct builder {
	const struct cs_profile *profile;
	const struct cs_otlp_options *options;
	const struct cs_process *process;
	struct cs_memory *memory;
	Otlp__Resource *to;
};

static char *copy(struct builder *b, const char *text, size_t len)
{
	char *to = cs_memory_get(b->memory, len + 1, 1);

	return to ? memcpy(to, text, len) : NULL;
}

static void add_fact(struct builder *b, const char *key, Otlp__Value *value)
{
	Otlp__KeyValue *fact = b->to->attributes[b->to->n_attributes++];

	otlp__key_value__init(fact);
	fact->key = (char *)key;
	fact->value = value;
}

/* A key is told once, and the user's word goes first. NULL: no memory. */
static void add_own(struct builder *b, const char *key, const char *text)
{
	if (key && text && *text && !cs_process_tagged(b->options->tags, b->options->ntags, key))
		add_fact(b, key, cs_otlp_text_value(b->memory, text));
}

static const char *service_name(struct builder *b)
{
	_cleanup_buf_ struct cs_buf text = {0};
	char *name;

	if (b->options->service)
		return b->options->service;
	if (cs_process_service(b->profile, b->process, &text)) {
		b->memory->failed = true;
		return "";
	}
	name = copy(b, text.data, text.len);
	return name ? name : "";
}

/* "key=value,key=value" */
static void add_pod_labels(struct builder *b, const char *list)
{
	size_t n = 0, len;

	for (; *list && n < MAX_POD_LABELS; list += len + (list[len] == ','), n++) {
		const char *equals = strchr(list, '=');
		_cleanup_buf_ struct cs_buf key = {0};

		len = strcspn(list, ",");
		if (!equals || equals >= list + len)
			continue;
		if (cs_buf_printf(&key, "k8s.pod.label.%.*s", (int)(equals - list), list))
			b->memory->failed = true;
		add_own(b, copy(b, cs_buf_str(&key), key.len),
			copy(b, equals + 1, (size_t)(list + len - equals - 1)));
	}
}

static void add_facts(struct builder *b)
{
	static const char *const keys[CS_FACT_MAX_] = {
#define X(name, id, key, own, words) [CS_FACT_##name] = key,
		CS_FACTS(X)
#undef X
	};
	const struct cs_owner *owner = cs_profile_get_owner(b->profile, b->process->owner);
	char version[16];

	for (int i = CS_FACT_SERVICE + 1; i < CS_FACT_MAX_; i++)
		if (*keys[i])
			add_own(b, keys[i],
				cs_process_fact(b->profile, b->process, (enum cs_fact)i));
	add_pod_labels(b, cs_process_fact(b->profile, b->process, CS_FACT_POD_LABELS));
	if (!owner->py_major)
		return;
	snprintf(version, sizeof(version), "%u.%u.%u", owner->py_major, owner->py_minor,
		 owner->py_micro);
	add_own(b, "process.runtime.name", "cpython");
	add_own(b, "process.runtime.version", copy(b, version, strlen(version)));
}

Otlp__Resource *cs_otlp_resource(const struct cs_profile *profile,
				 const struct cs_otlp_options *options,
				 const struct cs_process *process, struct cs_memory *memory)
{
	struct builder b = {profile, options, process, memory,
			    cs_memory_get(memory, 1, sizeof(*b.to))};
	const char *host = cs_profile_meta(profile)->host;

	if (!b.to)
		return NULL;
	otlp__resource__init(b.to);
	b.to->attributes =
		cs_memory_messages(memory, OTHERS + CS_FACT_MAX_ + MAX_POD_LABELS + options->ntags,
				   sizeof(**b.to->attributes));
	if (!b.to->attributes)
		return NULL;
	add_fact(&b, "service.name", cs_otlp_text_value(memory, service_name(&b)));
	add_fact(&b, "process.pid", cs_otlp_number_value(memory, process->pid));
	if (*host)
		add_fact(&b, "host.name", cs_otlp_text_value(memory, host));
	add_facts(&b);
	for (size_t i = 0; i < options->ntags; i++)
		add_fact(&b, options->tags[i].key,
			 cs_otlp_text_value(memory, options->tags[i].value));
	return b.to;
}
