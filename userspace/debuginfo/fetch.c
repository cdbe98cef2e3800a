/* SPDX-License-Identifier: Apache-2.0 */
/*
 * Asking debuginfod servers. The client library blocks, for minutes if a server is slow: so a thread calls it, one question at a time,
 * and its progress function ends what nobody waits for any more.
 */
#include "debuginfo/fetch.h"

#include <elfutils/debuginfod.h>
#include <errno.h>
#include <pthread.h>
#include <stdbool.h>
#include <stdlib.h>
#include <string.h>
#include <time.h>
#include <unistd.h>

#include "core/cleanup.h"
#include "core/thread.h"

#define MAX_ID 64

enum state {
	IDLE,   /* nothing is asked */
	ASKED,  /* for the thread */
	ANSWER, /* for the caller */
};

struct cs_fetch {
	pthread_t thread;
	pthread_mutex_t lock;
	pthread_cond_t changed;
	debuginfod_client *client; /* the thread's */
	uint64_t left_ns;
	enum state state;
	bool stop; /* give up and end */
	unsigned char id[MAX_ID];
	size_t id_len;
	int answer; /* a descriptor, or -errno */
};

/* Called by the client library while it works; not 0 ends that. */
static int go_on(debuginfod_client *client, long done, long all)
{
	struct cs_fetch *fetch = debuginfod_get_user_data(client);
	bool stop;

	pthread_mutex_lock(&fetch->lock);
	stop = fetch->stop;
	pthread_mutex_unlock(&fetch->lock);
	return stop;
}

static void *work(void *ctx)
{
	struct cs_fetch *fetch = ctx;
	int answer;

	pthread_mutex_lock(&fetch->lock);
	while (!fetch->stop) {
		if (fetch->state != ASKED) {
			pthread_cond_wait(&fetch->changed, &fetch->lock);
			continue;
		}
		pthread_mutex_unlock(&fetch->lock);
		answer = debuginfod_find_debuginfo(fetch->client, fetch->id, (int)fetch->id_len,
						   NULL);
		pthread_mutex_lock(&fetch->lock);
		fetch->answer = answer;
		fetch->state = ANSWER;
		pthread_cond_broadcast(&fetch->changed);
	}
	pthread_mutex_unlock(&fetch->lock);
	return NULL;
}

static int begin(struct cs_fetch *fetch)
{
	pthread_condattr_t attr;
	int err;

	pthread_mutex_init(&fetch->lock, NULL);
	pthread_condattr_init(&attr);
	pthread_condattr_setclock(&attr, CLOCK_MONOTONIC);
	pthread_cond_init(&fetch->changed, &attr);
	pthread_condattr_destroy(&attr);
	err = cs_thread_start(&fetch->thread, work, fetch);
	if (!err)
		return 0;
	pthread_cond_destroy(&fetch->changed);
	pthread_mutex_destroy(&fetch->lock);
	return err;
}

int cs_fetch_new(uint64_t budget_ns, struct cs_fetch **ret)
{
	const char *urls = getenv("DEBUGINFOD_URLS");
	_cleanup_free_ struct cs_fetch *fetch = NULL;
	int err;

	if (!urls || !*urls)
		return -ENOENT;
	fetch = calloc(1, sizeof(*fetch));
	if (!fetch)
		return -ENOMEM;
	fetch->left_ns = budget_ns;
	fetch->client = debuginfod_begin();
	if (!fetch->client)
		return -ENOMEM;
	debuginfod_set_user_data(fetch->client, fetch);
	debuginfod_set_progressfn(fetch->client, go_on);
	err = begin(fetch);
	if (err) {
		debuginfod_end(fetch->client);
		return err;
	}
	*ret = TAKE_PTR(fetch);
	return 0;
}

void cs_fetch_free(struct cs_fetch *fetch)
{
	if (!fetch)
		return;
	pthread_mutex_lock(&fetch->lock);
	fetch->stop = true;
	pthread_cond_broadcast(&fetch->changed);
	pthread_mutex_unlock(&fetch->lock);
	pthread_join(fetch->thread, NULL);
	if (fetch->state == ANSWER && fetch->answer >= 0)
		close(fetch->answer);
	debuginfod_end(fetch->client);
	pthread_cond_destroy(&fetch->changed);
	pthread_mutex_destroy(&fetch->lock);
	free(fetch);
}

static uint64_t now_ns(void)
{
	struct timespec now;

	clock_gettime(CLOCK_MONOTONIC, &now);
	return (uint64_t)now.tv_sec * 1000000000u + (uint64_t)now.tv_nsec;
}

/* With the lock held: until there is an answer, or no time is left. */
static int wait_for_answer(struct cs_fetch *fetch)
{
	uint64_t start = now_ns(), end = start + fetch->left_ns, took;
	const struct timespec until = {(time_t)(end / 1000000000u), (long)(end % 1000000000u)};
	int err = 0;

	while (fetch->state != ANSWER && !err)
		err = pthread_cond_timedwait(&fetch->changed, &fetch->lock, &until);
	took = now_ns() - start;
	fetch->left_ns -= took < fetch->left_ns ? took : fetch->left_ns;
	if (fetch->state == ANSWER) {
		fetch->state = IDLE;
		return fetch->answer;
	}
	/* what is under way is of no use to anybody now */
	fetch->left_ns = 0;
	fetch->stop = true;
	return -ETIMEDOUT;
}

int cs_fetch_debug_file(struct cs_fetch *fetch, const uint8_t *build_id, size_t len)
{
	int answer = -ETIMEDOUT;

	if (!len || len > MAX_ID)
		return -ENOENT;
	pthread_mutex_lock(&fetch->lock);
	if (fetch->left_ns) {
		memcpy(fetch->id, build_id, len);
		fetch->id_len = len;
		fetch->state = ASKED;
		pthread_cond_broadcast(&fetch->changed);
		answer = wait_for_answer(fetch);
	}
	pthread_mutex_unlock(&fetch->lock);
	return answer;
}
