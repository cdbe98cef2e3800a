/* SPDX-License-Identifier: Apache-2.0 */
/*
 * The health of event loops, from samples of their threads.
 *
 * Holds are told by hold.h. Not a hold is: a single sample (its step may have taken microseconds), and what lies in a gap between samples, for which
 * nobody knows what the loop did: the CPU clock sees no sleeping thread, so there a blocked step is a gap, and lengths are of CPU time. The wall
 * clock sees one asleep in a step, or in its selector.
 * Two steps of one task look alike if whatever came between fell between two samples. They are told apart by what struct cs_step says: a hold is one
 * step. Where that says only that it may be another one (uvloop has no Handle to look at; a step may enter contexts itself) holds end, too, and a stretch
 * of several that is long enough, but none of them, is counted, not listed. Captures of before do not tell steps: there what shows another one ends the
 * hold: any other sight, a creation of a task (its stack is a sight for no time), and a pass that found the task suspended; and the text that people
 * see says "if it was one step". An eager task's first step, inside its creator's, is taken for a hold of its own.
 * What became ready waited: see waits.c; single samples are left out there, too.
 */
#include "stitch/loop_health.h"

#include <errno.h>
#include <stdlib.h>
#include <string.h>
#include <sys/param.h>
#include <uthash.h>

#include "core/cleanup.h"
#include "stitch/loop_sight.h"
#include "stitch/waits.h"

#define MAX_PENDING 64

struct loop {
	struct cs_loop loop; /* first: handed out */
	uint64_t first_ns;
	uint64_t met_ns;          /* of the last look at it */
	struct cs_sight sleeping; /* in its last wall stack */
	struct cs_lasting lasting;
	struct cs_stretch stretch;
	struct cs_look pending[MAX_PENDING]; /* by time */
	uint32_t npending;
	struct cs_waits waits;
	struct loop *next;
	bool open;         /* it was there when the period ended */
	UT_hash_handle hh; /* until its process is another program, or gone */
};
_Static_assert(offsetof(struct cs_loop, tid) == offsetof(struct cs_loop, pid) + sizeof(uint32_t),
	       "pid and tid are the key");

struct cs_loop_health {
	uint64_t slow_ns;
	cs_slow_fn *fn;
	void *ctx;
	struct cs_sights *sights;
	struct loop *loops;        /* by pid and tid */
	struct loop *first, **end; /* all, in the order of their first samples */
	struct cs_hold_clock clock;
	struct cs_hold slow[CS_HOLDS_KEPT]; /* longest first */
	uint32_t nslow;
	uint64_t nslow_all, slow_sum_ns;
	struct cs_stretches stretches;
};

int cs_loop_health_new(uint64_t slow_ns, cs_slow_fn *fn, void *ctx, struct cs_loop_health **ret)
{
	_cleanup_(cs_loop_health_freep) struct cs_loop_health *health = calloc(1, sizeof(*health));

	if (!health || cs_sights_new(&health->sights))
		return -ENOMEM;
	health->slow_ns = slow_ns;
	health->fn = fn;
	health->ctx = ctx;
	health->end = &health->first;
	*ret = TAKE_PTR(health);
	return 0;
}

void cs_loop_health_free(struct cs_loop_health *health)
{
	struct loop *it, *next;

	if (!health)
		return;
	HASH_CLEAR(hh, health->loops);
	for (it = health->first; it; it = next) {
		next = it->next;
		free(it);
	}
	cs_sights_free(health->sights);
	free(health);
}

static struct loop *find(const struct cs_loop_health *health, uint32_t pid, uint32_t tid)
{
	const uint32_t key[] = {pid, tid};
	struct loop *it;

	HASH_FIND(hh, health->loops, key, sizeof(key), it);
	return it;
}

static void link_in(struct cs_loop_health *health, struct loop *it)
{
	HASH_ADD(hh, health->loops, loop.pid, 2 * sizeof(uint32_t), it);
	*health->end = it;
	health->end = &it->next;
}

static struct loop *add(struct cs_loop_health *health, const struct cs_event *event)
{
	struct loop *it = calloc(1, sizeof(*it));

	if (!it)
		return NULL;
	it->loop.pid = event->pid;
	it->loop.tid = event->tid;
	it->loop.stack = CS_HOLD_NO_STACK;
	it->first_ns = event->ts_ns;
	link_in(health, it);
	return it;
}

static void keep_slow(struct cs_loop_health *health, const struct cs_lasting *lasting,
		      const struct cs_hold *hold)
{
	uint32_t at = health->nslow;

	for (uint32_t i = 0; i < lasting->nstacks; i++)
		health->fn(health->ctx, lasting->stacks[i].stack, lasting->stacks[i].ns);
	health->nslow_all++;
	health->slow_sum_ns += hold->ns;
	if (at == CS_HOLDS_KEPT && health->slow[at - 1].ns >= hold->ns)
		return;
	if (at == CS_HOLDS_KEPT)
		at--;
	else
		health->nslow++;
	for (; at && health->slow[at - 1].ns < hold->ns; at--)
		health->slow[at] = health->slow[at - 1];
	health->slow[at] = *hold;
}

/* Returns whether it is long enough to be listed. */
static bool take_hold(struct cs_loop_health *health, struct loop *loop, struct cs_hold *hold)
{
	hold->pid = loop->loop.pid;
	hold->tid = loop->loop.tid;
	cs_waits_add(&loop->waits, hold->ns);
	if (hold->ns > loop->loop.longest.ns)
		loop->loop.longest = *hold;
	if (!health->slow_ns || hold->ns < health->slow_ns || hold->stack == CS_HOLD_NO_STACK)
		return false;
	keep_slow(health, &loop->lasting, hold);
	return true;
}

/* The next look at the loop, or the end, came at after_ns. */
static void end_hold(struct cs_loop_health *health, struct loop *loop, enum cs_edge after,
		     uint64_t after_ns)
{
	bool lasted = loop->lasting.step.kind == CS_SIGHT_STEP;
	struct cs_hold hold;
	bool listed = cs_lasting_end(&loop->lasting, &health->clock, after, after_ns, &hold) &&
		      take_hold(health, loop, &hold);
	uint64_t ns = lasted ? cs_stretch_add(&loop->stretch, &loop->lasting, after, listed) : 0;

	if (health->slow_ns && ns >= health->slow_ns) {
		health->stretches.n++;
		health->stretches.sum_ns += ns;
	}
}

static bool same_task(const struct cs_sight *a, const struct cs_sight *b)
{
	return a->kind == CS_SIGHT_STEP && a->task == b->task && a->coro == b->coro;
}

/* What lies between the hold that lasts and this look; the hold goes on (same: true) if that is nothing. */
static enum cs_edge edge_at(const struct cs_loop_health *health, const struct cs_lasting *lasting,
			    const struct cs_look *look, bool *ret_same)
{
	enum cs_same_step same = cs_sight_same_step(&lasting->step, &look->sight);

	*ret_same = false;
	if (same == CS_STEP_OTHER)
		return CS_EDGE_OTHER;
	if (cs_lasting_gap(lasting, &health->clock, look))
		return CS_EDGE_GAP;
	*ret_same = same != CS_STEP_CHANGED;
	return CS_EDGE_CHANGED;
}

static void look_at(struct cs_loop_health *health, struct loop *loop, struct cs_look *look)
{
	uint64_t before_ns = loop->met_ns;
	enum cs_edge edge;
	bool same;

	/* too late even so: what is known by now is newer, but its time counts */
	if (look->ts_ns < loop->met_ns && !look->weight_ns)
		return;
	if (look->suspended && !same_task(&loop->lasting.step, &look->sight))
		return;
	look->ts_ns = MAX(look->ts_ns, loop->met_ns);
	loop->met_ns = look->ts_ns;
	if (look->suspended) {
		end_hold(health, loop, CS_EDGE_OTHER, look->ts_ns);
		return;
	}
	edge = edge_at(health, &loop->lasting, look, &same);
	if (!same)
		end_hold(health, loop, edge, look->ts_ns);
	if (look->sight.kind == CS_SIGHT_STEP) {
		if (!before_ns || edge == CS_EDGE_GAP) {
			edge = CS_EDGE_GAP;
			before_ns = health->clock.start_ns;
		}
		cs_lasting_add(&loop->lasting, look, edge, before_ns);
		loop->loop.held_ns += look->weight_ns;
	}
	if (look->sight.kind == CS_SIGHT_NO_LOOP)
		return;
	loop->loop.watched_ns += look->weight_ns;
	loop->loop.nsamples += look->weight_ns != 0;
	if (look->stack != CS_HOLD_NO_STACK)
		loop->loop.stack = look->stack;
}

/* The oldest look of those that wait comes next. */
static void look_at_next(struct cs_loop_health *health, struct loop *loop)
{
	struct cs_look look = loop->pending[0];

	loop->npending--;
	memmove(loop->pending, loop->pending + 1, loop->npending * sizeof(look));
	look_at(health, loop, &look);
}

/*
 * Records of one thread do not come in the order of their times: user space's visits and passes are written before or behind what the kernel's
 * ring held meanwhile, on a busy machine many ticks. So looks wait until enough later ones are there.
 */
static void put_in_order(struct cs_loop_health *health, struct loop *loop,
			 const struct cs_look *look)
{
	uint32_t at;

	if (look->sight.kind == CS_SIGHT_UNKNOWN) {
		loop->loop.unknown_ns += look->weight_ns;
		return;
	}
	if (loop->npending == MAX_PENDING)
		look_at_next(health, loop);
	for (at = loop->npending; at && loop->pending[at - 1].ts_ns > look->ts_ns; at--)
		loop->pending[at] = loop->pending[at - 1];
	loop->pending[at] = *look;
	loop->npending++;
}

/* A stack, or a creation of a task, which is a sight for no time. */
static int feed_stack(struct cs_loop_health *health, const struct cs_event *event, uint32_t stack)
{
	const struct cs_event_stack *seen = &event->stack;
	struct loop *loop = find(health, event->pid, event->tid);
	struct cs_look look = {
		.sight = cs_sights_see(health->sights, event->pid, seen),
		.ts_ns = event->ts_ns,
		.weight_ns = event->kind == CS_EV_STACK ? seen->weight_ns : 0,
		.stack = stack,
		.off_cpu = seen->origin == CS_ORIGIN_WALL,
	};

	if (!loop && look.sight.kind >= CS_SIGHT_SELECTOR)
		loop = add(health, event);
	if (!loop)
		return look.sight.kind >= CS_SIGHT_SELECTOR ? -ENOMEM : 0;
	if (seen->origin == CS_ORIGIN_WALL && look.weight_ns)
		loop->sleeping = look.sight;
	put_in_order(health, loop, &look);
	return 0;
}

static void feed_same(struct cs_loop_health *health, const struct cs_event *event, uint32_t stack)
{
	struct loop *loop = find(health, event->pid, event->tid);

	if (loop)
		put_in_order(health, loop,
			     &(struct cs_look){
				     .sight = loop->sleeping,
				     .ts_ns = event->ts_ns,
				     .weight_ns = event->same.weight_ns,
				     .stack = stack,
				     .off_cpu = true,
				     .unmoved = true,
			     });
}

/* What the loop's thread showed last at this time, as far as is known yet. */
static const struct cs_sight *sight_at(const struct loop *loop, uint64_t ts_ns)
{
	uint32_t at = loop->npending;

	while (at && loop->pending[at - 1].ts_ns > ts_ns)
		at--;
	return at ? &loop->pending[at - 1].sight : &loop->lasting.step;
}

/* A pass that finds the task of a step suspended: the step is over. */
static void feed_pass(struct cs_loop_health *health, const struct cs_event *event,
		      const struct cs_graph *graph)
{
	struct loop *loop, *tmp;

	HASH_ITER (hh, health->loops, loop, tmp) {
		const struct cs_sight *step = sight_at(loop, event->ts_ns);
		struct cs_look look = {.sight = *step, .ts_ns = event->ts_ns, .suspended = true};
		const struct cs_task *task;

		if (loop->loop.pid != event->pid || step->kind != CS_SIGHT_STEP || !step->task)
			continue;
		task = cs_graph_find(graph, step->task);
		if (task && task->coro == step->coro && cs_graph_alive(graph, task) &&
		    (task->state == CS_TASK_WAITING || task->state == CS_TASK_READY))
			put_in_order(health, loop, &look);
	}
}

/* Nothing more is seen of a loop after end_ns: its process is over, or (open) the capture. */
static void finish(struct cs_loop_health *health, struct loop *loop, uint64_t end_ns, bool open)
{
	while (loop->npending)
		look_at_next(health, loop);
	end_ns = MAX(end_ns, loop->met_ns);
	end_hold(health, loop, open ? CS_EDGE_GAP : CS_EDGE_OTHER, end_ns);
	if (!health->clock.wall)
		loop->loop.watched_ns = end_ns > loop->first_ns ? end_ns - loop->first_ns : 0;
	loop->loop.wait_p50_ns = cs_waits_quantile(&loop->waits, loop->loop.watched_ns, 0.5);
	loop->loop.wait_p99_ns = cs_waits_quantile(&loop->waits, loop->loop.watched_ns, 0.99);
	loop->open = open;
	HASH_DEL(health->loops, loop);
}

static void feed_end(struct cs_loop_health *health, const struct cs_event *event)
{
	struct loop *loop, *tmp;

	HASH_ITER (hh, health->loops, loop, tmp)
		if (loop->loop.pid == event->pid)
			finish(health, loop, event->ts_ns, false);
}

int cs_loop_health_feed(struct cs_loop_health *health, const struct cs_event *event,
			const struct cs_graph *graph, uint32_t stack)
{
	int err = cs_sights_learn(health->sights, event);

	if (err)
		return err;
	switch (event->kind) {
	case CS_EV_CAPTURE:
		health->clock.wall = event->capture.mode == CS_MODE_WALL;
		health->clock.interval_ns = event->capture.interval_ns;
		health->clock.start_ns = event->ts_ns;
		return 0;
	case CS_EV_STACK:
	case CS_EV_TASK_CREATED:
		return feed_stack(health, event, stack);
	case CS_EV_SAME:
		feed_same(health, event, stack);
		return 0;
	case CS_EV_PASS:
		if (graph)
			feed_pass(health, event, graph);
		return 0;
	case CS_EV_EXEC:
	case CS_EV_EXIT:
		feed_end(health, event);
		return 0;
	default:
		return 0;
	}
}

void cs_loop_health_finish(struct cs_loop_health *health, uint64_t end_ns)
{
	struct loop *loop, *tmp;

	HASH_ITER (hh, health->loops, loop, tmp)
		finish(health, loop, end_ns, true);
}

void cs_loop_health_begin(struct cs_loop_health *health)
{
	struct loop *it = health->first, *next;

	health->first = NULL;
	health->end = &health->first;
	for (; it; it = next) {
		next = it->next;
		/* a thread ends without a word: one that was not seen has */
		if (!it->open || !it->met_ns) {
			free(it);
			continue;
		}
		*it = (struct loop){
			.loop = {.pid = it->loop.pid,
				 .tid = it->loop.tid,
				 .stack = CS_HOLD_NO_STACK},
			.first_ns = it->met_ns,
			.sleeping = it->sleeping,
		};
		link_in(health, it);
	}
	health->nslow = 0;
	health->nslow_all = health->slow_sum_ns = 0;
	health->stretches = (struct cs_stretches){0};
}

const struct cs_loop *cs_loop_health_next(const struct cs_loop_health *health,
					  const struct cs_loop *loop)
{
	const struct loop *it = loop ? ((const struct loop *)loop)->next : health->first;

	return it ? &it->loop : NULL;
}

const struct cs_hold *cs_loop_health_slow(const struct cs_loop_health *health, uint32_t *ret_n,
					  uint64_t *ret_all, uint64_t *ret_ns)
{
	*ret_n = health->nslow;
	*ret_all = health->nslow_all;
	*ret_ns = health->slow_sum_ns;
	return health->slow;
}

struct cs_stretches cs_loop_health_stretches(const struct cs_loop_health *health)
{
	return health->stretches;
}
