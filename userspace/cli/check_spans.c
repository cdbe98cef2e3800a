/* SPDX-License-Identifier: Apache-2.0 */
/* Walks the Contexts of threads and tasks as the sampler would, only to meet what is not known. */
#include "cli/check_spans.h"

#include <errno.h>
#include <time.h>

#include "collect/record.h"
#include "collect/walk_user.h"
#include "core/cleanup.h"
#include "python/tasks.h"
#include "python/threads.h"

#define LEARN_NS 2000000000ull
#define PAUSE_NS 4000000
#define PASS_NS  1000000
#define MAX_MET  64

struct met {
	uint64_t type, object;
};

struct learning {
	struct cs_pyobj_ctx ctx;
	struct cs_tracer_list *list;
	struct cs_span_walk *walk;
	struct met met[MAX_MET];
	unsigned int nmet;
};

static bool read_span(void *arg, struct cs_mem *mem, uint64_t context, struct cs_active_span *ret)
{
	struct learning *learning = arg;
	struct met *met = &learning->met[learning->nmet % MAX_MET];
	bool found = cs_span_walk_read(learning->walk, mem, context, ret);

	met->type = cs_span_walk_stranger(learning->walk, &met->object);
	learning->nmet += met->type != 0;
	return found;
}

static int read_thread(void *arg, uint64_t thread_id, uint64_t tstate)
{
	struct learning *learning = arg;
	struct cs_active_span span;
	uint64_t context;

	if (!cs_mem_read_u64(learning->ctx.mem,
			     tstate + learning->ctx.interp->info.off.tstate_context, &context) &&
	    context)
		read_span(learning, learning->ctx.mem, context, &span);
	return 0;
}

static void tell_met(struct learning *learning)
{
	for (unsigned int i = 0; i < learning->nmet && i < MAX_MET; i++) {
		cs_mem_forget(learning->ctx.mem);
		cs_tracers_meet(&learning->ctx, learning->list, learning->met[i].type,
				learning->met[i].object);
	}
	learning->nmet = 0;
}

static bool learns(const struct cs_tracer_list *list)
{
	for (unsigned int i = 0; i < list->n; i++) {
		if (list->items[i].learns)
			return true;
	}
	return false;
}

static bool is_certain(const struct cs_tracer_list *list)
{
	struct cs_span_class span;

	return cs_rust_span(&list->rust, &span) && !(span.rust & CS_RUST_LEARNING);
}

bool cs_check_spans_certain(const struct cs_tracer_list *list)
{
	struct cs_span_class span;

	return !learns(list) || cs_rust_span(&list->rust, &span);
}

static int watch(struct learning *learning, struct cs_tasks *tasks)
{
	const struct timespec pause = {.tv_nsec = PAUSE_NS};
	uint64_t until = cs_now_ns() + LEARN_NS;
	int err = 0;

	while (!is_certain(learning->list) && cs_now_ns() < until && err != -ESRCH &&
	       err != -ENOMEM) {
		_cleanup_buf_ struct cs_buf records = {0};
		struct cs_tasks_result result;

		cs_mem_forget(learning->ctx.mem);
		err = cs_py_tstates_each(&learning->ctx, read_thread, learning);
		if (tasks && !err)
			err = cs_tasks_pass(tasks, learning->ctx.mem, 0, PASS_NS, &records,
					    &result);
		tell_met(learning);
		nanosleep(&pause, NULL);
	}
	return err == -ENOMEM ? err : 0;
}

int cs_check_learn_spans(const struct cs_interp *interp, const struct cs_asyncio *asyncio,
			 struct cs_mem *mem, struct cs_tracer_list *list)
{
	struct learning learning = {.ctx = {interp, mem}, .list = list};
	const struct cs_span_source source = {read_span, &learning};
	_cleanup_(cs_tasks_freep) struct cs_tasks *tasks = NULL;
	int err;

	if (!learns(list))
		return 0;
	if (asyncio && asyncio->loaded && !cs_tasks_new(interp, asyncio, &tasks))
		cs_tasks_use_spans(tasks, &source);
	err = cs_span_walk_new(interp, &list->row, &learning.walk);
	if (!err)
		err = watch(&learning, tasks);
	cs_span_walk_free(learning.walk);
	return err;
}
