/* SPDX-License-Identifier: Apache-2.0 */
/* A process as a resource of OTLP's: whose it is, in OpenTelemetry's words. */
#pragma once

#include "export/memory.h"
#include "export/otlp.h"
#include "export/process.h"
#include "otlp.pb-c.h"

/*
 * Every key is told once; what options->tags tell goes first. Lives in memory, and borrows from the profile and the options. NULL, or
 * memory->failed: no memory.
 */
Otlp__Resource *cs_otlp_resource(const struct cs_profile *profile,
				 const struct cs_otlp_options *options,
				 const struct cs_process *process, struct cs_memory *memory);
