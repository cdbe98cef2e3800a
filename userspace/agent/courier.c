/* SPDX-License-Identifier: Apache-2.0 */
/* Brings profiles to one destination. */
#include "agent/courier.h"

#include <errno.h>
#include <pthread.h>
#include <signal.h>
#include <stdbool.h>
#include <stdlib.h>
#include <string.h>
#include <time.h>

#include "cli/delivery.h"
#include "core/cleanup.h"
#include "core/log.h"
#include "core/thread.h"

/* Profiles that wait to be packed: each holds memory, and its successor tells of the same processes. */
#define QUEUE   4
/* A disk, or whatever hinders besides the server, is tried again after so long. */
#define REST_NS 10000000000ull

struct cs_courier {
	struct cs_delivery delivery;
	pthread_t thread;
	bool joined;
	volatile sig_atomic_t stop; /* a request under way ends */
	pthread_mutex_t lock;       /* of all that follows */
	pthread_cond_t changed;
	struct cs_shared_profile *queue[QUEUE];
	unsigned int nqueue;
	bool ending;
	uint64_t deadline_ns;
	struct cs_courier_counts counts;
};

static uint64_t now_ns(clockid_t clock)
{
	struct timespec now;

	clock_gettime(clock, &now);
	return (uint64_t)now.tv_sec * 1000000000u + (uint64_t)now.tv_nsec;
}

/* Takes the next profile, or NULL. */
static struct cs_shared_profile *next_profile(struct cs_courier *courier)
{
	struct cs_shared_profile *profile = courier->queue[0];

	if (!courier->nqueue)
		return NULL;
	courier->nqueue--;
	memmove(courier->queue, courier->queue + 1, courier->nqueue * sizeof(profile));
	return profile;
}

/* Until something changes, or until then. */
static void rest(struct cs_courier *courier, uint64_t until_ns)
{
	const struct timespec until = {(time_t)(until_ns / 1000000000u),
				       (long)(until_ns % 1000000000u)};

	if (until_ns == UINT64_MAX)
		pthread_cond_wait(&courier->changed, &courier->lock);
	else
		pthread_cond_timedwait(&courier->changed, &courier->lock, &until);
}

static void note_counts(struct cs_courier *courier)
{
	const struct cs_delivery *delivery = &courier->delivery;
	uint64_t taken = courier->counts.sender.taken + courier->counts.files.written;

	courier->counts.files = delivery->files;
	if (delivery->sender) {
		courier->counts.sender = *cs_sender_counts(delivery->sender);
		courier->counts.waiting = cs_sender_waiting(delivery->sender);
	}
	if (courier->counts.sender.taken + courier->counts.files.written > taken)
		courier->counts.delivered_realtime_ns = now_ns(CLOCK_REALTIME);
}

/* One thing to do, without the lock. Returns when the next is due (CLOCK_MONOTONIC); UINT64_MAX: when somebody calls. */
static uint64_t work(struct cs_courier *courier, struct cs_shared_profile *profile,
		     bool *ret_failed)
{
	struct cs_delivery *delivery = &courier->delivery;
	uint64_t due_ns = 0;
	int err;

	*ret_failed = profile && cs_delivery_put(delivery, cs_shared_profile_get(profile));
	cs_shared_profile_unref(profile);
	if (!delivery->sender || courier->stop)
		return UINT64_MAX;
	err = cs_sender_step(delivery->sender, &due_ns);
	if (!err)
		return 0;
	if (err == -EAGAIN)
		return due_ns;
	if (err == -ENOENT || err == -ECANCELED)
		return UINT64_MAX;
	cs_err("cannot deliver to %s: %s", delivery->to->where, strerror(-err));
	return now_ns(CLOCK_MONOTONIC) + REST_NS;
}

static bool is_over(const struct cs_courier *courier, uint64_t due_ns)
{
	if (!courier->ending || courier->nqueue)
		return false;
	return !courier->counts.waiting || courier->stop || due_ns > courier->deadline_ns;
}

static void *run(void *arg)
{
	struct cs_courier *courier = arg;
	uint64_t due_ns = 0; /* at once: an earlier run may have left something */

	pthread_mutex_lock(&courier->lock);
	while (!is_over(courier, due_ns)) {
		struct cs_shared_profile *profile = next_profile(courier);
		bool failed;

		if (!profile && due_ns > now_ns(CLOCK_MONOTONIC)) {
			rest(courier, due_ns);
			continue;
		}
		pthread_mutex_unlock(&courier->lock);
		due_ns = work(courier, profile, &failed);
		pthread_mutex_lock(&courier->lock);
		courier->counts.failed += failed;
		note_counts(courier);
	}
	pthread_mutex_unlock(&courier->lock);
	cs_delivery_end(&courier->delivery);
	pthread_mutex_lock(&courier->lock);
	note_counts(courier);
	pthread_mutex_unlock(&courier->lock);
	return NULL;
}

static void free_parts(struct cs_courier *courier)
{
	for (unsigned int i = 0; i < courier->nqueue; i++)
		cs_shared_profile_unref(courier->queue[i]);
	cs_delivery_close(&courier->delivery);
	pthread_cond_destroy(&courier->changed);
	pthread_mutex_destroy(&courier->lock);
	free(courier);
}

int cs_courier_new(const struct cs_destination *to, struct cs_courier **ret)
{
	struct cs_courier *courier = calloc(1, sizeof(*courier));
	pthread_condattr_t attr;
	int err;

	if (!courier)
		return -ENOMEM;
	pthread_mutex_init(&courier->lock, NULL);
	pthread_condattr_init(&attr);
	pthread_condattr_setclock(&attr, CLOCK_MONOTONIC);
	pthread_cond_init(&courier->changed, &attr);
	pthread_condattr_destroy(&attr);
	err = cs_delivery_open(&courier->delivery, to, &courier->stop);
	if (!err) {
		note_counts(courier);
		err = cs_thread_start(&courier->thread, run, courier);
	}
	if (err) {
		free_parts(courier);
		return err;
	}
	*ret = courier;
	return 0;
}

void cs_courier_put(struct cs_courier *courier, struct cs_shared_profile *profile)
{
	pthread_mutex_lock(&courier->lock);
	courier->counts.profiles++;
	if (courier->nqueue == QUEUE) {
		cs_shared_profile_unref(next_profile(courier));
		courier->counts.passed_over++;
	}
	courier->queue[courier->nqueue++] = cs_shared_profile_ref(profile);
	pthread_cond_signal(&courier->changed);
	pthread_mutex_unlock(&courier->lock);
}

void cs_courier_end(struct cs_courier *courier, uint64_t deadline_ns)
{
	pthread_mutex_lock(&courier->lock);
	courier->ending = true;
	courier->deadline_ns = deadline_ns;
	pthread_cond_signal(&courier->changed);
	pthread_mutex_unlock(&courier->lock);
}

void cs_courier_join(struct cs_courier *courier)
{
	struct timespec deadline;

	if (courier->joined)
		return;
	if (!courier->ending)
		cs_courier_end(courier, now_ns(CLOCK_MONOTONIC));
	deadline = (struct timespec){(time_t)(courier->deadline_ns / 1000000000u),
				     (long)(courier->deadline_ns % 1000000000u)};
	if (pthread_clockjoin_np(courier->thread, NULL, CLOCK_MONOTONIC, &deadline)) {
		/* what is not packed yet still is */
		courier->stop = 1;
		cs_courier_end(courier, courier->deadline_ns);
		pthread_join(courier->thread, NULL);
	}
	courier->joined = true;
}

void cs_courier_free(struct cs_courier *courier)
{
	if (!courier)
		return;
	cs_courier_join(courier);
	free_parts(courier);
}

struct cs_courier_counts cs_courier_count(struct cs_courier *courier)
{
	struct cs_courier_counts counts;

	pthread_mutex_lock(&courier->lock);
	counts = courier->counts;
	pthread_mutex_unlock(&courier->lock);
	return counts;
}

const struct cs_destination *cs_courier_to(const struct cs_courier *courier)
{
	return courier->delivery.to;
}
