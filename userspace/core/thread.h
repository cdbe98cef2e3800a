/* SPDX-License-Identifier: Apache-2.0 */
/* Threads that do one thing beside the main one. */
#pragma once

#include <pthread.h>

/* As pthread_create, with all signals blocked in it: they are for the thread that waits for them. Returns 0 or -errno. */
int cs_thread_start(pthread_t *ret, void *(*run)(void *arg), void *arg);
