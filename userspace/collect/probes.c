/* SPDX-License-Identifier: Apache-2.0 */
/* What the BPF programs share with user space: the clocks, the tables, the ring and the accounts. */
#include "collect/probes.h"

#include <bpf/bpf.h>
#include <bpf/libbpf.h>
#include <errno.h>
#include <linux/perf_event.h>
#include <stdlib.h>
#include <string.h>
#include <sys/syscall.h>
#include <unistd.h>
#include <uthash.h>

#include "collect/probes_private.h"
#include "core/buf.h"
#include "core/cleanup.h"
#include "core/log.h"

struct iterator {
	pid_t pid; /* 0: all threads of the machine */
	struct bpf_link *link;
	UT_hash_handle hh;
};

static int on_record(void *ctx, void *data, size_t size)
{
	struct cs_probes *probes = ctx;
	const struct cs_ev_hdr *record = data;

	if (size < sizeof(*record) || record->size != size)
		return 0;
	return probes->drain_fn(probes->drain_ctx, record);
}

int cs_probes_load(const struct cs_probes_options *options, struct cs_probes **ret, char **ret_log)
{
	_cleanup_(cs_probes_freep) struct cs_probes *probes = calloc(1, sizeof(*probes));
	_cleanup_buf_ struct cs_buf why = {0};
	int err;

	if (!probes)
		return -ENOMEM;
	pthread_mutex_init(&probes->detaching.lock, NULL);
	pthread_cond_init(&probes->detaching.done, NULL);
	probes->interval_ns = options->interval_ns;
	probes->follow = options->follow || options->discover;
	probes->ncpu = libbpf_num_possible_cpus();
	if (probes->ncpu < 0)
		return probes->ncpu;
	err = cs_programs_load(&probes->programs, options, &why);
	if (err) {
		*ret_log = strdup(cs_buf_str(&why));
		return err;
	}
	probes->maps = &probes->programs.proc_events->maps;
	probes->ring = ring_buffer__new(bpf_map__fd(probes->maps->ring), on_record, probes, NULL);
	if (!probes->ring)
		return -errno;
	*ret = TAKE_PTR(probes);
	return 0;
}

void cs_probes_free(struct cs_probes *probes)
{
	struct iterator *it, *tmp;

	if (!probes)
		return;
	cs_probes_stop_clock(probes);
	cs_probes_detach_unused(probes);
	HASH_ITER (hh, probes->iterators, it, tmp) {
		HASH_DEL(probes->iterators, it);
		bpf_link__destroy(it->link);
		free(it);
	}
	ring_buffer__free(probes->ring);
	cs_programs_free(&probes->programs);
	pthread_cond_destroy(&probes->detaching.done);
	pthread_mutex_destroy(&probes->detaching.lock);
	free(probes);
}

static int attach_clock(struct cs_probes *probes, int cpu)
{
	struct perf_event_attr attr = {
		.size = sizeof(attr),
		.type = PERF_TYPE_SOFTWARE,
		.config = PERF_COUNT_SW_CPU_CLOCK,
		.sample_period = probes->interval_ns,
	};
	_cleanup_close_ int fd = -1;
	struct bpf_link *link;

	fd = (int)syscall(SYS_perf_event_open, &attr, -1, cpu, -1, PERF_FLAG_FD_CLOEXEC);
	if (fd < 0)
		return -errno;
	link = bpf_program__attach_perf_event(probes->programs.on_cpu->progs.on_cpu, fd);
	if (!link)
		return -errno;
	TAKE_FD(fd); /* the link closes it */
	probes->clocks[probes->nclocks++] = link;
	return 0;
}

int cs_probes_start_clock(struct cs_probes *probes)
{
	int err;

	probes->clocks = calloc((size_t)probes->ncpu, sizeof(*probes->clocks));
	if (!probes->clocks)
		return -ENOMEM;
	for (int cpu = 0; cpu < probes->ncpu; cpu++) {
		err = attach_clock(probes, cpu);
		if (err == -ENODEV || err == -ENXIO) /* possible, but not there */
			continue;
		if (err)
			return err;
	}
	return probes->nclocks ? 0 : -ENODEV;
}

void cs_probes_stop_clock(struct cs_probes *probes)
{
	for (int i = 0; probes->clocks && i < probes->nclocks; i++)
		bpf_link__destroy(probes->clocks[i]);
	free(TAKE_PTR(probes->clocks));
	probes->nclocks = 0;
}

int cs_probes_set_interval(struct cs_probes *probes, uint64_t interval_ns)
{
	cs_probes_stop_clock(probes);
	probes->interval_ns = interval_ns;
	probes->programs.on_cpu->bss->tick_ns = interval_ns;
	return cs_probes_start_clock(probes);
}

/* The iterator runs in the thread that reads it, whose CPU time it is already. */
static bool is_others_time(const struct bpf_program *prog)
{
	return bpf_program__fd(prog) >= 0 &&
	       bpf_program__expected_attach_type(prog) != BPF_TRACE_ITER;
}

static int add_kernel_time(const struct bpf_object *object, struct cs_kernel_time *ret)
{
	struct bpf_program *prog;

	bpf_object__for_each_program(prog, object)
	{
		struct bpf_prog_info info = {0};
		__u32 size = sizeof(info);

		if (!is_others_time(prog))
			continue;
		if (bpf_obj_get_info_by_fd(bpf_program__fd(prog), &info, &size))
			return -errno;
		ret->ns += info.run_time_ns;
		ret->runs += info.run_cnt;
	}
	return 0;
}

int cs_probes_kernel_time(const struct cs_probes *probes, struct cs_kernel_time *ret)
{
	struct bpf_object *objects[CS_MAX_OBJECTS];
	int err = 0;

	*ret = (struct cs_kernel_time){0};
	cs_programs_objects(&probes->programs, objects);
	for (int i = 0; objects[i] && !err; i++)
		err = add_kernel_time(objects[i], ret);
	return err;
}

struct cs_native_maps cs_probes_native_maps(const struct cs_probes *probes)
{
	return (struct cs_native_maps){
		.files_fd = bpf_map__fd(probes->maps->native_files),
		.procs_fd = bpf_map__fd(probes->maps->native_procs),
	};
}

int cs_probes_wake_fd(const struct cs_probes *probes)
{
	return ring_buffer__epoll_fd(probes->ring);
}

/* Returns 0 or -errno. */
static int attach(struct bpf_program *program, struct bpf_link **ret)
{
	*ret = bpf_program__attach(program);
	return *ret ? 0 : -errno;
}

int cs_probes_watch_processes(struct cs_probes *probes)
{
	struct proc_events *skel = probes->programs.proc_events;
	struct wall *wall = probes->programs.wall;
	int err = 0;

	/* the first of a tracepoint's programs runs first: what is held of a process is told before its end is */
	if (cs_probes_has_wall(probes)) {
		err = attach(wall->progs.wall_exit, &wall->links.wall_exit);
		if (!err)
			err = attach(wall->progs.wall_exec, &wall->links.wall_exec);
	}
	if (!err)
		err = attach(skel->progs.proc_fork, &skel->links.proc_fork);
	if (!err)
		err = attach(skel->progs.proc_exec, &skel->links.proc_exec);
	return err ? err : attach(skel->progs.proc_exit, &skel->links.proc_exit);
}

int cs_probes_set_process(struct cs_probes *probes, pid_t pid, const struct cs_proc_info *info)
{
	static const uint64_t zeroes[CS_COUNTER_MAX_];
	struct cs_proc_info row = *info, before;
	uint32_t key = (uint32_t)pid;

	row.generation = ++probes->generation;
	if (!cs_probes_row(probes, pid, &before)) {
		row.mm = before.mm;
		row.since_ns = before.since_ns;
	}
	if (probes->follow)
		row.flags |= CS_PROC_FOLLOW;
	/* The accounts' row first and only once: it must survive a new description of the process. */
	if (bpf_map_update_elem(bpf_map__fd(probes->maps->proc_counters), &key, zeroes,
				BPF_NOEXIST) &&
	    errno != EEXIST)
		return -errno;
	if (bpf_map_update_elem(bpf_map__fd(probes->maps->procs), &key, &row, BPF_ANY))
		return -errno;
	return 0;
}

int cs_probes_set_tracers(struct cs_probes *probes, pid_t pid, const struct cs_tracers *tracers)
{
	struct cs_tracers row = *tracers;
	uint32_t key = (uint32_t)pid;

	row.generation = row.generation_again = ++probes->generation;
	return bpf_map_update_elem(bpf_map__fd(probes->maps->tracers), &key, &row, BPF_ANY) ? -errno
											    : 0;
}

void cs_probes_drop_process(struct cs_probes *probes, pid_t pid)
{
	uint32_t key = (uint32_t)pid;
	struct iterator *it;

	bpf_map_delete_elem(bpf_map__fd(probes->maps->procs), &key);
	bpf_map_delete_elem(bpf_map__fd(probes->maps->proc_counters), &key);
	bpf_map_delete_elem(bpf_map__fd(probes->maps->tracers), &key);
	HASH_FIND_INT(probes->iterators, &pid, it);
	if (it) {
		HASH_DEL(probes->iterators, it);
		bpf_link__destroy(it->link);
		free(it);
	}
}

bool cs_probes_is_stale(const struct cs_probes *probes, pid_t pid)
{
	struct cs_proc_info info;

	return !cs_probes_row(probes, pid, &info) && info.flags & CS_PROC_STALE;
}

int cs_probes_row(const struct cs_probes *probes, pid_t pid, struct cs_proc_info *ret)
{
	uint32_t key = (uint32_t)pid;

	return bpf_map_lookup_elem(bpf_map__fd(probes->maps->procs), &key, ret) ? -ENOENT : 0;
}

void cs_probes_know_file(struct cs_probes *probes, const struct cs_file_id *id,
			 const struct cs_file_info *info)
{
	if (bpf_map_update_elem(bpf_map__fd(probes->maps->files), id, info, BPF_ANY))
		cs_debug("the table of files is full: this one is asked about again, ignoring");
}

void cs_probes_tell_tstate(struct cs_probes *probes, const struct cs_tstate_key *key,
			   uint64_t tstate)
{
	if (bpf_map_update_elem(bpf_map__fd(probes->maps->tstates), key, &tstate, BPF_ANY))
		cs_debug("the table of threads is full: not all are found, ignoring");
}

void cs_probes_forget_tstate(struct cs_probes *probes, const struct cs_tstate_key *key)
{
	bpf_map_delete_elem(bpf_map__fd(probes->maps->tstates), key);
}

bool cs_probes_has_wall(const struct cs_probes *probes)
{
	return probes->programs.wall && bpf_program__autoload(probes->programs.wall->progs.wall);
}

const struct cs_programs *cs_probes_programs(const struct cs_probes *probes)
{
	return &probes->programs;
}

static int iterator_for(struct cs_probes *probes, pid_t pid, struct iterator **ret)
{
	union bpf_iter_link_info info = {.task.pid = (uint32_t)pid};
	LIBBPF_OPTS(bpf_iter_attach_opts, opts, .link_info = &info, .link_info_len = sizeof(info));
	_cleanup_free_ struct iterator *it = NULL;

	HASH_FIND_INT(probes->iterators, &pid, *ret);
	if (*ret)
		return 0;
	it = calloc(1, sizeof(*it));
	if (!it)
		return -ENOMEM;
	it->pid = pid;
	it->link = bpf_program__attach_iter(probes->programs.wall->progs.wall, pid ? &opts : NULL);
	if (!it->link)
		return -errno;
	HASH_ADD_INT(probes->iterators, pid, it);
	*ret = TAKE_PTR(it);
	return 0;
}

int cs_probes_iterate(const struct bpf_link *link)
{
	_cleanup_close_ int fd = bpf_iter_create(bpf_link__fd(link));
	char unused[64];
	ssize_t n;

	if (fd < 0)
		return -errno;
	do {
		n = read(fd, unused, sizeof(unused));
	} while (n > 0 || (n < 0 && (errno == EAGAIN || errno == EINTR)));
	return n < 0 ? -errno : 0;
}

int cs_probes_visit_sleepers(struct cs_probes *probes, pid_t pid, uint64_t weight_ns,
			     uint64_t hold_ns)
{
	struct iterator *it = NULL;
	int err;

	err = iterator_for(probes, pid, &it);
	if (err)
		return err;
	probes->programs.wall->bss->wall_weight_ns = weight_ns;
	probes->programs.wall->bss->wall_hold_ns = hold_ns;
	return cs_probes_iterate(it->link);
}

int cs_probes_drain(struct cs_probes *probes, int (*fn)(void *ctx, const struct cs_ev_hdr *record),
		    void *ctx)
{
	probes->drain_fn = fn;
	probes->drain_ctx = ctx;
	return ring_buffer__consume(probes->ring);
}

/* The accounts by CPU: ncpu times CS_COUNTER_MAX_ numbers, owned by the caller; NULL with errno set. */
static uint64_t *read_per_cpu(const struct cs_probes *probes)
{
	_cleanup_free_ uint64_t *per_cpu = NULL;
	uint32_t key = 0;

	per_cpu = calloc((size_t)probes->ncpu, CS_COUNTER_MAX_ * sizeof(*per_cpu));
	if (!per_cpu || bpf_map_lookup_elem(bpf_map__fd(probes->maps->counters), &key, per_cpu))
		return NULL;
	return TAKE_PTR(per_cpu);
}

int cs_probes_cpu_ticks(const struct cs_probes *probes, struct cs_cpu_ticks *ret, unsigned int max)
{
	_cleanup_free_ uint64_t *per_cpu = read_per_cpu(probes);
	int n = probes->ncpu < (int)max ? probes->ncpu : (int)max;

	if (!per_cpu)
		return -errno;
	for (int cpu = 0; cpu < n; cpu++) {
		const uint64_t *c = per_cpu + (size_t)cpu * CS_COUNTER_MAX_;

		ret[cpu] = (struct cs_cpu_ticks){c[CS_COUNTER_TICKS], c[CS_COUNTER_IDLE]};
	}
	return n;
}

int cs_probes_counters(const struct cs_probes *probes, pid_t pid,
		       uint64_t counters[CS_COUNTER_MAX_])
{
	_cleanup_free_ uint64_t *per_cpu = NULL;
	uint32_t key = (uint32_t)pid;

	if (pid)
		return bpf_map_lookup_elem(bpf_map__fd(probes->maps->proc_counters), &key, counters)
			       ? -errno
			       : 0;
	per_cpu = read_per_cpu(probes);
	if (!per_cpu)
		return -errno;
	memset(counters, 0, CS_COUNTER_MAX_ * sizeof(*counters));
	for (int cpu = 0; cpu < probes->ncpu; cpu++)
		for (int i = 0; i < CS_COUNTER_MAX_; i++)
			counters[i] += per_cpu[(size_t)cpu * CS_COUNTER_MAX_ + (size_t)i];
	return 0;
}
