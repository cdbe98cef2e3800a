/* SPDX-License-Identifier: Apache-2.0 */
/* Probes of one process's spans, and their budget. */
#include "collect/span_probes.h"

#include <errno.h>
#include <stdio.h>
#include <string.h>

#include "core/cleanup.h"
#include "core/log.h"
#include "python/probe_site.h"

#define SECOND_NS      1000000000ull
/* What each time that a ContextVar is set costs the process at most (tools/bench/spans), and what all of them may in a second: 1% of a CPU. */
#define ACTIVATION_NS  3000
#define BUDGET_NS      (SECOND_NS / 100)
/* Nobody asked for them, and at the end of the capture the kernel takes some 100 ms to detach each. */
#define AUTO_PROCESSES 16

static void note(struct cs_span_probes *span_probes, const char *function, int err)
{
	snprintf(span_probes->note, sizeof(span_probes->note),
		 "when spans begin and end is not told: %s %s", function,
		 err == -EOPNOTSUPP ? "would be single-stepped" : "cannot be probed");
}

static struct cs_probe_link *attach(struct cs_span_probes *span_probes, struct cs_probes *probes,
				    const struct cs_interp *interp, enum cs_probe_kind kind,
				    const char *function)
{
	struct cs_probe_link *link = NULL;
	struct cs_probe_site site;
	int err = cs_probe_site_exported(interp, function, &site);

	if (!err)
		err = cs_probes_attach(probes, kind, interp->pid, &site, &link);
	if (err)
		note(span_probes, function, err);
	return link;
}

void cs_span_probes_attach(struct cs_span_probes *span_probes, struct cs_probes *probes,
			   const struct cs_interp *interp, const struct cs_tracers *tracers,
			   enum cs_probing events)
{
	bool resets = false;
	int err;

	if (span_probes->tried || !tracers->nvars)
		return;
	err = cs_probes_want_spans(probes);
	if (err == -EAGAIN)
		return;
	span_probes->tried = true;
	if (events == CS_PROBING_AUTO && cs_probes_span_processes(probes) >= AUTO_PROCESSES) {
		snprintf(span_probes->note, sizeof(span_probes->note),
			 "when spans begin and end is not told: it is of %d other processes",
			 AUTO_PROCESSES);
		return;
	}
	if (err) {
		snprintf(span_probes->note, sizeof(span_probes->note),
			 "when spans begin and end is not told: %s", strerror(-err));
		return;
	}
	for (unsigned int i = 0; i < tracers->nvars; i++)
		resets |= tracers->vars[i].kind == CS_TRACER_OTEL;
	span_probes->set =
		attach(span_probes, probes, interp, CS_PROBE_SPAN_SET, "PyContextVar_Set");
	if (resets && span_probes->set)
		span_probes->reset = attach(span_probes, probes, interp, CS_PROBE_SPAN_RESET,
					    "PyContextVar_Reset");
	cs_debug("process %d: probes of its spans: %s", interp->pid,
		 *span_probes->note ? span_probes->note : "attached");
}

void cs_span_probes_check(struct cs_span_probes *span_probes, struct cs_probes *probes, pid_t pid,
			  uint64_t now_ns)
{
	uint64_t counters[CS_COUNTER_MAX_], since_ns = now_ns - span_probes->seen_ns, n;
	bool first = !span_probes->seen_ns;

	if (!span_probes->set || since_ns < SECOND_NS || cs_probes_counters(probes, pid, counters))
		return;
	n = counters[CS_COUNTER_ACTIVATIONS] - span_probes->seen;
	span_probes->seen = counters[CS_COUNTER_ACTIVATIONS];
	span_probes->seen_ns = now_ns;
	if (first || n * ACTIVATION_NS <= since_ns / (SECOND_NS / BUDGET_NS))
		return;
	cs_probes_detach_now(TAKE_PTR(span_probes->set));
	cs_probes_detach_now(TAKE_PTR(span_probes->reset));
	snprintf(span_probes->note, sizeof(span_probes->note),
		 "when spans begin and end is not told any more: %llu a second cost too much",
		 (unsigned long long)(n * SECOND_NS / since_ns));
}

void cs_span_probes_end(struct cs_span_probes *span_probes)
{
	cs_probes_detach_now(TAKE_PTR(span_probes->set));
	cs_probes_detach_now(TAKE_PTR(span_probes->reset));
	*span_probes = (struct cs_span_probes){0};
}
