/* SPDX-License-Identifier: Apache-2.0 */
/*
 * The probes that tell when the spans of one process begin and end (bpf/span_events.bpf.c): attached where a tracer keeps the active span in a ContextVar, to this
 * process alone, and taken away again if its spans are so many that telling them costs more than they may.
 */
#pragma once

#include <stdbool.h>
#include <stdint.h>

#include "collect/probes.h"
#include "collect/probing.h"
#include "core/buf.h"
#include "python/interp.h"
#include "python/tracer.h"

struct cs_span_probes {
	struct cs_probe_link *set, *reset; /* NULL: not attached */
	bool tried;
	char note
		[96]; /* why they are not, or not any more; "": they are, or there is nothing to tell */
	uint64_t seen; /* activations, at: */
	uint64_t seen_ns;
};

/* Attach what the process's tracers need, unless that was tried before; call again each turn, as the programs are only then loaded. */
void cs_span_probes_attach(struct cs_span_probes *span_probes, struct cs_probes *probes,
			   const struct cs_interp *interp, const struct cs_tracers *tracers,
			   enum cs_probing events);

/* Once a turn: detach them if they were over the budget for a whole second. Then the note says so. */
void cs_span_probes_check(struct cs_span_probes *span_probes, struct cs_probes *probes, pid_t pid,
			  uint64_t now_ns);

/* Nothing is attached any more, and may be again. */
void cs_span_probes_end(struct cs_span_probes *span_probes);
