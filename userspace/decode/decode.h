/* SPDX-License-Identifier: Apache-2.0 */
/*
 * Raw bytes to checked events: the only reader of wire records (include/coroscope/event.h) after
 * the collector. A raw capture may come from anywhere, so every length, count, enum and text is
 * checked here, once; later stages trust a struct cs_event. Pointers in an event point into the
 * caller's bytes (or, for text that had to be repaired, into the decoder) and are valid until the
 * next call.
 */
#pragma once

#include <coroscope/event.h>
#include <coroscope/py_offsets.h>
#include <coroscope/status.h>
#include <coroscope/tracer.h>
#include <stdbool.h>
#include <stddef.h>
#include <stdint.h>

struct cs_text {
	const char *str; /* not terminated; valid UTF-8 unless said otherwise */
	size_t len;
};

struct cs_event_running {
	uint64_t task, coro; /* task 0: none */
	/*
	 * Always < nframes when task is set: a task whose root frame was cut off is reported as
	 * none.
	 */
	uint32_t root_frame;
	/* UTF-8; "Task-N" for numbers; empty if unknown; "..." appended if cut */
	struct cs_text name;
	bool name_cut; /* name is only the beginning, with "..." behind it */
};

struct cs_event_stack { /* CS_EV_STACK, CS_EV_TASK_CREATED */
	uint64_t weight_ns, subject, tstate, user_ip;
	struct cs_step step; /* of the thread's event loop */
	enum cs_stack_origin origin;
	/* Of CS_ORIGIN_OFF_CPU: why, how long, and whether that was cut at the beginning or the end of the capture. */
	enum cs_wait_reason reason;
	uint64_t blocked_ns;
	bool before, still;
	enum cs_status status;
	enum cs_gil gil;
	struct cs_text comm; /* bytes, repaired to UTF-8 */
	struct cs_event_running running;
	const struct cs_py_frame *frames; /* nframes, newest first, 8-byte aligned */
	uint32_t nframes;
	/* Frames left out behind frames[CS_LEAF_FRAMES - 1], which is there then and not the last; 65535: or more. */
	uint32_t nskipped;
	const uint64_t *kernel; /* nkernel, newest first */
	uint32_t nkernel;
};

struct cs_event_capture {
	uint64_t realtime_ns, interval_ns;
	enum cs_capture_mode mode;
	uint32_t ncpu;
	struct cs_text host, command;
};

struct cs_event_process {
	unsigned int py_major, py_minor, py_micro;
	enum cs_status status;
	struct cs_text comm, cmdline, note;
};

struct cs_event_whose { /* whose the process is, by enum cs_fact; empty: not known */
	struct cs_text facts[CS_FACT_MAX_];
};

struct cs_event_code {
	uint64_t code;
	uint32_t firstlineno;
	unsigned int flags; /* enum cs_code_flags */
	enum cs_py_linetable linetable_kind;
	struct cs_text name, file;
	const uint8_t *linetable;
	size_t linetable_len;
};

/*
 * The span that is active somewhere. CS_EV_SPAN: in the CS_EV_STACK of the same thread with the same time, which follows.
 */
struct cs_event_span {
	uint64_t span_id;            /* 0: there is none; never in a CS_EV_SPAN */
	uint64_t root_id;            /* of the local root; 0: not known */
	uint64_t parent_id;          /* 0: not known, or none in this process */
	uint64_t trace_hi, trace_lo; /* both 0: not known */
	enum cs_tracer_kind kind;
	unsigned int flags;  /* enum cs_span_flags */
	struct cs_text type; /* the local root's; empty if it has none */
};

/* What a local root is about, from here on. */
struct cs_event_resource {
	uint64_t root_id, trace_lo;
	struct cs_text text;
};

/* A span that begins or ends in this thread. */
struct cs_event_span_change {
	enum cs_span_change change;
	struct cs_event_span span;
	uint64_t duration_ns; /* 0: not known */
	uint64_t start_ns;    /* CLOCK_REALTIME, as the tracer says; 0: not known */
	enum cs_span_outcome outcome;
	bool server; /* OpenTelemetry: it answers a request */
	struct cs_text resource, service;
};

struct cs_event_task {
	uint64_t task, coro, waiter, loop;
	enum cs_task_state state;
	unsigned int flags; /* enum cs_task_flags */
	struct cs_text name, leaf;
	const struct cs_py_frame *frames; /* outermost coroutine first */
	uint32_t nframes;
	const struct cs_task_link *links;
	uint32_t nlinks;
	struct cs_event_span span; /* active in its context */
};

struct cs_event_pass {
	uint64_t weight_ns;
	uint32_t ndropped;
	uint32_t every; /* one task of so many was read and stands for them; 1: all were read */
	enum cs_coherence coherence;
	const uint64_t *tasks;
	uint32_t ntasks;
};

struct cs_event_mapping {
	uint64_t start, end, offset;
	struct cs_text path;
	const uint8_t *build_id; /* build_id_len bytes, at most CS_MAX_BUILD_ID; 0: not known */
	uint32_t build_id_len;
	uint64_t vaddr; /* with a build id: address of `start` in the file's own address space */
};

struct cs_event_ksym {
	uint64_t addr;
	struct cs_text name;
};

struct cs_event_symbol { /* of the process, by the address as a native stack has it */
	uint64_t addr;
	unsigned int flags; /* enum cs_symbol_flags */
	struct cs_text name;
};

struct cs_event_native { /* the native frames of the thread's CS_EV_STACK of the same time, which follows */
	enum cs_status status;
	const uint64_t *addresses; /* n, newest first; of callers, within the call */
	uint32_t n;
	const uint64_t *entries; /* bits of the stack's Python frames: see struct cs_ev_native */
};

struct cs_event_waker { /* of the block that the thread's CS_EV_STACK of the same time tells, which follows */
	enum cs_waker_kind kind;
	uint32_t pid, tid; /* CS_WAKER_THREAD */
	struct cs_text comm;
	const uint64_t *kernel; /* n, newest first */
	uint32_t n;
};

struct cs_event_stats {
	const uint64_t *counters; /* n of them; missing ones are 0 */
	uint32_t n;               /* at most CS_COUNTER_MAX_ */
};

struct cs_event {
	enum cs_ev_kind kind;
	uint64_t ts_ns;
	uint32_t pid, tid;
	union {
		struct cs_event_stack stack;
		struct {
			uint64_t weight_ns; /* CS_EV_SAME, CS_EV_PASS_AGAIN */
			uint32_t visits;    /* CS_EV_SAME: at least 1 */
		} same;
		bool creations_told; /* CS_EV_CREATIONS */
		/* For whom the thread works whose CS_EV_STACK with the same time follows; root_frame may lie beyond its frames. */
		struct cs_event_running origin;
		struct cs_event_span span;
		struct cs_event_resource resource;
		struct cs_event_span_change span_change;
		struct cs_event_capture capture;
		struct cs_event_process process;
		struct cs_event_whose whose;
		struct cs_event_code code;
		struct cs_event_task task;
		struct cs_event_pass pass;
		struct cs_event_mapping mapping;
		struct cs_event_ksym ksym;
		struct cs_event_symbol symbol;
		struct cs_event_native native;
		struct cs_event_waker waker;
		struct cs_event_stats stats;
		struct cs_text thread_name; /* CS_EV_THREAD */
		enum cs_end_reason end_reason;
	};
};

struct cs_decoder;

int cs_decoder_new(struct cs_decoder **ret); /* 0 or -ENOMEM */
void cs_decoder_free(struct cs_decoder *decoder);
static inline void cs_decoder_freep(struct cs_decoder **decoder)
{
	cs_decoder_free(*decoder);
}

/*
 * Check a raw capture's file header at the start of bytes. Returns its size, -EBADMSG (not a raw
 * capture) or -EPROTONOSUPPORT (of another version).
 */
int cs_decode_file_header(const void *bytes, size_t len);

/*
 * Decode the record at the start of bytes (8-byte aligned). Returns the number of bytes consumed
 * with *ret filled; 0 if the bytes end within the record (a capture that was cut off); -EBADMSG if
 * the record is malformed; -ENOMEM. A record of an unknown kind with a sane size is consumed and
 * reported as kind 0.
 */
int64_t cs_decode(struct cs_decoder *decoder, const void *bytes, size_t len, struct cs_event *ret);
