/* SPDX-License-Identifier: Apache-2.0 */
/*
 * Which Python is this? Finds the interpreter in a process (static executable or libpython, stripped
 * or not), its version, the offsets that hold for it, and asyncio's state. An interpreter that is not
 * known is reported by name and never guessed at. Everything read from the process is hostile.
 */
#pragma once

#include <coroscope/limits.h>
#include <coroscope/proc_info.h>
#include <stdbool.h>
#include <stdint.h>
#include <sys/types.h>

#include "proc/mem.h"

enum cs_interp_state {
	CS_INTERP_NOT_PYTHON = 0,
	CS_INTERP_UNSUPPORTED = 1, /* a Python; `reason` says why it is not walked */
	CS_INTERP_STARTING = 2, /* supported, but its runtime is not initialised yet: ask again */
	CS_INTERP_READY = 3,    /* `info` is valid */
};

struct cs_interp {
	pid_t pid;
	enum cs_interp_state state;
	int major, minor, micro; /* 0 where unknown; micro -1 where unknown */
	const char *flavour;     /* static text: that of a row, or "free-threaded debug" */
	char reason[160];        /* for people, e.g. "Python 3.9 is not supported yet" */
	/*
	 * The file that holds _PyRuntime, as /proc/PID/maps names it: seen from here where it can be seen from here (a process in a
	 * chroot too), else as the process's own mount namespace has it.
	 */
	char binary[512];
	struct cs_file_id file;
	char offsets_source[128]; /* for people, e.g. "generated table (3.12, gil)" */
	struct cs_proc_info
		info;     /* what the kernel side needs; current_tasks 0 until asyncio is loaded */
	uint64_t runtime; /* address of _PyRuntime */
	uint64_t type_coro; /* address of PyCoro_Type, PyGen_Type, PyAsyncGen_Type */
	uint64_t type_gen;
	uint64_t type_async_gen;
};

/* Where to attach a uprobe. The file may be swapped by its owner at any time: attach to no other than the one looked at. */
struct cs_probe_site {
	char path[512];    /* opens from here; "": none */
	uint64_t offset;   /* in the file, of the instruction to probe */
	uint64_t dev, ino; /* of the file that was looked at */
};

/* What asyncio of one interpreter keeps its tasks in; none up to 3.14's lists if nsets is 0. */
struct cs_asyncio_module {
	/* the C type _asyncio.Task; each interpreter has its own from 3.12 on; 0: all tasks are in Python */
	uint64_t task_type;
	uint64_t sets[3]; /* addresses of PySetObjects that hold (weak references to) all tasks */
	bool is_weak[3];  /* entries are weak references, not tasks */
	unsigned int nsets;
};

/*
 * asyncio as loaded in one process. modules[].task_type, current_tasks and the probe are there as soon as the C module is, some
 * milliseconds before `loaded`: time to attach the probe before the first task is created.
 */
struct cs_asyncio {
	bool loaded; /* everything below is valid */
	/*
	 * The dict loop -> running task, or of those that no thread state tells (from 3.14 on those in Python). With several
	 * interpreters that of the main one, whose threads are walked.
	 */
	uint64_t current_tasks;
	struct cs_task_types types; /* likewise of the main one */
	/* Likewise of the main one: all zero until an executor has got a job; the class of such jobs is there before, else 0. */
	struct cs_work work;
	uint64_t work_item_type;
	struct cs_asyncio_module modules[CS_MAX_INTERPRETERS];
	unsigned int nmodules;
	struct cs_probe_site probe; /* of Task.__init__ */
	char probe_reason[160];     /* why there is no probe, for people */
};

/*
 * Look at one process. Returns 0 with *ret filled whatever the state, or -errno if the process cannot
 * be looked at: -ESRCH (no such process), -EPERM, -ENOMEM.
 */
int cs_interp_detect(pid_t pid, struct cs_interp *ret);

/*
 * Look for asyncio in a READY interpreter. Returns 0 (asyncio->loaded says whether), or -errno when
 * memory could not be read. loaded is true only when every check passed. probe: also where to probe the making of tasks, for which
 * the process's maps and its file are read; else there is no site.
 * Source: Modules/_asynciomodule.c and Lib/asyncio/tasks.py of 3.8 to 3.15.
 */
int cs_asyncio_find(const struct cs_interp *interp, struct cs_mem *mem, bool probe,
		    struct cs_asyncio *ret);

/*
 * A number that changes when an interpreter imports a module, or an executor gets its first job: when to look again. asyncio is what was
 * found last. Returns 0 or what cs_mem_read returns.
 */
int cs_asyncio_mark(const struct cs_interp *interp, const struct cs_asyncio *asyncio,
		    struct cs_mem *mem, uint64_t *ret);

/* Do both name the same tasks? */
bool cs_asyncio_same(const struct cs_asyncio *a, const struct cs_asyncio *b);

/* What is known of a version and flavour of CPython. */
struct cs_py_layout {
	int minor;
	const char *flavour; /* "gil", "debug" or "free-threaded" */
	bool unproved;       /* made from headers alone: never compared with a running one */
	struct cs_py_offsets off;
	struct cs_py_traits traits;
};

/* The row of exactly this version and flavour; NULL if there is none. */
const struct cs_py_layout *cs_py_layout_find(int major, int minor, const char *flavour);

/*
 * The program's own file of a READY interpreter, as /proc/PID/maps names it, and what the kernel side needs to know of it so
 * that the next process that runs it has its row at once (proc_info.h). Returns 0, or -ENOENT if the mapping cannot be found.
 */
int cs_interp_file(const struct cs_interp *interp, struct cs_file_id *ret_id,
		   struct cs_file_info *ret);
