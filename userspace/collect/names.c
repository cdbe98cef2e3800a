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
/* Code objects that have been the same for so long are not among those that come and go. */
#define SETTLED_NS     (2000 * MS)
/* Maps of one process are not read again sooner. */
#define MAPS_NS        (1000 * MS)
/* Bounds against processes that make code objects or mappings without end. */
#define MAX_CODES      (1u << 18)
#define READ_BATCH     256u
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

/* What was looked up last by some hash: records of a pass over tasks name the same few code objects thousands of times. */
#define RECENT_BITS 8

struct recent_code {
	const struct cs_target *target; /* NULL: none */
	struct cs_code_seen *seen;
};

struct cs_names {
	struct recent_code recent[1u << RECENT_BITS]; /* of this turn: entries live that long */
	struct cs_target *last;                       /* met last in it, or NULL */
	struct cs_kallsyms *kallsyms;
	struct seen_address *kernel;
	struct neighbour *neighbours;
	struct cs_buf readings; /* CS_EV_CODE records of this turn, not all of which are needed */
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

const struct cs_kallsyms *cs_names_kernel(const struct cs_names *names)
{
	return names->kallsyms;
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
	cs_buf_free(&names->readings);
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

/* The record's process, if its code objects can be asked for. */
static struct cs_target *ready_target(struct cs_names *names, struct cs_target *targets,
				      const struct cs_ev_hdr *record)
{
	pid_t pid = (pid_t)record->pid;

	if (!names->last || names->last->pid != pid)
		HASH_FIND_INT(targets, &pid, names->last);
	return names->last && names->last->interp.state == CS_INTERP_READY ? names->last : NULL;
}

/* Returns the entry, made if new, or NULL without memory. */
static struct cs_code_seen *code_find(struct cs_target *target, uint64_t code)
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

/* Returns the entry, made if new, or NULL without memory. */
static struct cs_code_seen *code_get(struct cs_names *names, struct cs_target *target,
				     uint64_t code)
{
	uint64_t hash = code * 0x9e3779b97f4a7c15ull;
	struct recent_code *recent = &names->recent[hash >> (64 - RECENT_BITS)];

	if (recent->target == target && recent->seen->code == code)
		return recent->seen;
	recent->seen = code_find(target, code);
	recent->target = recent->seen ? target : NULL;
	return recent->seen;
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

static int name_waker(struct cs_names *names, const struct cs_ev_waker *waker, uint64_t now_ns,
		      struct cs_buf *out)
{
	return name_kernel(names, (const uint64_t *)waker->kernel, waker->n, now_ns, out);
}

static int name_addresses(struct cs_names *names, const struct cs_ev_stack *stack, uint64_t now_ns,
			  struct cs_buf *out)
{
	const uint64_t *kernel = (const uint64_t *)(stack->frames + stack->nframes);
	int err = name_kernel(names, kernel, stack->nkernel, now_ns, out);

	if (!err && stack->hdr.kind == CS_EV_STACK && stack->user_ip && !stack->nframes)
		err = name_mapping(names, (pid_t)stack->hdr.pid, stack->user_ip, now_ns, out);
	return err;
}

/* It is met for the first time in this turn. */
static void begin_turn(struct cs_code_seen *seen, uint64_t now_ns)
{
	seen->turn_ns = now_ns;
	seen->same = false;
	seen->now = CS_CODE_NOT_CHECKED;
	seen->read_at = 0;
	seen->met = seen->check;
	seen->is_two = false;
}

static void note_met(struct cs_code_seen *seen, uint32_t check)
{
	if (!check)
		return;
	seen->is_two |= seen->met && seen->met != check;
	seen->met = check;
}

/* Remember to look at a frame's code object once in this turn. Returns 0 or -ENOMEM. */
static int want_code(struct cs_names *names, struct cs_target *target,
		     const struct cs_py_frame *frame, uint64_t now_ns)
{
	struct cs_code_seen *seen = code_get(names, target, frame->code);

	if (!seen)
		return -ENOMEM;
	if (seen->turn_ns != now_ns) {
		begin_turn(seen, now_ns);
		seen->next_wanted = target->wanted;
		target->wanted = seen;
	}
	note_met(seen, frame->check);
	return 0;
}

/* Did everything fit? */
static bool is_whole(const struct cs_ev_code_seen *record)
{
	return record->name_kind && record->file_kind &&
	       record->name_chars == record->name_bytes / record->name_kind &&
	       record->file_chars == record->file_bytes / record->file_kind &&
	       record->linetable_len == record->linetable_bytes;
}

/* What the sampler captured whole need not be read. */
static int take_capture(struct cs_names *names, struct cs_target *target,
			const struct cs_ev_code_seen *record, uint64_t now_ns)
{
	struct cs_code_seen *seen = code_get(names, target, record->code);

	if (!seen)
		return -ENOMEM;
	if (seen->turn_ns != now_ns && is_whole(record))
		begin_turn(seen, now_ns);
	if (seen->turn_ns == now_ns)
		note_met(seen, record->check);
	return 0;
}

/* What all of fresh refers to. Returns 0 or -ENOMEM. */
static int want_codes(struct cs_names *names, struct cs_target *targets, const struct cs_buf *fresh,
		      uint64_t now_ns)
{
	int err = 0;

	for (size_t at = 0; !err && at < fresh->len;) {
		struct cs_ev_hdr *record = (void *)(fresh->data + at);
		struct cs_target *target = ready_target(names, targets, record);
		struct frames frames = frames_of(record);

		at += record->size;
		if (!target)
			continue;
		if (record->kind == CS_EV_CODE_SEEN)
			err = take_capture(names, target, (const void *)record, now_ns);
		for (uint32_t i = 0; !err && i < frames.n; i++)
			err = want_code(names, target, &frames.items[i], now_ns);
	}
	return err;
}

/* Compare some code objects with what is known, and read what is new or has changed. */
static int read_batch(struct cs_names *names, struct cs_target *target,
		      struct cs_code_seen **wanted, unsigned int n, uint64_t now_ns,
		      uint64_t *unreadable)
{
	size_t at = names->readings.len;
	uint64_t codes[READ_BATCH], bad = 0;
	uint32_t checks[READ_BATCH];
	unsigned int changed = 0;
	int err;

	for (unsigned int i = 0; i < n; i++)
		codes[i] = wanted[i]->code;
	cs_code_checks(&target->interp, target->mem, codes, n, checks);
	for (unsigned int i = 0; i < n; i++) {
		wanted[i]->now = checks[i];
		wanted[i]->same = checks[i] && wanted[i]->check == checks[i];
		if (!wanted[i]->same)
			codes[changed++] = wanted[i]->code;
	}
	err = cs_code_read(&target->interp, target->mem, codes, changed, now_ns, &names->readings,
			   &bad);
	*unreadable += bad;
	while (!err && at < names->readings.len) {
		const struct cs_ev_code *record = (const void *)(names->readings.data + at);
		struct cs_code_seen *seen = code_get(names, target, record->code);

		if (!seen)
			return -ENOMEM;
		if (!(record->hdr.flags & CS_CODE_UNREADABLE)) {
			seen->now = record->check;
			seen->read_at = at + 1;
		}
		at += record->hdr.size;
	}
	return err;
}

static int read_wanted(struct cs_names *names, struct cs_target *target, uint64_t now_ns,
		       uint64_t *unreadable)
{
	struct cs_code_seen *batch[READ_BATCH];
	unsigned int n = 0;
	int err = 0;

	while (target->wanted && !err) {
		batch[n++] = target->wanted;
		target->wanted = target->wanted->next_wanted;
		if (n == READ_BATCH || !target->wanted) {
			err = read_batch(names, target, batch, n, now_ns, unreadable);
			n = 0;
		}
	}
	target->wanted = NULL;
	return err;
}

/* Is it of the module whose threads do jobs for tasks? (Lib/concurrent/futures/thread.py) */
static bool is_of_executor(const struct cs_ev_code *code)
{
	static const char file[] = "concurrent/futures/thread.py";
	const size_t len = sizeof(file) - 1;

	return code->file_len >= len &&
	       !memcmp(code->text + code->name_len + code->file_len - len, file, len);
}

/* From here on the capture's readers take this address for this object. */
static void note_recorded(struct cs_target *target, struct cs_code_seen *seen,
			  const struct cs_ev_code *code, uint64_t now_ns)
{
	uint32_t check = code->check;

	if (seen->check && seen->check != check)
		cs_target_note_reuse(target, now_ns);
	if (seen->check != check)
		seen->since_ns = now_ns;
	seen->check = check;
	if (is_of_executor(code))
		cs_target_meet_executor(target);
}

/* Put what was read in this turn into the capture. Returns 0 or -ENOMEM. */
static int record_reading(struct cs_names *names, struct cs_target *target,
			  struct cs_code_seen *seen, uint64_t now_ns, struct cs_buf *out)
{
	const struct cs_ev_code *record = (const void *)(names->readings.data + seen->read_at - 1);

	note_recorded(target, seen, record, now_ns);
	return cs_buf_append(out, record, record->hdr.size);
}

/*
 * Which object was it? A frame with a check value is the object with that value: the one in the capture, or the one that was read
 * just now, or none that is known. A frame without: the sampler had met the address often (CS_MET_SURE), so it is the object in the
 * capture if that has not changed since the last turn, and nothing else was met there. A suspended coroutine holds its code object: its
 * frames are true as they stand. A process that is gone cannot be asked: what had been the same for seconds is believed. Returns
 * 1 (its name stands in the capture now), 0 or -ENOMEM.
 */
static int name_frame(struct cs_names *names, struct cs_target *target, struct cs_py_frame *frame,
		      bool suspended, uint64_t now_ns, struct cs_buf *out)
{
	struct cs_code_seen *seen = code_get(names, target, frame->code);
	bool is_it;

	if (!seen)
		return -ENOMEM;
	if (frame->check)
		is_it = frame->check == seen->check;
	else if (suspended)
		is_it = seen->check && (seen->same || seen->check == seen->now);
	else
		is_it = seen->check && seen->same && !seen->is_two;
	if (is_it) {
		seen->same = true;
		return 1;
	}
	if (seen->read_at && (frame->check ? frame->check == seen->now : suspended)) {
		seen->same = true;
		return record_reading(names, target, seen, now_ns, out) ? -ENOMEM : 1;
	}
	return !frame->check && seen->check && !seen->now && !seen->is_two &&
	       now_ns - seen->since_ns > SETTLED_NS;
}

/* Append a record with what it needs before it. Returns 0 or -ENOMEM. */
static int name_record(struct cs_names *names, struct cs_target *target, struct cs_ev_hdr *record,
		       uint64_t now_ns, struct cs_buf *out, struct cs_names_lost *lost)
{
	struct frames frames = frames_of(record);

	for (uint32_t i = 0; i < frames.n; i++) {
		int known = name_frame(names, target, &frames.items[i], record->kind == CS_EV_TASK,
				       now_ns, out);

		if (known < 0)
			return known;
		if (known)
			continue;
		frames.items[i].code = CS_CODE_STALE;
		lost->stale++;
		cs_target_note_reuse(target,
				     now_ns); /* gone or replaced within a turn: others will be */
	}
	return cs_buf_append(out, record, record->size);
}

/*
 * A captured code object takes its place in the capture; what was cut of it, if it could be read as well, as it was read.
 * Returns 0 or -ENOMEM.
 */
static int record_capture(struct cs_names *names, struct cs_target *target,
			  const struct cs_ev_code_seen *record, uint64_t now_ns, struct cs_buf *out)
{
	struct cs_code_seen *seen = code_get(names, target, record->code);
	size_t at = out->len;
	int err;

	if (!seen)
		return -ENOMEM;
	if (seen->check == record->check)
		return 0; /* another CPU met it as well */
	if (seen->read_at && seen->now == record->check)
		return record_reading(names, target, seen, now_ns, out);
	err = cs_code_from_seen(&target->interp, record, out);
	if (!err)
		note_recorded(target, seen, (const void *)(out->data + at), now_ns);
	return err == -ENOMEM ? err : 0;
}

static int write_records(struct cs_names *names, struct cs_target *targets, struct cs_buf *fresh,
			 uint64_t now_ns, struct cs_buf *out, struct cs_names_lost *lost)
{
	int err = 0;

	for (size_t at = 0; !err && at < fresh->len;) {
		struct cs_ev_hdr *record = (void *)(fresh->data + at);
		struct cs_target *target = ready_target(names, targets, record);

		at += record->size;
		if (record->kind == CS_EV_CODE_SEEN)
			err = target ? record_capture(names, target, (const void *)record, now_ns,
						      out)
				     : 0;
		else if (target)
			err = name_record(names, target, record, now_ns, out, lost);
		else
			err = cs_buf_append(out, record, record->size);
		if (!target && names->last)
			lost->early += frames_of(record).n;
	}
	return err;
}

int cs_names_for(struct cs_names *names, struct cs_target *targets, struct cs_buf *fresh,
		 uint64_t now_ns, struct cs_buf *out, struct cs_names_lost *lost)
{
	struct cs_target *target, *tmp;
	int err = 0;

	memset(names->recent, 0, sizeof(names->recent));
	names->last = NULL;
	for (size_t at = 0; !err && at < fresh->len;) {
		const struct cs_ev_hdr *record = (const void *)(fresh->data + at);

		if (record->kind == CS_EV_STACK)
			err = name_addresses(names, (const void *)record, now_ns, out);
		else if (record->kind == CS_EV_WAKER)
			err = name_waker(names, (const void *)record, now_ns, out);
		at += record->size;
	}
	names->readings.len = 0;
	if (!err)
		err = want_codes(names, targets, fresh, now_ns);
	HASH_ITER (hh, targets, target, tmp) {
		if (err || !target->wanted)
			continue;
		err = read_wanted(names, target, now_ns, &lost->unreadable);
		cs_target_rest(target);
	}
	if (!err)
		err = write_records(names, targets, fresh, now_ns, out, lost);
	HASH_ITER (hh, targets, target, tmp) {
		if (HASH_COUNT(target->codes) > MAX_CODES)
			cs_target_forget_codes(target);
	}
	return err;
}
