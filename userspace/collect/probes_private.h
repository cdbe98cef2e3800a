/* SPDX-License-Identifier: Apache-2.0 */
/* What the files that use the generated skeleton share. */
#pragma once

#include <coroscope/config.h>
#include <bpf/libbpf.h>
#include <coroscope.skel.h>
#include <stdbool.h>

#include "collect/probes.h"

struct coroscope *cs_probes_skeleton(const struct cs_probes *probes);

/* Run a BPF iterator once, from the first item to the last. Returns 0 or -errno. */
int cs_probes_iterate(const struct bpf_link *link);

/*
 * Before loading: choose the programs and table sizes for off-CPU time, or for none. tasks_readable: the kernel can read other
 * tasks' memory. Returns 0, or -EOPNOTSUPP: nothing tells when a thread is back.
 */
int cs_off_cpu_prepare(struct coroscope *skel, const struct cs_probes_options *options,
		       bool tasks_readable);
