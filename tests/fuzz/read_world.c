/* SPDX-License-Identifier: Apache-2.0 */
/* Everything that user space reads of a Python process, read of a damaged one. */
#include <coroscope/event.h>
#include <coroscope/limits.h>
#include <stdlib.h>
#include <string.h>

#include "check.h"
#include "core/buf.h"
#include "core/cleanup.h"
#include "python/code.h"
#include "python/coro.h"
#include "python/loops.h"
#include "python/tasks.h"
#include "python/threads.h"
#include "world.h"

#define MAX_SLOTS 1024

static int seen_entry(void *arg, uint64_t key, uint64_t value)
{
	const struct world *world = arg;
	char text[64];
	size_t len = 0;
	int64_t number;

	if (!cs_pyobj_str(&world->made.ctx, key, text, sizeof(text), &len, NULL))
		CHECK(len < sizeof(text) && strlen(text) <= len);
	cs_pyobj_long(&world->made.ctx, value, &number);
	return 0;
}

static int seen_thread(void *arg, const struct cs_py_thread *thread)
{
	CHECK(memchr(thread->name, '\0', sizeof(thread->name)));
	return 0;
}

static int seen_tstate(void *arg, uint64_t thread_id, uint64_t tstate)
{
	size_t *n = arg;

	CHECK(++*n <= CS_MAX_THREADS);
	return 0;
}

static void check_task(const struct cs_ev_task *task)
{
	const struct cs_task_link *links = (const void *)(task->frames + task->nframes);

	CHECK(task->nlinks <= CS_MAX_LINKS);
	CHECK(sizeof(*task) + task->nframes * sizeof(struct cs_py_frame) +
		      task->nlinks * sizeof(*links) + task->name_len + task->leaf_len <=
	      task->hdr.size);
	for (uint32_t i = 0; i < task->nlinks; i++) {
		CHECK(links[i].how > CS_WAIT_AWAIT && links[i].how <= CS_WAIT_OTHER);
		/* one for each waiter */
		for (uint32_t k = 0; k < i; k++)
			CHECK(links[k].waiter != links[i].waiter);
	}
}

/* Records follow each other without a gap, and their parts lie in them. Returns how many links there are, if none was left out. */
static uint32_t check_records(const struct cs_buf *out)
{
	uint32_t nlinks = 0;

	for (size_t at = 0; at < out->len;) {
		const struct cs_ev_code *code = (const void *)(out->data + at);
		const struct cs_ev_task *task = (const void *)(out->data + at);
		const struct cs_ev_hdr *hdr = &code->hdr;

		CHECK(out->len - at >= sizeof(*hdr) && hdr->size >= sizeof(*hdr));
		CHECK(hdr->size % 8 == 0 && hdr->size <= out->len - at);
		if (hdr->kind == CS_EV_CODE)
			CHECK(sizeof(*code) + code->name_len + code->file_len +
				      code->linetable_len <=
			      hdr->size);
		if (hdr->kind == CS_EV_TASK) {
			check_task(task);
			nlinks += hdr->flags & CS_TASKF_WAITERS_CUT ? 0 : task->nlinks;
		}
		at += hdr->size;
	}
	return nlinks;
}

static bool read_code(struct world *world)
{
	const uint64_t codes[] = {world->code, world->text, world->code};
	const struct cs_interp *interp = &world->made.interp;
	struct cs_mem *mem = world->made.ctx.mem;
	_cleanup_buf_ struct cs_buf out = {0};
	uint32_t checks[ARRAY_SIZE(codes)];
	uint64_t unreadable;

	CHECK(!cs_code_read(interp, mem, codes, ARRAY_SIZE(codes), 1, &out, &unreadable));
	CHECK(unreadable <= ARRAY_SIZE(codes));
	cs_code_checks(interp, mem, codes, ARRAY_SIZE(codes), checks);
	check_records(&out);
	return unreadable == 1;
}

static bool read_threads(struct world *world)
{
	const struct cs_pyobj_ctx *ctx = &world->made.ctx;
	uint64_t native = 0;
	size_t n = 0;
	bool all = !cs_py_threads_each(ctx, seen_thread, NULL);

	all &= !cs_py_thread_native(ctx, world->thread, &native);
	all &= !cs_py_tstates_each(ctx, seen_tstate, &n);
	return all && native == (uint64_t)world->made.interp.pid && n == 2;
}

bool world_read_objects(struct world *world)
{
	const struct cs_pyobj_ctx *ctx = &world->made.ctx;
	uint64_t value, table, nslots = 0;
	struct cs_coro coro = {0};
	bool all = read_code(world);

	all &= !cs_pyobj_dict_get(ctx, world->dict, "b", &value);
	all &= !cs_pyobj_dict_each(ctx, world->dict, seen_entry, world);
	all &= !cs_pyobj_attr(ctx, world->loop, "_thread_id", &value);
	all &= !cs_pyobj_set_table(ctx, world->set, MAX_SLOTS, &table, &nslots);
	CHECK(nslots <= MAX_SLOTS);
	all &= !cs_coro_read(ctx, world->coro, &coro);
	all &= read_threads(world);
	return all && coro.awaits;
}

bool world_read_tasks(struct world *world)
{
	_cleanup_(cs_tasks_freep) struct cs_tasks *tasks = NULL;
	struct cs_tasks_result result = {.ntasks = 0};
	struct cs_mem *mem = world->made.ctx.mem;
	_cleanup_buf_ struct cs_buf out = {0};
	struct cs_asyncio asyncio;
	uint32_t nlinks = 0;
	int err = 0;

	if (cs_asyncio_find(&world->made.interp, mem, true, &asyncio) ||
	    cs_tasks_new(&world->made.interp, &asyncio, &tasks))
		return false;
	for (int pass = 0; pass < 2; pass++) {
		err |= cs_tasks_pass(tasks, mem, 1, 0, &out, &result);
		CHECK(result.ntasks <= CS_MAX_TASKS);
		nlinks = check_records(&out);
	}
	return !err && result.ntasks == WORLD_TASKS && !result.ndropped && nlinks == WORLD_LINKS;
}
