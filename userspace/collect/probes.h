/* SPDX-License-Identifier: Apache-2.0 */
/*
 * The BPF side: has the programs loaded (programs.h), attaches them, fills their tables, reads the ring and the accounts. Everything
 * hangs on file descriptors of this process (nothing is pinned), so whatever way it ends, SIGKILL included, the kernel detaches all of it.
 */
#pragma once

#include <coroscope/event.h>
#include <coroscope/proc_info.h>
#include <coroscope/status.h>
#include <stdbool.h>
#include <stddef.h>
#include <stdint.h>
#include <sys/types.h>

#include "collect/selection.h"
#include "python/interp.h"

struct cs_probes;
struct cs_probe_link; /* one attached program, shared by its users; kept for a while when the last has given it back */

struct cs_probes_options {
	uint64_t interval_ns; /* of CPU ticks */
	size_t ring_bytes;    /* rounded up to a power of two of whole pages */
	bool all_processes;
	bool wall;       /* load the iterator, if the kernel has what it needs */
	bool no_idle;    /* ... but leave out sleeping threads */
	bool want_gil;   /* tell in each stack whether its thread held the GIL */
	bool discover;   /* processes that begin a program are chosen by `selection` */
	bool native;     /* native frames of CPU samples too */
	bool follow;     /* children of watched processes are watched */
	bool off_cpu;    /* in place of the clocks: blocked time, see collect/off_cpu.h */
	bool off_wakers; /* ... and who ended it */
	uint64_t off_min_ns,
		off_budget; /* blocks not shorter are shown, on average so many a second */
	const struct cs_selection *selection; /* may be NULL */
};

/*
 * Open, configure and load. Returns 0 or -errno; -EPERM without privilege, -ENOENT without the kernel's type
 * information (BTF). On failure *ret_log receives why, as the verifier or libbpf said it last, in one line (owned by the caller).
 */
int cs_probes_load(const struct cs_probes_options *options, struct cs_probes **ret, char **ret_log);
void cs_probes_free(struct cs_probes *probes); /* detaches everything; NULL is fine */
static inline void cs_probes_freep(struct cs_probes **probes)
{
	cs_probes_free(*probes);
}

/* Begin and end the CPU clock on all CPUs. Returns 0 or -errno. */
int cs_probes_start_clock(struct cs_probes *probes);
void cs_probes_stop_clock(struct cs_probes *probes);

/* Another rate from now on. The clock stands still meanwhile. Returns 0 or -errno. */
int cs_probes_set_interval(struct cs_probes *probes, uint64_t interval_ns);

/*
 * How long our programs have run in others' time, and how often, while the kernel's BPF statistics were on (somebody
 * must turn them on: bpf_enable_stats, or kernel.bpf_stats_enabled). Returns 0 or -errno.
 */
struct cs_kernel_time {
	uint64_t ns, runs;
};
int cs_probes_kernel_time(const struct cs_probes *probes, struct cs_kernel_time *ret);

/* The maps `native_files` and `native_procs`; descriptors are the probes'. */
struct cs_native_maps {
	int files_fd, procs_fd;
};
struct cs_native_maps cs_probes_native_maps(const struct cs_probes *probes);

/* Uprobes that are attached, those that nobody uses any more among them. */
unsigned int cs_probes_attached(const struct cs_probes *probes);

/* A descriptor that becomes readable when the kernel side has something that cannot wait for the next turn. */
int cs_probes_wake_fd(const struct cs_probes *probes);

/* Watch fork, exec and exit of the processes with a row. Returns 0 or -errno. */
int cs_probes_watch_processes(struct cs_probes *probes);

/*
 * Make or replace a process's row; remove it. What only the kernel side knows stays: since when the program runs, and in which
 * address space. Returns 0 or -errno (-E2BIG: the table is full).
 */
int cs_probes_set_process(struct cs_probes *probes, pid_t pid, const struct cs_proc_info *info);

/* A process's row as it is. Returns 0, or -ENOENT. */
int cs_probes_row(const struct cs_probes *probes, pid_t pid, struct cs_proc_info *ret);

/* Tell the kernel side how to find a process's spans; its row says whether it is to. Returns 0 or -errno (-E2BIG: the table is full). */
int cs_probes_set_tracers(struct cs_probes *probes, pid_t pid, const struct cs_tracers *tracers);

/* Tell the kernel side about a file (see proc_info.h), and about a thread's state that it would not find by itself. */
void cs_probes_know_file(struct cs_probes *probes, const struct cs_file_id *id,
			 const struct cs_file_info *info);
void cs_probes_tell_tstate(struct cs_probes *probes, const struct cs_tstate_key *key,
			   uint64_t tstate);
void cs_probes_forget_tstate(struct cs_probes *probes, const struct cs_tstate_key *key);
void cs_probes_drop_process(struct cs_probes *probes, pid_t pid);

/* Has the kernel marked the process's row: it called exec since the row was made? */
bool cs_probes_is_stale(const struct cs_probes *probes, pid_t pid);

enum cs_probe_kind {
	CS_PROBE_TASK_INIT,  /* tasks that are created */
	CS_PROBE_SPAN_SET,   /* ContextVars that are set, in which a tracer keeps the active span */
	CS_PROBE_SPAN_RESET, /* ... and reset */
};

/*
 * The programs of the two probes of spans are loaded by a thread of their own from the first call on. Returns 0: they are there and may be
 * attached; -EAGAIN: ask again in some tenths of a second; or why they cannot be loaded, -errno, each time.
 */
int cs_probes_want_spans(struct cs_probes *probes);

/* In how many processes the probes of spans are. */
unsigned int cs_probes_span_processes(const struct cs_probes *probes);

/*
 * Attach a probe to a function; pid -1: for every process that maps the file. Links must be given back before the probes
 * are freed. Returns 0, -ESTALE (another file is there now) or -errno; *ret is then NULL.
 */
int cs_probes_attach(struct cs_probes *probes, enum cs_probe_kind kind, pid_t pid,
		     const struct cs_probe_site *site, struct cs_probe_link **ret);
void cs_probes_detach(struct cs_probe_link *link); /* gives it back; NULL is fine */
/* The same of one that costs the process too much, or that nobody else can use: it goes at once if it has no other user. */
void cs_probes_detach_now(struct cs_probe_link *link);

/*
 * A probe that may cost the processes that it interrupts 1% of a CPU, all of them together, and a tenth of a second at once: what it has cost is
 * told by its users. It keeps on until all of them have been asked by cs_probes_rests whether it is about to rest, between two calls of cs_probes_keep_budgets; they miss
 * nothing before. Later it is attached again, and then it has not rested.
 */
void cs_probes_limit(struct cs_probe_link *link, uint64_t now_ns);
void cs_probes_spend(struct cs_probe_link *link, uint64_t cost_ns, uint64_t now_ns);
bool cs_probes_rests(const struct cs_probe_link *link);
void cs_probes_keep_budgets(struct cs_probes *probes, uint64_t now_ns);

/* In a capture without an end, once a minute or so: detach what nobody has used since several calls. */
void cs_probes_age(struct cs_probes *probes);

/* Detach what nobody uses; returns when all of it is gone, after some 150 ms each. */
void cs_probes_detach_unused(struct cs_probes *probes);

/* Can this kernel walk sleeping threads? Else user space reads them. */
bool cs_probes_has_wall(const struct cs_probes *probes);

/*
 * One visit to every sleeping thread of the processes with a row (pid 0) or of one, each standing for weight_ns. Threads that have not run since their
 * last one are told of when that sums up to hold_ns. Weight 0: no visit, but what is held is told. Returns 0 or -errno.
 */
int cs_probes_visit_sleepers(struct cs_probes *probes, pid_t pid, uint64_t weight_ns,
			     uint64_t hold_ns);

/* Hand every waiting record to fn, oldest first; fn returns 0 to go on. Returns the number handed out or -errno. */
int cs_probes_drain(struct cs_probes *probes, int (*fn)(void *ctx, const struct cs_ev_hdr *record),
		    void *ctx);

struct cs_cpu_ticks {
	uint64_t all, idle;
};

/* Ticks seen on each CPU, at most max. Returns how many CPUs, or -errno. */
int cs_probes_cpu_ticks(const struct cs_probes *probes, struct cs_cpu_ticks *ret, unsigned int max);

/* Read the accounts of the machine (pid 0) or of a process with a row. Returns 0 or -errno. */
int cs_probes_counters(const struct cs_probes *probes, pid_t pid,
		       uint64_t counters[CS_COUNTER_MAX_]);
