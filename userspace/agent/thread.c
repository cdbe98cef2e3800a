/* SPDX-License-Identifier: Apache-2.0 */
/* Threads beside the one that captures. */
#include "agent/thread.h"

#include <signal.h>

int cs_agent_thread_begin(pthread_t *ret, void *(*run)(void *arg), void *arg)
{
	sigset_t all, before;
	int err;

	sigfillset(&all);
	pthread_sigmask(SIG_SETMASK, &all, &before);
	err = pthread_create(ret, NULL, run, arg);
	pthread_sigmask(SIG_SETMASK, &before, NULL);
	return -err;
}
