/* SPDX-License-Identifier: Apache-2.0 */
/* The command line of coroscope record: what to profile, how, for how long, and where to. */
#pragma once

#include <stdbool.h>
#include <stddef.h>
#include <stdint.h>
#include <sys/types.h>

#include "cli/args.h"
#include "cli/view.h"
#include "collect/selection.h"
#include "collect/session.h"
#include "decode/decode.h"

struct cs_record_options {
	pid_t pids[CS_MAX_PIDS];
	unsigned int npids;
	bool all, subprocesses;
	struct cs_selection selection;
	char **command; /* NULL: none; borrowed from argv, as all text here */
	enum cs_capture_mode mode;
	uint32_t rate_hz;
	uint64_t duration_ns; /* 0: until interrupted */
	bool exit_status, quiet, no_iterator;
	bool native; /* native frames too */
	bool idle, no_idle, only_gil;
	bool off_wakers;
	uint64_t off_min_ns, off_budget; /* 0: not given */
	enum cs_async async;
	enum cs_probing span_events, task_events;
	size_t ring_bytes;
	const char *agent; /* the socket of the agent that is to do it; NULL: none */
	struct cs_view view;
};

/* Parse the arguments that follow the word "record"; what is wrong with them is said, and ends the program. */
void cs_record_options_parse(struct cs_record_options *ret, int argc, char **argv);

/* What one unit of text formats stands for: the sampling interval. */
uint64_t cs_record_options_interval(const struct cs_record_options *options);

/* Is the set of processes open: may others come? */
bool cs_record_options_open_ended(const struct cs_record_options *options);
