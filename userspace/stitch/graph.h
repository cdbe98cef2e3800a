/* SPDX-License-Identifier: Apache-2.0 */
/*
 * The tasks of one process and who stands above whom. Addresses are reused by the interpreter, so a task is an
 * address and a generation: a creation, or a coroutine that is not the one known, starts a new generation, and links to
 * the old one stay links to the old one (a ghost), never to its successor.
 */
#pragma once

#include <stdbool.h>
#include <stddef.h>
#include <stdint.h>
#include <uthash.h>

#include "decode/decode.h"
#include "stitch/kept_span.h"

struct cs_frames {
	struct cs_py_frame *items; /* owned; outermost first */
	uint32_t n;
};

/* Why one task stands above another, by falling precedence. */
enum cs_link {
	CS_LINK_NONE = 0,
	CS_LINK_AWAIT = 1,
	CS_LINK_STRONG = 2, /* it waits in another way: gather, wait, TaskGroup and so on */
	CS_LINK_CREATED = 3,
};

/* One task waits for another. */
struct cs_wait {
	struct cs_task *waiter, *awaited;
	enum cs_wait_how how;
	bool probable; /* the way from one to the other led through code that is not asyncio's */
};

struct cs_task {
	uint64_t addr;
	uint64_t coro; /* 0 until seen */
	unsigned int refs;
	char *name; /* owned; NULL until seen */
	char *leaf; /* owned; type name of what the innermost coroutine awaits, or NULL */
	enum cs_task_state state;
	unsigned int flags; /* enum cs_task_flags */
	bool by_name;       /* creations were missed in its time: another name is another task */
	bool finished;      /* gone from the process, or its address has a new task */
	uint64_t waiter;
	uint64_t loop;
	uint32_t tid;
	struct cs_frames frames;    /* of its coroutines while suspended */
	struct cs_kept_span *span;  /* owned; active in its context while suspended; NULL: none */
	uint64_t created_ns;        /* 0: before the capture */
	struct cs_task *creator;    /* referenced; NULL: none or unknown */
	struct cs_frames creation;  /* the creator's frames when it made this task */
	struct cs_task_link *links; /* owned; who waits for it, but not by an await */
	uint32_t nlinks;
	struct cs_task *awaiter; /* referenced; as of the last pass, first of nawaiters */
	enum cs_wait_how how;    /* it waits; and is that only probable? */
	bool probable;
	uint32_t nawaiters;
	/*
	 * As of the last pass: it waits for no other task that is known to be alive. The time of one that does is shown at that
	 * other task; in a circle of tasks that await each other the first stands for all.
	 */
	bool is_leaf;
	unsigned int missed; /* passes since the last that listed it */
	uint32_t pass;       /* serial of the last pass that listed it */
	uint32_t born;       /* of the first one that could have listed it */
	uint32_t changed;    /* of the one to which its last record belongs */
	uint32_t told;       /* of the last period that told of it */
	uint64_t visit;      /* of the last walk along links: ends cycles */
	UT_hash_handle hh;
};

struct cs_graph; /* of one process */

int cs_graph_new(struct cs_graph **ret); /* 0 or -ENOMEM */
void cs_graph_free(struct cs_graph *graph);

/*
 * A task is being created at addr by creator (0: by no task) whose frames at that moment are given, outermost first
 * (copied). Returns 0 or -ENOMEM.
 */
int cs_graph_created(struct cs_graph *graph, uint64_t ts_ns, uint64_t addr,
		     const struct cs_event_running *creator, const struct cs_py_frame *frames,
		     uint32_t n);

/*
 * From here on creations are told, or missed. An address may then have a new task that nothing tells from the one before, but for its name, if that is
 * asyncio's own ("Task-12"): others lose their creator.
 */
void cs_graph_creations(struct cs_graph *graph, bool told);

/* A thread runs this task. Returns it, or NULL without memory. */
struct cs_task *cs_graph_running(struct cs_graph *graph, const struct cs_event_running *running,
				 uint32_t tid);

/* The state of a task at ts_ns, when a pass that follows was taken. Returns 0 or -ENOMEM. */
int cs_graph_update(struct cs_graph *graph, uint64_t ts_ns, const struct cs_event_task *event,
		    uint32_t tid);

/* What a pass tells of tasks that it does not list. */
enum cs_pass_kind {
	CS_PASS_PARTIAL = 0, /* nothing: some could not be read */
	CS_PASS_INSTANT = 1, /* they have finished: it saw one true instant */
	CS_PASS_PER_TASK =
		2, /* they have finished if the next pass does not list them either: the process ran meanwhile */
	CS_PASS_SHARE = 3, /* nothing: they were not read, and live as they were last known */
};

/*
 * These tasks were alive at ts_ns. Works out who awaits whom; the rest has finished, if the pass can tell, unless it was
 * created later.
 */
void cs_graph_pass(struct cs_graph *graph, uint64_t ts_ns, const uint64_t *tasks, uint32_t n,
		   enum cs_pass_kind kind);

/*
 * A new period begins. Tasks that the last whole pass did not list, and of which nothing was told for a whole period, have gone
 * unnoticed: where passes fail, nothing else would end them.
 */
void cs_graph_begin(struct cs_graph *graph);

/* The task at this address, or NULL. */
struct cs_task *cs_graph_find(const struct cs_graph *graph, uint64_t addr);

/* Call fn for every wait between two tasks that are alive. It returns 0 to go on. Returns what it returned. */
int cs_graph_each_wait(const struct cs_graph *graph,
		       int (*fn)(void *ctx, const struct cs_wait *wait), void *ctx);

/* Listed by the last pass: one that was not read in it is alive, but its time is in others' weight. */
bool cs_graph_listed(const struct cs_graph *graph, const struct cs_task *task);

/* "gather", "TaskGroup" and so on, as asyncio calls it. */
const char *cs_wait_how_text(enum cs_wait_how how);

/* What the innermost coroutine awaits, by type name, unless it is an ordinary future, which tells nothing: then NULL. */
const char *cs_graph_leaf(const struct cs_task *task);

/* Listed by the last pass over all tasks, or by one over a share since, and not known to have finished. */
bool cs_graph_alive(const struct cs_graph *graph, const struct cs_task *task);

/* Who stands directly above, by the rule of the design: awaiter, else creator. */
struct cs_task *cs_graph_parent(const struct cs_task *task, enum cs_link *ret_link);

/*
 * The task and everything above it, innermost first: at most max. Returns how many; *ret_cut is set when a cycle or the
 * bound ended the walk.
 */
uint32_t cs_graph_lineage(struct cs_graph *graph, struct cs_task *task, struct cs_task **out,
			  uint32_t max, bool *ret_cut);

/* Iterate the tasks that are alive, in no particular order. fn returns 0 to go on. */
int cs_graph_each(const struct cs_graph *graph, int (*fn)(void *ctx, struct cs_task *task),
		  void *ctx);
