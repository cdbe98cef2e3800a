/* SPDX-License-Identifier: Apache-2.0 */
/*
 * Loading BPF objects. Of what libbpf does, verifying takes nearly all the time, and the kernel verifies on as many CPUs as it is asked on
 * (kernel/bpf/verifier.c takes its lock only for the unprivileged): each object is loaded by a thread of its own.
 */
#include "collect/programs.h"

#include <errno.h>
#include <pthread.h>
#include <stdarg.h>
#include <stdio.h>
#include <stdlib.h>
#include <string.h>
#include <unistd.h>

#include "collect/kernel.h"
#include "collect/load_log.h"
#include "collect/off_cpu.h"
#include "core/cleanup.h"
#include "core/log.h"
#include "core/thread.h"

/* One object that is being loaded. */
struct loading {
	struct bpf_object_skeleton *skeleton;
	pthread_t thread;
	bool threaded;
	struct cs_load_log log;
	int err;
};

struct cs_programs_spans {
	struct loading loading;
	bool done; /* set by the thread, with release */
	int err;   /* once it has been joined */
};

/* What loading fails for, of the object that this thread loads; NULL: none is. */
static _Thread_local struct cs_load_log *load_log;

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

static void load(struct loading *loading)
{
	load_log = &loading->log;
	loading->err = bpf_object__load_skeleton(loading->skeleton);
	load_log = NULL;
}

static void *run_load(void *arg)
{
	load(arg);
	return NULL;
}

/* Load all of them; without a thread to spare, in this one. Returns the first error, and why. */
static int load_all(struct loading *loadings, unsigned int n, struct cs_buf *why)
{
	int err = 0;

	for (unsigned int i = 1; i < n; i++)
		loadings[i].threaded =
			!cs_thread_start(&loadings[i].thread, run_load, &loadings[i]);
	for (unsigned int i = 0; i < n; i++)
		if (!loadings[i].threaded)
			load(&loadings[i]);
	for (unsigned int i = 0; i < n; i++) {
		if (loadings[i].threaded)
			pthread_join(loadings[i].thread, NULL);
		if (loadings[i].err && !err) {
			err = loadings[i].err;
			*why = loadings[i].log.why;
			loadings[i].log.why = (struct cs_buf){0};
		}
		cs_buf_free(&loadings[i].log.why);
	}
	return err;
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
static int allocate_whole(struct proc_events *skel, bool native)
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

/* The object with the maps that the others share. Returns 0 or -errno. */
static int load_first(struct cs_programs *programs, const struct cs_probes_options *options,
		      struct cs_buf *why)
{
	struct proc_events *skel = proc_events__open();
	struct loading loading = {0};
	int err = 0;

	programs->proc_events = skel;
	if (!skel)
		return -errno;
	skel->rodata->config = programs->config;
	bpf_map__set_max_entries(skel->maps.ring, (uint32_t)ring_size(options->ring_bytes));
	if (!options->off_cpu)
		err = bpf_map__set_max_entries(skel->maps.off_sets, 1);
	if (!err && !options->off_wakers)
		err = bpf_map__set_max_entries(skel->maps.off_wakers, 1);
	if (!err && !cs_kernel_grows_tables())
		err = allocate_whole(skel, options->native);
	loading.skeleton = skel->skeleton;
	return err ? err : load_all(&loading, 1, why);
}

/* Let an object use the maps of its name that are there already. Returns 0 or -errno. */
static int share_maps(const struct cs_programs *programs, struct bpf_object *object)
{
	struct bpf_map *map;
	int err = 0;

	bpf_object__for_each_map(map, object)
	{
		const char *name = bpf_map__name(map);
		const struct bpf_map *shared =
			bpf_map__is_internal(map)
				? NULL
				: bpf_object__find_map_by_name(programs->proc_events->obj, name);

		if (shared && !err)
			err = bpf_map__reuse_fd(map, bpf_map__fd(shared));
	}
	return err;
}

/* Open an object, as its skeleton's own function does, with our configuration and the maps. Returns 0 or -errno. */
#define OPEN(programs, name)                                        \
	({                                                          \
		struct name *skel_ = name##__open();                \
		int err_ = skel_ ? 0 : -errno;                      \
                                                                    \
		(programs)->name = skel_;                           \
		if (skel_) {                                        \
			skel_->rodata->config = (programs)->config; \
			err_ = share_maps(programs, skel_->obj);    \
		}                                                   \
		err_;                                               \
	})

static int open_wall(struct cs_programs *programs, const struct cs_probes_options *options)
{
	int err = OPEN(programs, wall);

	if (!err) {
		bpf_program__set_autoload(programs->wall->progs.wall, options->wall);
		bpf_program__set_autoload(programs->wall->progs.wall_exit, options->wall);
		bpf_program__set_autoload(programs->wall->progs.wall_exec, options->wall);
		bpf_program__set_autoload(programs->wall->progs.off_open, options->off_cpu);
	}
	return err;
}

static int open_off_cpu(struct cs_programs *programs, const struct cs_probes_options *options)
{
	int err = OPEN(programs, off_cpu);

	if (!err)
		cs_off_cpu_prepare(programs->off_cpu, options);
	return err;
}

static int open_on_cpu(struct cs_programs *programs, const struct cs_probes_options *options)
{
	int err = OPEN(programs, on_cpu);

	if (!err)
		programs->on_cpu->bss->tick_ns = options->interval_ns;
	return err;
}

/* All that is wanted but for the first object. Returns 0 or -errno. */
static int open_others(struct cs_programs *programs, const struct cs_probes_options *options)
{
	int err = 0;

	if ((options->wall || options->off_cpu) && cs_kernel_walks_threads())
		err = open_wall(programs, options);
	if (!err)
		err = options->off_cpu ? open_off_cpu(programs, options)
				       : open_on_cpu(programs, options);
	return err ? err : OPEN(programs, task_events);
}

int cs_programs_load(struct cs_programs *programs, const struct cs_probes_options *options,
		     struct cs_buf *why)
{
	struct loading loadings[CS_MAX_OBJECTS] = {0};
	unsigned int n = 0;
	int err;

	libbpf_set_print(keep_message);
	configure(&programs->config, options);
	err = load_first(programs, options, why);
	if (!err)
		err = open_others(programs, options);
	if (err)
		return err;
	/* the one that takes longest first */
	if (programs->wall)
		loadings[n++].skeleton = programs->wall->skeleton;
	if (programs->off_cpu)
		loadings[n++].skeleton = programs->off_cpu->skeleton;
	if (programs->on_cpu)
		loadings[n++].skeleton = programs->on_cpu->skeleton;
	loadings[n++].skeleton = programs->task_events->skeleton;
	return load_all(loadings, n, why);
}

static void *run_load_spans(void *arg)
{
	struct cs_programs_spans *spans = arg;

	load(&spans->loading);
	__atomic_store_n(&spans->done, true, __ATOMIC_RELEASE);
	return NULL;
}

static int begin_spans(struct cs_programs *programs)
{
	struct cs_programs_spans *spans = calloc(1, sizeof(*spans));

	if (!spans)
		return -ENOMEM;
	programs->spans = spans;
	spans->err = OPEN(programs, span_events);
	if (spans->err)
		return spans->err;
	spans->loading.skeleton = programs->span_events->skeleton;
	spans->err = cs_thread_start(&spans->loading.thread, run_load_spans, spans);
	spans->loading.threaded = !spans->err;
	return spans->err ? spans->err : -EAGAIN;
}

static void join_spans(struct cs_programs_spans *spans)
{
	pthread_join(spans->loading.thread, NULL);
	spans->loading.threaded = false;
	spans->err = spans->loading.err;
	if (spans->err)
		cs_debug("the probes of spans are not loaded: %s",
			 cs_buf_str(&spans->loading.log.why));
	cs_buf_free(&spans->loading.log.why);
}

int cs_programs_want_spans(struct cs_programs *programs)
{
	struct cs_programs_spans *spans = programs->spans;

	if (!spans)
		return begin_spans(programs);
	if (spans->loading.threaded) {
		if (!__atomic_load_n(&spans->done, __ATOMIC_ACQUIRE))
			return -EAGAIN;
		join_spans(spans);
	}
	return spans->err;
}

void cs_programs_objects(const struct cs_programs *programs, struct bpf_object *ret[CS_MAX_OBJECTS])
{
	unsigned int n = 0;

#define LIST(name)          \
	if (programs->name) \
	ret[n++] = programs->name->obj
	LIST(proc_events);
	LIST(task_events);
	LIST(on_cpu);
	LIST(wall);
	LIST(off_cpu);
	if (programs->spans && !programs->spans->loading.threaded)
		LIST(span_events);
#undef LIST
	ret[n] = NULL;
}

void cs_programs_free(struct cs_programs *programs)
{
	if (programs->spans && programs->spans->loading.threaded)
		join_spans(programs->spans);
	free(programs->spans);
	span_events__destroy(programs->span_events);
	off_cpu__destroy(programs->off_cpu);
	wall__destroy(programs->wall);
	on_cpu__destroy(programs->on_cpu);
	task_events__destroy(programs->task_events);
	proc_events__destroy(programs->proc_events);
	*programs = (struct cs_programs){0};
}
