/* SPDX-License-Identifier: Apache-2.0 */
/*
 * The BPF objects, one for each source of bpf/: those that are wanted are configured, given the maps that they share, and loaded side by side, as
 * the kernel takes a tenth of a second to verify one. The only user of the generated skeletons but for attaching.
 */
#pragma once

#include <bpf/libbpf.h>
#include <coroscope/config.h>
#include <off_cpu.skel.h>
#include <on_cpu.skel.h>
#include <proc_events.skel.h>
#include <span_events.skel.h>
#include <task_events.skel.h>
#include <wall.skel.h>

#include "collect/probes.h"
#include "core/buf.h"

struct cs_programs_spans;

/* Each is NULL if it is not loaded. */
struct cs_programs {
	struct proc_events *proc_events; /* first: makes the maps that all of them share */
	struct task_events *task_events;
	struct on_cpu *on_cpu;
	struct wall *wall;
	struct off_cpu *off_cpu;
	struct span_events *span_events; /* only when spans are met, see below */
	struct cs_config config;         /* of all of them */
	struct cs_programs_spans *spans; /* the thread that loads them, owned */
};

/* Returns 0, or -errno with *why telling what cs_probes_load tells. Whatever it returns, the caller frees. */
int cs_programs_load(struct cs_programs *programs, const struct cs_probes_options *options,
		     struct cs_buf *why);
void cs_programs_free(struct cs_programs *programs);

/*
 * The probes of spans, which most captures do without, are loaded by a thread of their own from the first call on. Returns 0 (they are there),
 * -EAGAIN (ask again, some tenths of a second later) or why they cannot be loaded, -errno, each time.
 */
int cs_programs_want_spans(struct cs_programs *programs);

/* All loaded objects; NULL ends the list. Room for as many as there are. */
#define CS_MAX_OBJECTS 7
void cs_programs_objects(const struct cs_programs *programs,
			 struct bpf_object *ret[CS_MAX_OBJECTS]);
