/* SPDX-License-Identifier: Apache-2.0 */
/*
 * Blocked time: the scheduler's hooks. Two of them: a thread leaves its CPU (every kernel has that tracepoint), and a thread
 * is back, which from 6.15 on is a tracepoint too and before the function that ends a switch. A third, on request, tells who woke it.
 */
#include "collect/off_cpu.h"

#include <bpf/bpf.h>
#include <bpf/btf.h>
#include <coroscope/off_cpu.h>
#include <errno.h>
#include <stdlib.h>
#include <string.h>

#include "collect/probes_private.h"
#include "core/cleanup.h"

struct cs_off_cpu {
	struct off_cpu *skel;     /* borrowed */
	struct bpf_program *open; /* likewise; NULL: the kernel cannot read other tasks' memory */
	struct bpf_link *out, *in, *woken;
	/* The scheduler's code, and in it what wakes; empty: not known. */
	struct cs_kallsyms_range scheduler, wake_up;
	/* Where interrupts, and exceptions too, enter the kernel, and what runs behind them. */
	struct cs_kallsyms_range entries, softirq;
	const struct cs_kallsyms *kernel; /* borrowed; may be NULL */
};

/* The kernel's type information has a type for each raw tracepoint. */
static bool kernel_has_exit(void)
{
	struct btf *btf = btf__load_vmlinux_btf();
	bool found =
		btf && btf__find_by_name_kind(btf, "btf_trace_sched_exit_tp", BTF_KIND_TYPEDEF) > 0;

	btf__free(btf);
	return found;
}

void cs_off_cpu_prepare(struct off_cpu *skel, const struct cs_probes_options *options)
{
	bool has_exit = kernel_has_exit();

	bpf_program__set_autoload(skel->progs.off_in_exit, has_exit);
	bpf_program__set_autoload(skel->progs.off_in_finish, !has_exit);
	bpf_program__set_autoload(skel->progs.off_woken, options->off_wakers);
}

static struct bpf_link *attach_in(struct off_cpu *skel, const struct cs_kallsyms *kernel)
{
	struct cs_kallsyms_range range;
	const char *name;

	if (bpf_program__autoload(skel->progs.off_in_exit))
		return bpf_program__attach(skel->progs.off_in_exit);
	name = kernel ? cs_kallsyms_named(kernel, "finish_task_switch", &range) : NULL;
	if (!name) {
		errno = EOPNOTSUPP;
		return NULL;
	}
	return bpf_program__attach_kprobe(skel->progs.off_in_finish, false, name);
}

static int iterate_once(const struct bpf_program *program)
{
	struct bpf_link *link = bpf_program__attach_iter(program, NULL);
	int err = link ? cs_probes_iterate(link) : -errno;

	bpf_link__destroy(link);
	return err;
}

/* What lies between two marks of the linker's; empty if they are not known. */
static void find_section(const struct cs_kallsyms *kernel, const char *from, const char *to,
			 struct cs_kallsyms_range *ret)
{
	struct cs_kallsyms_range end;

	if (!cs_kallsyms_named(kernel, from, ret) || !cs_kallsyms_named(kernel, to, &end))
		*ret = (struct cs_kallsyms_range){0};
	else
		ret->to = end.from;
}

static void find_scheduler(struct cs_off_cpu *off)
{
	if (!off->kernel)
		return;
	find_section(off->kernel, "__sched_text_start", "__sched_text_end", &off->scheduler);
	find_section(off->kernel, "__irqentry_text_start", "__irqentry_text_end", &off->entries);
	cs_kallsyms_named(off->kernel, "try_to_wake_up", &off->wake_up);
	/* what does its work since 6.10, and before */
	if (!cs_kallsyms_named(off->kernel, "handle_softirqs", &off->softirq))
		cs_kallsyms_named(off->kernel, "__do_softirq", &off->softirq);
}

static void off_cpu_freep(struct cs_off_cpu **off)
{
	cs_off_cpu_free(*off);
}

int cs_off_cpu_start(struct cs_probes *probes, uint64_t min_ns, const struct cs_kallsyms *kernel,
		     struct cs_off_cpu **ret)
{
	_cleanup_(off_cpu_freep) struct cs_off_cpu *off = calloc(1, sizeof(*off));
	const struct cs_off_rate rate = {.stands_ns = min_ns};
	uint32_t zero = 0;

	if (!off)
		return -ENOMEM;
	off->skel = cs_probes_programs(probes)->off_cpu;
	off->open = cs_probes_programs(probes)->wall
			    ? cs_probes_programs(probes)->wall->progs.off_open
			    : NULL;
	off->kernel = kernel;
	find_scheduler(off);
	if (bpf_map_update_elem(bpf_map__fd(off->skel->maps.off_rates), &zero, &rate, BPF_ANY))
		return -errno;
	/* first who comes back, so that whoever leaves is not missed */
	off->in = attach_in(off->skel, kernel);
	if (!off->in)
		return -errno;
	if (bpf_program__autoload(off->skel->progs.off_woken)) {
		off->woken = bpf_program__attach(off->skel->progs.off_woken);
		if (!off->woken)
			return -errno;
	}
	off->out = bpf_program__attach(off->skel->progs.off_out);
	if (!off->out)
		return -errno;
	*ret = off;
	off = NULL;
	return iterate_once((*ret)->skel->progs.off_begin);
}

static void detach(struct cs_off_cpu *off)
{
	bpf_link__destroy(TAKE_PTR(off->out));
	bpf_link__destroy(TAKE_PTR(off->in));
	bpf_link__destroy(TAKE_PTR(off->woken));
}

/* Threads that are off the CPU now. */
static uint64_t count_open(const struct cs_off_cpu *off)
{
	int fd = bpf_map__fd(off->skel->maps.off_sets);
	struct cs_off_set set;
	uint64_t n = 0;

	for (uint32_t i = 0; i < CS_OFF_SETS; i++) {
		if (bpf_map_lookup_elem(fd, &i, &set))
			continue;
		for (int way = 0; way < CS_OFF_WAYS; way++)
			n += set.slots[way].tid && set.slots[way].since_ns;
	}
	return n;
}

uint64_t cs_off_cpu_stop(struct cs_off_cpu *off)
{
	bool readable = off->open && !iterate_once(off->open);
	uint64_t unread = readable ? 0 : count_open(off);

	detach(off);
	return unread;
}

void cs_off_cpu_free(struct cs_off_cpu *off)
{
	if (!off)
		return;
	detach(off);
	free(off);
}

static bool is_in(uint64_t addr, struct cs_kallsyms_range range)
{
	return addr >= range.from && addr < range.to;
}

uint32_t cs_trim_count(const uint64_t *kernel, uint32_t n, struct cs_kallsyms_range range)
{
	uint32_t cut = 0;

	while (cut < n && !is_in(kernel[cut], range))
		cut++;
	if (cut == n)
		return 0;
	while (cut < n && is_in(kernel[cut], range))
		cut++;
	return cut;
}

/* The frame where what interrupted a thread enters the kernel, or n. Exceptions are the thread's own. */
static uint32_t find_entry(const struct cs_off_cpu *off, const struct cs_ev_waker *waker)
{
	uint32_t i = 0;

	while (i < waker->n && !is_in(waker->kernel[i], off->softirq) &&
	       (!is_in(waker->kernel[i], off->entries) ||
		!strncmp(cs_kallsyms_find(off->kernel, waker->kernel[i]), "asm_exc_", 8)))
		i++;
	return i;
}

/* Was that the thread itself, or what interrupted it, wherever that was? A stack that is cut does not say. */
static void judge_waker(const struct cs_off_cpu *off, struct cs_ev_waker *waker)
{
	uint32_t entry = find_entry(off, waker);

	if (!off->entries.to || !off->softirq.to)
		return;
	if (entry < waker->n) {
		waker->hdr.flags = CS_WAKER_INTERRUPT;
		waker->hdr.size -= (waker->n - entry - 1) * (uint32_t)sizeof(*waker->kernel);
		waker->n = entry + 1;
	} else if (waker->n && waker->n < CS_MAX_WAKER_FRAMES) {
		waker->hdr.flags = CS_WAKER_THREAD;
	}
}

/* The record ends with its kernel frames. Returns how many are left. */
static uint32_t trim(struct cs_ev_hdr *record, uint64_t *kernel, uint32_t n,
		     struct cs_kallsyms_range range)
{
	uint32_t cut = cs_trim_count(kernel, n, range);

	memmove(kernel, kernel + cut, (n - cut) * sizeof(*kernel));
	record->size -= cut * (uint32_t)sizeof(*kernel);
	return n - cut;
}

void cs_off_cpu_trim(const struct cs_off_cpu *off, struct cs_ev_hdr *record)
{
	struct cs_ev_stack *stack = (void *)record;
	struct cs_ev_waker *waker = (void *)record;

	if (record->kind == CS_EV_STACK)
		stack->nkernel =
			(uint16_t)trim(record, (uint64_t *)(stack->frames + stack->nframes),
				       stack->nkernel, off->scheduler);
	if (record->kind != CS_EV_WAKER)
		return;
	judge_waker(off, waker);
	waker->n = trim(record, (uint64_t *)waker->kernel, waker->n, off->wake_up);
}
