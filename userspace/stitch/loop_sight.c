/* SPDX-License-Identifier: Apache-2.0 */
/* What one stack tells of its thread's event loop. */
#include "stitch/loop_sight.h"

#include <coroscope/code_check.h>
#include <coroscope/limits.h>
#include <errno.h>
#include <stdlib.h>
#include <string.h>
#include <uthash.h>

#include "core/cleanup.h"

/* Beside the flags of enum cs_code_flags: functions that tell what the loop is doing. */
enum role {
	ROLE_ASYNCIO = CS_CODE_ASYNCIO,
	ROLE_LOOP = CS_CODE_LOOP,
	ROLE_RUN_ONCE = 1 << 8, /* one turn of a loop that is Python code */
	ROLE_HANDLE = 1 << 9,   /* calls one callback */
	ROLE_SELECT = 1 << 10,  /* the selector's, if a turn calls it */
};

struct known {
	uint64_t addr;
	unsigned int role;
	UT_hash_handle hh;
};

/* A table of its own: among many processes somebody ends all the time, and what is forgotten then must not cost what is known of all. */
struct of_process {
	uint32_t pid; /* 0: the kernel's functions in which threads wait for events */
	struct known *known;
	UT_hash_handle hh;
};

struct cs_sights {
	struct of_process *processes;
};

int cs_sights_new(struct cs_sights **ret)
{
	*ret = calloc(1, sizeof(**ret));
	return *ret ? 0 : -ENOMEM;
}

static struct of_process *find_process(const struct cs_sights *sights, uint32_t pid)
{
	struct of_process *process;

	HASH_FIND(hh, sights->processes, &pid, sizeof(pid), process);
	return process;
}

static void forget(struct cs_sights *sights, struct of_process *process)
{
	struct known *it, *tmp;

	HASH_ITER (hh, process->known, it, tmp) {
		HASH_DEL(process->known, it);
		free(it);
	}
	HASH_DEL(sights->processes, process);
	free(process);
}

void cs_sights_free(struct cs_sights *sights)
{
	struct of_process *process, *tmp;

	if (!sights)
		return;
	HASH_ITER (hh, sights->processes, process, tmp)
		forget(sights, process);
	free(sights);
}

static struct known *find(const struct of_process *process, uint64_t addr)
{
	struct known *it = NULL;

	if (process)
		HASH_FIND(hh, process->known, &addr, sizeof(addr), it);
	return it;
}

/* process NULL: nothing is known of it. */
static unsigned int role_of(const struct of_process *process, uint64_t addr)
{
	const struct known *it = find(process, addr);

	return it ? it->role : 0;
}

/* An address may be another object's by now: role 0 is learned too. */
static int learn(struct cs_sights *sights, uint32_t pid, uint64_t addr, unsigned int role)
{
	struct of_process *process = find_process(sights, pid);
	struct known *it = find(process, addr);

	if (!it && !role)
		return 0;
	if (!process) {
		process = calloc(1, sizeof(*process));
		if (!process)
			return -ENOMEM;
		process->pid = pid;
		HASH_ADD(hh, sights->processes, pid, sizeof(process->pid), process);
	}
	if (!it) {
		it = calloc(1, sizeof(*it));
		if (!it)
			return -ENOMEM;
		it->addr = addr;
		HASH_ADD(hh, process->known, addr, sizeof(it->addr), it);
	}
	it->role = role;
	return 0;
}

/* The last part of a qualified name; up to 3.10 there is no other. */
static bool is_called(struct cs_text name, const char *function)
{
	size_t len = strlen(function);

	return name.len >= len && !memcmp(name.str + name.len - len, function, len) &&
	       (name.len == len || name.str[name.len - len - 1] == '.');
}

static unsigned int role_in_code(const struct cs_event_code *code)
{
	unsigned int role = code->flags & (CS_CODE_ASYNCIO | CS_CODE_LOOP);

	if (!role)
		return is_called(code->name, "select") ? ROLE_SELECT : 0;
	if (is_called(code->name, "_run_once"))
		role |= ROLE_RUN_ONCE;
	if (is_called(code->name, "_run"))
		role |= ROLE_HANDLE;
	return role;
}

/* The system calls in which a selector waits: kernel 5.10 to 6.18, fs/eventpoll.c and fs/select.c. Compilers append ".part.0" and the like. */
static bool waits_for_events(struct cs_text name)
{
	static const char *const functions[] = {"do_epoll_wait", "ep_poll", "do_select", "do_poll"};

	for (size_t i = 0; i < ARRAY_SIZE(functions); i++) {
		size_t len = strlen(functions[i]);

		if (name.len >= len && !memcmp(name.str, functions[i], len) &&
		    (name.len == len || name.str[len] == '.'))
			return true;
	}
	return false;
}

int cs_sights_learn(struct cs_sights *sights, const struct cs_event *event)
{
	struct of_process *process;

	switch (event->kind) {
	case CS_EV_CODE:
		return learn(sights, event->pid, event->code.code, role_in_code(&event->code));
	case CS_EV_KSYM:
		return learn(sights, 0, event->ksym.addr,
			     waits_for_events(event->ksym.name) ? ROLE_SELECT : 0);
	case CS_EV_EXEC:
	case CS_EV_EXIT:
	case CS_EV_STATS: /* of a process: its last record */
		process = event->pid ? find_process(sights, event->pid) : NULL;
		if (process)
			forget(sights, process);
		return 0;
	default:
		return 0;
	}
}

static bool is_in_poll(const struct cs_sights *sights, const struct cs_event_stack *stack)
{
	const struct of_process *kernel = find_process(sights, 0);

	for (uint32_t i = 0; i < stack->nkernel; i++)
		if (role_of(kernel, stack->kernel[i]) & ROLE_SELECT)
			return true;
	return false;
}

/* The thread is in C code that the function at the end of its stack, a loop's, has called. */
static enum cs_sight_kind see_c_code(const struct cs_sights *sights,
				     const struct cs_event_stack *stack)
{
	if (is_in_poll(sights, stack))
		return CS_SIGHT_SELECTOR;
	return stack->origin == CS_ORIGIN_CPU ? CS_SIGHT_LOOP : CS_SIGHT_UNKNOWN;
}

/* What stands above the innermost loop's frame, with index `loop`, when no task does. */
static struct cs_sight see_above(const struct cs_sights *sights, const struct of_process *process,
				 const struct cs_event_stack *stack, uint32_t loop)
{
	bool turn = false;

	for (uint32_t i = loop; i-- > 0;) {
		unsigned int role = role_of(process, stack->frames[i].code);

		if (stack->frames[i].code == CS_CODE_STALE)
			return (struct cs_sight){.kind = CS_SIGHT_UNKNOWN};
		if (role & ROLE_HANDLE)
			return (struct cs_sight){.kind = CS_SIGHT_STEP,
						 .code = i ? stack->frames[i - 1].code : 0};
		if (role & ROLE_ASYNCIO) {
			turn = turn || role & ROLE_RUN_ONCE;
			continue;
		}
		if (turn && role & ROLE_SELECT)
			return (struct cs_sight){.kind = CS_SIGHT_SELECTOR};
		if (!turn && i + 1 == loop)
			return (struct cs_sight){.kind = CS_SIGHT_STEP,
						 .code = stack->frames[i].code};
		break;
	}
	return (struct cs_sight){.kind = loop ? CS_SIGHT_LOOP : see_c_code(sights, stack)};
}

enum cs_same_step cs_sight_same_step(const struct cs_sight *a, const struct cs_sight *b)
{
	if (a->kind != CS_SIGHT_STEP || b->kind != CS_SIGHT_STEP || a->task != b->task ||
	    a->coro != b->coro || a->code != b->code)
		return CS_STEP_OTHER;
	if (a->step.caller && b->step.caller && a->step.caller != b->step.caller)
		return CS_STEP_OTHER;
	if (!a->step.context_ver || !b->step.context_ver)
		return CS_STEP_UNTOLD;
	return a->step.context_ver == b->step.context_ver ? CS_STEP_SAME : CS_STEP_CHANGED;
}

static struct cs_sight see(const struct cs_sights *sights, uint32_t pid,
			   const struct cs_event_stack *stack)
{
	const struct of_process *process = find_process(sights, pid);
	bool task = stack->running.task != 0;
	uint32_t loop = 0;

	while (loop < stack->nframes && !(role_of(process, stack->frames[loop].code) & ROLE_LOOP))
		loop++;
	if (task && stack->running.root_frame < loop)
		return (struct cs_sight){.kind = CS_SIGHT_STEP,
					 .task = stack->running.task,
					 .coro = stack->running.coro};
	/* what was left out may be a loop's frame, or what stands right above it */
	if (stack->nskipped && loop >= CS_LEAF_FRAMES)
		return (struct cs_sight){.kind = CS_SIGHT_UNKNOWN};
	if (loop < stack->nframes)
		return see_above(sights, process, stack, loop);
	if (stack->status != CS_STATUS_COMPLETE)
		return (struct cs_sight){.kind = CS_SIGHT_UNKNOWN};
	return (struct cs_sight){.kind = is_in_poll(sights, stack) ? CS_SIGHT_POLL
								   : CS_SIGHT_NO_LOOP};
}

struct cs_sight cs_sights_see(const struct cs_sights *sights, uint32_t pid,
			      const struct cs_event_stack *stack)
{
	struct cs_sight sight = see(sights, pid, stack);

	sight.step = stack->step;
	return sight;
}
