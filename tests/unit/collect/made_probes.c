/* SPDX-License-Identifier: Apache-2.0 */
/* A kernel side that only remembers. */
#include "unit/collect/made_probes.h"

#include <errno.h>
#include <setjmp.h>
#include <stdarg.h>
#include <string.h>

#include <cmocka.h>

struct made_row *made_row(struct cs_probes *probes, pid_t pid)
{
	for (size_t i = 0; i < probes->nrows; i++)
		if (probes->rows[i].pid == pid)
			return &probes->rows[i];
	return NULL;
}

int cs_probes_set_process(struct cs_probes *probes, pid_t pid, const struct cs_proc_info *info)
{
	struct made_row *row = made_row(probes, pid);

	if (!row) {
		assert_in_range(probes->nrows, 0, MADE_MAX - 1);
		row = &probes->rows[probes->nrows++];
	}
	*row = (struct made_row){pid, *info, false};
	return 0;
}

int cs_probes_set_tracers(struct cs_probes *probes, pid_t pid, const struct cs_tracers *tracers)
{
	return 0;
}

int cs_probes_row(const struct cs_probes *probes, pid_t pid, struct cs_proc_info *ret)
{
	const struct made_row *row = made_row((struct cs_probes *)probes, pid);

	if (!row)
		return -ENOENT;
	*ret = row->info;
	return 0;
}

void cs_probes_drop_process(struct cs_probes *probes, pid_t pid)
{
	struct made_row *row = made_row(probes, pid);

	probes->dropped = pid;
	if (row)
		*row = probes->rows[--probes->nrows];
}

bool cs_probes_is_stale(const struct cs_probes *probes, pid_t pid)
{
	const struct made_row *row = made_row((struct cs_probes *)probes, pid);

	return row && row->stale;
}

void cs_probes_know_file(struct cs_probes *probes, const struct cs_file_id *id,
			 const struct cs_file_info *info)
{
	assert_in_range(probes->nfiles, 0, MADE_MAX - 1);
	probes->files[probes->nfiles++] = (struct made_file){*id, *info};
}

void cs_probes_tell_tstate(struct cs_probes *probes, const struct cs_tstate_key *key,
			   uint64_t tstate)
{
	assert_in_range(probes->ntstates, 0, MADE_MAX - 1);
	probes->tstates[probes->ntstates++] = key->thread_pointer;
}

void cs_probes_forget_tstate(struct cs_probes *probes, const struct cs_tstate_key *key)
{
	for (size_t i = 0; i < probes->ntstates; i++)
		if (probes->tstates[i] == key->thread_pointer)
			probes->tstates[i] = probes->tstates[--probes->ntstates];
}

int cs_probes_want_spans(struct cs_probes *probes)
{
	return probes->spans_err;
}

unsigned int cs_probes_span_processes(const struct cs_probes *probes)
{
	return probes->span_processes;
}

int cs_probes_attach(struct cs_probes *probes, enum cs_probe_kind kind, pid_t pid,
		     const struct cs_probe_site *site, struct cs_probe_link **ret)
{
	*ret = probes->link;
	if (!probes->link)
		return -EPERM;
	probes->link->users++;
	return 0;
}

void cs_probes_detach(struct cs_probe_link *link)
{
	if (link)
		link->users--;
}

void cs_probes_detach_now(struct cs_probe_link *link)
{
	cs_probes_detach(link);
}

void cs_probes_limit(struct cs_probe_link *link, uint64_t now_ns)
{
	link->limited = true;
}

void cs_probes_spend(struct cs_probe_link *link, uint64_t cost_ns, uint64_t now_ns)
{
	link->spent_ns += cost_ns;
}

bool cs_probes_rests(const struct cs_probe_link *link)
{
	return link->rests;
}

void cs_probes_keep_budgets(struct cs_probes *probes, uint64_t now_ns)
{
}

/* Each account of a process is its number, but for those that a test sets. */
int cs_probes_counters(const struct cs_probes *probes, pid_t pid,
		       uint64_t counters[CS_COUNTER_MAX_])
{
	if (!made_row((struct cs_probes *)probes, pid))
		return -ENOENT;
	for (uint64_t i = 0; i < CS_COUNTER_MAX_; i++)
		counters[i] = i;
	if (probes->creations) {
		counters[CS_COUNTER_CREATES] = probes->creations;
		counters[CS_COUNTER_CREATES_RING_FULL] = counters[CS_COUNTER_CREATES_NESTED] = 0;
	}
	return 0;
}
