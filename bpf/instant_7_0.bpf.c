// SPDX-License-Identifier: GPL-2.0-only OR BSD-2-Clause
/* Copies at one instant from 7.0 on, where the function has lost its last argument. 7.2 has the old name too, with another type. */
#include "instant.bpf.h"

extern int bpf_task_work_schedule_resume(struct task_struct *task, struct bpf_task_work *tw,
					 void *map__map, task_work_fn callback) __ksym;

static __always_inline int instant_schedule(struct task_struct *task, struct bpf_task_work *tw,
					    void *map, task_work_fn callback)
{
	return bpf_task_work_schedule_resume(task, tw, map, callback);
}
