/* SPDX-License-Identifier: Apache-2.0 */
/* All couriers. The list changes when the configuration does; figures may be asked for at any time. */
#include "agent/dispatch.h"

#include <errno.h>
#include <inttypes.h>
#include <pthread.h>
#include <stdlib.h>

#include "collect/record.h"
#include "core/cleanup.h"
#include "core/log.h"

struct cs_dispatch {
	pthread_mutex_t lock;
	struct cs_courier *couriers[CS_DESTINATIONS];
	size_t n;
};

int cs_dispatch_new(struct cs_dispatch **ret)
{
	*ret = calloc(1, sizeof(**ret));
	if (!*ret)
		return -ENOMEM;
	pthread_mutex_init(&(*ret)->lock, NULL);
	return 0;
}

/* Nobody sees the couriers any more. */
static size_t take_couriers(struct cs_dispatch *dispatch, struct cs_courier *ret[CS_DESTINATIONS])
{
	size_t n;

	pthread_mutex_lock(&dispatch->lock);
	n = dispatch->n;
	for (size_t i = 0; i < n; i++)
		ret[i] = TAKE_PTR(dispatch->couriers[i]);
	dispatch->n = 0;
	pthread_mutex_unlock(&dispatch->lock);
	return n;
}

void cs_dispatch_free(struct cs_dispatch *dispatch)
{
	struct cs_courier *couriers[CS_DESTINATIONS];
	size_t n;

	if (!dispatch)
		return;
	n = take_couriers(dispatch, couriers);
	for (size_t i = 0; i < n; i++)
		cs_courier_free(couriers[i]);
	pthread_mutex_destroy(&dispatch->lock);
	free(dispatch);
}

int cs_dispatch_begin(struct cs_dispatch *dispatch, const struct cs_destinations *to)
{
	struct cs_courier *couriers[CS_DESTINATIONS];
	size_t begun;
	int err = 0;

	for (begun = 0; !err && begun < to->n; begun += !err)
		err = cs_courier_new(&to->at[begun], &couriers[begun]);
	if (err) {
		while (begun)
			cs_courier_free(couriers[--begun]);
		return err;
	}
	pthread_mutex_lock(&dispatch->lock);
	for (size_t i = 0; i < to->n; i++)
		dispatch->couriers[i] = couriers[i];
	dispatch->n = to->n;
	pthread_mutex_unlock(&dispatch->lock);
	return 0;
}

void cs_dispatch_put(struct cs_dispatch *dispatch, struct cs_profile *profile)
{
	struct cs_shared_profile *shared = cs_shared_profile_new(profile);

	if (!shared) {
		cs_err("a profile is lost: out of memory");
		return;
	}
	for (size_t i = 0; i < dispatch->n; i++)
		cs_courier_put(dispatch->couriers[i], shared);
	cs_shared_profile_unref(shared);
}

/* What a courier leaves behind. */
static void sum_up(struct cs_courier *courier)
{
	const struct cs_destination *to = cs_courier_to(courier);
	struct cs_courier_counts counts = cs_courier_count(courier);

	if (counts.waiting && to->spool)
		cs_warn("%s: %zu parcels are not delivered; they are kept in %s", to->where,
			counts.waiting, to->spool);
	else if (counts.waiting)
		cs_err("%s: %zu parcels are not delivered and lost: there is no --spool", to->where,
		       counts.waiting);
}

void cs_dispatch_end(struct cs_dispatch *dispatch, uint64_t within_ns)
{
	uint64_t deadline_ns = cs_now_ns() + within_ns;
	struct cs_courier *couriers[CS_DESTINATIONS];
	size_t n = take_couriers(dispatch, couriers);

	for (size_t i = 0; i < n; i++)
		cs_courier_end(couriers[i], deadline_ns);
	for (size_t i = 0; i < n; i++) {
		cs_courier_join(couriers[i]);
		sum_up(couriers[i]);
		cs_courier_free(couriers[i]);
	}
}

/* One figure of all couriers. */
struct row {
	const char *name, *help;
	bool counter;
	bool servers_only;
	double (*value)(const struct cs_courier_counts *counts);
};

#define VALUE(name, expression)                               \
	static double name(const struct cs_courier_counts *c) \
	{                                                     \
		return (double)(expression);                  \
	}
VALUE(profiles, c->profiles)
VALUE(passed_over, c->passed_over)
VALUE(failed, c->failed)
VALUE(delivered, c->sender.taken + c->files.written)
VALUE(bytes, c->sender.bytes + c->files.bytes)
VALUE(last, (double)c->delivered_realtime_ns / 1e9)
VALUE(waiting, c->waiting)
VALUE(packed, c->sender.packed + c->sender.found)
VALUE(refused, c->sender.refused)
VALUE(lost, c->sender.lost)
VALUE(requests, c->sender.attempts)
VALUE(repeated, c->sender.repeated)
VALUE(rejected, c->sender.rejected)

static const struct row rows[] = {
	{"coroscope_deliver_profiles_total", "profiles handed to a destination", true, false,
	 profiles},
	{"coroscope_deliver_passed_over_total", "of them: not packed, as too many waited", true,
	 false, passed_over},
	{"coroscope_deliver_failed_total", "of them: could not be packed or written", true, false,
	 failed},
	{"coroscope_deliver_delivered_total", "parcels or files that have arrived", true, false,
	 delivered},
	{"coroscope_deliver_bytes_total", "of these", true, false, bytes},
	{"coroscope_deliver_last_timestamp_seconds", "when one arrived last; 0: never", false,
	 false, last},
	{"coroscope_deliver_waiting", "parcels that are not delivered yet", false, true, waiting},
	{"coroscope_deliver_parcels_total",
	 "parcels packed, or left by an earlier run: each ends as delivered, refused or lost", true,
	 true, packed},
	{"coroscope_deliver_refused_total", "parcels that the server will never take", true, true,
	 refused},
	{"coroscope_deliver_lost_total", "parcels without room, too old or damaged", true, true,
	 lost},
	{"coroscope_deliver_requests_total", "requests begun", true, true, requests},
	{"coroscope_deliver_repeated_total", "of them: for parcels that may have arrived before",
	 true, true, repeated},
	{"coroscope_deliver_rejected_total", "items refused of requests that were taken", true,
	 true, rejected},
};

void cs_dispatch_figures(void *source, cs_figure_fn *fn, void *ctx)
{
	struct cs_dispatch *dispatch = source;

	pthread_mutex_lock(&dispatch->lock);
	for (size_t i = 0; i < ARRAY_SIZE(rows); i++) {
		const struct row *row = &rows[i];

		for (size_t k = 0; k < dispatch->n; k++) {
			const struct cs_destination *to = cs_courier_to(dispatch->couriers[k]);
			struct cs_courier_counts counts = cs_courier_count(dispatch->couriers[k]);
			const struct cs_figure_label labels[] = {
				{"kind", to->backend ? to->backend->name : "dir"},
				{"to", to->where},
			};

			if (row->servers_only && !to->backend)
				continue;
			fn(ctx, &(struct cs_figure){.name = row->name,
						    .help = row->help,
						    .counter = row->counter,
						    .labels = labels,
						    .nlabels = ARRAY_SIZE(labels),
						    .value = row->value(&counts)});
		}
	}
	pthread_mutex_unlock(&dispatch->lock);
}
