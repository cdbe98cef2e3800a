/* SPDX-License-Identifier: Apache-2.0 */
/* What the agent knows of itself. */
#include "agent/board.h"

#include <ctype.h>
#include <errno.h>
#include <pthread.h>
#include <stdlib.h>
#include <string.h>

#include "core/cleanup.h"

struct cs_board {
	pthread_mutex_t lock;
	struct cs_board_state state;
};

int cs_board_new(struct cs_board **ret)
{
	*ret = calloc(1, sizeof(**ret));
	if (!*ret)
		return -ENOMEM;
	pthread_mutex_init(&(*ret)->lock, NULL);
	return 0;
}

void cs_board_free(struct cs_board *board)
{
	if (!board)
		return;
	pthread_mutex_destroy(&board->lock);
	free(board);
}

void cs_board_set(struct cs_board *board, const struct cs_board_state *state)
{
	pthread_mutex_lock(&board->lock);
	board->state = *state;
	pthread_mutex_unlock(&board->lock);
}

struct cs_board_state cs_board_get(struct cs_board *board)
{
	struct cs_board_state state;

	pthread_mutex_lock(&board->lock);
	state = board->state;
	pthread_mutex_unlock(&board->lock);
	return state;
}

static const struct account {
	const char *name;
	bool loss;
} accounts[] = {
#define X(name, id, loss, text) [id] = {#name, loss},
	CS_COUNTER(X)
#undef X
};

/* Losses by reason, or all other accounts. */
static void tell_accounts(const struct cs_board_state *state, bool losses, cs_figure_fn *fn,
			  void *ctx)
{
	for (size_t i = 0; i < ARRAY_SIZE(accounts); i++) {
		char name[64] = "";
		const struct cs_figure_label label = {losses ? "reason" : "account", name};

		if (accounts[i].loss != losses)
			continue;
		for (size_t k = 0; accounts[i].name[k] && k + 1 < sizeof(name); k++)
			name[k] = (char)tolower((unsigned char)accounts[i].name[k]);
		fn(ctx,
		   &(struct cs_figure){
			   .name = losses ? "coroscope_lost_total" : "coroscope_account_total",
			   .help = losses ? "what was not seen, by reason (include/coroscope/status.h)"
					  : "what was seen (include/coroscope/status.h)",
			   .counter = true,
			   .labels = &label,
			   .nlabels = 1,
			   .value = (double)state->counters[i],
		   });
	}
}

void cs_board_figures(void *source, cs_figure_fn *fn, void *ctx)
{
	const struct cs_board_state state = cs_board_get(source);
	const struct cs_figure figures[] = {
		{"coroscope_start_timestamp_seconds", "when the agent began",
		 .value = (double)state.started_realtime_ns / 1e9},
		{"coroscope_profiles_total", "periods that became a profile", true,
		 .value = (double)state.profiles},
		{"coroscope_last_profile_timestamp_seconds", "when the last one ended; 0: none yet",
		 .value = (double)state.last_profile_realtime_ns / 1e9},
		{"coroscope_processes", "watched processes", .value = state.processes},
		{"coroscope_rate_hertz", "samples a second of each CPU, as budgets allow",
		 .value = state.rate_hz},
		{"coroscope_cpu_share", "of the machine that the agent used in the last 10 s",
		 .value = state.cpu_share},
		{"coroscope_kernel_cpu_share", "of it, by its programs in the kernel",
		 .value = state.kernel_cpu_share},
		{"coroscope_cpu_budget_share", "that it may use", .value = state.cpu_budget},
		{"coroscope_memory_bytes", "resident", .value = state.memory_bytes},
		{"coroscope_memory_budget_bytes", "that it may use", .value = state.memory_budget},
	};

	for (size_t i = 0; i < ARRAY_SIZE(figures); i++)
		fn(ctx, &figures[i]);
	tell_accounts(&state, false, fn, ctx);
	tell_accounts(&state, true, fn, ctx);
}
