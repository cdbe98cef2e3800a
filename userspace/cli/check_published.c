/* SPDX-License-Identifier: Apache-2.0 */
/* Compares published spans with those in the tracer's own objects, thread by thread, as often as both can be seen to stand still. */
#include "cli/check_published.h"

#include <errno.h>
#include <time.h>

#include "cli/check_spans.h"
#include "collect/published.h"
#include "collect/record.h"
#include "collect/walk_user.h"
#include "core/cleanup.h"
#include "python/tasks.h"
#include "python/threads.h"

#define COMPARE_NS 1000000000ull
#define PAUSE_NS   2000000
#define MAX_LOOPS  64

struct comparing {
	struct cs_pyobj_ctx ctx;
	struct cs_published_at at;
	struct cs_span_walk *walk;
	uint64_t loops
		[MAX_LOOPS]; /* threads that run event loops, as the interpreter's states call them */
	unsigned int nloops;
	struct cs_check_agreement *ret;
};

/* Both spans of a thread, with ids of 0 for none. */
struct pair {
	struct cs_active_span read, published;
};

static void read_pair(struct comparing *c, uint64_t thread_id, uint64_t tstate, struct pair *ret)
{
	uint64_t context = 0;

	*ret = (struct pair){0};
	cs_mem_forget(c->ctx.mem);
	if (!cs_mem_read_u64(c->ctx.mem, tstate + c->ctx.interp->info.off.tstate_context,
			     &context) &&
	    context)
		cs_span_walk_read(c->walk, c->ctx.mem, context, &ret->read);
	cs_span_walk_published(c->walk, c->ctx.mem, &c->at, thread_id, &ret->published);
}

static bool same_span(const struct cs_active_span *a, const struct cs_active_span *b)
{
	return a->span_id == b->span_id && (!a->span_id || a->trace_lo == b->trace_lo);
}

static bool runs_loop(const struct comparing *c, uint64_t thread_id)
{
	for (unsigned int i = 0; i < c->nloops; i++)
		if (c->loops[i] == thread_id)
			return true;
	return false;
}

static int compare(void *arg, uint64_t thread_id, uint64_t tstate)
{
	struct comparing *c = arg;
	struct cs_check_agreement *ret = c->ret;
	struct pair one, two;
	bool loop, same;

	/* the thread may run: what is the same twice was so in between */
	read_pair(c, thread_id, tstate, &one);
	read_pair(c, thread_id, tstate, &two);
	if (!same_span(&one.read, &two.read) || !same_span(&one.published, &two.published) ||
	    (!one.read.span_id && !one.published.span_id))
		return 0;
	if (!one.published.span_id) {
		ret->silent++;
		return 0;
	}
	loop = runs_loop(c, thread_id);
	same = same_span(&one.read, &one.published);
	*(loop ? &ret->loop_looks : &ret->looks) += 1;
	*(loop ? &ret->loop_same : &ret->same) += same;
	return 0;
}

/* The thread with this id runs a loop. */
static void note_loop(struct comparing *c, uint32_t tid)
{
	struct cs_tstate states[CS_MAX_TSTATES];
	int n = cs_walk_list(c->ctx.interp, c->ctx.mem, states, CS_MAX_TSTATES);
	uint64_t thread_id;

	for (int i = 0; i < n && c->nloops < MAX_LOOPS; i++)
		if ((uint32_t)states[i].tid == tid &&
		    !cs_mem_read_u64(c->ctx.mem,
				     states[i].addr + c->ctx.interp->info.off.tstate_thread_id,
				     &thread_id) &&
		    !runs_loop(c, thread_id))
			c->loops[c->nloops++] = thread_id;
}

/* Tasks tell which thread runs theirs. */
static int find_loops(struct comparing *c, const struct cs_asyncio *asyncio)
{
	_cleanup_(cs_tasks_freep) struct cs_tasks *tasks = NULL;
	_cleanup_buf_ struct cs_buf records = {0};
	struct cs_tasks_result result;
	uint32_t last = 0;
	int err = cs_tasks_new(c->ctx.interp, asyncio, &tasks);

	if (!err)
		err = cs_tasks_pass(tasks, c->ctx.mem, 0, PAUSE_NS, &records, &result);
	for (size_t at = 0; !err && at < records.len;) {
		const struct cs_ev_hdr *record = (const void *)(records.data + at);

		at += record->size;
		if (record->kind == CS_EV_TASK && record->tid && record->tid != last)
			note_loop(c, record->tid);
		last = record->tid;
	}
	return err == -ENOMEM ? err : 0;
}

static int compare_threads(struct comparing *c)
{
	const struct timespec pause = {.tv_nsec = PAUSE_NS};
	uint64_t until = cs_now_ns() + COMPARE_NS;
	int err = 0;

	while (!err && cs_now_ns() < until) {
		cs_mem_forget(c->ctx.mem);
		err = cs_py_tstates_each(&c->ctx, compare, c);
		nanosleep(&pause, NULL);
	}
	return err == -ENOMEM ? err : 0;
}

int cs_check_published(const struct cs_interp *interp, const struct cs_asyncio *asyncio,
		       struct cs_mem *mem, const struct cs_tracer_list *tracers,
		       struct cs_check_published *ret)
{
	struct comparing c = {.ctx = {interp, mem}, .ret = &ret->agreement};
	_cleanup_(cs_publishers_freep) struct cs_publishers *publishers = NULL;
	int err = cs_publishers_new(&publishers);

	*ret = (struct cs_check_published){.found = -ENOENT};
	if (err)
		return err;
	cs_mem_forget(mem);
	ret->found = cs_published_find(publishers, interp->pid, mem, &c.at);
	ret->believed = !ret->found && cs_published_believed(&c.at, interp, tracers);
	if (ret->found || interp->state != CS_INTERP_READY || !tracers->row.nvars ||
	    !cs_check_spans_certain(tracers))
		return ret->found == -ENOMEM ? -ENOMEM : 0;
	if (asyncio && asyncio->loaded)
		err = find_loops(&c, asyncio);
	if (!err)
		err = cs_span_walk_new(interp, &tracers->row, &c.walk);
	if (!err)
		err = compare_threads(&c);
	cs_span_walk_free(c.walk);
	return err;
}
