/* SPDX-License-Identifier: Apache-2.0 */
/*
 * Passes over the tasks of one process: find a moment at which they can be read truly, read them (walk.c), and
 * have written down what is new (task_records.c).
 *
 * The first pass reads all tasks, so that what is known of links is whole from the beginning, and so does one over a process that is at rest if the
 * last such pass has been paid for. Between them passes may read a share (share.h), which keeps their price and distance.
 *
 * Most processes are at rest most of the time. If every thread that a process had was blocked before the last reading, and
 * none has been given a CPU since, then nothing can have written to its memory, and the last reading is this pass's, too: no byte
 * is read again. All threads count, not only those with a loop: any of them may drop the last reference to a task, collect garbage, or
 * begin to run a loop that was at rest. New threads need not be looked for, since somebody would have had to run to make one.
 */
#include "python/tasks.h"

#include <coroscope/event.h>
#include <coroscope/limits.h>
#include <errno.h>
#include <stdlib.h>
#include <string.h>
#include <time.h>
#include <unistd.h>

#include "core/cleanup.h"
#include "core/clock.h"
#include "python/instant.h"
#include "python/loops.h"
#include "python/quiet.h"
#include "python/roster.h"
#include "python/share.h"
#include "python/task_records.h"
#include "python/walk.h"

/* Copies in a row that lack nothing, after one that did. */
#define WHOLE_COPIES     3
/* How long to wait before asking again whether the threads are at rest. */
#define POLL_NS          30000
/*
 * A process whose loops never sleep would cost the whole wait in every pass: after so many restless ones in a row it is
 * waited for only now and then.
 */
#define RESTLESS_PASSES  8
#define RESTLESS_RETRIES 32
/*
 * Processes with more threads are read in every pass: to ask so many would cost as much as reading some hundred tasks, and two
 * open files for each.
 */
#define STILL_THREADS    32
/* The first pass, and one at rest, may read so many times what others read: at most a tenth of a second of work or two. */
#define WHOLE_TIMES      8u
/* A pass over a share should take no more CPU time than this, as long as it reads some thousand tasks. */
#define SHARE_NS         20000000ull
#define LEAST_SHARE      2048u
/* A pass at rest over more than the usual share costs at most one part in so many of the time. */
#define WHOLE_BUDGET     100

struct cs_tasks {
	struct cs_interp interp;
	struct cs_asyncio asyncio;
	struct cs_quiet *quiet;   /* the threads with a loop, or all if they are not known */
	struct cs_quiet *process; /* all threads */
	bool still;               /* process says whether what walk and known have is still so */
	struct cs_loops loops;
	struct cs_walk walk;     /* the last reading */
	uint64_t walk_ns;        /* when it began */
	struct cs_share share;   /* which tasks a pass reads */
	uint32_t most;           /* that one pass may read */
	uint32_t usual;          /* the same, or less where that takes long */
	uint64_t whole_at_ns;    /* all of them, if the process is at rest, not before */
	struct cs_roster roster; /* what the records said so far */
	unsigned int restless;   /* passes in a row that found no rest */
	bool in_task;            /* the last reading was of a copy made in the loop's thread */
	struct cs_instant_reader instants;
	unsigned int tries;                 /* copies of one pass */
	const struct cs_span_source *spans; /* NULL: nobody asks for them */
};

static uint64_t now_ns(void)
{
	return cs_clock_ns(CLOCK_MONOTONIC);
}

/* Do the fields that walk.c picks out of a chunk lie in it? */
static bool layout_is_sane(const struct cs_py_offsets *off)
{
	const uint32_t fields[] = {
		off->future_loop, off->task_fut_waiter,  off->task_coro,        off->task_name,
		off->object_type, off->future_callback0, off->future_callbacks, off->task_context};

	if (off->task_size > CS_TASK_CHUNK || off->weakref_object + 8 > CS_WALK_WEAKREF_CHUNK)
		return false;
	for (size_t i = 0; i < ARRAY_SIZE(fields); i++) {
		if (fields[i] + 8 > off->task_size)
			return false;
	}
	return true;
}

int cs_tasks_new(const struct cs_interp *interp, const struct cs_asyncio *asyncio,
		 struct cs_tasks **ret)
{
	_cleanup_(cs_tasks_freep) struct cs_tasks *tasks = NULL;
	int err;

	if (!asyncio->loaded || !layout_is_sane(&interp->info.off))
		return -EINVAL;
	tasks = calloc(1, sizeof(*tasks));
	if (!tasks)
		return -ENOMEM;
	tasks->interp = *interp;
	tasks->asyncio = *asyncio;
	cs_tasks_limit(tasks, CS_PASS_TASKS);
	cs_loops_init(&tasks->loops, interp->pid);
	err = cs_quiet_new(interp->pid, CS_QUIET_THREADS, &tasks->quiet);
	if (!err)
		err = cs_quiet_new(interp->pid, STILL_THREADS, &tasks->process);
	if (err)
		return err;
	*ret = TAKE_PTR(tasks);
	return 0;
}

void cs_tasks_free(struct cs_tasks *tasks)
{
	if (!tasks)
		return;
	cs_quiet_free(tasks->quiet);
	cs_quiet_free(tasks->process);
	cs_walk_free(&tasks->walk);
	cs_roster_free(&tasks->roster);
	cs_instant_reader_free(&tasks->instants);
	free(tasks);
}

void cs_tasks_use_instants(struct cs_tasks *tasks, const struct cs_instant_source *source,
			   unsigned int tries)
{
	tasks->instants.source = source;
	tasks->tries = tries;
}

void cs_tasks_use_spans(struct cs_tasks *tasks, const struct cs_span_source *source)
{
	tasks->spans = source;
	tasks->still = false;
}

void cs_tasks_limit(struct cs_tasks *tasks, uint32_t most)
{
	tasks->most = tasks->usual = most;
	cs_share_init(&tasks->share,
		      most < CS_MAX_TASKS / WHOLE_TIMES ? WHOLE_TIMES * most : CS_MAX_TASKS);
}

/* Look at the loops of the tasks that were read; all: also of those that had changed when they were read again. */
static void add_loops(struct cs_tasks *tasks, const struct cs_pyobj_ctx *ctx, bool all)
{
	for (size_t i = 0; i < tasks->walk.ntasks; i++) {
		const struct cs_walk_task *task = &tasks->walk.tasks[i];

		if ((all || cs_task_is_alive(task)) && task->loop)
			cs_loops_add(&tasks->loops, ctx, task->loop);
	}
}

/*
 * Look up the threads of the loops that were met. Where every task changes all the time, none may be left of a reading: their loops are
 * the same all the same. Returns whether the watched threads were all that matter;
 * if not, the right ones are watched from now on.
 */
static bool watch_loops(struct cs_tasks *tasks, const struct cs_pyobj_ctx *ctx)
{
	uint32_t tids[CS_LOOPS_MAX];
	bool enough;
	size_t n;

	cs_loops_begin(&tasks->loops);
	add_loops(tasks, ctx, false);
	n = cs_loops_tids(&tasks->loops, tids);
	if (!n) {
		add_loops(tasks, ctx, true);
		n = cs_loops_tids(&tasks->loops, tids);
	}
	enough = cs_quiet_covers(tasks->quiet, tids, n);
	cs_quiet_watch(tasks->quiet, tids, n);
	return enough;
}

static bool is_quiet(void *arg)
{
	return cs_quiet_end(arg);
}

static bool rests(void *arg)
{
	return cs_quiet_begin(arg);
}

static bool is_copied(void *arg)
{
	(void)arg;
	return true;
}

/* twice: it is not at rest, or not known whether. Returns what cs_walk_read returns. */
static int read_once(struct cs_tasks *tasks, const struct cs_pyobj_ctx *ctx, bool twice)
{
	const struct cs_walk_plan plan = {
		.share = &tasks->share,
		.twice = twice,
		.quiet = is_quiet,
		.rests = rests,
		.arg = tasks->quiet,
		.spans = tasks->spans,
	};

	tasks->walk_ns = now_ns();
	return cs_walk_read(&tasks->walk, ctx, &tasks->asyncio, &plan);
}

/* Note how often each thread has run, before a reading. Run counts tell nothing of ourselves: we run while we read. */
static bool begin_still(struct cs_tasks *tasks)
{
	return tasks->interp.pid != getpid() && cs_quiet_begin(tasks->process);
}

/*
 * One reading, of a process at rest if it is. Returns 0 when it was at rest throughout, -EBUSY if it was not (then the tasks were read
 * twice), -EAGAIN if other threads matter than it was thought, or the walk's error.
 */
static int read_now(struct cs_tasks *tasks, const struct cs_pyobj_ctx *ctx, bool twice)
{
	bool still = !twice && begin_still(tasks);
	int err = read_once(tasks, ctx, twice);

	if (err)
		return err;
	/* the threads of the loops are known by now: others were watched, and their rest was believed */
	if (!watch_loops(tasks, ctx) && (!tasks->walk.twice || tasks->walk.nrested))
		return -EAGAIN;
	if (tasks->walk.twice)
		return -EBUSY;
	tasks->still = still;
	return 0;
}

/* Read the copy that was taken. Returns 0, -ENODATA if it lacks something that the next one will have, or another error. */
static int read_copy(struct cs_tasks *tasks, const struct cs_pyobj_ctx *ctx)
{
	const struct cs_walk_plan plan = {
		.share = &tasks->share, .quiet = is_copied, .spans = tasks->spans};
	int err = cs_walk_read(&tasks->walk, ctx, &tasks->asyncio, &plan);
	int lacking = cs_instant_end(&tasks->instants, ctx->mem);

	if (lacking)
		return lacking < 0 ? lacking : -ENODATA;
	return err;
}

/*
 * Read a copy that the loop's own thread makes. With several loops that run there is no such instant: the others go on
 * meanwhile. A copy that lacks something is made again, with it, until it is plain that too much changes. The first that lacks nothing is likely one
 * with few tasks: it counts once some in a row have been whole, or half of the tries are used up.
 */
static int read_in_task(struct cs_tasks *tasks, const struct cs_pyobj_ctx *ctx)
{
	uint32_t tids[CS_LOOPS_MAX], tid;
	unsigned int nwhole = 0;
	int err = -ENODATA, lacked = 0;

	if (!tasks->instants.source || !tasks->instants.pages.n ||
	    cs_loops_tids(&tasks->loops, tids) != 1)
		return -EAGAIN;
	tid = tids[0];
	for (unsigned int i = 0; i < tasks->tries; i++) {
		err = cs_instant_begin(&tasks->instants, ctx->mem, tid);
		if (err) {
			/* what was read last was whole, and is there still */
			err = nwhole ? 0 : err;
			break;
		}
		err = read_copy(tasks, ctx);
		if (err && err != -ENODATA)
			break;
		lacked |= err;
		nwhole = err ? 0 : nwhole + 1;
		if (nwhole && (!lacked || nwhole == WHOLE_COPIES || 2 * (i + 1) >= tasks->tries))
			break;
	}
	if (err == -ENODATA)
		cs_instant_rest(&tasks->instants);
	if (err)
		return err;
	watch_loops(tasks, ctx);
	return cs_loops_tids(&tasks->loops, tids) == 1 && tids[0] == tid ? 0 : -EAGAIN;
}

/* Of a process that is not at rest. Returns -EBUSY, or the walk's error. */
static int read_restless(struct cs_tasks *tasks, const struct cs_pyobj_ctx *ctx)
{
	int err;

	tasks->in_task = !read_in_task(tasks, ctx);
	if (tasks->in_task)
		return -EBUSY;
	err = read_now(tasks, ctx, true);
	/* without room for what was learnt the next pass does without a copy, too */
	if (err == -EBUSY && tasks->instants.source)
		cs_instant_learn(&tasks->instants, ctx->mem);
	return err;
}

/*
 * Find a reading that holds. It is begun when the process is at rest, or when that has been waited for in vain. One that holds only task by task
 * is good enough if there is no time for another. Returns 0, -EBUSY (task by task) or the walk's error.
 */
static int read_tasks(struct cs_tasks *tasks, const struct cs_pyobj_ctx *ctx, uint64_t wait_ns)
{
	const struct timespec pause = {.tv_nsec = POLL_NS};
	uint64_t deadline = now_ns() + wait_ns;
	int err = -EAGAIN;

	for (;;) {
		bool quiet = cs_quiet_begin(tasks->quiet);
		bool last = now_ns() >= deadline;

		if (quiet)
			err = read_now(tasks, ctx, false);
		if (err == -EAGAIN && last)
			err = read_restless(tasks, ctx);
		if (err != -EAGAIN && (err != -EBUSY || last))
			return err;
		/* as long as this one took, the next one would take */
		if (err == -EBUSY && 2 * now_ns() - tasks->walk_ns > deadline)
			return err;
		nanosleep(&pause, NULL);
	}
}

static uint64_t patience(const struct cs_tasks *tasks, uint64_t wait_ns)
{
	if (tasks->restless < RESTLESS_PASSES || tasks->restless % RESTLESS_RETRIES == 0)
		return wait_ns;
	return 0;
}

/* How much this pass may read. at_rest: nothing has run since the last one. */
static void set_share(struct cs_tasks *tasks, bool at_rest)
{
	bool first = !tasks->share.cycles && !tasks->share.done;
	bool whole = at_rest && now_ns() >= tasks->whole_at_ns;

	if (first || tasks->most >= CS_MAX_TASKS)
		return;
	tasks->share.most = whole ? WHOLE_TIMES * tasks->most : tasks->usual;
}

/* A pass took so long. Returns what of it the next one has to wait for. */
static uint64_t account(struct cs_tasks *tasks, uint64_t cpu_ns)
{
	uint64_t n = tasks->walk.ntasks, fit;

	if (n > tasks->most) {
		tasks->whole_at_ns = now_ns() + cpu_ns * WHOLE_BUDGET;
		return cpu_ns * tasks->usual / n;
	}
	if (tasks->share.every > 1 && cpu_ns) {
		fit = n * SHARE_NS / cpu_ns;
		fit = fit > LEAST_SHARE ? fit : LEAST_SHARE;
		tasks->usual = fit < tasks->most ? (uint32_t)fit : tasks->most;
	}
	return cpu_ns;
}

/* Read what this pass is to read. Returns 0, -EBUSY (task by task) or what went wrong. */
static int read_share(struct cs_tasks *tasks, const struct cs_pyobj_ctx *ctx, uint64_t wait_ns,
		      bool at_rest)
{
	int err;

	set_share(tasks, at_rest);
	tasks->still = false;
	tasks->in_task = false;
	err = read_tasks(tasks, ctx, patience(tasks, wait_ns));
	tasks->restless = err == -EBUSY ? tasks->restless + 1 : 0;
	return err;
}

static int pass(struct cs_tasks *tasks, struct cs_mem *mem, uint64_t weight_ns, uint64_t wait_ns,
		struct cs_buf *out, struct cs_tasks_result *ret)
{
	struct cs_pyobj_ctx ctx = {&tasks->interp, mem};
	struct cs_task_records records = {
		.pid = tasks->interp.pid,
		.walk = &tasks->walk,
		.loops = &tasks->loops,
		.share = &tasks->share,
		.roster = &tasks->roster,
		.ts_ns = now_ns(),
		.weight_ns = weight_ns,
	};
	bool at_rest = tasks->still && cs_quiet_end(tasks->process);
	bool still = at_rest && tasks->share.every == 1;
	int err = still ? 0 : read_share(tasks, &ctx, wait_ns, at_rest);

	ret->ndropped = tasks->walk.ndropped;
	ret->nmoved = tasks->walk.nmoved;
	/* The sets themselves could not be read. */
	if (err == -EFAULT || err == -EINVAL)
		return -EAGAIN;
	if (err && err != -EBUSY)
		return err;
	ret->nunread = tasks->walk.nunread;
	ret->coherence = !err             ? CS_COHERENT_QUIET
			 : tasks->in_task ? CS_COHERENT_IN_TASK
					  : CS_COHERENT_PER_TASK;
	if (still) {
		ret->ntasks = (uint32_t)tasks->roster.n;
		ret->again = true;
		return cs_task_records_again(&records, out);
	}
	records.ts_ns = tasks->in_task ? tasks->instants.copy.began_ns : tasks->walk_ns;
	records.held_ns = tasks->in_task ? tasks->instants.copy.held_ns : 0;
	records.coherence = ret->coherence;
	err = cs_task_records_write(&records, out, &ret->ntasks);
	if (err)
		tasks->still = false;
	else
		cs_share_end(&tasks->share);
	return err;
}

int cs_tasks_pass(struct cs_tasks *tasks, struct cs_mem *mem, uint64_t weight_ns, uint64_t wait_ns,
		  struct cs_buf *out, struct cs_tasks_result *ret)
{
	uint64_t began_ns = cs_clock_ns(CLOCK_THREAD_CPUTIME_ID);
	int err;

	*ret = (struct cs_tasks_result){0};
	err = pass(tasks, mem, weight_ns, wait_ns, out, ret);
	ret->cpu_ns = cs_clock_ns(CLOCK_THREAD_CPUTIME_ID) - began_ns;
	if (!ret->again)
		ret->cpu_ns = account(tasks, ret->cpu_ns);
	return err;
}

void cs_tasks_renew(struct cs_tasks *tasks, uint64_t task)
{
	struct cs_roster_entry *entry = cs_roster_find(&tasks->roster, task);

	if (entry)
		entry->digest = 0;
	tasks->still = false;
}

void cs_tasks_renew_all(struct cs_tasks *tasks)
{
	cs_roster_free(&tasks->roster);
	tasks->still = false;
}
