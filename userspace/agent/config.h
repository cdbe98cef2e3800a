/* SPDX-License-Identifier: Apache-2.0 */
/* What the agent is told to do: every option with its meaning, and the one table that flags, environment and file share. */
#pragma once

#include <stdbool.h>
#include <stddef.h>
#include <stdint.h>
#include <sys/types.h>

#include "cli/args.h"
#include "cli/destination.h"
#include "cli/filter.h"
#include "collect/selection.h"
#include "collect/session.h"
#include "core/log.h"
#include "core/why.h"
#include "decode/decode.h"

/* Where to, with the texts that they point to. */
struct cs_destinations {
	struct cs_destination at[CS_DESTINATIONS];
	size_t n;
	char **texts; /* owned */
	size_t ntexts;
};

/* Where the agent answers over HTTP. */
struct cs_listen {
	char address[64]; /* numeric; "": nowhere */
	uint16_t port;    /* 0: any that is free */
};

struct cs_config {
	/* which processes, and how */
	pid_t pids[CS_MAX_PIDS];
	unsigned int npids;
	bool subprocesses;
	struct cs_selection selection;
	enum cs_capture_mode mode;
	uint32_t rate_hz;
	bool no_idle, only_gil, native;
	enum cs_async async;
	enum cs_probing span_events, task_events;
	size_t ring_bytes;
	struct cs_kubelet_options kubelet;
	struct cs_filter only; /* of these processes alone profiles tell */
	/* the agent itself */
	uint64_t period_ns;
	double cpu_share; /* of the machine; 1: all of it */
	size_t memory_bytes;
	uint64_t flush_ns;
	struct cs_listen listen;
	const char *socket; /* where captures are asked for; NULL: nowhere */
	bool log_json;
	enum cs_log_level log_level;
	struct cs_destinations *to; /* owned */
};

/* What has to begin anew when an option changes. */
enum cs_option_of {
	CS_OF_CAPTURE,
	CS_OF_AGENT,  /* nothing */
	CS_OF_LISTEN, /* the answering over HTTP, and to who asks for captures */
	CS_OF_DESTINATION,
};

struct cs_option {
	const char *name; /* --name, a key `name` of the file, COROSCOPE_NAME in the environment */
	int letter;       /* of a short flag; 0: none */
	const char *argument; /* NULL: on or off */
	const char *help;
	const char *fallback; /* NULL: nothing is set */
	enum cs_option_of of;
	bool many;  /* may be given several times: a list in the file */
	bool pairs; /* of KEY=VALUE: in the file also KEY: VALUE */
	/* text may be kept (it lives as long as the config) and changed. Returns 0, -EINVAL (see why) or -ENOMEM. */
	int (*set)(struct cs_config *config, struct cs_destination *to, char *text,
		   struct cs_why *why);
};

extern const struct cs_option cs_options[];
extern const size_t cs_noptions;

/* The option of this name or, if there is none, NULL; *ret_near is then one that may be meant, or NULL. */
const struct cs_option *cs_option_find(const char *name, const char **ret_near);

/* The option that begins a destination: "to". */
extern const struct cs_option *const cs_option_to;

int cs_config_new(struct cs_config **ret);     /* 0 or -ENOMEM */
void cs_config_free(struct cs_config *config); /* NULL is fine */
static inline void cs_config_freep(struct cs_config **config)
{
	cs_config_free(*config);
}
