/* SPDX-License-Identifier: Apache-2.0 */
/* The agent's own metrics. */
#include "agent/figures.h"

#include <ctype.h>
#include <stdbool.h>
#include <stdio.h>
#include <string.h>

#include "core/cleanup.h"

static const struct account {
	const char *name;
	bool loss;
} accounts[] = {
#define X(name, id, loss, text) [id] = {#name, loss},
	CS_COUNTER(X)
#undef X
};

/* Losses by reason, or all other accounts. */
static int tell_accounts(const struct cs_figures *figures, bool losses, struct cs_metrics *metrics)
{
	static const struct cs_metric lost = {
		"coroscope_lost_total", CS_METRIC_COUNTER,
		"what was not seen, by reason (include/coroscope/status.h)"};
	static const struct cs_metric seen = {"coroscope_account_total", CS_METRIC_COUNTER,
					      "what was seen (include/coroscope/status.h)"};
	int err = 0;

	for (size_t i = 0; !err && i < ARRAY_SIZE(accounts); i++) {
		char name[64] = "";
		const struct cs_metric_label label = {losses ? "reason" : "account", name};

		if (accounts[i].loss != losses)
			continue;
		for (size_t k = 0; accounts[i].name[k] && k + 1 < sizeof(name); k++)
			name[k] = (char)tolower((unsigned char)accounts[i].name[k]);
		err = cs_metrics_add(metrics, losses ? &lost : &seen, &label, 1,
				     (double)figures->counters[i]);
	}
	return err;
}

static int tell_population(const struct cs_figures *figures, struct cs_metrics *metrics)
{
	static const struct cs_metric metric = {
		"coroscope_processes", CS_METRIC_GAUGE,
		"watched processes by interpreter and by what is known of it"};
	static const char *const states[] = {
		[CS_INTERP_NOT_PYTHON] = "none",
		[CS_INTERP_UNSUPPORTED] = "unsupported",
		[CS_INTERP_STARTING] = "starting",
		[CS_INTERP_READY] = "ready",
	};
	int err = 0;

	for (size_t i = 0; !err && i < figures->npopulation; i++) {
		const struct cs_population *kind = &figures->population[i];
		char version[32] = "";
		const struct cs_metric_label labels[] = {{"interpreter", version},
							 {"state", states[kind->state]}};

		if (kind->major)
			snprintf(version, sizeof(version), "%d.%d", kind->major, kind->minor);
		err = cs_metrics_add(metrics, &metric, labels, ARRAY_SIZE(labels), kind->n);
	}
	return err;
}

int cs_figures_tell(const struct cs_figures *figures, struct cs_metrics *metrics)
{
	static const struct cs_metric table[] = {
		{"coroscope_start_timestamp_seconds", CS_METRIC_GAUGE, "when the agent began"},
		{"coroscope_profiles_total", CS_METRIC_COUNTER, "periods that became a profile"},
		{"coroscope_last_profile_timestamp_seconds", CS_METRIC_GAUGE,
		 "when the last one ended; 0: none yet"},
		{"coroscope_probes", CS_METRIC_GAUGE, "attached where tasks are created"},
		{"coroscope_rate_hertz", CS_METRIC_GAUGE,
		 "samples a second of each CPU, as budgets allow"},
		{"coroscope_asleep_rate_hertz", CS_METRIC_GAUGE,
		 "looks a second at what sleeps, as budgets allow"},
		{"coroscope_cpu_share", CS_METRIC_GAUGE,
		 "of the machine that the agent used in the last 10 s"},
		{"coroscope_kernel_cpu_share", CS_METRIC_GAUGE,
		 "of it, by its programs in the kernel"},
		{"coroscope_cpu_budget_share", CS_METRIC_GAUGE, "that it may use"},
		{"coroscope_memory_bytes", CS_METRIC_GAUGE, "resident"},
		{"coroscope_memory_budget_bytes", CS_METRIC_GAUGE, "that it may use"},
	};
	const double values[ARRAY_SIZE(table)] = {
		(double)figures->started_realtime_ns / 1e9,
		(double)figures->profiles,
		(double)figures->last_profile_realtime_ns / 1e9,
		figures->probes,
		figures->rate_hz,
		figures->asleep_hz,
		figures->cpu_share,
		figures->kernel_cpu_share,
		figures->cpu_budget,
		figures->memory_bytes,
		figures->memory_budget,
	};
	int err = 0;

	for (size_t i = 0; !err && i < ARRAY_SIZE(table); i++)
		err = cs_metrics_add(metrics, &table[i], NULL, 0, values[i]);
	if (!err)
		err = tell_population(figures, metrics);
	if (!err)
		err = tell_accounts(figures, false, metrics);
	return err ? err : tell_accounts(figures, true, metrics);
}
