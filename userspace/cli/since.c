/* SPDX-License-Identifier: Apache-2.0 */
/*
 * Since when tasks are what they are: one row per address, begun anew with each task that lives
 * there.
 */
#include "cli/since.h"

#include <errno.h>
#include <stdlib.h>
#include <uthash.h>

#include "python/digest.h"

struct moment {
	uint64_t ns;
	bool exact;
};

struct row {
	uint64_t task;
	uint64_t coro;   /* 0: not seen yet */
	uint64_t digest; /* of where it stands; 0: not seen yet */
	struct moment born, changed;
	UT_hash_handle hh;
};

struct cs_since {
	struct row *rows;
};

int cs_since_new(struct cs_since **ret)
{
	*ret = calloc(1, sizeof(**ret));
	return *ret ? 0 : -ENOMEM;
}

static void forget_all(struct cs_since *since)
{
	struct row *row, *tmp;

	HASH_ITER (hh, since->rows, row, tmp) {
		HASH_DEL(since->rows, row);
		free(row);
	}
}

void cs_since_free(struct cs_since *since)
{
	if (!since)
		return;
	forget_all(since);
	free(since);
}

static struct row *find(const struct cs_since *since, uint64_t task)
{
	struct row *row;

	HASH_FIND(hh, since->rows, &task, sizeof(task), row);
	return row;
}

/*
 * The row of a task that is new at this address as far as anybody knows. Returns NULL without
 * memory.
 */
static struct row *begin(struct cs_since *since, uint64_t task, struct moment moment)
{
	struct row *row = find(since, task);

	if (!row) {
		row = calloc(1, sizeof(*row));
		if (!row)
			return NULL;
		row->task = task;
		HASH_ADD(hh, since->rows, task, sizeof(row->task), row);
	}
	row->coro = row->digest = 0;
	row->born = row->changed = moment;
	return row;
}

/* Never 0, which stands for "not seen". */
static uint64_t digest_of(const struct cs_event_task *task)
{
	uint64_t digest = cs_digest_word(cs_digest_word(0, task->state), task->waiter);

	for (uint32_t i = 0; i < task->nframes; i++) {
		digest = cs_digest_word(digest, task->frames[i].code);
		digest = cs_digest_word(digest, (uint32_t)task->frames[i].lasti);
	}
	return digest | 1;
}

static int feed_task(struct cs_since *since, uint64_t ts_ns, const struct cs_event_task *task)
{
	struct row *row = find(since, task->task);
	uint64_t digest = digest_of(task);

	/* It tells of the task that was there before this one. */
	if (row && row->born.exact && ts_ns < row->born.ns)
		return 0;
	if (!row || (row->coro && task->coro && row->coro != task->coro))
		row = begin(since, task->task, (struct moment){ts_ns, false});
	else if (row->digest != digest)
		row->changed = (struct moment){ts_ns, true};
	if (!row)
		return -ENOMEM;
	row->coro = task->coro ? task->coro : row->coro;
	row->digest = digest;
	return 0;
}

/* A sample met it running: whatever it waits for later begins later. */
static void feed_running(struct cs_since *since, uint64_t ts_ns, const struct cs_event_running *run)
{
	struct row *row = run->task ? find(since, run->task) : NULL;

	if (row && row->coro == run->coro && ts_ns > row->changed.ns)
		row->changed = (struct moment){ts_ns, true};
}

int cs_since_feed(struct cs_since *since, const struct cs_event *event)
{
	switch (event->kind) {
	case CS_EV_TASK_CREATED:
		feed_running(since, event->ts_ns, &event->stack.running);
		return begin(since, event->stack.subject, (struct moment){event->ts_ns, true})
			       ? 0
			       : -ENOMEM;
	case CS_EV_STACK:
		/* introductions weigh nothing, and are no samples */
		if (event->stack.weight_ns)
			feed_running(since, event->ts_ns, &event->stack.running);
		return 0;
	case CS_EV_TASK:
		return feed_task(since, event->ts_ns, &event->task);
	case CS_EV_EXEC:
	case CS_EV_EXIT:
		forget_all(since);
		return 0;
	default:
		return 0;
	}
}

static struct cs_since_span span(const struct moment *moment, uint64_t now_ns)
{
	if (!moment || now_ns < moment->ns)
		return (struct cs_since_span){0};
	return (struct cs_since_span){now_ns - moment->ns, moment->exact};
}

struct cs_since_span cs_since_born(const struct cs_since *since, uint64_t task, uint64_t now_ns)
{
	const struct row *row = find(since, task);

	return span(row ? &row->born : NULL, now_ns);
}

struct cs_since_span cs_since_changed(const struct cs_since *since, uint64_t task, uint64_t now_ns)
{
	const struct row *row = find(since, task);

	return span(row ? &row->changed : NULL, now_ns);
}
