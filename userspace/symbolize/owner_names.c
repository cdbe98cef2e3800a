/* SPDX-License-Identifier: Apache-2.0 */
/*
 * Whose each process is. An exec makes it another program at once. After an exit a last sample may still come, so the pid is another
 * process's only when one is described. Captures come from anywhere: texts are made harmless here, as they were when they were taken.
 */
#include "symbolize/owner_names.h"

#include <errno.h>
#include <stdlib.h>
#include <string.h>

/* Without memory an element is not added and its hh.tbl stays NULL, instead of exit(). */
#define HASH_NONFATAL_OOM 1
#include <uthash.h>

#include "core/buf.h"
#include "core/cleanup.h"

struct process {
	uint32_t pid;
	bool exited; /* who has its pid next is another one */
	bool old;    /* ... in a former period */
	uint8_t py_major, py_minor, py_micro;
	char *facts[CS_FACT_MAX_]; /* owned; NULL: not known */
	UT_hash_handle hh;
};

struct cs_owner_names {
	struct process *processes;
	bool told; /* to the profile: all that was known when it began */
};

int cs_owner_names_new(struct cs_owner_names **ret)
{
	*ret = calloc(1, sizeof(**ret));
	return *ret ? 0 : -ENOMEM;
}

static void clear_facts(struct process *process)
{
	for (int i = 0; i < CS_FACT_MAX_; i++)
		free(TAKE_PTR(process->facts[i]));
}

static void forget(struct cs_owner_names *names, struct process *process)
{
	if (!process)
		return;
	HASH_DEL(names->processes, process);
	clear_facts(process);
	free(process);
}

void cs_owner_names_free(struct cs_owner_names *names)
{
	struct process *it, *tmp;

	if (!names)
		return;
	HASH_ITER (hh, names->processes, it, tmp)
		forget(names, it);
	free(names);
}

void cs_owner_names_begin(struct cs_owner_names *names)
{
	struct process *it, *tmp;

	names->told = false;
	HASH_ITER (hh, names->processes, it, tmp) {
		if (it->old)
			forget(names, it);
		else
			it->old = it->exited;
	}
}

static struct process *find(const struct cs_owner_names *names, uint32_t pid)
{
	struct process *it;

	HASH_FIND(hh, names->processes, &pid, sizeof(pid), it);
	return it;
}

/* The process, made if it is new; NULL without memory. */
static struct process *get(struct cs_owner_names *names, uint32_t pid)
{
	struct process *it = find(names, pid);

	if (it)
		return it;
	it = calloc(1, sizeof(*it));
	if (!it)
		return NULL;
	it->pid = pid;
	HASH_ADD(hh, names->processes, pid, sizeof(it->pid), it);
	if (it->hh.tbl)
		return it;
	free(it);
	return NULL;
}

/* All that is known of a process is its present owner's. */
static int tell(const struct process *process, struct cs_profile *profile)
{
	struct cs_owner *owner = cs_profile_owner(profile, process->pid);

	if (!owner)
		return -ENOMEM;
	owner->py_major = process->py_major;
	owner->py_minor = process->py_minor;
	owner->py_micro = process->py_micro;
	for (int i = 0; i < CS_FACT_MAX_; i++) {
		const char *fact = process->facts[i] ? process->facts[i] : "";
		int64_t index = cs_profile_string(profile, fact, strlen(fact));

		if (index < 0)
			return (int)index;
		owner->facts[i] = (uint32_t)index;
	}
	return 0;
}

static int tell_all(struct cs_owner_names *names, struct cs_profile *profile)
{
	struct process *it, *tmp;
	int err = 0;

	HASH_ITER (hh, names->processes, it, tmp)
		if (!err)
			err = tell(it, profile);
	names->told = !err;
	return err;
}

static int learn_facts(struct process *process, const struct cs_event_whose *whose)
{
	clear_facts(process);
	for (int i = 0; i < CS_FACT_MAX_; i++) {
		const struct cs_text *fact = &whose->facts[i];
		_cleanup_buf_ struct cs_buf text = {0};

		if (!fact->len)
			continue;
		if (cs_buf_append_escaped(&text, fact->str, fact->len, ""))
			return -ENOMEM;
		process->facts[i] = strdup(cs_buf_str(&text));
		if (!process->facts[i])
			return -ENOMEM;
	}
	return 0;
}

/* The pid is another program's from here on. */
static void renew(struct cs_owner_names *names, struct cs_profile *profile, uint32_t pid)
{
	forget(names, find(names, pid));
	cs_profile_end_owner(profile, pid);
}

static int describe(struct cs_owner_names *names, struct cs_profile *profile,
		    const struct cs_event *event)
{
	struct process *process = find(names, event->pid);

	if (process && process->exited)
		renew(names, profile, event->pid);
	process = get(names, event->pid);
	if (!process)
		return -ENOMEM;
	process->py_major = (uint8_t)event->process.py_major;
	process->py_minor = (uint8_t)event->process.py_minor;
	process->py_micro = (uint8_t)event->process.py_micro;
	return tell(process, profile);
}

int cs_owner_names_feed(struct cs_owner_names *names, struct cs_profile *profile,
			const struct cs_event *event)
{
	int err = names->told ? 0 : tell_all(names, profile);
	struct process *process;

	if (err || !event->pid)
		return err;
	switch (event->kind) {
	case CS_EV_EXEC:
		renew(names, profile, event->pid);
		return 0;
	case CS_EV_EXIT:
	case CS_EV_STATS: /* its last record */
		process = get(names, event->pid);
		if (process)
			process->exited = true;
		return process ? 0 : -ENOMEM;
	case CS_EV_PROCESS:
		return describe(names, profile, event);
	case CS_EV_WHOSE:
		process = get(names, event->pid);
		err = process ? learn_facts(process, &event->whose) : -ENOMEM;
		return err ? err : tell(process, profile);
	default:
		return 0;
	}
}
