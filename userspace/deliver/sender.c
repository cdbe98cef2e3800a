/* SPDX-License-Identifier: Apache-2.0 */
/* The way of profiles to one server. */
#include "deliver/sender.h"

#include <errno.h>
#include <stdarg.h>
#include <stdio.h>
#include <stdlib.h>
#include <string.h>
#include <sys/random.h>
#include <time.h>

#include "core/cleanup.h"
#include "deliver/retry.h"
#include "deliver/outbox.h"

struct cs_sender {
	const struct cs_sender_options *options;
	struct cs_transport_options transport_options;
	struct cs_transport *transport;
	struct cs_outbox *box;
	uint64_t told_lost;        /* of what the spool has counted */
	uint64_t told_crowded_out; /* of memory */
	int disk_err; /* why what waits does so in memory, as it was told; 0: it does not */
	unsigned int failures; /* in a row */
	uint64_t due_ns;
	struct cs_sender_counts counts;
};

static uint64_t now_ns(void)
{
	struct timespec now;

	clock_gettime(CLOCK_MONOTONIC, &now);
	return (uint64_t)now.tv_sec * 1000000000u + (uint64_t)now.tv_nsec;
}

static void tell(const struct cs_sender *sender, enum cs_sender_event event, const char *fmt, ...)
	__attribute__((format(printf, 3, 4)));
static void tell(const struct cs_sender *sender, enum cs_sender_event event, const char *fmt, ...)
{
	char text[512];
	va_list args;

	va_start(args, fmt);
	vsnprintf(text, sizeof(text), fmt, args);
	va_end(args);
	if (sender->options->tell)
		sender->options->tell(sender->options->ctx, event, text);
}

int cs_sender_new(const struct cs_sender_options *options, struct cs_sender **ret)
{
	_cleanup_(cs_sender_freep) struct cs_sender *sender = calloc(1, sizeof(*sender));
	int err;

	if (!sender)
		return -ENOMEM;
	sender->options = options;
	sender->transport_options = options->transport;
	sender->transport_options.fixed = options->backend->headers;
	sender->transport_options.nfixed = options->backend->nheaders;
	err = cs_transport_new(&sender->transport_options, &sender->transport);
	if (!err)
		err = cs_outbox_new(options->spool, &options->limits, options->memory_bytes,
				    &sender->box);
	if (err)
		return err;
	sender->counts.found = cs_outbox_found(sender->box);
	*ret = TAKE_PTR(sender);
	return 0;
}

void cs_sender_free(struct cs_sender *sender)
{
	if (!sender)
		return;
	cs_outbox_free(sender->box);
	cs_transport_free(sender->transport);
	free(sender);
}

/* Tell and count what the spool has dropped on its own account. */
static void heed_spool(struct cs_sender *sender)
{
	const struct cs_parcels_counts *counts = cs_outbox_spool_counts(sender->box);
	uint64_t lost;

	if (!counts)
		return;
	lost = counts->over_bytes + counts->over_age + counts->damaged;
	if (lost == sender->told_lost)
		return;
	tell(sender, CS_SENDER_LOST,
	     "the spool has lost %llu parcels so far: %llu over its size, %llu over its age, %llu damaged",
	     (unsigned long long)lost, (unsigned long long)counts->over_bytes,
	     (unsigned long long)counts->over_age, (unsigned long long)counts->damaged);
	sender->counts.lost += lost - sender->told_lost;
	sender->told_lost = lost;
}

static void heed_memory(struct cs_sender *sender)
{
	uint64_t lost = cs_outbox_crowded_out(sender->box);

	for (; sender->told_crowded_out < lost; sender->told_crowded_out++) {
		sender->counts.lost++;
		tell(sender, CS_SENDER_LOST, "a parcel is lost: more wait than may%s",
		     sender->disk_err ? " in memory" : "");
	}
}

/* Once for each time that it fails, and when it does no more. */
static void heed_disk(struct cs_sender *sender, int err)
{
	if (err == -EFBIG || err == -ENOMEM)
		return;
	if (err && err != sender->disk_err)
		tell(sender, CS_SENDER_WAITS,
		     "parcels cannot be kept in %s, they wait in memory: %s",
		     sender->options->spool, strerror(-err));
	else if (!err && sender->disk_err)
		tell(sender, CS_SENDER_AGAIN, "parcels are kept in %s again",
		     sender->options->spool);
	sender->disk_err = err;
}

static int put_parcel(void *ctx, struct cs_parcel *parcel)
{
	struct cs_sender *sender = ctx;
	int err = cs_outbox_put(sender->box, parcel);

	sender->counts.packed++;
	if (err == -ENOMEM) {
		sender->counts.lost++;
		tell(sender, CS_SENDER_LOST, "a parcel is lost: %s", strerror(-err));
	}
	heed_disk(sender, err);
	heed_spool(sender);
	heed_memory(sender);
	return 0;
}

void cs_sender_end(struct cs_sender *sender)
{
	int err = cs_outbox_save(sender->box);
	size_t n = err ? cs_outbox_forget(sender->box) : 0;

	heed_spool(sender);
	if (!n)
		return;
	sender->counts.lost += n;
	tell(sender, CS_SENDER_LOST, "%zu parcels are lost: they cannot be kept in %s: %s", n,
	     sender->options->spool, strerror(-err));
}

int cs_sender_put(struct cs_sender *sender, const struct cs_profile *profile)
{
	const struct cs_sender_options *options = sender->options;

	return options->backend->pack(profile, &options->pack, put_parcel, sender);
}

static void heed_taken(struct cs_sender *sender, const struct cs_parcel *parcel,
		       const struct cs_verdict_text *words)
{
	sender->counts.taken++;
	sender->counts.bytes += parcel->body.len;
	sender->counts.rejected += words->rejected;
	if (words->rejected || *words->message)
		tell(sender, CS_SENDER_PARTLY, "%s took a request without %llu of its profiles: %s",
		     sender->options->transport.url, (unsigned long long)words->rejected,
		     *words->message ? words->message : "it does not say why");
	if (sender->failures)
		tell(sender, CS_SENDER_AGAIN, "%s takes profiles again",
		     sender->options->transport.url);
	sender->failures = 0;
	sender->due_ns = 0;
}

static void heed_failure(struct cs_sender *sender, const struct cs_answer *answer,
			 const struct cs_verdict_text *words)
{
	uint64_t wait;
	uint32_t random = 0;

	if (getrandom(&random, sizeof(random), GRND_NONBLOCK) < 0)
		random = (uint32_t)now_ns();
	wait = cs_retry_wait_ns(++sender->failures, random);
	if (wait < answer->retry_after_ns)
		wait = answer->retry_after_ns;
	sender->due_ns = now_ns() + wait;
	if (sender->failures > 1)
		return;
	if (answer->status)
		tell(sender, CS_SENDER_WAITS, "%s answers %d, will try again: %s",
		     sender->options->transport.url, answer->status, words->message);
	else
		tell(sender, CS_SENDER_WAITS, "%s cannot be reached, will try again: %s",
		     sender->options->transport.url, answer->error);
}

/* What an attempt has come to. */
static int conclude(struct cs_sender *sender, const struct cs_parcel *parcel,
		    const struct cs_answer *answer)
{
	enum cs_verdict verdict = cs_retry_judge(answer->status);
	struct cs_verdict_text words;

	cs_backend_read_answer(sender->options->backend, answer->body.data ? answer->body.data : "",
			       answer->body.len, verdict == CS_TAKEN, &words);
	if (verdict == CS_LATER) {
		heed_failure(sender, answer, &words);
		return -EAGAIN;
	}
	if (verdict == CS_TAKEN) {
		heed_taken(sender, parcel, &words);
	} else {
		sender->counts.refused++;
		tell(sender, CS_SENDER_REFUSED, "%s refuses a parcel with %d: %s",
		     sender->options->transport.url, answer->status, words.message);
	}
	return cs_outbox_drop(sender->box);
}

int cs_sender_step(struct cs_sender *sender, uint64_t *due_ns)
{
	_cleanup_(cs_answer_free) struct cs_answer answer = {0};
	const struct cs_parcel *parcel;
	uint64_t begun_ns;
	int err;

	*due_ns = sender->due_ns;
	if (now_ns() < sender->due_ns)
		return -EAGAIN;
	err = cs_outbox_begin(sender->box, &parcel);
	heed_spool(sender);
	if (!err) {
		sender->counts.attempts++;
		sender->counts.repeated += parcel->attempts > 1;
		begun_ns = now_ns();
		err = cs_transport_post(sender->transport, parcel, &answer);
		sender->counts.busy_ns += now_ns() - begun_ns;
		if (!err || err == -EIO)
			err = conclude(sender, parcel, &answer);
	}
	/* a disk that fails is no reason to ask it without a pause */
	if (err && err != -EAGAIN && err != -ENOENT && err != -ECANCELED)
		sender->due_ns = now_ns() + cs_retry_wait_ns(++sender->failures, 0);
	*due_ns = sender->due_ns;
	return err;
}

size_t cs_sender_waiting(const struct cs_sender *sender)
{
	return cs_outbox_n(sender->box);
}

const struct cs_sender_counts *cs_sender_counts(const struct cs_sender *sender)
{
	return &sender->counts;
}
