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

enum cs_frame_kind {
	CS_FRAME_PROCESS = 0,
	CS_FRAME_THREAD = 1,
	CS_FRAME_TASK = 2, /* a task boundary: <task NAME>; name holds the text with its brackets */
	CS_FRAME_PYTHON = 3, /* name: qualified name; file, line */
	CS_FRAME_NATIVE = 4, /* name: symbol or file+0xoffset */
	CS_FRAME_KERNEL = 5,
	CS_FRAME_MARK = 6, /* [truncated], [unreadable] and the like */
};

struct cs_frame {
	uint32_t name; /* string index */
	uint32_t file; /* string index, 0 if none */
	uint32_t line; /* 0 if unknown */
	uint32_t first_line;
	enum cs_frame_kind kind;
	uint64_t address; /* native and kernel frames, else 0 */
};

/* The labels of a sample. String indices; 0 means absent. Numbers use has_*. */
struct cs_labels {
	uint32_t process_id, thread_id; /* numbers; 0 absent */
	uint32_t thread_name;
	uint32_t task_name;
	uint64_t task_id; /* address of the task object; 0 absent */
};

enum cs_value { CS_VALUE_SAMPLES = 0, CS_VALUE_CPU_NS = 1, CS_VALUE_WALL_NS = 2, CS_VALUE_MAX_ };

struct cs_sample {
	uint32_t stack; /* stack index */
	struct cs_labels labels;
	uint64_t values[CS_VALUE_MAX_];
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
	bool partial;        /* the capture has no end record: it was cut off */
	uint32_t end_reason; /* enum cs_end_reason */
	const char *host, *command;
	uint64_t counters[CS_COUNTER_MAX_];
	bool has_counters;
};

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
/*
 * Add values to the sample with this stack (root first) and these labels. frames must not be NULL.
 * A sum stops at INT64_MAX, which is what the formats can hold. Returns 0 or -ENOMEM.
 */
int cs_profile_add(struct cs_profile *profile, const uint32_t *frames, uint32_t n,
		   const struct cs_labels *labels, const uint64_t values[CS_VALUE_MAX_]);
/*
 * The one writable piece: filled by the reader of the capture. meta->host and ->command are copied
 * by cs_profile_set_text.
 */
struct cs_profile_meta *cs_profile_meta_mut(struct cs_profile *profile);
int cs_profile_set_text(struct cs_profile *profile, const char *host, size_t host_len,
			const char *command, size_t command_len);
/*
 * A note for the reader of the profile, e.g. "12 (python3): Python 3.9 is not supported yet".
 * Copied, each once.
 */
int cs_profile_note(struct cs_profile *profile, const char *note);

const struct cs_profile_meta *cs_profile_meta(const struct cs_profile *profile);
const char *cs_profile_str(const struct cs_profile *profile, uint32_t index);
size_t cs_profile_nstrings(const struct cs_profile *profile);
size_t cs_profile_str_len(const struct cs_profile *profile, uint32_t index);
size_t cs_profile_nframes(const struct cs_profile *profile);
const struct cs_frame *cs_profile_get_frame(const struct cs_profile *profile, uint32_t index);
size_t cs_profile_nsamples(const struct cs_profile *profile);
const struct cs_sample *cs_profile_sample(const struct cs_profile *profile, size_t i);
struct cs_stack cs_profile_stack(const struct cs_profile *profile, uint32_t index);
size_t cs_profile_nstacks(const struct cs_profile *profile);
size_t cs_profile_nnotes(const struct cs_profile *profile);
const char *cs_profile_get_note(const struct cs_profile *profile, size_t i);
