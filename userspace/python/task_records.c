/* SPDX-License-Identifier: Apache-2.0 */
/*
 * From a reading of tasks to records.
 *
 * A pass over all tasks lists all that live, and so tells that the others have finished. One over a share of them cannot: what it does not
 * list lives on as it was last known, until it is met again, or a whole cycle of shares has passed without it. Then, and if it is met as
 * finished, a record says that it is done.
 */
#include "python/task_records.h"

#include <errno.h>
#include <string.h>

#include "python/digest.h"

/* Entries lie all over a table that is larger than a processor's own cache: they are asked for so many tasks before. */
#define ROSTER_AHEAD 8

bool cs_task_is_alive(const struct cs_walk_task *task)
{
	return task->state && task->state != CS_TASK_DONE;
}

static struct cs_ev_hdr header(const struct cs_task_records *records, enum cs_ev_kind kind,
			       size_t size)
{
	return (struct cs_ev_hdr){
		.size = (uint32_t)size,
		.kind = (uint16_t)kind,
		.ts_ns = records->ts_ns,
		.pid = (uint32_t)records->pid,
	};
}

/* Append a task's record. Returns 0 or -ENOMEM. */
static int append_task(const struct cs_task_records *records, const struct cs_walk_task *task,
		       uint32_t tid, struct cs_buf *out)
{
	const struct cs_walk *walk = records->walk;
	size_t frames_size = task->nframes * sizeof(struct cs_py_frame);
	size_t links_size = task->nlinks * sizeof(struct cs_task_link);
	size_t span_size = task->flags & CS_TASKF_SPAN ? sizeof(*walk->spans) : 0;
	size_t size = sizeof(struct cs_ev_task) + frames_size + links_size + span_size +
		      task->name_len + task->leaf_len;
	struct cs_ev_task *ev;
	uint32_t at = task->first;
	char *text;

	size = (size + 7) & ~(size_t)7;
	ev = cs_buf_extend(out, size);
	if (!ev)
		return -ENOMEM;
	ev->hdr = header(records, CS_EV_TASK, size);
	ev->hdr.flags = task->flags;
	ev->hdr.tid = tid;
	ev->task = task->addr;
	ev->coro = task->coro;
	ev->waiter = task->waiter;
	ev->loop = task->loop;
	ev->state = task->state;
	ev->name_len = task->name_len;
	ev->leaf_len = task->leaf_len;
	ev->nframes = task->nframes;
	ev->nlinks = task->nlinks;
	for (uint32_t i = 0; i < task->nframes; i++, at = walk->frames[at].next)
		ev->frames[i] = walk->frames[at].frame;
	text = (char *)ev->frames + frames_size;
	if (links_size)
		memcpy(text, walk->links + task->link_at, links_size);
	text += links_size;
	if (span_size)
		memcpy(text, walk->spans + task->span_at, span_size);
	text += span_size;
	if (task->name_len)
		memcpy(text, walk->texts.data + task->name_at, task->name_len);
	if (task->leaf_len)
		memcpy(text + task->name_len, walk->texts.data + task->leaf_at, task->leaf_len);
	return 0;
}

/* Of all that a task's record says: what the walk found, and what is known of its loop. Never 0. */
static uint64_t record_digest(const struct cs_walk_task *task, uint32_t tid)
{
	uint64_t rest = (uint64_t)tid << 32 | (uint32_t)task->state << 16 | task->flags;
	uint64_t digest = cs_digest_word(task->digest, rest);

	return digest ? digest : 1;
}

/* Append the record of a task that has finished, or left. Returns 0 or -ENOMEM. */
static int append_done(const struct cs_task_records *records, uint64_t addr, uint64_t coro,
		       struct cs_buf *out)
{
	const struct cs_walk_task done = {.addr = addr, .coro = coro, .state = CS_TASK_DONE};

	return append_task(records, &done, 0, out);
}

/* Append the records of the tasks that are new or have changed. Returns 0 or -ENOMEM. */
static int append_tasks(const struct cs_task_records *records, struct cs_buf *out,
			uint32_t *ret_ntasks)
{
	const struct cs_walk *walk = records->walk;
	uint32_t serial = records->share->cycles + 1;

	*ret_ntasks = 0;
	for (size_t i = 0; i < walk->ntasks; i++) {
		const struct cs_walk_task *task = &walk->tasks[i];
		uint32_t tid = cs_loops_tid(records->loops, task->loop);
		struct cs_roster_entry *entry;
		uint64_t digest;

		if (i + ROSTER_AHEAD < walk->ntasks)
			cs_roster_expect(records->roster, walk->tasks[i + ROSTER_AHEAD].addr);
		if (!cs_task_is_alive(task))
			continue;
		++*ret_ntasks;
		digest = record_digest(task, tid);
		entry = cs_roster_get(records->roster, task->addr);
		if (!entry)
			return -ENOMEM;
		if (entry->digest != digest && append_task(records, task, tid, out))
			return -ENOMEM;
		entry->digest = digest;
		entry->coro = task->coro;
		entry->seen = serial;
	}
	return 0;
}

/* Of a share: tasks that were met as finished. Those that changed while they were read live. Returns 0 or -ENOMEM. */
static int append_finished(const struct cs_task_records *records, struct cs_buf *out)
{
	const struct cs_walk *walk = records->walk;
	int err = 0;

	for (size_t i = 0; i < walk->ntasks && !err; i++) {
		const struct cs_walk_task *task = &walk->tasks[i];
		struct cs_roster_entry *entry =
			cs_task_is_alive(task) ? NULL : cs_roster_find(records->roster, task->addr);

		if (!entry || !entry->seen)
			continue;
		if (!task->state) {
			entry->seen = records->share->cycles + 1;
			continue;
		}
		err = append_done(records, entry->addr, entry->coro, out);
		entry->seen = 0;
		entry->digest = 0;
	}
	return err;
}

struct sweep {
	const struct cs_task_records *records;
	struct cs_buf *out;
	uint32_t oldest; /* what was met before is gone */
	int err;
};

static bool is_gone(void *arg, const struct cs_roster_entry *entry)
{
	struct sweep *sweep = arg;

	if (entry->seen >= sweep->oldest)
		return false;
	/* of what has 0 the reader has been told */
	if (sweep->out && entry->seen && !sweep->err)
		sweep->err = append_done(sweep->records, entry->addr, entry->coro, sweep->out);
	return true;
}

/*
 * What is gone leaves the roster. A pass over all tasks tells by itself what that is. Of shares a whole cycle has to pass without it, and one more,
 * because a task can be missed while the set it is in is being changed.
 */
static int sweep_roster(const struct cs_task_records *records, uint32_t ntasks, struct cs_buf *out)
{
	const struct cs_share *share = records->share;
	uint32_t serial = share->cycles + 1;
	bool whole = share->every <= 1;
	struct sweep sweep = {records, whole ? NULL : out, whole ? serial : serial - 2, 0};
	int err;

	if (whole ? records->roster->n == ntasks : share->turn || serial < 3)
		return 0;
	err = cs_roster_sweep(records->roster, is_gone, &sweep);
	return err ? err : sweep.err;
}

/* Append the record that names every task of the pass. Returns 0 or -ENOMEM. */
static int append_pass(const struct cs_task_records *records, uint32_t ntasks, struct cs_buf *out)
{
	const struct cs_walk *walk = records->walk;
	size_t size = sizeof(struct cs_ev_pass) + ntasks * sizeof(uint64_t);
	struct cs_ev_pass *ev = cs_buf_extend(out, size);
	size_t n = 0;

	if (!ev)
		return -ENOMEM;
	ev->hdr = header(records, CS_EV_PASS, size);
	ev->hdr.flags = (uint16_t)(records->held_ns / 1000 < UINT16_MAX ? records->held_ns / 1000
									: UINT16_MAX);
	ev->weight_ns = records->weight_ns;
	ev->ntasks = ntasks;
	ev->ndropped = walk->ndropped;
	ev->coherence = records->coherence;
	ev->every = records->share->every;
	for (size_t i = 0; i < walk->ntasks; i++) {
		if (cs_task_is_alive(&walk->tasks[i]))
			ev->tasks[n++] = walk->tasks[i].addr;
	}
	return 0;
}

int cs_task_records_again(const struct cs_task_records *records, struct cs_buf *out)
{
	struct cs_ev_pass_again *ev = cs_buf_extend(out, sizeof(*ev));

	if (!ev)
		return -ENOMEM;
	ev->hdr = header(records, CS_EV_PASS_AGAIN, sizeof(*ev));
	ev->weight_ns = records->weight_ns;
	return 0;
}

int cs_task_records_write(const struct cs_task_records *records, struct cs_buf *out,
			  uint32_t *ret_ntasks)
{
	size_t before = out->len;
	int err = cs_roster_reserve(records->roster, records->walk->ntasks);

	if (!err)
		err = append_tasks(records, out, ret_ntasks);
	if (!err && records->share->every > 1)
		err = append_finished(records, out);
	if (!err)
		err = sweep_roster(records, *ret_ntasks, out);
	if (!err)
		err = append_pass(records, *ret_ntasks, out);
	if (err) {
		/* what the reader was not told it does not know */
		cs_roster_free(records->roster);
		out->len = before;
	}
	return err;
}
