/* SPDX-License-Identifier: Apache-2.0 */
/*
 * What `coroscope check` (declared in cli/cli.h) says of a machine and of an interpreter, one line a question:
 * what is well, or what is missing, the value that was read, its effect and the remedy.
 */
#pragma once

#include <stdio.h>

#include "cli/check_host.h"
#include "cli/check_published.h"
#include "python/interp.h"
#include "python/tracer.h"

/* This machine, its kernel's abilities included. */
void cs_check_host_ask(struct cs_check_host *ret);

/* The lines about the machine. Returns how many of them say MISSING. */
unsigned int cs_check_report_host(const struct cs_check_host *host, FILE *out);

/* The lines about the versions and builds of CPython that are known. */
void cs_check_report_versions(FILE *out);

/*
 * The lines about an interpreter; asyncio may be NULL (not looked at, since the interpreter is not READY).
 * Returns how many of them say MISSING.
 */
unsigned int cs_check_report_interp(const struct cs_interp *interp,
				    const struct cs_asyncio *asyncio, FILE *out);

/* The lines about the tracers in a process: none if there is none. Returns how many of them say MISSING. */
unsigned int cs_check_report_tracers(const struct cs_tracer_list *tracers, FILE *out);

/* The line about spans that the process's threads publish; none if they do not. */
void cs_check_report_published(const struct cs_check_published *published,
			       const struct cs_interp *interp, const struct cs_tracer_list *tracers,
			       FILE *out);
