/* SPDX-License-Identifier: Apache-2.0 */
/* The thread that makes unwind tables. */
#include "collect/unwind_maker.h"

#include <errno.h>
#include <pthread.h>
#include <stdlib.h>
#include <time.h>

#include "core/allowance.h"
#include "core/cleanup.h"
#include "core/clock.h"
#include "core/thread.h"

#define MS       1000000ull
/* What was made is handed over together, but nobody waits longer than this for others. */
#define BATCH_NS (10 * MS)
/* CPU time that it may use at once, enough for all files of a usual machine; ... */
#define BURST_NS (2000 * MS)
/* ... and this part of the time that passes, for what comes after that. */
#define PART     100

/* Tables to be given back. */
struct gone {
	struct cs_kernel_table *table;
	struct gone *next;
};

/* First in, first out. */
struct queue {
	struct cs_unwind_making *first, **end;
};

struct cs_unwind_maker {
	struct cs_unwind_tables *tables; /* of who `runs` */
	pthread_mutex_t lock;            /* for all that follows */
	pthread_cond_t changed;          /* `runs` is false now; `ending` is true now */
	bool runs, ending;
	struct queue asked, done;
	struct gone *gone;
	struct cs_unwind_stats stats;
	struct cs_allowance allowance; /* of CPU time */
};

static void queue_empty(struct queue *queue)
{
	queue->first = NULL;
	queue->end = &queue->first;
}

static void queue_add(struct queue *queue, struct cs_unwind_making *making)
{
	making->next = NULL;
	*queue->end = making;
	queue->end = &making->next;
}

static struct cs_unwind_making *queue_take(struct queue *queue)
{
	struct cs_unwind_making *making = queue->first;

	if (!making)
		return NULL;
	queue->first = making->next;
	if (!queue->first)
		queue->end = &queue->first;
	return making;
}

static int init_condition(pthread_cond_t *condition)
{
	pthread_condattr_t attr;
	int err;

	pthread_condattr_init(&attr);
	pthread_condattr_setclock(&attr, CLOCK_MONOTONIC);
	err = pthread_cond_init(condition, &attr);
	pthread_condattr_destroy(&attr);
	return -err;
}

int cs_unwind_maker_new(int map_fd, size_t budget_bytes, struct cs_unwind_maker **ret)
{
	_cleanup_free_ struct cs_unwind_maker *maker = calloc(1, sizeof(*maker));
	int err;

	if (!maker)
		return -ENOMEM;
	err = cs_unwind_tables_new(map_fd, budget_bytes, &maker->tables);
	if (err)
		return err;
	pthread_mutex_init(&maker->lock, NULL);
	err = init_condition(&maker->changed);
	if (err) {
		cs_unwind_tables_free(maker->tables);
		return err;
	}
	queue_empty(&maker->asked);
	queue_empty(&maker->done);
	maker->allowance = cs_allowance_begin(BURST_NS, PART, cs_clock_ns(CLOCK_MONOTONIC));
	*ret = TAKE_PTR(maker);
	return 0;
}

/* Sleep until the thread ends, or is to end, or this long; the lock is held. */
static void await_change(struct cs_unwind_maker *maker, uint64_t until_ns)
{
	const struct timespec until = {(time_t)(until_ns / 1000000000u),
				       (long)(until_ns % 1000000000u)};

	pthread_cond_timedwait(&maker->changed, &maker->lock, &until);
}

void cs_unwind_maker_wait(struct cs_unwind_maker *maker, uint64_t timeout_ns)
{
	uint64_t until_ns = cs_clock_ns(CLOCK_MONOTONIC) + timeout_ns;

	pthread_mutex_lock(&maker->lock);
	while (maker->runs && cs_clock_ns(CLOCK_MONOTONIC) < until_ns)
		await_change(maker, until_ns);
	pthread_mutex_unlock(&maker->lock);
}

void cs_unwind_maker_free(struct cs_unwind_maker *maker)
{
	struct cs_unwind_making *making;
	struct gone *gone;

	if (!maker)
		return;
	pthread_mutex_lock(&maker->lock);
	maker->ending = true;
	pthread_cond_broadcast(&maker->changed);
	while (maker->runs)
		pthread_cond_wait(&maker->changed, &maker->lock);
	pthread_mutex_unlock(&maker->lock);
	while ((making = queue_take(&maker->asked)))
		cs_elf_close(TAKE_PTR(making->elf));
	while ((gone = maker->gone)) {
		maker->gone = gone->next;
		free(gone);
	}
	cs_unwind_tables_free(maker->tables);
	pthread_cond_destroy(&maker->changed);
	pthread_mutex_destroy(&maker->lock);
	free(maker);
}

/* Make one; its CPU time is accounted for. The lock is not held. */
static uint64_t make(struct cs_unwind_maker *maker, struct cs_unwind_making *making)
{
	uint64_t begun_ns = cs_clock_ns(CLOCK_THREAD_CPUTIME_ID);

	making->err = cs_unwind_tables_make(maker->tables, making->elf, &making->table);
	cs_elf_close(TAKE_PTR(making->elf));
	return cs_clock_ns(CLOCK_THREAD_CPUTIME_ID) - begun_ns;
}

/* Until it may use CPU time again; the lock is held. */
static void keep_share(struct cs_unwind_maker *maker)
{
	uint64_t until_ns = cs_allowance_earned_ns(&maker->allowance, 0);

	while (!maker->ending && cs_clock_ns(CLOCK_MONOTONIC) < until_ns)
		await_change(maker, until_ns);
}

/* The kernel side has all of `made` when it goes to those that are done; the lock is held. */
static void hand_over(struct cs_unwind_maker *maker, struct queue *made)
{
	struct cs_unwind_making *making;

	pthread_mutex_unlock(&maker->lock);
	cs_unwind_tables_flush(maker->tables);
	pthread_mutex_lock(&maker->lock);
	while ((making = queue_take(made)))
		queue_add(&maker->done, making);
	maker->stats = cs_unwind_tables_stats(maker->tables);
}

/* The next one that was asked for, handed over unless others come soon; the lock is held. */
static void make_next(struct cs_unwind_maker *maker, struct queue *made, uint64_t *begun_ns)
{
	struct cs_unwind_making *making = queue_take(&maker->asked);
	uint64_t used_ns, now_ns;
	bool may_go_on;

	if (!made->first)
		*begun_ns = cs_clock_ns(CLOCK_MONOTONIC);
	pthread_mutex_unlock(&maker->lock);
	used_ns = make(maker, making);
	pthread_mutex_lock(&maker->lock);
	queue_add(made, making);
	now_ns = cs_clock_ns(CLOCK_MONOTONIC);
	may_go_on = cs_allowance_spend(&maker->allowance, used_ns, now_ns);
	if (!maker->asked.first || !may_go_on || now_ns - *begun_ns >= BATCH_NS)
		hand_over(maker, made);
	keep_share(maker);
}

static void release_next(struct cs_unwind_maker *maker)
{
	struct gone *gone = maker->gone;

	maker->gone = gone->next;
	pthread_mutex_unlock(&maker->lock);
	cs_unwind_tables_release(maker->tables, gone->table);
	free(gone);
	pthread_mutex_lock(&maker->lock);
	maker->stats = cs_unwind_tables_stats(maker->tables);
}

/* Until nothing is left to be done: in turns, as what goes makes room for what comes. The lock is held. */
static void work(struct cs_unwind_maker *maker)
{
	struct queue made;
	uint64_t begun_ns = 0;

	queue_empty(&made);
	while (!maker->ending && (maker->asked.first || maker->gone)) {
		if (maker->asked.first)
			make_next(maker, &made, &begun_ns);
		if (maker->gone && !maker->ending)
			release_next(maker);
	}
	if (made.first)
		hand_over(maker, &made);
}

static void *run(void *arg)
{
	struct cs_unwind_maker *maker = arg;

	pthread_mutex_lock(&maker->lock);
	work(maker);
	maker->runs = false;
	pthread_cond_broadcast(&maker->changed);
	pthread_mutex_unlock(&maker->lock);
	return NULL;
}

/* There is something to do; if no thread is to be had, whoever comes next tries again. The lock is held. */
static void begin(struct cs_unwind_maker *maker)
{
	pthread_t thread;

	if (maker->runs)
		return;
	maker->runs = cs_thread_start(&thread, run, maker) == 0;
	if (maker->runs)
		pthread_detach(thread);
}

void cs_unwind_maker_ask(struct cs_unwind_maker *maker, struct cs_unwind_making *making)
{
	pthread_mutex_lock(&maker->lock);
	queue_add(&maker->asked, making);
	begin(maker);
	pthread_mutex_unlock(&maker->lock);
}

struct cs_unwind_making *cs_unwind_maker_take(struct cs_unwind_maker *maker)
{
	struct cs_unwind_making *making;

	pthread_mutex_lock(&maker->lock);
	making = queue_take(&maker->done);
	pthread_mutex_unlock(&maker->lock);
	return making;
}

void cs_unwind_maker_release(struct cs_unwind_maker *maker, struct cs_kernel_table *table)
{
	struct gone *gone = malloc(sizeof(*gone));

	if (!gone) /* it stays: its place is lost, and nothing else */
		return;
	gone->table = table;
	pthread_mutex_lock(&maker->lock);
	gone->next = maker->gone;
	maker->gone = gone;
	begin(maker);
	pthread_mutex_unlock(&maker->lock);
}

struct cs_unwind_stats cs_unwind_maker_stats(struct cs_unwind_maker *maker)
{
	struct cs_unwind_stats stats;

	pthread_mutex_lock(&maker->lock);
	stats = maker->stats;
	pthread_mutex_unlock(&maker->lock);
	return stats;
}
