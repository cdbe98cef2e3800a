/* SPDX-License-Identifier: Apache-2.0 */
/*
 * A made-up interpreter's memory: a sparse set of objects, each of exactly the bytes it was given, laid out
 * by a real row of userspace/python/layouts.inc. A read that does not lie in one object fails.
 */
#pragma once

#include <coroscope/proc_info.h>
#include <stdbool.h>
#include <stddef.h>
#include <stdint.h>

#define MADE_MAX_OBJECTS    12288
#define MADE_THREAD_POINTER 0x7f1122334400ull
#define MADE_NOWHERE        0xdead00000000ull

/*
 * Versions that never were, for what no row of layouts.inc may have yet: frames that are objects on the heap, dicts that tell their size,
 * line positions in units (as up to 3.10); and tagged references, the running task in the thread state, bytecode
 * of the thread's own, characters' width further up (as in 3.14 and free-threaded builds).
 */
#define MADE_OBJECT_FRAMES 110
#define MADE_TAGGED        114

struct made_object {
	unsigned char
		*bytes; /* owned; an allocation of its own, so that a read beyond it is seen */
	size_t size;
};

struct made_python {
	struct cs_proc_info info;
	struct made_object objects[MADE_MAX_OBJECTS];
	unsigned int n;
	uint32_t tgid;
	uint64_t now_ns; /* what the walks take for the time */
	uint64_t interp; /* the main one; its list of threads is empty at first */

	unsigned int reads;   /* since it was last set to 0 */
	unsigned int fail_at; /* the read with this number (from 1) fails; 0: none */
	/* May a read write there? NULL: anywhere. */
	bool (*dst_allowed)(const void *ctx, const void *dst, size_t size);
	const void *dst_ctx;
};

/* Every version that the walkers are tried with. */
static const int made_minors[] = {8, 9, 10, 11, 12, 13, 14, 15, MADE_OBJECT_FRAMES, MADE_TAGGED};

/* The memory of CPython 3.minor (or of one that never was) with one interpreter and no thread; made_free releases it. */
struct made_python *made_python(int minor);
void made_free(struct made_python *py);
static inline void made_freep(struct made_python **py)
{
	made_free(*py);
}

/* What CS_READ is here. Returns 0 or -EFAULT; fails the test if dst is not allowed. */
long made_read(struct made_python *py, void *dst, size_t size, uint64_t src);

/* A zeroed object of that many bytes; returns its address. */
uint64_t made_alloc(struct made_python *py, size_t size);
/* The address of the object with that index. */
uint64_t made_address(unsigned int index);
/* Write into an object; it must be there. */
void made_put(struct made_python *py, uint64_t at, const void *bytes, size_t n);
void made_put_u64(struct made_python *py, uint64_t at, uint64_t value);

/* A thread state of `interp` with this thread_id, put in front of its list. */
uint64_t made_tstate(struct made_python *py, uint64_t interp, uint64_t thread_id);
/* An interpreter behind `previous`. */
uint64_t made_interp(struct made_python *py, uint64_t previous);
/* Make `frame` the newest of the thread: through a _PyCFrame where the version has one. */
void made_set_frame(struct made_python *py, uint64_t tstate, uint64_t frame);

/* A code object with this line and this name, in "/file.py". */
uint64_t made_code(struct made_python *py, uint32_t line, const char *name);
/* One with texts, which may be 0, and a line table of that many bytes. */
uint64_t made_code_texts(struct made_python *py, uint32_t line, uint64_t name, uint64_t file,
			 const void *lines, size_t nlines);
/* The check value that it should have. */
uint32_t made_check(struct made_python *py, uint64_t code);
/* A frame above `previous` (older), which may be 0, and as many of them: codes are first, first + 8, ... */
uint64_t made_frame(struct made_python *py, uint64_t previous, uint64_t code, int lasti, int owner);
uint64_t made_frames(struct made_python *py, unsigned int n, uint64_t first_code);
/* Fill a frame at an address inside an object that is there. */
void made_frame_at(struct made_python *py, uint64_t frame, uint64_t previous, uint64_t code,
		   int lasti, int owner);

/* A coroutine, its frame filled as by made_frame; and where that is. */
uint64_t made_coro(struct made_python *py, uint64_t previous, uint64_t code);
uint64_t made_coro_frame(struct made_python *py, uint64_t coro);
uint64_t made_task(struct made_python *py, uint64_t coro, uint64_t name);
/* A str of that kind (1, 2, 4 bytes a character); ascii only with kind 1. */
uint64_t made_str(struct made_python *py, const void *text, size_t length, int kind, bool ascii);
/* An int of up to three 30-bit digits. */
uint64_t made_int(struct made_python *py, uint64_t value);
/* Make _current_tasks a dict with these values (0: a deleted entry). Returns the address of its keys. Not for MADE_TAGGED. */
uint64_t made_current_tasks(struct made_python *py, const uint64_t *values, unsigned int n);
/* Make one task the current one, the way the version keeps it. */
void made_run_task(struct made_python *py, uint64_t tstate, uint64_t task);
