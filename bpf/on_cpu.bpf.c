// SPDX-License-Identifier: GPL-2.0-only OR BSD-2-Clause
/*
 * The CPU clock: a perf event per CPU interrupts whatever runs and takes its Python and kernel stack, in the
 * interrupted thread, so every read is of a thread that stands still. Every tick ends as a record or in
 * an account (see status.h).
 */
#include "vmlinux.h"
#include <bpf/bpf_core_read.h>
#include <bpf/bpf_helpers.h>

#include "own_walk.bpf.h"

char LICENSE[] SEC("license") __weak = "Dual BSD/GPL";

/* CPU time between two ticks of one CPU, and so the weight of a sample. Changes only while the clock stands still. */
__u64 tick_ns;

static __always_inline void take_sample(struct bpf_perf_event_data *ctx, struct cs_walk *w,
					const struct cs_proc_info *info, __u64 pid_tgid)
{
	bool user = core_user_mode(&ctx->regs);
	enum cs_counter native = 0, fate; /* 0: no native frames were asked for */
	long kernel = 0;

	walk_record(w, CS_EV_STACK, tick_ns);
	w->ev.hdr.flags = CS_ORIGIN_CPU;
	core_current_comm(w->ev.comm);
	if (user)
		w->ev.user_ip = PT_REGS_IP(&ctx->regs);
	else
		bpf_get_stack(ctx, &w->ev.user_ip, sizeof(w->ev.user_ip), BPF_F_USER_STACK);
	own_walk(w, info, pid_tgid);
	if (config.native && w->ev.user_ip && user)
		native = walk_native(w, pid_tgid, PT_REGS_IP(&ctx->regs), PT_REGS_SP(&ctx->regs),
				     PT_REGS_FP(&ctx->regs));
	else if (config.native && w->ev.user_ip)
		native = walk_native_below(w, pid_tgid);
	if (!user)
		kernel = bpf_get_stack(ctx, emit_kernel_room(w), sizeof(w->kernel), 0);
	fate = emit_stack(w, pid_tgid, kernel) ? CS_COUNTER_RING_FULL : CS_COUNTER_SAMPLES;
	if (native)
		count_both(pid_tgid >> 32, native, fate);
	else
		count(pid_tgid >> 32, fate);
}

SEC("perf_event")
int on_cpu(struct bpf_perf_event_data *ctx)
{
	__u64 pid_tgid = bpf_get_current_pid_tgid();
	__u32 tgid = pid_tgid >> 32;
	struct cs_proc_info *info;
	struct own_state *s = own_state(0);

	if (!s)
		return 0;
	count(0, CS_COUNTER_TICKS);
	if (!(__u32)pid_tgid) {
		count(0, CS_COUNTER_IDLE);
		return 0;
	}
	info = bpf_map_lookup_elem(&procs, &tgid);
	if (!info && !config.all_processes) {
		count(0, CS_COUNTER_OTHER);
		return 0;
	}
	if (s->busy) {
		count(tgid, CS_COUNTER_NESTED);
		return 0;
	}
	s->busy = 1;
	take_sample(ctx, &s->walk, info, pid_tgid);
	s->busy = 0;
	return 0;
}
