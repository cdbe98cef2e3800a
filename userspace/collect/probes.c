/* SPDX-License-Identifier: Apache-2.0 */
/* The BPF side as one object. */
#include "collect/probes.h"

#include <coroscope/config.h>
#include <bpf/bpf.h>
#include <bpf/libbpf.h>
#include <errno.h>
#include <linux/perf_event.h>
#include <stdlib.h>
#include <string.h>
#include <sys/stat.h>
#include <sys/syscall.h>
#include <unistd.h>
#include <uthash.h>

#include "collect/kernel.h"
#include "collect/load_log.h"
#include "collect/probes_private.h"
#include "core/buf.h"
#include "core/cleanup.h"
#include "core/log.h"
#include "proc/file.h"

/*
 * One attached uprobe. Those of all processes are shared: a hundred interpreters that map the same file need one. Detaching one
 * takes some 150 ms, which would be a hole in the capture: those that nobody uses stay for the next process, until the end.
 */
struct cs_probe_link {
	struct cs_probes *probes;
	struct bpf_link *link;
	unsigned int users;
	unsigned int idle; /* times that cs_probes_age met it without a user */
	struct probe_place {
		uint64_t dev, ino, offset;
		int64_t pid;
		uint64_t kind; /* enum cs_probe_kind */
	} place;
	UT_hash_handle hh;
};

/* Attached uprobes, those that nobody uses among them: a machine has few files that hold asyncio. */
#define MAX_LINKS 256
/* ... but each holds its file, and with it the file system of a container that may be long gone. */
#define MAX_IDLE  5

struct iterator {
	pid_t pid; /* 0: all threads of the machine */
	struct bpf_link *link;
	UT_hash_handle hh;
};

struct cs_probes {
	struct coroscope *skel;
	struct ring_buffer *ring;
	struct bpf_link **clocks; /* one a CPU */
	int nclocks;
	struct iterator *iterators;
	struct cs_probe_link *links;
	uint64_t interval_ns;
	bool has_wall, follow;
	int ncpu;
	uint32_t generation; /* of the last process described */
	int (*drain_fn)(void *ctx, const struct cs_ev_hdr *record);
	void *drain_ctx;
};

/* Why loading fails, if it does; not thread safe, like libbpf's hook. NULL: nothing is being loaded. */
static struct cs_load_log *load_log;

static int keep_message(enum libbpf_print_level level, const char *fmt, va_list args)
{
	_cleanup_free_ char *message = NULL;

	if (level == LIBBPF_DEBUG)
		return 0;
	if (vasprintf(&message, fmt, args) < 0) {
		message = NULL;
		return 0;
	}
	cs_debug("%.*s", (int)strcspn(message, "\n"), message);
	if (load_log && level == LIBBPF_WARN)
		cs_load_log_add(load_log, message);
	return 0;
}

static size_t ring_size(size_t wanted)
{
	size_t size = (size_t)sysconf(_SC_PAGESIZE);

	while (size < wanted && size < (1u << 30))
		size *= 2;
	return size;
}

/*
 * Where interrupts may not use tables that grow, they are allocated whole: some 5 MB, and 34 MB of lists of code, which is
 * left out if nobody asks for native frames.
 */
static int allocate_whole(struct coroscope *skel, bool native)
{
	struct bpf_map *const growing[] = {skel->maps.tstates, skel->maps.native_procs};
	int err = native ? 0 : bpf_map__set_max_entries(skel->maps.native_procs, 1);

	for (size_t i = 0; i < ARRAY_SIZE(growing) && !err; i++)
		err = bpf_map__set_map_flags(growing[i], bpf_map__map_flags(growing[i]) &
								 ~(uint32_t)BPF_F_NO_PREALLOC);
	return err;
}

static void configure(struct cs_config *config, const struct cs_probes_options *options)
{
	const struct cs_selection *selection = options->selection;

	config->all_processes = options->all_processes;
	config->discover = options->discover;
	config->follow = options->follow;
	config->want_gil = options->want_gil;
	config->no_idle = options->no_idle;
	config->native = options->native;
	config->off_wakers = options->off_wakers;
	config->off_min_ns = options->off_min_ns;
	config->off_budget = options->off_budget;
	if (!selection)
		return;
	config->by_user = selection->by_user;
	config->uid = selection->uid;
	config->by_comm = *selection->comm != '\0';
	memcpy(config->comm, selection->comm, sizeof(config->comm));
	config->cgroup = selection->cgroup_id;
	config->cgroup_level = selection->cgroup_level;
}

static int open_and_load(struct cs_probes *probes, const struct cs_probes_options *options)
{
	int err;

	probes->skel = coroscope__open();
	if (!probes->skel)
		return -errno;
	configure(&probes->skel->rodata->config, options);
	bpf_map__set_max_entries(probes->skel->maps.ring, (uint32_t)ring_size(options->ring_bytes));
	probes->skel->bss->tick_ns = options->interval_ns;
	probes->has_wall = options->wall && cs_kernel_walks_threads();
	bpf_program__set_autoload(probes->skel->progs.wall, probes->has_wall);
	bpf_program__set_autoload(probes->skel->progs.span_set, options->span_events);
	bpf_program__set_autoload(probes->skel->progs.span_reset, options->span_events);
	err = cs_off_cpu_prepare(probes->skel, options,
				 options->off_cpu && cs_kernel_walks_threads());
	if (!err && !cs_kernel_grows_tables())
		err = allocate_whole(probes->skel, options->native);
	return err ? err : coroscope__load(probes->skel);
}

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
	struct cs_load_log log = {0};
	int err;

	if (!probes)
		return -ENOMEM;
	probes->interval_ns = options->interval_ns;
	probes->follow = options->follow || options->discover;
	probes->ncpu = libbpf_num_possible_cpus();
	if (probes->ncpu < 0)
		return probes->ncpu;
	load_log = &log;
	libbpf_set_print(keep_message);
	err = open_and_load(probes, options);
	load_log = NULL;
	if (err)
		*ret_log = strdup(cs_buf_str(&log.why));
	cs_buf_free(&log.why);
	if (err)
		return err;
	probes->ring =
		ring_buffer__new(bpf_map__fd(probes->skel->maps.ring), on_record, probes, NULL);
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
	coroscope__destroy(probes->skel);
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
	link = bpf_program__attach_perf_event(probes->skel->progs.on_cpu, fd);
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
	probes->skel->bss->tick_ns = interval_ns;
	return cs_probes_start_clock(probes);
}

/* The iterator runs in the thread that reads it, whose CPU time it is already. */
static bool is_others_time(const struct bpf_program *prog)
{
	return bpf_program__fd(prog) >= 0 &&
	       bpf_program__expected_attach_type(prog) != BPF_TRACE_ITER;
}

int cs_probes_kernel_time(const struct cs_probes *probes, struct cs_kernel_time *ret)
{
	struct bpf_program *prog;

	*ret = (struct cs_kernel_time){0};
	bpf_object__for_each_program(prog, probes->skel->obj)
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

struct cs_native_maps cs_probes_native_maps(const struct cs_probes *probes)
{
	return (struct cs_native_maps){
		.files_fd = bpf_map__fd(probes->skel->maps.native_files),
		.procs_fd = bpf_map__fd(probes->skel->maps.native_procs),
	};
}

int cs_probes_wake_fd(const struct cs_probes *probes)
{
	return ring_buffer__epoll_fd(probes->ring);
}

int cs_probes_watch_processes(struct cs_probes *probes)
{
	struct coroscope *skel = probes->skel;

	skel->links.proc_fork = bpf_program__attach(skel->progs.proc_fork);
	if (!skel->links.proc_fork)
		return -errno;
	skel->links.proc_exec = bpf_program__attach(skel->progs.proc_exec);
	if (!skel->links.proc_exec)
		return -errno;
	skel->links.proc_exit = bpf_program__attach(skel->progs.proc_exit);
	return skel->links.proc_exit ? 0 : -errno;
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
	if (bpf_map_update_elem(bpf_map__fd(probes->skel->maps.proc_counters), &key, zeroes,
				BPF_NOEXIST) &&
	    errno != EEXIST)
		return -errno;
	if (bpf_map_update_elem(bpf_map__fd(probes->skel->maps.procs), &key, &row, BPF_ANY))
		return -errno;
	return 0;
}

int cs_probes_set_tracers(struct cs_probes *probes, pid_t pid, const struct cs_tracers *tracers)
{
	uint32_t key = (uint32_t)pid;

	return bpf_map_update_elem(bpf_map__fd(probes->skel->maps.tracers), &key, tracers, BPF_ANY)
		       ? -errno
		       : 0;
}

void cs_probes_drop_process(struct cs_probes *probes, pid_t pid)
{
	uint32_t key = (uint32_t)pid;
	struct iterator *it;

	bpf_map_delete_elem(bpf_map__fd(probes->skel->maps.procs), &key);
	bpf_map_delete_elem(bpf_map__fd(probes->skel->maps.proc_counters), &key);
	bpf_map_delete_elem(bpf_map__fd(probes->skel->maps.tracers), &key);
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

	return bpf_map_lookup_elem(bpf_map__fd(probes->skel->maps.procs), &key, ret) ? -ENOENT : 0;
}

void cs_probes_know_file(struct cs_probes *probes, const struct cs_file_id *id,
			 const struct cs_file_info *info)
{
	if (bpf_map_update_elem(bpf_map__fd(probes->skel->maps.files), id, info, BPF_ANY))
		cs_debug("the table of files is full: this one is asked about again, ignoring");
}

void cs_probes_tell_tstate(struct cs_probes *probes, const struct cs_tstate_key *key,
			   uint64_t tstate)
{
	if (bpf_map_update_elem(bpf_map__fd(probes->skel->maps.tstates), key, &tstate, BPF_ANY))
		cs_debug("the table of threads is full: not all are found, ignoring");
}

void cs_probes_forget_tstate(struct cs_probes *probes, const struct cs_tstate_key *key)
{
	bpf_map_delete_elem(bpf_map__fd(probes->skel->maps.tstates), key);
}

/* Open the very file that was looked at: its owner may have put another one, or a link to one of the system's, there. */
static int open_site(const struct cs_probe_site *site)
{
	_cleanup_close_ int fd = cs_open_regular(site->path);
	struct stat st;

	if (fd < 0)
		return fd;
	if (fstat(fd, &st) < 0)
		return -errno;
	if (st.st_dev != site->dev || st.st_ino != site->ino)
		return -ESTALE;
	return TAKE_FD(fd);
}

unsigned int cs_probes_attached(const struct cs_probes *probes)
{
	return HASH_COUNT(probes->links);
}

static const struct bpf_program *program_of(const struct cs_probes *probes, enum cs_probe_kind kind)
{
	switch (kind) {
	case CS_PROBE_SPAN_SET:
		return probes->skel->progs.span_set;
	case CS_PROBE_SPAN_RESET:
		return probes->skel->progs.span_reset;
	default:
		return probes->skel->progs.task_init;
	}
}

int cs_probes_attach(struct cs_probes *probes, enum cs_probe_kind kind, pid_t pid,
		     const struct cs_probe_site *site, struct cs_probe_link **ret)
{
	const struct probe_place place = {site->dev, site->ino, site->offset, pid, kind};
	_cleanup_free_ struct cs_probe_link *link = NULL;
	_cleanup_close_ int fd = -1;
	char path[32];

	HASH_FIND(hh, probes->links, &place, sizeof(place), *ret);
	if (*ret) {
		(*ret)->users++;
		return 0;
	}
	fd = open_site(site);
	if (fd < 0)
		return fd;
	link = calloc(1, sizeof(*link));
	if (!link)
		return -ENOMEM;
	link->probes = probes;
	link->users = 1;
	link->place = place;
	snprintf(path, sizeof(path), "/proc/self/fd/%d", fd);
	link->link = bpf_program__attach_uprobe(program_of(probes, kind), false, pid, path,
						site->offset);
	if (!link->link)
		return -errno;
	HASH_ADD(hh, probes->links, place, sizeof(link->place), link);
	*ret = TAKE_PTR(link);
	return 0;
}

static void link_free(struct cs_probe_link *link)
{
	HASH_DEL(link->probes->links, link);
	bpf_link__destroy(link->link);
	free(link);
}

void cs_probes_detach(struct cs_probe_link *link)
{
	if (link && --link->users == 0 && HASH_COUNT(link->probes->links) > MAX_LINKS)
		link_free(link);
}

void cs_probes_detach_now(struct cs_probe_link *link)
{
	if (link && --link->users == 0)
		link_free(link);
}

void cs_probes_age(struct cs_probes *probes)
{
	struct cs_probe_link *link, *tmp, *old = NULL;

	HASH_ITER (hh, probes->links, link, tmp) {
		link->idle = link->users ? 0 : link->idle + 1;
		if (link->idle > MAX_IDLE && (!old || link->idle > old->idle))
			old = link;
	}
	if (old)
		link_free(old);
}

void cs_probes_detach_unused(struct cs_probes *probes)
{
	struct cs_probe_link *link, *tmp;

	HASH_ITER (hh, probes->links, link, tmp)
		if (!link->users)
			link_free(link);
}

bool cs_probes_has_wall(const struct cs_probes *probes)
{
	return probes->has_wall;
}

struct coroscope *cs_probes_skeleton(const struct cs_probes *probes)
{
	return probes->skel;
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
	it->link = bpf_program__attach_iter(probes->skel->progs.wall, pid ? &opts : NULL);
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

int cs_probes_visit_sleepers(struct cs_probes *probes, pid_t pid, uint64_t weight_ns)
{
	struct iterator *it = NULL;
	int err;

	err = iterator_for(probes, pid, &it);
	if (err)
		return err;
	probes->skel->bss->wall_weight_ns = weight_ns;
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
	if (!per_cpu ||
	    bpf_map_lookup_elem(bpf_map__fd(probes->skel->maps.counters), &key, per_cpu))
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
		return bpf_map_lookup_elem(bpf_map__fd(probes->skel->maps.proc_counters), &key,
					   counters)
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
