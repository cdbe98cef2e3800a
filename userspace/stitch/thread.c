/* SPDX-License-Identifier: Apache-2.0 */
/* What stitching remembers of one thread. */
#include "stitch/thread.h"

#include <errno.h>
#include <stdlib.h>
#include <string.h>

struct cs_thread *cs_thread_get(struct cs_thread **threads, uint32_t tid)
{
	struct cs_thread *thread;

	HASH_FIND(hh, *threads, &tid, sizeof(tid), thread);
	if (thread)
		return thread;
	thread = calloc(1, sizeof(*thread));
	if (!thread)
		return NULL;
	thread->tid = tid;
	HASH_ADD(hh, *threads, tid, sizeof(thread->tid), thread);
	return thread;
}

static void forget(struct cs_thread **threads, struct cs_thread *thread)
{
	HASH_DEL(*threads, thread);
	free(thread->last);
	free(thread->python_name);
	free(thread);
}

void cs_threads_forget(struct cs_thread **threads, uint64_t since_ns)
{
	struct cs_thread *thread, *tmp;

	HASH_ITER (hh, *threads, thread, tmp)
		if (thread->seen_ns < since_ns)
			forget(threads, thread);
}

void cs_threads_free(struct cs_thread **threads)
{
	struct cs_thread *thread, *tmp;

	HASH_ITER (hh, *threads, thread, tmp)
		forget(threads, thread);
}

int cs_thread_remember(struct cs_thread *thread, const struct cs_event_stack *stack)
{
	size_t frames = stack->nframes * sizeof(*stack->frames);
	size_t kernel = stack->nkernel * sizeof(*stack->kernel);
	struct cs_event_stack *copy;
	char *data, *name;

	/* one block: the event, its frames, its kernel addresses, its task's name */
	copy = malloc(sizeof(*copy) + frames + kernel + stack->running.name.len);
	if (!copy)
		return -ENOMEM;
	data = (char *)(copy + 1);
	name = data + frames + kernel;
	*copy = *stack;
	if (frames)
		memcpy(data, stack->frames, frames);
	if (kernel)
		memcpy(data + frames, stack->kernel, kernel);
	if (stack->running.name.len)
		memcpy(name, stack->running.name.str, stack->running.name.len);
	copy->frames = (const struct cs_py_frame *)data;
	copy->kernel = (const uint64_t *)(data + frames);
	copy->running.name.str = name;
	copy->comm = (struct cs_text){"", 0}; /* the thread's name is kept by the thread */
	free(thread->last);
	thread->last = copy;
	return 0;
}
