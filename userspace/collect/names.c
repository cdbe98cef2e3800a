/* SPDX-License-Identifier: Apache-2.0 */
/* Names for the addresses in fresh records. */
#include "collect/names.h"

#include <coroscope/code_check.h>
#include <errno.h>
#include <stdbool.h>
#include <stdlib.h>
#include <string.h>

#include "collect/kallsyms.h"
#include "collect/record.h"
#include "core/cleanup.h"
#include "proc/maps.h"
#include "python/code.h"

#define MS             1000000ull
/* A code object's memory may become another's: compare again what is still in use. */
#define RECHECK_NS     (250 * MS)
/* Maps of one process are not read again sooner. */
#define MAPS_NS        (1000 * MS)
/* Bounds against processes that make code objects or mappings without end. */
#define MAX_CODES      (1u << 18)
#define MAX_BATCH      4096u
#define MAX_NEIGHBOURS 65536u

struct seen_address {
	uint64_t addr;
	UT_hash_handle hh;
};

/* A process seen in records, watched or not, for its mappings. */
struct neighbour {
	pid_t pid;
	uint64_t maps_at_ns;
	struct cs_maps maps;
	struct seen_address *told; /* starts of mappings that have a record */
	UT_hash_handle hh;
};

struct cs_names {
	struct cs_kallsyms *kallsyms;
	struct seen_address *kernel;
	struct neighbour *neighbours;
};

int cs_names_new(struct cs_names **ret)
{
	*ret = calloc(1, sizeof(**ret));
	return *ret ? 0 : -ENOMEM;
}

void cs_names_load_kernel(struct cs_names *names)
{
	/* Without it (kptr_restrict) frames show as [kernel+0x...]; `check` says why. */
	if (!names->kallsyms)
		cs_kallsyms_load(&names->kallsyms);
}

static void forget_addresses(struct seen_address **table)
{
	struct seen_address *it, *tmp;

	HASH_ITER (hh, *table, it, tmp) {
		HASH_DEL(*table, it);
		free(it);
	}
}

static void forget_neighbour(struct cs_names *names, struct neighbour *it)
{
	HASH_DEL(names->neighbours, it);
	forget_addresses(&it->told);
	cs_maps_free(&it->maps);
	free(it);
}

static void forget_neighbours(struct cs_names *names)
{
	struct neighbour *it, *tmp;

	HASH_ITER (hh, names->neighbours, it, tmp)
		forget_neighbour(names, it);
}

void cs_names_forget(struct cs_names *names, pid_t pid)
{
	struct neighbour *it;

	HASH_FIND_INT(names->neighbours, &pid, it);
	if (it)
		forget_neighbour(names, it);
}

void cs_names_free(struct cs_names *names)
{
	if (!names)
		return;
	cs_kallsyms_free(names->kallsyms);
	forget_addresses(&names->kernel);
	forget_neighbours(names);
	free(names);
}

/* Returns 1 if the address is new (and remembers it), 0 if it is not, or -ENOMEM. */
static int note_address(struct seen_address **table, uint64_t addr)
{
	struct seen_address *it;

	HASH_FIND(hh, *table, &addr, sizeof(addr), it);
	if (it)
		return 0;
	it = calloc(1, sizeof(*it));
	if (!it)
		return -ENOMEM;
	it->addr = addr;
	HASH_ADD(hh, *table, addr, sizeof(it->addr), it);
	return 1;
}

static int name_kernel(struct cs_names *names, const uint64_t *addrs, unsigned int n,
		       uint64_t now_ns, struct cs_buf *out)
{
	for (unsigned int i = 0; i < n && names->kallsyms; i++) {
		int fresh = note_address(&names->kernel, addrs[i]);
		const char *name = fresh > 0 ? cs_kallsyms_find(names->kallsyms, addrs[i]) : NULL;

		if (fresh < 0)
			return fresh;
		if (name && cs_record_ksym(out, now_ns, addrs[i], name))
			return -ENOMEM;
	}
	return 0;
}

static struct neighbour *neighbour_of(struct cs_names *names, pid_t pid)
{
	struct neighbour *it;

	HASH_FIND_INT(names->neighbours, &pid, it);
	if (it)
		return it;
	if (HASH_COUNT(names->neighbours) >= MAX_NEIGHBOURS)
		forget_neighbours(names);
	it = calloc(1, sizeof(*it));
	if (!it)
		return NULL;
	it->pid = pid;
	HASH_ADD_INT(names->neighbours, pid, it);
	return it;
}

void cs_names_freeze(struct cs_names *names, pid_t pid)
{
	struct neighbour *process = neighbour_of(names, pid);

	if (process)
		process->maps_at_ns = cs_now_ns(); /* no new look until it is forgotten */
}

static int name_mapping(struct cs_names *names, pid_t pid, uint64_t addr, uint64_t now_ns,
			struct cs_buf *out)
{
	struct neighbour *process = neighbour_of(names, pid);
	const struct cs_mapping *mapping;
	int fresh;

	if (!process)
		return -ENOMEM;
	mapping = cs_maps_find(&process->maps, addr);
	if (!mapping && (!process->maps_at_ns || now_ns - process->maps_at_ns > MAPS_NS)) {
		process->maps_at_ns = now_ns;
		cs_maps_free(&process->maps);
		if (cs_maps_read(pid, &process->maps))
			return 0;
		mapping = cs_maps_find(&process->maps, addr);
	}
	if (!mapping || !*mapping->path)
		return 0;
	fresh = note_address(&process->told, mapping->start);
	if (fresh <= 0)
		return fresh;
	return cs_record_mapping(out, now_ns, pid, mapping->start, mapping->end, mapping->offset,
				 mapping->path);
}

/* Returns the entry, made if new, or NULL without memory. */
static struct cs_code_seen *code_get(struct cs_target *target, uint64_t code)
{
	struct cs_code_seen *seen;

	HASH_FIND(hh, target->codes, &code, sizeof(code), seen);
	if (seen)
		return seen;
	seen = calloc(1, sizeof(*seen));
	if (!seen)
		return NULL;
	seen->code = code;
	HASH_ADD(hh, target->codes, code, sizeof(seen->code), seen);
	return seen;
}

/* The code objects of one process that this turn's records refer to, each once. */
struct batch {
	uint64_t codes[MAX_BATCH];
	uint32_t checks[MAX_BATCH];
	unsigned int n;
};

/*
 * Compare the batch with what is known, and read what is new or has changed. An entry is trusted for this turn if it was
 * known before and is the same now: then it was the same in between, when the samples were taken.
 */
static int read_batch(struct cs_target *target, struct batch *batch, uint64_t now_ns,
		      struct cs_buf *out, uint64_t *unreadable)
{
	unsigned int changed = 0;
	uint64_t bad = 0;
	size_t at = out->len;
	int err;

	if (!batch->n)
		return 0;
	cs_code_checks(&target->interp, target->mem, batch->codes, batch->n, batch->checks);
	for (unsigned int i = 0; i < batch->n; i++) {
		struct cs_code_seen *seen = code_get(target, batch->codes[i]);

		if (!seen)
			return -ENOMEM;
		seen->same = seen->check && seen->check == batch->checks[i];
		if (!seen->same)
			batch->codes[changed++] = seen->code;
	}
	batch->n = 0;
	err = cs_code_read(&target->interp, target->mem, batch->codes, changed, now_ns, out, &bad);
	*unreadable += bad;
	while (!err && at < out->len) {
		const struct cs_ev_code *record = (const void *)(out->data + at);
		struct cs_code_seen *seen = code_get(target, record->code);

		if (!seen)
			return -ENOMEM;
		seen->check = record->hdr.flags & CS_CODE_UNREADABLE ? CS_CODE_NOT_CHECKED
								     : record->check;
		at += record->hdr.size;
	}
	return err;
}

/* Queue a code object once a turn. Returns 0 or an error of a full batch's read. */
static int want_code(struct cs_target *target, uint64_t code, struct batch *batch, uint64_t now_ns,
		     struct cs_buf *out, uint64_t *unreadable)
{
	struct cs_code_seen *seen = code_get(target, code);

	if (!seen)
		return -ENOMEM;
	if (seen->turn_ns == now_ns)
		return 0;
	seen->turn_ns = now_ns;
	batch->codes[batch->n++] = code;
	return batch->n == MAX_BATCH ? read_batch(target, batch, now_ns, out, unreadable) : 0;
}

struct frames {
	struct cs_py_frame *items;
	uint32_t n;
};

static struct frames frames_of(struct cs_ev_hdr *record)
{
	if (record->kind == CS_EV_STACK || record->kind == CS_EV_TASK_CREATED) {
		struct cs_ev_stack *stack = (void *)record;

		return (struct frames){stack->frames, stack->nframes};
	}
	if (record->kind == CS_EV_TASK) {
		struct cs_ev_task *task = (void *)record;

		return (struct frames){task->frames, task->nframes};
	}
	return (struct frames){NULL, 0};
}

static int name_addresses(struct cs_names *names, const struct cs_ev_stack *stack, uint64_t now_ns,
			  struct cs_buf *out)
{
	const uint64_t *kernel = (const uint64_t *)(stack->frames + stack->nframes);
	int err = name_kernel(names, kernel, stack->nkernel, now_ns, out);

	if (!err && stack->user_ip && !stack->nframes)
		err = name_mapping(names, (pid_t)stack->hdr.pid, stack->user_ip, now_ns, out);
	return err;
}

/*
 * Was it this object? Either the sampler's check value says so, or it was known (from an earlier turn, or from a checked
 * frame earlier in this one) and has not changed. A suspended coroutine holds its code object: its frames are true as
 * they stand.
 */
static bool is_sampled_code(struct cs_code_seen *seen, const struct cs_py_frame *frame,
			    bool suspended)
{
	if (!frame->check)
		return seen->same || suspended;
	if (frame->check != seen->check)
		return false;
	seen->same = true;
	return true;
}

static int mark_stale(struct cs_target *target, struct cs_ev_hdr *record, uint64_t *stale)
{
	struct frames frames = frames_of(record);

	for (uint32_t i = 0; i < frames.n; i++) {
		struct cs_code_seen *seen = code_get(target, frames.items[i].code);

		if (!seen)
			return -ENOMEM;
		if (is_sampled_code(seen, &frames.items[i], record->kind == CS_EV_TASK))
			continue;
		frames.items[i].code = CS_CODE_STALE;
		++*stale;
	}
	return 0;
}

/* The code objects of one process in all of fresh. */
static int name_codes(struct cs_target *target, struct cs_buf *fresh, struct batch *batch,
		      uint64_t now_ns, struct cs_buf *out, struct cs_names_lost *lost)
{
	int err = 0;

	if (HASH_COUNT(target->codes) > MAX_CODES)
		cs_target_forget_codes(target);
	for (size_t at = 0; !err && at < fresh->len;) {
		struct cs_ev_hdr *record = (void *)(fresh->data + at);
		struct frames frames = frames_of(record);

		at += record->size;
		if (record->pid != (uint32_t)target->pid)
			continue;
		for (uint32_t i = 0; !err && i < frames.n; i++)
			err = want_code(target, frames.items[i].code, batch, now_ns, out,
					&lost->unreadable);
	}
	if (!err)
		err = read_batch(target, batch, now_ns, out, &lost->unreadable);
	for (size_t at = 0; !err && at < fresh->len;) {
		struct cs_ev_hdr *record = (void *)(fresh->data + at);

		at += record->size;
		if (record->pid == (uint32_t)target->pid)
			err = mark_stale(target, record, &lost->stale);
	}
	return err;
}

int cs_names_for(struct cs_names *names, struct cs_target *targets, struct cs_buf *fresh,
		 uint64_t now_ns, struct cs_buf *out, struct cs_names_lost *lost)
{
	_cleanup_free_ struct batch *batch = calloc(1, sizeof(*batch));
	struct cs_target *target, *tmp;
	int err = 0;

	if (!batch)
		return -ENOMEM;
	for (size_t at = 0; !err && at < fresh->len;) {
		const struct cs_ev_hdr *record = (const void *)(fresh->data + at);

		if (record->kind == CS_EV_STACK)
			err = name_addresses(names, (const void *)record, now_ns, out);
		at += record->size;
	}
	HASH_ITER (hh, targets, target, tmp) {
		if (!err && target->interp.state == CS_INTERP_READY)
			err = name_codes(target, fresh, batch, now_ns, out, lost);
	}
	return err;
}
