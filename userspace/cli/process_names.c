/* SPDX-License-Identifier: Apache-2.0 */
/* What processes are called. Records of a process may come after its end: its name goes with the period. */
#include "cli/process_names.h"

#include <errno.h>
#include <stdbool.h>
#include <stdlib.h>
#include <string.h>
#include <uthash.h>

struct cs_process_name {
	uint32_t pid;
	bool gone;
	char *name; /* owned */
	UT_hash_handle hh;
};

static struct cs_process_name *find(const struct cs_process_names *names, uint32_t pid)
{
	struct cs_process_name *it;

	HASH_FIND(hh, names->table, &pid, sizeof(pid), it);
	return it;
}

static int learn(struct cs_process_names *names, uint32_t pid, struct cs_text text)
{
	struct cs_process_name *it = find(names, pid);
	char *name = strndup(text.str, text.len);

	if (!name)
		return -ENOMEM;
	if (!it) {
		it = calloc(1, sizeof(*it));
		if (!it) {
			free(name);
			return -ENOMEM;
		}
		it->pid = pid;
		HASH_ADD(hh, names->table, pid, sizeof(it->pid), it);
	}
	free(it->name);
	it->name = name;
	it->gone = false;
	return 0;
}

int cs_process_names_feed(struct cs_process_names *names, const struct cs_event *event)
{
	struct cs_process_name *it;

	switch (event->kind) {
	case CS_EV_PROCESS:
		return learn(names, event->pid, event->process.comm);
	case CS_EV_EXIT:
	case CS_EV_STATS: /* of a process: its last record */
		it = find(names, event->pid);
		if (it)
			it->gone = true;
		return 0;
	default:
		return 0;
	}
}

const char *cs_process_names_find(const struct cs_process_names *names, uint32_t pid)
{
	const struct cs_process_name *it = find(names, pid);

	return it ? it->name : NULL;
}

static void forget(struct cs_process_names *names, bool all)
{
	struct cs_process_name *it, *tmp;

	HASH_ITER (hh, names->table, it, tmp) {
		if (!all && !it->gone)
			continue;
		HASH_DEL(names->table, it);
		free(it->name);
		free(it);
	}
}

void cs_process_names_begin(struct cs_process_names *names)
{
	forget(names, false);
}

void cs_process_names_free(struct cs_process_names *names)
{
	forget(names, true);
}
