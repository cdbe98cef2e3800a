/* SPDX-License-Identifier: Apache-2.0 */
/*
 * Copies of pages at one instant: the side that asks. A thread is asked through a perf event of its own, which fires after it
 * has run for some microseconds in user space; it is on only while somebody waits, and stays for the next time. What becomes of a request
 * is told by cs_instant.state.
 */
#include "collect/instants.h"

#include <bpf/bpf.h>
#include <bpf/btf.h>
#include <bpf/libbpf.h>
#include <coroscope/instant.h>
#include <errno.h>
#include <instant.skel.h>
#include <instant_7_0.skel.h>
#include <linux/perf_event.h>
#include <stdlib.h>
#include <string.h>
#include <sys/ioctl.h>
#include <sys/mman.h>
#include <sys/syscall.h>
#include <time.h>
#include <unistd.h>

#include "collect/record.h"
#include "core/cleanup.h"
#include "core/log.h"

/* After so much of its own time a thread takes up a request. Less would only cost more interrupts. */
#define PERIOD_NS   50000
/* How long to sleep before looking again whether it is done. */
#define POLL_NS     20000
/* A thread that has begun to copy is waited for: it needs one copy's time, or longer if others take its CPU. */
#define GRACE_NS    (2 * CS_INSTANT_NS)
/* Threads whose events are kept, and for how long since they were last asked. */
#define MAX_THREADS 64
#define KEEP_NS     5000000000ull

_Static_assert(CS_INSTANT_UNREADABLE == CS_MEM_UNREADABLE, "pages are handed on as they are");

struct thread {
	uint32_t tid; /* 0: free */
	int event;    /* borrowed from the link */
	struct bpf_link *link;
	uint64_t asked_ns;
};

struct cs_instants {
	struct cs_instant_source source;
	uint64_t *counters; /* or NULL */
	uint64_t deadline_ns;
	bool tried; /* to load */
	struct bpf_object *object;
	struct cs_instant *instant; /* mapped, as are the next two */
	uint64_t *pages;
	char *copies;
	struct thread threads[MAX_THREADS];
};

/*
 * The program for this kernel, as an ELF file; NULL if it cannot set work for a thread. 7.2 has the older name too, but nothing can call
 * it.
 */
static const void *program_for_kernel(size_t *ret_size)
{
	struct btf *btf = btf__load_vmlinux_btf();
	const void *elf = NULL;

	if (btf && btf__find_by_name_kind(btf, "bpf_task_work_schedule_resume", BTF_KIND_FUNC) > 0)
		elf = instant_7_0__elf_bytes(ret_size);
	else if (btf && btf__find_by_name_kind(btf, "bpf_task_work_schedule_resume_impl",
					       BTF_KIND_FUNC) > 0)
		elf = instant__elf_bytes(ret_size);
	btf__free(btf);
	return elf;
}

bool cs_instants_possible(void)
{
	size_t size;

	return program_for_kernel(&size) != NULL;
}

static int take(void *ctx, uint32_t tid, const uint64_t *pages, size_t n,
		struct cs_instant_copy *ret);

int cs_instants_new(uint64_t counters[CS_COUNTER_MAX_], struct cs_instants **ret)
{
	struct cs_instants *instants = calloc(1, sizeof(*instants));

	if (!instants)
		return -ENOMEM;
	instants->counters = counters;
	instants->source = (struct cs_instant_source){instants, CS_INSTANT_PAGES, take};
	*ret = instants;
	return 0;
}

const struct cs_instant_source *cs_instants_source(struct cs_instants *instants)
{
	return &instants->source;
}

static void let_go(struct thread *thread)
{
	bpf_link__destroy(thread->link);
	*thread = (struct thread){0};
}

static void unmap(void *at, size_t size)
{
	if (at)
		munmap(at, size);
}

static void unload(struct cs_instants *instants)
{
	unmap(TAKE_PTR(instants->instant), sizeof(*instants->instant));
	unmap(TAKE_PTR(instants->pages), CS_INSTANT_PAGES * sizeof(*instants->pages));
	unmap(TAKE_PTR(instants->copies), CS_INSTANT_PAGES * CS_INSTANT_PAGE_BYTES);
	bpf_object__close(TAKE_PTR(instants->object));
}

void cs_instants_free(struct cs_instants *instants)
{
	if (!instants)
		return;
	for (size_t i = 0; i < MAX_THREADS; i++)
		let_go(&instants->threads[i]);
	unload(instants);
	free(instants);
}

void cs_instants_turn(struct cs_instants *instants, uint64_t deadline_ns)
{
	uint64_t now = cs_now_ns();

	instants->deadline_ns = deadline_ns;
	for (size_t i = 0; i < MAX_THREADS; i++) {
		struct thread *thread = &instants->threads[i];

		if (thread->tid && now - thread->asked_ns > KEEP_NS)
			let_go(thread);
	}
}

static void *map(const struct cs_instants *instants, const char *name, size_t size)
{
	int fd = bpf_object__find_map_fd_by_name(instants->object, name);
	void *at = mmap(NULL, size, PROT_READ | PROT_WRITE, MAP_SHARED, fd, 0);

	return at == MAP_FAILED ? NULL : at;
}

static int open_and_load(struct cs_instants *instants)
{
	size_t size;
	const void *elf = program_for_kernel(&size);
	int err;

	if (!elf)
		return -EOPNOTSUPP;
	instants->object = bpf_object__open_mem(elf, size, NULL);
	if (!instants->object)
		return -errno;
	err = bpf_object__load(instants->object);
	if (err)
		return err;
	instants->instant = map(instants, "instant", sizeof(*instants->instant));
	instants->pages =
		map(instants, "instant_pages", CS_INSTANT_PAGES * sizeof(*instants->pages));
	instants->copies =
		map(instants, "instant_copies", CS_INSTANT_PAGES * CS_INSTANT_PAGE_BYTES);
	return instants->instant && instants->pages && instants->copies ? 0 : -ENOMEM;
}

int cs_instants_load(struct cs_instants *instants)
{
	libbpf_print_fn_t print;
	int err;

	if (instants->tried)
		return instants->object ? 0 : -EOPNOTSUPP;
	instants->tried = true;
	/* who may not load does without, and nobody need hear of it */
	print = libbpf_set_print(NULL);
	err = open_and_load(instants);
	libbpf_set_print(print);
	if (err) {
		cs_debug("no copies in a thread's own context: %s, ignoring", strerror(-err));
		unload(instants);
		return -EOPNOTSUPP;
	}
	return 0;
}

static int open_thread(struct cs_instants *instants, uint32_t tid, struct thread *thread)
{
	struct perf_event_attr attr = {
		.size = sizeof(attr),
		.type = PERF_TYPE_SOFTWARE,
		.config = PERF_COUNT_SW_CPU_CLOCK,
		.sample_period = PERIOD_NS,
		.disabled = 1,
		.exclude_kernel = 1,
		.exclude_hv = 1,
	};
	_cleanup_close_ int fd = -1;
	struct bpf_link *link;

	fd = (int)syscall(SYS_perf_event_open, &attr, tid, -1, -1, PERF_FLAG_FD_CLOEXEC);
	if (fd < 0)
		return -errno;
	link = bpf_program__attach_perf_event(
		bpf_object__find_program_by_name(instants->object, "take_instant"), fd);
	if (!link)
		return -errno;
	*thread = (struct thread){.tid = tid, .event = TAKE_FD(fd), .link = link};
	/* libbpf switches on what it attaches */
	ioctl(thread->event, PERF_EVENT_IOC_DISABLE, 0);
	return 0;
}

/* The thread's entry, made in place of the one that was not used for longest if need be. Returns 0 or -errno. */
static int find_thread(struct cs_instants *instants, uint32_t tid, struct thread **ret)
{
	struct thread *oldest = &instants->threads[0];
	int err = 0;

	*ret = NULL;
	for (size_t i = 0; i < MAX_THREADS; i++) {
		struct thread *thread = &instants->threads[i];

		if (thread->tid == tid)
			*ret = thread;
		if (thread->asked_ns < oldest->asked_ns)
			oldest = thread;
	}
	if (!*ret) {
		let_go(oldest);
		err = open_thread(instants, tid, oldest);
		*ret = oldest;
	}
	(*ret)->asked_ns = cs_now_ns();
	return err;
}

static uint32_t state_of(const struct cs_instant *instant)
{
	return __atomic_load_n(&instant->state, __ATOMIC_ACQUIRE);
}

static bool move(struct cs_instant *instant, uint32_t from, uint32_t to)
{
	return __atomic_compare_exchange_n(&instant->state, &from, to, false, __ATOMIC_ACQ_REL,
					   __ATOMIC_ACQUIRE);
}

/* May a new request be written? Not while a thread that was too late still copies. */
static bool is_ours(const struct cs_instant *instant)
{
	uint32_t state = state_of(instant);

	return state == CS_INSTANT_IDLE || state == CS_INSTANT_DONE || state == CS_INSTANT_REFUSED;
}

/* Wait until the request is answered or time is up; then take it back. Returns 0 or -EBUSY. */
static int wait_for(struct cs_instant *instant, uint64_t deadline_ns)
{
	const struct timespec pause = {.tv_nsec = POLL_NS};

	while (!is_ours(instant)) {
		uint64_t now = cs_now_ns();

		if (now >= deadline_ns && (move(instant, CS_INSTANT_ASKED, CS_INSTANT_IDLE) ||
					   move(instant, CS_INSTANT_SET, CS_INSTANT_IDLE)))
			return -EBUSY;
		if (now >= deadline_ns + GRACE_NS)
			return -EBUSY;
		nanosleep(&pause, NULL);
	}
	return state_of(instant) == CS_INSTANT_DONE ? 0 : -EBUSY;
}

static int ask(struct cs_instants *instants, struct thread *thread, const uint64_t *pages, size_t n)
{
	struct cs_instant *instant = instants->instant;
	int err;

	if (!is_ours(instant))
		return -EBUSY;
	memcpy(instants->pages, pages, n * sizeof(*pages));
	instant->tid = thread->tid;
	instant->npages = (uint32_t)n;
	__atomic_store_n(&instant->state, CS_INSTANT_ASKED, __ATOMIC_RELEASE);
	ioctl(thread->event, PERF_EVENT_IOC_ENABLE, 0);
	err = wait_for(instant, instants->deadline_ns);
	ioctl(thread->event, PERF_EVENT_IOC_DISABLE, 0);
	/* it may be another thread by now */
	if (err)
		let_go(thread);
	return err;
}

static void count(struct cs_instants *instants, enum cs_counter counter, uint64_t n)
{
	if (instants->counters)
		instants->counters[counter] += n;
}

static int take(void *ctx, uint32_t tid, const uint64_t *pages, size_t n,
		struct cs_instant_copy *ret)
{
	struct cs_instants *instants = ctx;
	const struct cs_instant *instant;
	struct thread *thread;
	int err = cs_instants_load(instants);

	if (!err && cs_now_ns() >= instants->deadline_ns)
		err = -EBUSY;
	if (!err)
		err = find_thread(instants, tid, &thread);
	if (!err)
		err = ask(instants, thread, pages, n);
	if (err == -EBUSY)
		count(instants, CS_COUNTER_INSTANTS_LATE, 1);
	if (err)
		return err;
	instant = instants->instant;
	count(instants, CS_COUNTER_INSTANTS, 1);
	count(instants, CS_COUNTER_INSTANTS_NS, instant->took_ns);
	if (instant->ncopied < instant->npages) {
		count(instants, CS_COUNTER_INSTANTS_CUT, 1);
		return -E2BIG;
	}
	*ret = (struct cs_instant_copy){
		.image = {instants->pages, instants->copies, n},
		.began_ns = instant->began_ns,
		.held_ns = instant->took_ns,
	};
	return 0;
}
