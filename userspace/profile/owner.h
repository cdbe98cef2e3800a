/* SPDX-License-Identifier: Apache-2.0 */
/*
 * Whose samples they are. An owner is one run of one program in one process: after an exec, or when a pid is used again, it is another
 * one, so that what is known of the one is never told of the other.
 */
#pragma once

#include <coroscope/whose.h>
#include <stddef.h>
#include <stdint.h>

struct cs_owner {
	uint32_t pid;
	uint32_t facts[CS_FACT_MAX_];         /* string indices; 0: not known */
	uint8_t py_major, py_minor, py_micro; /* of its Python; 0.0.0: none, or not known */
};

struct cs_owners;

int cs_owners_new(struct cs_owners **ret); /* 0 or -ENOMEM */
void cs_owners_free(struct cs_owners *owners);

/* Index of the owner of what is sampled of this process now; made if there is none. Or -ENOMEM. */
int64_t cs_owners_find(struct cs_owners *owners, uint32_t pid);

/* From here on the process is another one. */
void cs_owners_end(struct cs_owners *owners, uint32_t pid);

struct cs_owner *cs_owners_at(const struct cs_owners *owners,
			      uint32_t index); /* until the next is made */
