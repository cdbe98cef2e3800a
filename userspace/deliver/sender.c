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

struct kept {
	struct kept *next;
	struct cs_parcel parcel;
};

struct cs_sender {
	const struct cs_sender_options *options;
	struct cs_transport_options transport_options;
	struct cs_transport *transport;
	struct cs_parcels *spool; /* NULL: in memory */
	struct kept *first, **end;
	size_t nkept;
	uint64_t kept_bytes;
	uint64_t told_lost;    /* of what the spool has counted */
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
	sender->end = &sender->first;
	sender->transport_options = options->transport;
	sender->transport_options.fixed = options->backend->headers;
	sender->transport_options.nfixed = options->backend->nheaders;
	err = cs_transport_new(&sender->transport_options, &sender->transport);
	if (!err && options->spool)
		err = cs_parcels_open(options->spool, &options->limits, &sender->spool);
	if (err)
		return err;
	if (sender->spool)
		sender->counts.found = cs_parcels_n(sender->spool);
	*ret = TAKE_PTR(sender);
	return 0;
}

static void drop_kept(struct cs_sender *sender)
{
	struct kept *kept = sender->first;

	sender->first = kept->next;
	if (!sender->first)
		sender->end = &sender->first;
	sender->nkept--;
	sender->kept_bytes -= kept->parcel.body.len;
	cs_parcel_free(&kept->parcel);
	free(kept);
}

void cs_sender_free(struct cs_sender *sender)
{
	if (!sender)
		return;
	while (sender->first)
		drop_kept(sender);
	cs_parcels_close(sender->spool);
	cs_transport_free(sender->transport);
	free(sender);
}

/* Tell and count what the spool has dropped on its own account. */
static void heed_spool(struct cs_sender *sender)
{
	const struct cs_parcels_counts *counts;
	uint64_t lost;

	if (!sender->spool)
		return;
	counts = cs_parcels_counts(sender->spool);
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

/* In memory the oldest go too. */
static int keep(struct cs_sender *sender, struct cs_parcel *parcel)
{
	struct kept *kept = calloc(1, sizeof(*kept));

	if (!kept)
		return -ENOMEM;
	kept->parcel = *parcel;
	*parcel = (struct cs_parcel){0};
	*sender->end = kept;
	sender->end = &kept->next;
	sender->nkept++;
	sender->kept_bytes += kept->parcel.body.len;
	while (sender->first && sender->kept_bytes > sender->options->limits.bytes) {
		drop_kept(sender);
		sender->counts.lost++;
		tell(sender, CS_SENDER_LOST, "a parcel is lost: more wait than may");
	}
	return 0;
}

static int put_parcel(void *ctx, struct cs_parcel *parcel)
{
	struct cs_sender *sender = ctx;
	int err;

	sender->counts.packed++;
	if (!sender->spool)
		return keep(sender, parcel);
	err = cs_parcels_put(sender->spool, parcel);
	heed_spool(sender);
	if (err && err != -EFBIG) {
		sender->counts.lost++;
		tell(sender, CS_SENDER_LOST, "a parcel cannot be kept in %s: %s",
		     sender->options->spool, strerror(-err));
	}
	cs_parcel_free(parcel);
	return 0;
}

int cs_sender_put(struct cs_sender *sender, const struct cs_profile *profile)
{
	const struct cs_sender_options *options = sender->options;

	return options->backend->pack(profile, &options->pack, put_parcel, sender);
}

/* The oldest, the attempt that begins now included. The caller frees it; its body is borrowed if it is kept in memory. */
static int take_first(struct cs_sender *sender, struct cs_parcel *parcel)
{
	int err;

	if (!sender->spool) {
		if (!sender->first)
			return -ENOENT;
		sender->first->parcel.attempts++;
		*parcel = sender->first->parcel;
		return 0;
	}
	err = cs_parcels_first(sender->spool, parcel);
	heed_spool(sender);
	if (err)
		return err;
	parcel->attempts++;
	return cs_parcels_note_attempt(sender->spool);
}

static int drop_first(struct cs_sender *sender)
{
	if (sender->spool)
		return cs_parcels_drop(sender->spool);
	drop_kept(sender);
	return 0;
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
	return drop_first(sender);
}

int cs_sender_step(struct cs_sender *sender, uint64_t *due_ns)
{
	_cleanup_(cs_answer_free) struct cs_answer answer = {0};
	struct cs_parcel parcel = {0};
	uint64_t begun_ns;
	int err;

	*due_ns = sender->due_ns;
	if (now_ns() < sender->due_ns)
		return -EAGAIN;
	err = take_first(sender, &parcel);
	if (!err) {
		sender->counts.attempts++;
		sender->counts.repeated += parcel.attempts > 1;
		begun_ns = now_ns();
		err = cs_transport_post(sender->transport, &parcel, &answer);
		sender->counts.busy_ns += now_ns() - begun_ns;
		if (!err || err == -EIO)
			err = conclude(sender, &parcel, &answer);
	}
	if (sender->spool)
		cs_parcel_free(&parcel);
	/* a disk that fails is no reason to ask it without a pause */
	if (err && err != -EAGAIN && err != -ENOENT && err != -ECANCELED)
		sender->due_ns = now_ns() + cs_retry_wait_ns(++sender->failures, 0);
	*due_ns = sender->due_ns;
	return err;
}

size_t cs_sender_waiting(const struct cs_sender *sender)
{
	return sender->spool ? cs_parcels_n(sender->spool) : sender->nkept;
}

const struct cs_sender_counts *cs_sender_counts(const struct cs_sender *sender)
{
	return &sender->counts;
}
