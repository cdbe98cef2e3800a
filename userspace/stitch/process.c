/* SPDX-License-Identifier: Apache-2.0 */
/* Processes, and the code objects in them that matter to stitching. */
#include "stitch/process.h"

#include <errno.h>
#include <stdlib.h>

struct cs_process_code {
	uint64_t code;
	unsigned int flags;
	UT_hash_handle hh;
};

struct cs_process *cs_process_get(struct cs_process **processes, uint32_t pid)
{
	struct cs_process *process;

	HASH_FIND(hh, *processes, &pid, sizeof(pid), process);
	if (process)
		return process;
	process = calloc(1, sizeof(*process));
	if (!process)
		return NULL;
	process->pid = pid;
	process->every = 1;
	if (cs_graph_new(&process->graph)) {
		free(process);
		return NULL;
	}
	HASH_ADD(hh, *processes, pid, sizeof(process->pid), process);
	return process;
}

static void forget(struct cs_process_code **table)
{
	struct cs_process_code *code, *tmp;

	HASH_ITER (hh, *table, code, tmp) {
		HASH_DEL(*table, code);
		free(code);
	}
}

void cs_process_free(struct cs_process **processes, struct cs_process *process)
{
	HASH_DEL(*processes, process);
	forget(&process->codes);
	forget(&process->natives);
	cs_threads_free(&process->threads);
	cs_graph_free(process->graph);
	free(process);
}

static unsigned int flags_of(struct cs_process_code *table, uint64_t addr)
{
	struct cs_process_code *code;

	HASH_FIND(hh, table, &addr, sizeof(addr), code);
	return code ? code->flags : 0;
}

/* An address without flags needs no entry. Returns 0 or -ENOMEM. */
static int learn(struct cs_process_code **table, uint64_t addr, unsigned int flags)
{
	struct cs_process_code *code;

	HASH_FIND(hh, *table, &addr, sizeof(addr), code);
	if (!code && !flags)
		return 0;
	if (!code) {
		code = calloc(1, sizeof(*code));
		if (!code)
			return -ENOMEM;
		code->code = addr;
		HASH_ADD(hh, *table, code, sizeof(code->code), code);
	}
	code->flags = flags;
	return 0;
}

unsigned int cs_process_code_flags(const struct cs_process *process, uint64_t addr)
{
	return flags_of(process->codes, addr);
}

int cs_process_learn_code(struct cs_process *process, const struct cs_event_code *event)
{
	return learn(&process->codes, event->code, event->flags & (CS_CODE_ASYNCIO | CS_CODE_LOOP));
}

unsigned int cs_process_native_flags(const struct cs_process *process, uint64_t addr)
{
	return flags_of(process->natives, addr);
}

int cs_process_learn_native(struct cs_process *process, const struct cs_event_symbol *event)
{
	return learn(&process->natives, event->addr, event->flags);
}

/* Index of the innermost frame, from newest-first index `from` on, that runs an event loop; n if none does. */
static uint32_t innermost_loop(const struct cs_process *process, const struct cs_event_stack *stack,
			       uint32_t from)
{
	uint32_t i = from;

	while (i < stack->nframes &&
	       !(cs_process_code_flags(process, stack->frames[i].code) & CS_CODE_LOOP))
		i++;
	return i;
}

/*
 * A loop that is not written in Python (uvloop) shows itself by what is the same, from the root on, when it sleeps and below a task
 * that runs: nothing but what called it. Below a task that was begun eagerly there is also what began it.
 */
static bool is_called_alone(const struct cs_thread *thread, const struct cs_event_stack *stack,
			    uint32_t from)
{
	const struct cs_event_stack *asleep = thread->last;

	if (!stack->running.task || from >= stack->nframes || !asleep || asleep->running.task ||
	    asleep->status != CS_STATUS_COMPLETE || asleep->nframes != stack->nframes - from)
		return false;
	for (uint32_t i = 0; i < asleep->nframes; i++)
		if (asleep->frames[i].code != stack->frames[from + i].code ||
		    asleep->frames[i].lasti != stack->frames[from + i].lasti)
			return false;
	return true;
}

void cs_process_learn_base(const struct cs_process *process, struct cs_thread *thread,
			   const struct cs_event_stack *stack)
{
	uint32_t from = stack->running.task ? stack->running.root_frame + 1 : 0;
	uint32_t loop = innermost_loop(process, stack, from);
	/* what was left out may be a loop's frame, unless it all lies above the task */
	bool whole = stack->status == CS_STATUS_COMPLETE ||
		     (stack->status == CS_STATUS_CUT && from > CS_LEAF_FRAMES);

	if (whole && loop >= stack->nframes && is_called_alone(thread, stack, from))
		loop = from;
	if (loop >= stack->nframes || !whole)
		return;
	thread->nbase = stack->nframes - loop;
	for (uint32_t i = 0; i < thread->nbase; i++)
		thread->base[i] = stack->frames[stack->nframes - 1 - i];
}
