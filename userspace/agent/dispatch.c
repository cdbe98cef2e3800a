/* SPDX-License-Identifier: Apache-2.0 */
/* All couriers. The list changes when the configuration does. */
#include "agent/dispatch.h"

#include <errno.h>
#include <inttypes.h>
#include <stdlib.h>

#include "collect/record.h"
#include "core/cleanup.h"
#include "core/log.h"

struct cs_dispatch {
	struct cs_courier *couriers[CS_DESTINATIONS];
	size_t n;
};

int cs_dispatch_new(struct cs_dispatch **ret)
{
	*ret = calloc(1, sizeof(**ret));
	return *ret ? 0 : -ENOMEM;
}

void cs_dispatch_free(struct cs_dispatch *dispatch)
{
	if (!dispatch)
		return;
	for (size_t i = 0; i < dispatch->n; i++)
		cs_courier_free(dispatch->couriers[i]);
	free(dispatch);
}

int cs_dispatch_begin(struct cs_dispatch *dispatch, const struct cs_destinations *to)
{
	int err = 0;

	while (!err && dispatch->n < to->n) {
		err = cs_courier_new(&to->at[dispatch->n], &dispatch->couriers[dispatch->n]);
		dispatch->n += !err;
	}
	while (err && dispatch->n)
		cs_courier_free(dispatch->couriers[--dispatch->n]);
	return err;
}

void cs_dispatch_put(struct cs_dispatch *dispatch, struct cs_shared_profile *profile)
{
	for (size_t i = 0; i < dispatch->n; i++)
		cs_courier_put(dispatch->couriers[i], profile);
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

	for (size_t i = 0; i < dispatch->n; i++)
		cs_courier_end(dispatch->couriers[i], deadline_ns);
	for (size_t i = 0; i < dispatch->n; i++) {
		cs_courier_join(dispatch->couriers[i]);
		sum_up(dispatch->couriers[i]);
		cs_courier_free(dispatch->couriers[i]);
	}
	dispatch->n = 0;
}

/* One figure of all couriers. */
struct row {
	struct cs_metric metric;
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
VALUE(seconds, (double)c->sender.busy_ns / 1e9)

#define COUNTER(name, help)                   \
	{                                     \
		name, CS_METRIC_COUNTER, help \
	}
#define GAUGE(name, help)                   \
	{                                   \
		name, CS_METRIC_GAUGE, help \
	}

static const struct row rows[] = {
	{COUNTER("coroscope_deliver_profiles_total", "profiles handed to a destination"), false,
	 profiles},
	{COUNTER("coroscope_deliver_passed_over_total", "of them: not packed, as too many waited"),
	 false, passed_over},
	{COUNTER("coroscope_deliver_failed_total", "of them: could not be packed or written"),
	 false, failed},
	{COUNTER("coroscope_deliver_delivered_total", "parcels or files that have arrived"), false,
	 delivered},
	{COUNTER("coroscope_deliver_bytes_total", "of these"), false, bytes},
	{GAUGE("coroscope_deliver_last_timestamp_seconds", "when one arrived last; 0: never"),
	 false, last},
	{GAUGE("coroscope_deliver_waiting", "parcels that are not delivered yet"), true, waiting},
	{COUNTER("coroscope_deliver_parcels_total",
		 "parcels packed, or left by an earlier run: each ends as delivered, refused or lost"),
	 true, packed},
	{COUNTER("coroscope_deliver_refused_total", "parcels that the server will never take"),
	 true, refused},
	{COUNTER("coroscope_deliver_lost_total", "parcels without room, too old or damaged"), true,
	 lost},
	{COUNTER("coroscope_deliver_requests_total", "requests begun"), true, requests},
	{COUNTER("coroscope_deliver_request_seconds_total", "that they took"), true, seconds},
	{COUNTER("coroscope_deliver_repeated_total",
		 "of them: for parcels that may have arrived before"),
	 true, repeated},
	{COUNTER("coroscope_deliver_rejected_total", "items refused of requests that were taken"),
	 true, rejected},
};

static int tell_row(const struct cs_destination *to, const struct cs_courier_counts *counts,
		    const struct row *row, struct cs_metrics *metrics)
{
	const struct cs_metric_label labels[] = {
		{"kind", to->backend ? to->backend->name : "dir"},
		{"to", to->where},
	};

	if (row->servers_only && !to->backend)
		return 0;
	return cs_metrics_add(metrics, &row->metric, labels, ARRAY_SIZE(labels),
			      row->value(counts));
}

/* All figures of a courier are of one moment, or else they would not balance. */
int cs_dispatch_tell(const struct cs_dispatch *dispatch, struct cs_metrics *metrics)
{
	struct cs_courier_counts counts[CS_DESTINATIONS];
	int err = 0;

	for (size_t k = 0; k < dispatch->n; k++)
		counts[k] = cs_courier_count(dispatch->couriers[k]);
	for (size_t i = 0; i < ARRAY_SIZE(rows); i++)
		for (size_t k = 0; !err && k < dispatch->n; k++)
			err = tell_row(cs_courier_to(dispatch->couriers[k]), &counts[k], &rows[i],
				       metrics);
	return err;
}
