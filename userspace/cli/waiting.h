/* SPDX-License-Identifier: Apache-2.0 */
/* How long the suspended tasks of a capture have waited where they are: fed with all its events, in order. */
#pragma once

#include <stdint.h>

#include "decode/decode.h"

struct cs_waiting;

int cs_waiting_new(struct cs_waiting **ret);      /* 0 or -ENOMEM */
void cs_waiting_free(struct cs_waiting *waiting); /* NULL is fine */

/* Returns 0 or -ENOMEM. Events of no task are ignored. */
int cs_waiting_feed(struct cs_waiting *waiting, const struct cs_event *event);

/* How long, by now_ns, the task at this address of this process has been seen to wait at the same place without a break. */
uint64_t cs_waiting_ns(const struct cs_waiting *waiting, uint32_t pid, uint64_t task,
		       uint64_t now_ns);
