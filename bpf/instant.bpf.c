// SPDX-License-Identifier: GPL-2.0-only OR BSD-2-Clause
/* Copies at one instant on 6.18 and 6.19, where the function wants a last argument that the verifier fills in. */
#include "instant.bpf.h"

extern int bpf_task_work_schedule_resume_impl(struct task_struct *task, struct bpf_task_work *tw,
					      void *map__map, task_work_fn callback,
					      void *aux__prog) __ksym;

static __always_inline int instant_schedule(struct task_struct *task, struct bpf_task_work *tw,
					    void *map, task_work_fn callback)
{
	return bpf_task_work_schedule_resume_impl(task, tw, map, callback, NULL);
}
