/* SPDX-License-Identifier: Apache-2.0 */
/* The processes of a profile. */
#include "export/process.h"

#include <errno.h>
#include <stdlib.h>
#include <string.h>

static uint64_t key_of(const struct cs_process *process)
{
	return (uint64_t)process->pid << 32 | process->owner;
}

/* The few thousand processes of a machine are found by bisection of an ordered list, which has room for one more. */
static struct cs_process *find(struct cs_processes *processes, const struct cs_labels *labels,
			       bool *is_new)
{
	uint64_t key = (uint64_t)labels->process_id << 32 | labels->owner;
	size_t from = 0, to = processes->n, middle;

	while (from < to) {
		middle = from + (to - from) / 2;
		if (key_of(&processes->at[middle]) < key)
			from = middle + 1;
		else
			to = middle;
	}
	*is_new = from == processes->n || key_of(&processes->at[from]) != key;
	if (*is_new) {
		memmove(&processes->at[from + 1], &processes->at[from],
			(processes->n++ - from) * sizeof(*processes->at));
		processes->at[from] =
			(struct cs_process){.pid = labels->process_id, .owner = labels->owner};
	}
	return &processes->at[from];
}

int cs_processes_find(const struct cs_profile *profile, size_t from, size_t to,
		      struct cs_processes *ret)
{
	struct cs_processes processes = {
		.at = calloc(to - from + 1, sizeof(*processes.at)),
		.next = calloc(to + 1, sizeof(*processes.next)),
	};

	if (!processes.at || !processes.next) {
		cs_processes_free(&processes);
		return -ENOMEM;
	}
	for (size_t i = from; i < to; i++) {
		bool is_new;
		struct cs_process *process =
			find(&processes, &cs_profile_sample(profile, i)->labels, &is_new);

		if (is_new)
			process->first = (uint32_t)i;
		else
			processes.next[process->last] = (uint32_t)i;
		process->last = (uint32_t)i;
	}
	*ret = processes;
	return 0;
}

void cs_processes_free(struct cs_processes *processes)
{
	free(processes->at);
	free(processes->next);
	*processes = (struct cs_processes){0};
}

const char *cs_process_fact(const struct cs_profile *profile, const struct cs_process *process,
			    enum cs_fact fact)
{
	return cs_profile_str(profile, cs_profile_get_owner(profile, process->owner)->facts[fact]);
}

int cs_process_name(const struct cs_profile *profile, const struct cs_process *process,
		    struct cs_buf *out)
{
	const struct cs_sample *sample = cs_profile_sample(profile, process->first);
	struct cs_stack stack = cs_profile_stack(profile, sample->stack);
	const struct cs_frame *root =
		stack.n ? cs_profile_get_frame(profile, stack.frames[0]) : NULL;
	const char *name = cs_process_fact(profile, process, CS_FACT_PROGRAM), *bracket;

	if (*name)
		return cs_buf_append_str(out, name);
	if (!root || root->kind != CS_FRAME_PROCESS)
		return cs_buf_append_str(out, "process");
	name = cs_profile_str(profile, root->name);
	bracket = strrchr(name, '[');
	if (!bracket || bracket - name < 2 || bracket[-1] != ' ')
		return cs_buf_append_str(out, name);
	return cs_buf_append(out, name, (size_t)(bracket - 1 - name));
}

int cs_process_service(const struct cs_profile *profile, const struct cs_process *process,
		       struct cs_buf *out)
{
	const char *service = cs_process_fact(profile, process, CS_FACT_SERVICE);
	int err;

	if (*service)
		return cs_buf_append_str(out, service);
	err = cs_buf_append_str(out, "unknown_service:");
	return err ? err : cs_process_name(profile, process, out);
}

bool cs_process_tagged(const struct cs_export_tag *tags, size_t ntags, const char *key)
{
	for (size_t i = 0; i < ntags; i++)
		if (!strcmp(tags[i].key, key))
			return true;
	return false;
}
