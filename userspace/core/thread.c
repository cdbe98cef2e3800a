/* SPDX-License-Identifier: Apache-2.0 */
/* Threads that do one thing beside the main one. */
#include "core/thread.h"

#include <signal.h>

int cs_thread_start(pthread_t *ret, void *(*run)(void *arg), void *arg)
{
	sigset_t all, before;
	int err;

	sigfillset(&all);
	pthread_sigmask(SIG_SETMASK, &all, &before);
	err = pthread_create(ret, NULL, run, arg);
	pthread_sigmask(SIG_SETMASK, &before, NULL);
	return -err;
}
