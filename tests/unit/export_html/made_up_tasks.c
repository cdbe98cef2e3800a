/* SPDX-License-Identifier: Apache-2.0 */
/* A made-up profile of many tasks in all three trees, with what tells them apart and when they were seen. */
#include <errno.h>
#include <stdio.h>
#include <string.h>

#include "core/cleanup.h"
#include "unit/export_html/made_up.h"

#define MS 1000000ull

struct maker {
	struct cs_profile *profile;
	int err;          /* the first one */
	uint32_t base[3]; /* process, thread, event loop */
	uint32_t stack[16], n;
};

static void push(struct maker *m, int64_t frame)
{
	if (frame < 0)
		m->err = -ENOMEM;
	else
		m->stack[m->n++] = (uint32_t)frame;
}

static int64_t python(struct maker *m, const char *name, const char *file, uint32_t line)
{
	return made_up_frame(m->profile, CS_FRAME_PYTHON, name, file, line);
}

/* One of many: what the others of its coroutine and creation site share. */
struct task {
	const char *name;
	uint64_t number;
	enum cs_task_mark mark;
	int64_t coro, site; /* frame indices; negative: not known */
};

static void push_task(struct maker *m, const struct task *task)
{
	struct cs_frame frame = {.kind = CS_FRAME_TASK,
				 .mark = task->mark,
				 .task = task->number,
				 .coro = (uint32_t)(task->coro + 1),
				 .site = (uint32_t)(task->site + 1)};
	int64_t name = cs_profile_string(m->profile, task->name, strlen(task->name));

	frame.name = (uint32_t)name;
	push(m, name < 0 ? name : cs_profile_frame(m->profile, &frame));
}

static void begin(struct maker *m)
{
	memcpy(m->stack, m->base, sizeof(m->base));
	m->n = 3;
}

/* What was pushed was seen from one millisecond to another, by a task that waited or by a thread. */
static void end(struct maker *m, enum cs_tree tree, uint64_t from_ms, uint64_t to_ms,
		uint64_t longest_ms)
{
	uint64_t values[CS_VALUE_MAX_] = {(to_ms - from_ms) / 10, 0, (to_ms - from_ms) * MS};
	struct cs_seen seen = {.span = {from_ms * MS, to_ms * MS},
			       .suspended = longest_ms,
			       .waited_ns = longest_ms * MS};

	if (!m->err)
		m->err = cs_profile_add_in(m->profile, tree, m->stack, m->n,
					   &(struct cs_labels){.process_id = 7}, values);
	if (!m->err)
		m->err = cs_profile_see(m->profile, tree, cs_profile_last(m->profile), &seen);
}

/*
 * Fetches, for all of which Task-1 waits; it created those with even numbers, a refiller the others. Even ones were there in the first
 * second, odd ones half a second later.
 */
static void add_fetch(struct maker *m, uint32_t i)
{
	static const char client[] = "/srv/app/client.py", app[] = "/srv/app/main.py";
	bool even = i % 2 == 0;
	char name[32];
	struct task fetch = {.name = name, .number = 100 + i};
	const struct task first = {"<task Task-1>", 1, CS_MARK_NONE, python(m, "main", app, 3), -1};
	const struct task refiller = {"<task refiller>", 2, CS_MARK_NONE,
				      python(m, "refill", app, 28), first.site};

	/* the last two have one name */
	snprintf(name, sizeof(name), i >= 2 ? "<task Task-%u>" : "<task twins>", 10 + i);
	fetch.coro = python(m, "fetch", client, 39);
	fetch.site = even ? python(m, "main", app, 12) : python(m, "refill", app, 30);
	for (int tree = CS_TREE_AWAIT; tree <= CS_TREE_CREATION; tree++) {
		bool by_first = tree == CS_TREE_AWAIT || even;

		begin(m);
		push_task(m, by_first ? &first : &refiller);
		push(m, by_first ? python(m, "main", app, 12) : fetch.site);
		push_task(m, &fetch);
		push(m, python(m, "fetch", client, 41));
		push(m, python(m, "sleep", "/usr/lib/python3.12/asyncio/tasks.py", 656));
		end(m, tree, even ? 0 : 500, even ? 1000 : 1500, even ? 1000 : 250);
	}
}

/* One of each mark. */
static void add_marked(struct maker *m)
{
	static const struct {
		const char *above, *name;
		enum cs_task_mark above_mark, mark;
	} cases[] = {
		{"<task Task-1>", "<task log (created)>", CS_MARK_NONE, CS_MARK_CREATED},
		{"<task gone (finished)>", "<task orphan>", CS_MARK_FINISHED, CS_MARK_NONE},
		{"<task Task-1>", "<task far (probable)>", CS_MARK_NONE, CS_MARK_PROBABLE},
	};

	for (uint32_t i = 0; i < ARRAY_SIZE(cases); i++) {
		int64_t coro = python(m, "drain", "/srv/app/log.py", 5);

		begin(m);
		push_task(m, &(struct task){cases[i].above, i == 1 ? 3 : 1, cases[i].above_mark,
					    python(m, "main", "/srv/app/main.py", 3), -1});
		push(m, python(m, "main", "/srv/app/main.py", 20));
		push_task(m, &(struct task){cases[i].name, 10 + i, cases[i].mark, coro, -1});
		push(m, python(m, "drain", "/srv/app/log.py", 8));
		push(m, made_up_frame(m->profile, CS_FRAME_NATIVE, "custom_future", "", 0));
		end(m, CS_TREE_AWAIT, 0, 40 + 10 * i, 40 + 10 * i);
	}
}

static void add_thread(struct maker *m)
{
	for (int tree = 0; tree < CS_TREE_MAX_; tree++) {
		begin(m);
		push(m, python(m, "select", "/usr/lib/python3.12/selectors.py", 468));
		end(m, tree, 0, 1900, 0);
	}
}

int made_up_tasks(struct cs_profile **ret, uint32_t nfetches)
{
	_cleanup_(cs_profile_freep) struct cs_profile *profile = NULL;
	struct maker m = {.err = cs_profile_new(&profile)};
	struct cs_profile_meta *meta;

	if (m.err)
		return m.err;
	m.profile = profile;
	meta = cs_profile_meta_mut(profile);
	meta->wall = true;
	meta->interval_ns = 10 * MS;
	meta->duration_ns = 2000 * MS;
	push(&m, made_up_frame(profile, CS_FRAME_PROCESS, "shop [7]", "", 0));
	push(&m, made_up_frame(profile, CS_FRAME_THREAD, "thread MainThread [7]", "", 0));
	push(&m, python(&m, "run_forever", "/usr/lib/python3.12/asyncio/base_events.py", 639));
	memcpy(m.base, m.stack, sizeof(m.base));
	add_thread(&m);
	add_marked(&m);
	for (uint32_t i = 0; i < nfetches && !m.err; i++)
		add_fetch(&m, i);
	if (!m.err)
		m.err = cs_profile_set_text(profile, "shop", 4, "python3 -m shop", 15);
	if (!m.err)
		*ret = TAKE_PTR(profile);
	return m.err;
}
