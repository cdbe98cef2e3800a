/* SPDX-License-Identifier: Apache-2.0 */
/*
 * What the capture's CODE, MAPPING and KSYM events said, kept per process, and frames of the model
 * made from it. An address means what the latest event said about it: memory is reused. Nothing
 * here is guessed: what no event named is shown as [unreadable] or by its address.
 */
#include "symbolize/symbolize.h"

#include <coroscope/code_check.h>

#include <errno.h>
#include <inttypes.h>
#include <stdlib.h>
#include <string.h>

/* Without memory an element is not added and its hh.tbl stays NULL, instead of exit(). */
#define HASH_NONFATAL_OOM 1
#include <uthash.h>

#include "core/buf.h"
#include "core/cleanup.h"
#include "symbolize/linetable.h"
#include "symbolize/native.h"
#include "symbolize/owner_names.h"

/* The frame of one instruction: most samples repeat one, and a table is walked from its start. */
struct place {
	int32_t lasti;
	uint32_t frame;
	UT_hash_handle hh;
};

struct code {
	uint64_t address;
	struct cs_own_text name, file;
	uint32_t firstlineno;
	unsigned int flags;
	struct place *places;
	UT_hash_handle hh;
	uint32_t linetable_kind;
	size_t linetable_len;
	uint8_t linetable[];
};

/* A function of the kernel at an address that occurs in stacks. */
struct symbol {
	uint64_t addr;
	struct cs_own_text name;
	UT_hash_handle hh;
};

struct process {
	uint32_t pid;
	bool gone; /* it has ended; late records may refer to it */
	struct code *codes;
	struct cs_native native;
	UT_hash_handle hh;
};

struct cs_symbols {
	struct cs_profile *profile;
	struct process *processes;
	struct symbol *kernel;
	struct cs_owner_names *owners;
	bool first_lines;
	const struct cs_lookup *lookup; /* NULL: nobody to ask */
	struct cs_buf text;             /* scratch for one name */
};

static void forget_places(struct code *code)
{
	struct place *place, *next;

	HASH_ITER (hh, code->places, place, next) {
		HASH_DEL(code->places, place);
		free(place);
	}
}

static void code_free(struct code *code)
{
	forget_places(code);
	free(code->name.bytes);
	free(code->file.bytes);
	free(code);
}

static void code_freep(struct code **code)
{
	if (*code)
		code_free(*code);
}

static void process_free(struct process *process)
{
	struct code *code, *next;

	HASH_ITER (hh, process->codes, code, next) {
		HASH_DEL(process->codes, code);
		code_free(code);
	}
	cs_native_free(&process->native);
	free(process);
}

int cs_symbols_new(struct cs_profile *profile, bool first_lines, struct cs_symbols **ret)
{
	struct cs_symbols *symbols = calloc(1, sizeof(*symbols));

	if (!symbols || cs_owner_names_new(&symbols->owners)) {
		free(symbols);
		return -ENOMEM;
	}
	symbols->profile = profile;
	symbols->first_lines = first_lines;
	*ret = symbols;
	return 0;
}

void cs_symbols_free(struct cs_symbols *symbols)
{
	struct process *process, *next_process;
	struct symbol *symbol, *next;

	if (!symbols)
		return;
	HASH_ITER (hh, symbols->processes, process, next_process) {
		HASH_DEL(symbols->processes, process);
		process_free(process);
	}
	HASH_ITER (hh, symbols->kernel, symbol, next) {
		HASH_DEL(symbols->kernel, symbol);
		free(symbol->name.bytes);
		free(symbol);
	}
	cs_buf_free(&symbols->text);
	cs_owner_names_free(symbols->owners);
	free(symbols);
}

static struct process *find_process(const struct cs_symbols *symbols, uint32_t pid)
{
	struct process *process;

	HASH_FIND(hh, symbols->processes, &pid, sizeof(pid), process);
	return process;
}

/* The process, made if new; NULL without memory. */
static struct process *get_process(struct cs_symbols *symbols, uint32_t pid)
{
	struct process *process = find_process(symbols, pid);

	if (process) {
		process->gone = false; /* its number is another's now */
		return process;
	}
	process = calloc(1, sizeof(*process));
	if (!process)
		return NULL;
	process->pid = process->native.pid = pid;
	HASH_ADD(hh, symbols->processes, pid, sizeof(pid), process);
	if (!process->hh.tbl) {
		free(process);
		return NULL;
	}
	return process;
}

static struct code *find_code(const struct cs_symbols *symbols, uint32_t pid, uint64_t address)
{
	struct process *process = find_process(symbols, pid);
	struct code *code = NULL;

	if (process)
		HASH_FIND(hh, process->codes, &address, sizeof(address), code);
	return code;
}

static int intern(struct cs_symbols *symbols, struct cs_text text, uint32_t *ret)
{
	int64_t index = cs_profile_string(symbols->profile, text.str, text.len);

	if (index < 0)
		return (int)index;
	*ret = (uint32_t)index;
	return 0;
}

static int feed_code(struct cs_symbols *symbols, uint32_t pid, const struct cs_event_code *event)
{
	struct process *process = get_process(symbols, pid);
	_cleanup_(code_freep) struct code *code = calloc(1, sizeof(*code) + event->linetable_len);
	struct code *old;

	if (!process || !code)
		return -ENOMEM;
	code->address = event->code;
	code->firstlineno = event->firstlineno;
	code->flags = event->flags;
	code->linetable_kind = event->linetable_kind;
	code->linetable_len = event->linetable_len;
	if (event->linetable_len)
		memcpy(code->linetable, event->linetable, event->linetable_len);
	if (cs_own_text_set(&code->name, event->name) || cs_own_text_set(&code->file, event->file))
		return -ENOMEM;
	HASH_FIND(hh, process->codes, &code->address, sizeof(code->address), old);
	if (old) {
		HASH_DEL(process->codes, old);
		code_free(old);
	}
	HASH_ADD(hh, process->codes, address, sizeof(code->address), code);
	if (!code->hh.tbl)
		return -ENOMEM;
	TAKE_PTR(code);
	return 0;
}

static int feed_mapping(struct cs_symbols *symbols, uint32_t pid,
			const struct cs_event_mapping *event)
{
	struct process *process = get_process(symbols, pid);

	return process ? cs_native_feed_mapping(&process->native, event) : -ENOMEM;
}

static int feed_symbol(struct cs_symbols *symbols, uint32_t pid,
		       const struct cs_event_symbol *event)
{
	struct process *process = get_process(symbols, pid);

	return process ? cs_native_feed_symbol(&process->native, event, &symbols->text) : -ENOMEM;
}

/* A name may come anew. */
static int feed_kernel_symbol(struct symbol **table, uint64_t addr, struct cs_text name)
{
	struct symbol *symbol;

	HASH_FIND(hh, *table, &addr, sizeof(addr), symbol);
	if (symbol)
		return cs_own_text_set(&symbol->name, name);
	symbol = calloc(1, sizeof(*symbol));
	if (!symbol)
		return -ENOMEM;
	symbol->addr = addr;
	HASH_ADD(hh, *table, addr, sizeof(symbol->addr), symbol);
	if (!symbol->hh.tbl) {
		free(symbol);
		return -ENOMEM;
	}
	return cs_own_text_set(&symbol->name, name);
}

int cs_symbols_feed(struct cs_symbols *symbols, const struct cs_event *event)
{
	struct process *process;
	int err = cs_owner_names_feed(symbols->owners, symbols->profile, event);

	if (err)
		return err;
	switch (event->kind) {
	case CS_EV_CODE:
		return feed_code(symbols, event->pid, &event->code);
	case CS_EV_MAPPING:
		return feed_mapping(symbols, event->pid, &event->mapping);
	case CS_EV_SYMBOL:
		return feed_symbol(symbols, event->pid, &event->symbol);
	case CS_EV_KSYM:
		return feed_kernel_symbol(&symbols->kernel, event->ksym.addr, event->ksym.name);
	case CS_EV_EXEC:
		process = find_process(symbols, event->pid);
		if (process) {
			HASH_DEL(symbols->processes, process);
			process_free(process);
		}
		return 0;
	case CS_EV_EXIT:
	case CS_EV_STATS: /* of a process: its last record */
		process = find_process(symbols, event->pid);
		if (process)
			process->gone = true;
		return 0;
	default:
		return 0;
	}
}

void cs_symbols_begin(struct cs_symbols *symbols, struct cs_profile *profile)
{
	struct process *process, *next;
	struct symbol *symbol;
	struct code *code;

	symbols->profile = profile;
	for (symbol = symbols->kernel; symbol; symbol = symbol->hh.next)
		symbol->name.string = 0;
	cs_owner_names_begin(symbols->owners);
	HASH_ITER (hh, symbols->processes, process, next) {
		if (process->gone) {
			HASH_DEL(symbols->processes, process);
			process_free(process);
			continue;
		}
		cs_native_begin(&process->native);
		for (code = process->codes; code; code = code->hh.next) {
			forget_places(code);
			code->name.string = code->file.string = 0;
		}
	}
}

static int64_t named_frame(struct cs_symbols *symbols, enum cs_frame_kind kind, uint64_t address,
			   const char *name)
{
	struct cs_frame frame = {.kind = kind, .address = address};
	int err = intern(symbols, (struct cs_text){name, strlen(name)}, &frame.name);

	return err ? err : cs_profile_frame(symbols->profile, &frame);
}

/* 0 where the location table does not tell. */
static uint32_t executing_line(const struct code *code, int32_t lasti)
{
	if (code->flags & CS_CODE_LINES_CUT &&
	    !cs_linetable_covers(code->linetable_kind, code->linetable, code->linetable_len, lasti))
		return 0;
	return cs_linetable_line(code->linetable_kind, code->linetable, code->linetable_len,
				 code->firstlineno, lasti);
}

int64_t cs_symbols_python(struct cs_symbols *symbols, uint32_t pid, const struct cs_py_frame *frame)
{
	struct code *code = find_code(symbols, pid, frame->code);
	struct cs_frame made = {.kind = CS_FRAME_PYTHON};
	_cleanup_free_ struct place *added = NULL;
	struct place *place;
	char mark[40];
	int64_t index;

	if (frame->code == CS_CODE_LEFT_OUT) {
		snprintf(mark, sizeof(mark), "[%d frames left out]", frame->lasti);
		return named_frame(symbols, CS_FRAME_MARK, 0, mark);
	}
	if (frame->code == CS_CODE_STALE)
		return named_frame(symbols, CS_FRAME_MARK, 0, "[stale]");
	if (code && code->flags & CS_CODE_SHIM)
		return -ENOENT;
	if (!code || code->flags & CS_CODE_UNREADABLE)
		return named_frame(symbols, CS_FRAME_MARK, 0, "[unreadable]");
	HASH_FIND(hh, code->places, &frame->lasti, sizeof(frame->lasti), place);
	if (place)
		return place->frame;
	if (cs_own_text_string(&code->name, symbols->profile, &made.name) ||
	    cs_own_text_string(&code->file, symbols->profile, &made.file))
		return -ENOMEM;
	made.first_line = code->firstlineno;
	made.line = symbols->first_lines ? code->firstlineno : executing_line(code, frame->lasti);
	index = cs_profile_frame(symbols->profile, &made);
	if (index < 0)
		return index;
	added = calloc(1, sizeof(*added));
	if (!added)
		return -ENOMEM;
	added->lasti = frame->lasti;
	added->frame = (uint32_t)index;
	HASH_ADD(hh, code->places, lasti, sizeof(added->lasti), added);
	if (!added->hh.tbl)
		return -ENOMEM;
	TAKE_PTR(added);
	return index;
}

unsigned int cs_symbols_code_flags(const struct cs_symbols *symbols, uint32_t pid, uint64_t code)
{
	const struct code *found = find_code(symbols, pid, code);

	return found ? found->flags : 0;
}

int64_t cs_symbols_kernel(struct cs_symbols *symbols, uint64_t addr)
{
	struct cs_frame frame = {.kind = CS_FRAME_KERNEL, .address = addr};
	struct symbol *symbol;
	char name[40];

	HASH_FIND(hh, symbols->kernel, &addr, sizeof(addr), symbol);
	if (!symbol) {
		snprintf(name, sizeof(name), "[kernel+0x%" PRIx64 "]", addr);
		return named_frame(symbols, CS_FRAME_KERNEL, addr, name);
	}
	if (cs_own_text_string(&symbol->name, symbols->profile, &frame.name))
		return -ENOMEM;
	return cs_profile_frame(symbols->profile, &frame);
}

void cs_symbols_look_up(struct cs_symbols *symbols, const struct cs_lookup *lookup)
{
	symbols->lookup = lookup;
}

int64_t cs_symbols_native(struct cs_symbols *symbols, uint32_t pid, uint64_t addr)
{
	struct process *process = find_process(symbols, pid);
	struct cs_native nothing = {.pid = pid};
	int64_t index = cs_native_frame(process ? &process->native : &nothing, symbols->profile,
					symbols->lookup, addr, &symbols->text);

	cs_native_free(&nothing);
	return index;
}
