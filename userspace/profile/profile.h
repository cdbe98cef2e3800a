/* SPDX-License-Identifier: Apache-2.0 */
/*
 * The model that every exporter reads: interned strings, frames and stacks, and samples that add
 * up. Built once, then read-only. Indices are dense and start at 0; string 0 is "".
 */
#pragma once

#include <coroscope/status.h>
#include <stdbool.h>
#include <stddef.h>
#include <stdint.h>

#include "profile/owner.h"
#include "profile/traced.h"

enum cs_frame_kind {
	CS_FRAME_PROCESS = 0,
	CS_FRAME_THREAD = 1,
	CS_FRAME_TASK = 2, /* a task boundary: <task NAME>; name holds the text with its brackets */
	CS_FRAME_PYTHON = 3, /* name: qualified name; file, line */
	CS_FRAME_NATIVE = 4, /* name: symbol or file+0xoffset */
	CS_FRAME_KERNEL = 5,
	CS_FRAME_MARK = 6,    /* [truncated], [unreadable] and the like */
	CS_FRAME_INLINED = 7, /* a function that the compiler put into the native frame below it */
};

/* A piece of code in a process's memory, and the file that it is from. */
struct cs_mapped {
	uint64_t start, end, offset; /* in memory; where in the file it begins */
	uint32_t path, build_id;     /* strings; the build id in hexadecimal, 0: not known */
};

/* How a task came to stand where its frame stands, if not as a matter of course. */
enum cs_task_mark {
	CS_MARK_NONE = 0,
	CS_MARK_CREATED =
		1, /* a weak link: below what created it, as nothing is seen to wait for it */
	CS_MARK_FINISHED = 2, /* a ghost: it has ended, what it created has not */
	CS_MARK_PROBABLE =
		3, /* what it stands below waits for it through code that is not asyncio's */
};

struct cs_frame {
	uint32_t name; /* string index */
	uint32_t file; /* string index, 0 if none */
	uint32_t line; /* 0 if unknown */
	uint32_t first_line;
	enum cs_frame_kind kind;
	uint64_t address; /* native, inlined and kernel frames, else 0 */
	uint32_t mapping; /* of native frames: cs_profile_get_mapping(mapping - 1); 0: not known */
	bool unnamed;     /* name is no function's, but says where the code is */
	uint32_t inlined_into; /* CS_FRAME_INLINED: index of the frame below it */
	/*
	 * CS_FRAME_TASK, and but for the mark only of a profile that tells tasks of one name apart: a number that
	 * only this task has, its outermost coroutine, and where it was created (frame indices + 1; 0: not known).
	 */
	enum cs_task_mark mark;
	uint32_t coro, site;
	uint64_t task;
};

/* The same time can be shown as several trees. */
enum cs_tree {
	CS_TREE_AWAIT =
		0, /* a task hangs below the task that waits for it, else below its creator */
	CS_TREE_CREATION = 1, /* a task hangs below its creator, whoever waits for it */
	CS_TREE_THREADS = 2,  /* the stacks of threads as they are: no suspended tasks */
	CS_TREE_MAX_
};

#define CS_ALL_TREES ((1u << CS_TREE_MAX_) - 1) /* where trees are bits 1 << enum cs_tree */

/* The labels of a sample. String indices; 0 means absent. Numbers use has_*. */
struct cs_labels {
	uint32_t process_id, thread_id; /* numbers; 0 absent */
	uint32_t thread_name;
	uint32_t task_name;
	uint64_t task_id;        /* address of the task object; 0 absent */
	uint64_t origin_task_id; /* of the task that waits for what the thread does */
	uint32_t origin_task_name;
	uint32_t trace_type;            /* of the local root */
	uint64_t span_id, root_span_id; /* of the active span and its local root; 0 absent */
	uint32_t trace_id;              /* 32 hexadecimal digits */
	uint32_t trace_endpoint;        /* resource of the local root, where its type is web */
	uint32_t
		owner; /* set when the sample is added: index of the process's owner at that time */
	uint32_t unused; /* 0: no byte of a sample's identity is padding */
};

enum cs_value {
	CS_VALUE_SAMPLES = 0,
	CS_VALUE_CPU_NS = 1,
	CS_VALUE_WALL_NS = 2,
	CS_VALUE_SLOW_NS = 3, /* of it, in slow holds of an event loop; 0 unless asked for */
	CS_VALUE_OFF_NS = 4,  /* blocked: all wall time of an off-CPU capture, none of others */
	CS_VALUE_MAX_
};

struct cs_span {
	uint64_t from_ns, to_ns; /* CLOCK_MONOTONIC */
	bool on_cpu;             /* it ran, else it waited */
};

struct cs_sample {
	uint32_t stack; /* stack index */
	struct cs_labels labels;
	uint64_t values[CS_VALUE_MAX_];
	/* Only what cs_profile_see was told. */
	struct cs_span *spans; /* nspans; when it was seen, in the order in which that was told */
	uint32_t nspans, spans_cap;
	uint64_t
		first_ns; /* the moment itself at which it was first seen: a span begins before it */
	uint64_t waiting_ns; /* of a suspended task: its time in sum, */
	uint64_t longest_ns; /* and the longest that it was seen to wait without a break */
};

/* One moment at which a sample was seen. */
struct cs_seen {
	struct cs_span span;
	bool suspended;     /* a task, that has waited for so long: */
	uint64_t waited_ns; /* the span included */
};

struct cs_stack {
	const uint32_t *frames; /* frame indices, root first */
	uint32_t n;
};

struct cs_profile_meta {
	uint64_t start_realtime_ns;
	uint64_t duration_ns;
	uint64_t interval_ns; /* of the requested rate */
	uint32_t ncpu;
	bool wall;           /* wall mode, else CPU */
	bool off_cpu;        /* ... or blocked time, of which each block is a sample */
	bool partial;        /* the capture has no end record: it was cut off */
	uint32_t end_reason; /* enum cs_end_reason */
	enum cs_tree tree;   /* that cs_profile_add fills and exporters of one tree show */
	uint64_t slow_ns; /* from which length on a hold of an event loop is slow; 0: not asked */
	const char *host, *command;
	uint64_t counters[CS_COUNTER_MAX_];
	bool has_counters;
};

/* The value that text and pictures show. */
static inline enum cs_value cs_profile_main_value(const struct cs_profile_meta *meta)
{
	return meta->off_cpu ? CS_VALUE_OFF_NS : meta->wall ? CS_VALUE_WALL_NS : CS_VALUE_CPU_NS;
}

struct cs_profile;

int cs_profile_new(struct cs_profile **ret); /* 0 or -ENOMEM */
void cs_profile_free(struct cs_profile *profile);
static inline void cs_profile_freep(struct cs_profile **profile)
{
	cs_profile_free(*profile);
}

/*
 * Intern a string of len bytes (any bytes; stored as given, terminated). Returns its index or
 * -ENOMEM.
 */
int64_t cs_profile_string(struct cs_profile *profile, const char *str, size_t len);
/* Intern a frame. Returns its index or -ENOMEM. */
int64_t cs_profile_frame(struct cs_profile *profile, const struct cs_frame *frame);
/* Intern a mapping. Returns its index or -ENOMEM. */
int64_t cs_profile_mapping(struct cs_profile *profile, const struct cs_mapped *mapped);
/*
 * Add values to the sample with this stack (root first) and these labels. frames must not be NULL.
 * A sum stops at INT64_MAX, which is what the formats can hold. Returns 0 or -ENOMEM.
 */
int cs_profile_add(struct cs_profile *profile, const uint32_t *frames, uint32_t n,
		   const struct cs_labels *labels, const uint64_t values[CS_VALUE_MAX_]);
/* The same for one of several trees. */
int cs_profile_add_in(struct cs_profile *profile, enum cs_tree tree, const uint32_t *frames,
		      uint32_t n, const struct cs_labels *labels,
		      const uint64_t values[CS_VALUE_MAX_]);
/* Add values to a sample of a tree that is there. */
void cs_profile_add_again(struct cs_profile *profile, enum cs_tree tree, uint32_t sample,
			  const uint64_t values[CS_VALUE_MAX_]);
/* Tell when a sample of a tree was seen. Returns 0 or -ENOMEM. */
int cs_profile_see(struct cs_profile *profile, enum cs_tree tree, uint32_t sample,
		   const struct cs_seen *seen);
/* Add what a sample of another profile was seen to one of a tree that is there. Returns 0 or -ENOMEM. */
int cs_profile_see_as(struct cs_profile *profile, enum cs_tree tree, uint32_t sample,
		      const struct cs_sample *other);
/* The index of the sample that the last cs_profile_add, _add_in or _add_again added to. */
uint32_t cs_profile_last(const struct cs_profile *profile);
/* Add to one value of a sample that is there. A sum stops at INT64_MAX. */
void cs_profile_add_value(struct cs_profile *profile, uint32_t sample, enum cs_value value,
			  uint64_t add);
/* Keep those samples of all trees for which keep says so. The others go, and the indices of samples change. */
void cs_profile_keep(struct cs_profile *profile,
		     bool (*keep)(void *ctx, const struct cs_sample *sample), void *ctx);
/*
 * Have `complete` look at the labels of each sample of all trees once more, and fill in what was not known when it was added. Only when no more are
 * added: samples that become equal stay apart. Returns what it returned if that was not 0.
 */
int cs_profile_complete(struct cs_profile *profile,
			int (*complete)(void *ctx, struct cs_labels *labels), void *ctx);
/*
 * The one writable piece: filled by the reader of the capture. meta->host and ->command are copied
 * by cs_profile_set_text.
 */
struct cs_profile_meta *cs_profile_meta_mut(struct cs_profile *profile);
int cs_profile_set_text(struct cs_profile *profile, const char *host, size_t host_len,
			const char *command, size_t command_len);
/*
 * The owner of what is sampled of this process now, to be told about; made if new. Valid until the next is made. NULL without memory.
 * After cs_profile_end_owner it is another one.
 */
struct cs_owner *cs_profile_owner(struct cs_profile *profile, uint32_t pid);
void cs_profile_end_owner(struct cs_profile *profile, uint32_t pid);
const struct cs_owner *cs_profile_get_owner(const struct cs_profile *profile, uint32_t index);

/*
 * Add a span that was seen to begin or end, or what else is known of it: cs_traced_table_add says how.
 * Its owner is set as that of a sample of its process would be now. Returns 0 or -ENOMEM.
 */
int cs_profile_add_traced(struct cs_profile *profile, const struct cs_traced *traced);
size_t cs_profile_ntraced(const struct cs_profile *profile);
/* Valid until the next is added. */
const struct cs_traced *cs_profile_get_traced(const struct cs_profile *profile, size_t i);
/* How many times there was no room for a span: cs_traced_table_dropped. */
uint64_t cs_profile_traced_dropped(const struct cs_profile *profile);
void cs_profile_add_traced_dropped(struct cs_profile *profile, uint64_t n);
/* Keep those spans for which keep says so: samples are cs_profile_keep's. */
void cs_profile_keep_traced(struct cs_profile *profile,
			    bool (*keep)(void *ctx, const struct cs_traced *traced), void *ctx);

/*
 * A note for the reader of the profile, e.g. "12 (python3): Python 3.9 is not supported yet".
 * Copied, each once.
 */
int cs_profile_note(struct cs_profile *profile, const char *note);
/* The same of one process: who wants to know nothing of it need not read the note. */
int cs_profile_note_of(struct cs_profile *profile, uint32_t pid, const char *note);

const struct cs_profile_meta *cs_profile_meta(const struct cs_profile *profile);
const char *cs_profile_str(const struct cs_profile *profile, uint32_t index);
size_t cs_profile_nstrings(const struct cs_profile *profile);
size_t cs_profile_str_len(const struct cs_profile *profile, uint32_t index);
size_t cs_profile_nframes(const struct cs_profile *profile);
const struct cs_frame *cs_profile_get_frame(const struct cs_profile *profile, uint32_t index);
/* How many frames below this one it was inlined into, one into the other: they are always there. */
uint32_t cs_profile_inlined(const struct cs_profile *profile, uint32_t index);
size_t cs_profile_nmappings(const struct cs_profile *profile);
const struct cs_mapped *cs_profile_get_mapping(const struct cs_profile *profile, uint32_t index);
size_t cs_profile_nsamples(const struct cs_profile *profile);
const struct cs_sample *cs_profile_sample(const struct cs_profile *profile, size_t i);
/* The same for one of several trees. */
size_t cs_profile_nsamples_in(const struct cs_profile *profile, enum cs_tree tree);
const struct cs_sample *cs_profile_sample_in(const struct cs_profile *profile, enum cs_tree tree,
					     size_t i);
struct cs_stack cs_profile_stack(const struct cs_profile *profile, uint32_t index);
size_t cs_profile_nstacks(const struct cs_profile *profile);
size_t cs_profile_nnotes(const struct cs_profile *profile);
const char *cs_profile_get_note(const struct cs_profile *profile, size_t i);
uint32_t cs_profile_note_pid(const struct cs_profile *profile,
			     size_t i); /* 0: it is of no process */
