/* SPDX-License-Identifier: Apache-2.0 */
/*
 * Ownership that shows in the function you read: a variable marked with one of these attributes is
 * released at the end of its scope; TAKE_PTR and TAKE_FD hand it on.
 */
#pragma once

#include <dirent.h>
#include <errno.h>
#include <stdio.h>
#include <stdlib.h>
#include <unistd.h>

static inline void cs_cleanup_free(void *p)
{
	free(*(void **)p);
}

static inline void cs_cleanup_close(const int *fd)
{
	if (*fd >= 0)
		close(*fd);
}

static inline void cs_cleanup_fclose(FILE **file)
{
	if (*file)
		fclose(*file);
}

static inline void cs_cleanup_closedir(DIR **dir)
{
	if (*dir)
		closedir(*dir);
}

#define _cleanup_free_     __attribute__((cleanup(cs_cleanup_free)))
#define _cleanup_close_    __attribute__((cleanup(cs_cleanup_close)))
#define _cleanup_fclose_   __attribute__((cleanup(cs_cleanup_fclose)))
#define _cleanup_closedir_ __attribute__((cleanup(cs_cleanup_closedir)))
/* _cleanup_(f): f takes a pointer to the variable. */
#define _cleanup_(f)       __attribute__((cleanup(f)))

#define TAKE_PTR(p)                         \
	({                                  \
		__typeof__(p) taken_ = (p); \
		(p) = NULL;                 \
		taken_;                     \
	})

#define TAKE_FD(fd)                \
	({                         \
		int taken_ = (fd); \
		(fd) = -1;         \
		taken_;            \
	})

#define ARRAY_SIZE(a) (sizeof(a) / sizeof((a)[0]))
