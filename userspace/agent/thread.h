/* SPDX-License-Identifier: Apache-2.0 */
/* Threads beside the one that captures. */
#pragma once

#include <pthread.h>

/* No signal reaches it: they are the main thread's. Returns 0 or -errno. */
int cs_agent_thread_begin(pthread_t *ret, void *(*run)(void *arg), void *arg);
