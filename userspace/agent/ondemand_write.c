/* SPDX-License-Identifier: Apache-2.0 */
/* The profile that was asked for, as far as it was asked for, into the guest's file. */
#include "agent/ondemand_write.h"

#include <errno.h>
#include <pthread.h>
#include <stdatomic.h>
#include <stdio.h>
#include <stdlib.h>
#include <string.h>

#include "agent/ondemand_socket.h"
#include "cli/cli.h"
#include "cli/filter.h"
#include "cli/output.h"
#include "collect/record.h"
#include "core/cleanup.h"
#include "core/log.h"
#include "core/thread.h"

#define ANSWER_NS 5000000000ull

struct cs_ondemand_write {
	struct cs_agent_request request;
	struct cs_shared_profile *profile; /* owned, as the descriptors */
	int guest, output;
	pthread_t thread;
	atomic_bool over;
};

static void release(struct cs_ondemand_write *write)
{
	cs_shared_profile_unref(write->profile);
	cs_cleanup_close(&write->guest);
	cs_cleanup_close(&write->output);
	free(write);
}

/* What was asked for, if that is not the whole profile as it is: *ret stays NULL then. Returns 0 or -ENOMEM. */
static int choose(const struct cs_ondemand_write *write, struct cs_profile **ret)
{
	const struct cs_profile *profile = cs_shared_profile_get(write->profile);
	const struct cs_agent_request *request = &write->request;
	struct cs_filter filter = {
		.task = *request->task ? request->task : NULL,
		.endpoint = *request->endpoint ? request->endpoint : NULL,
		.thread = *request->thread ? request->thread : NULL,
		.span = request->span,
		.pids = request->pids,
		.npids = request->npids,
	};
	int err;

	memcpy(filter.trace, request->trace, sizeof(filter.trace));
	for (size_t i = 0; i < ARRAY_SIZE(filter.whose); i++)
		filter.whose[i] = *request->whose[i] ? request->whose[i] : NULL;
	if (!cs_filter_is_asked(&filter) && !request->first_lines &&
	    request->tree == cs_profile_meta(profile)->tree)
		return 0;
	err = cs_filter_copy(&filter, profile, request->tree, request->first_lines, ret);
	if (!err && filter.npids)
		err = cs_profile_note(*ret,
				      "due ticks and passes are of all that the agent profiles");
	return err;
}

/* Returns 0 or -errno; out then has the account. */
static int make(const struct cs_ondemand_write *write, struct cs_buf *bytes, struct cs_buf *account)
{
	_cleanup_(cs_profile_freep) struct cs_profile *chosen = NULL;
	const struct cs_profile *profile = cs_shared_profile_get(write->profile);
	int err = choose(write, &chosen);

	if (chosen)
		profile = chosen;
	if (!err)
		err = write->request.exporter->write(profile, bytes);
	if (!err)
		err = cs_output_account(profile, account);
	return err ? err : cs_buf_append(account, "", 1);
}

static void answer_failure(const struct cs_ondemand_write *write, const char *what, int err)
{
	char text[256];

	snprintf(text, sizeof(text), "cannot %s: %s\n", what, strerror(-err));
	cs_warn("a capture on demand fails: %s", strerror(-err));
	cs_ondemand_answer(write->guest, CS_EXIT_FAILURE, text, ANSWER_NS);
}

static void *run(void *arg)
{
	_cleanup_buf_ struct cs_buf bytes = {0}, account = {0};
	struct cs_ondemand_write *write = arg;
	int err = make(write, &bytes, &account);

	if (err) {
		answer_failure(write, "make the profile", err);
	} else {
		err = cs_output_write_fd(write->output, true, &bytes);
		if (err)
			answer_failure(write, "write the output", err);
		else
			cs_ondemand_answer(write->guest, CS_EXIT_OK, account.data, ANSWER_NS);
	}
	/* in this order: a guest that has heard all may ask again at once */
	atomic_store(&write->over, true);
	shutdown(write->guest, SHUT_WR);
	return NULL;
}

int cs_ondemand_write_new(const struct cs_agent_request *request, struct cs_shared_profile *profile,
			  int guest, int output, struct cs_ondemand_write **ret)
{
	struct cs_ondemand_write *write = calloc(1, sizeof(*write));
	int err;

	if (!write) {
		cs_cleanup_close(&guest);
		cs_cleanup_close(&output);
		return -ENOMEM;
	}
	write->request = *request;
	write->profile = cs_shared_profile_ref(profile);
	write->guest = guest;
	write->output = output;
	err = cs_thread_start(&write->thread, run, write);
	if (err)
		release(write);
	else
		*ret = write;
	return err;
}

bool cs_ondemand_write_is_over(struct cs_ondemand_write *write)
{
	return atomic_load(&write->over);
}

void cs_ondemand_write_free(struct cs_ondemand_write *write, uint64_t within_ns)
{
	uint64_t deadline_ns = cs_now_ns() + within_ns;
	const struct timespec deadline = {(time_t)(deadline_ns / 1000000000u),
					  (long)(deadline_ns % 1000000000u)};

	if (!write)
		return;
	if (pthread_clockjoin_np(write->thread, NULL, CLOCK_MONOTONIC, &deadline)) {
		pthread_detach(write->thread);
		cs_warn("the output of a capture on demand cannot be written: its file system does not answer");
		return;
	}
	release(write);
}
