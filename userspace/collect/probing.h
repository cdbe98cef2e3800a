/* SPDX-License-Identifier: Apache-2.0 */
/* Whether a process is probed, which costs it time: as options say it. */
#pragma once

enum cs_probing {
	CS_PROBING_OFF = 0,
	CS_PROBING_AUTO = 1, /* as long as that costs it no more than 1% of a CPU */
	CS_PROBING_ON = 2,   /* whatever it costs */
};

/* By its name ("auto"), or -1. */
int cs_probing_by_name(const char *name);
