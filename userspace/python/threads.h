/* SPDX-License-Identifier: Apache-2.0 */
/*
 * The threads of a process as its threading module knows them: threading._active, a dict from a thread's ident (which is
 * PyThreadState.thread_id) to its Thread object. Up to 3.10 it is the only place that joins that to the kernel's id, and
 * before 3.14 the only one that has the names given in Python.
 */
#pragma once

#include <stddef.h>
#include <stdint.h>

#include "python/objects.h"

struct cs_py_thread {
	uint64_t ident;
	uint64_t native; /* as gettid() says inside the process; 0: not told */
	char name[64];   /* valid UTF-8, cut; "" if it cannot be read */
};

/*
 * Call fn for each thread, in all interpreters, the main one first; it returns 0 to go on, or a positive number to end this. Threads whose entries cannot be read are left out.
 * Returns 0, what fn returned, -ENOENT (threading is not loaded), or what cs_mem_read returns. The cache is used as it is.
 * Source: Lib/threading.py of 3.8 to 3.15 (_active, Thread._native_id, Thread._name).
 */
int cs_py_threads_each(const struct cs_pyobj_ctx *ctx,
		       int (*fn)(void *arg, const struct cs_py_thread *thread), void *arg);

/*
 * Call fn for the state of each thread, at most CS_MAX_THREADS of them, in all interpreters; it returns 0 to go on. Returns what
 * it returned, or what cs_mem_read returns.
 */
int cs_py_tstates_each(const struct cs_pyobj_ctx *ctx,
		       int (*fn)(void *arg, uint64_t thread_id, uint64_t tstate), void *arg);

/* The kernel's id (see above) of the thread with this ident. Returns 0 or -ENOENT. */
int cs_py_thread_native(const struct cs_pyobj_ctx *ctx, uint64_t ident, uint64_t *ret);
