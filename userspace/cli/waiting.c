/* SPDX-License-Identifier: Apache-2.0 */
/* How long the suspended tasks of a capture have waited: what since.h says of one process, for all of them. */
#include "cli/waiting.h"

#include <errno.h>
#include <stdlib.h>
#include <uthash.h>

#include "cli/since.h"

struct process {
	uint32_t pid;
	struct cs_since *since;
	UT_hash_handle hh;
};

struct cs_waiting {
	struct process *processes;
};

int cs_waiting_new(struct cs_waiting **ret)
{
	*ret = calloc(1, sizeof(**ret));
	return *ret ? 0 : -ENOMEM;
}

void cs_waiting_free(struct cs_waiting *waiting)
{
	struct process *process, *tmp;

	if (!waiting)
		return;
	HASH_ITER (hh, waiting->processes, process, tmp) {
		HASH_DEL(waiting->processes, process);
		cs_since_free(process->since);
		free(process);
	}
	free(waiting);
}

static struct process *find(const struct cs_waiting *waiting, uint32_t pid)
{
	struct process *process;

	HASH_FIND(hh, waiting->processes, &pid, sizeof(pid), process);
	return process;
}

static struct process *add(struct cs_waiting *waiting, uint32_t pid)
{
	struct process *process = calloc(1, sizeof(*process));

	if (!process)
		return NULL;
	process->pid = pid;
	if (cs_since_new(&process->since)) {
		free(process);
		return NULL;
	}
	HASH_ADD(hh, waiting->processes, pid, sizeof(process->pid), process);
	return process;
}

int cs_waiting_feed(struct cs_waiting *waiting, const struct cs_event *event)
{
	struct process *process = find(waiting, event->pid);

	if (!process && event->kind != CS_EV_TASK && event->kind != CS_EV_TASK_CREATED)
		return 0;
	if (!process)
		process = add(waiting, event->pid);
	return process ? cs_since_feed(process->since, event) : -ENOMEM;
}

uint64_t cs_waiting_ns(const struct cs_waiting *waiting, uint32_t pid, uint64_t task,
		       uint64_t now_ns)
{
	const struct process *process = find(waiting, pid);

	return process ? cs_since_changed(process->since, task, now_ns).ns : 0;
}
