/* SPDX-License-Identifier: Apache-2.0 */
/*
 * One guest after the other: comes, asks (READING), waits for the period to end that runs (ASKED), is captured for (RUNNING), gets the file
 * (WRITING). Others meanwhile hear that we are busy.
 */
#include "agent/ondemand.h"

#include <errno.h>
#include <poll.h>
#include <stdio.h>
#include <stdlib.h>
#include <string.h>
#include <unistd.h>

#include "agent/ondemand_socket.h"
#include "agent/ondemand_write.h"
#include "cli/cli.h"
#include "collect/record.h"
#include "core/cleanup.h"
#include "core/log.h"
#include "decode/decode.h"

#define SECOND     1000000000ull
#define REQUEST_NS (5 * SECOND)
#define LINGER_NS  (2 * SECOND)
/* Of one turn. */
#define MAX_GUESTS 4

enum state { FREE, READING, ASKED, RUNNING, WRITING };

struct cs_ondemand {
	struct cs_ondemand_options options;
	char *path; /* owned */
	int listener;
	enum state state;
	int guest; /* owned; -1: none */
	pid_t guest_pid;
	uint64_t deadline_ns; /* of what the state waits for */
	uint64_t looked_ns;   /* whether processes are still there */
	struct cs_ondemand_inbox inbox;
	struct cs_agent_request request;
	bool over; /* RUNNING: the guest has enough */
	enum cs_end_reason reason;
	struct cs_ondemand_write *write; /* WRITING; owned */
};

int cs_ondemand_new(const struct cs_ondemand_options *options, struct cs_ondemand **ret)
{
	struct cs_ondemand *o = calloc(1, sizeof(*o));

	if (!o)
		return -ENOMEM;
	o->options = *options;
	if (!o->options.request_ns)
		o->options.request_ns = REQUEST_NS;
	o->guest = o->inbox.output = -1;
	o->options.path = o->path = strdup(options->path);
	o->listener = o->path ? cs_ondemand_listen(o->path) : -ENOMEM;
	if (o->listener < 0) {
		int err = o->listener;

		free(o->path);
		free(o);
		return err;
	}
	*ret = o;
	return 0;
}

/* The guest is gone, or has its answer. */
static void part(struct cs_ondemand *o)
{
	cs_cleanup_close(&o->guest);
	cs_cleanup_close(&o->inbox.output);
	o->guest = o->inbox.output = -1;
	o->inbox.len = 0;
	o->state = FREE;
}

static void refuse(struct cs_ondemand *o, int code, const char *why)
{
	char line[320];

	snprintf(line, sizeof(line), "%s\n", why);
	cs_ondemand_answer(o->guest, code, line, 0);
	cs_warn("process %d asks for a capture and is refused: %s", o->guest_pid, why);
	part(o);
}

void cs_ondemand_free(struct cs_ondemand *o)
{
	if (!o)
		return;
	if (o->state == WRITING)
		cs_ondemand_write_free(o->write, LINGER_NS);
	else if (o->state != FREE)
		refuse(o, CS_EXIT_FAILURE, "the agent ends, or listens elsewhere now");
	unlink(o->path);
	close(o->listener);
	free(o->path);
	free(o);
}

static void send_away(int guest, const char *why, int code)
{
	cs_ondemand_answer(guest, code, why, 0);
	close(guest);
}

static void greet(struct cs_ondemand *o)
{
	struct ucred peer;

	for (int i = 0; i < MAX_GUESTS; i++) {
		int guest = cs_ondemand_accept(o->listener, &peer);

		if (guest < 0)
			return;
		if (peer.uid) {
			cs_warn("process %d of user %u asks for a capture: only root may", peer.pid,
				peer.uid);
			send_away(guest, "only root may ask for a capture\n", CS_EXIT_PERMISSION);
		} else if (o->state != FREE) {
			send_away(guest, "busy with another capture: try again later\n",
				  CS_EXIT_FAILURE);
		} else {
			o->guest = guest;
			o->guest_pid = peer.pid;
			o->deadline_ns = cs_now_ns() + o->options.request_ns;
			o->state = READING;
		}
	}
}

static bool is_there(pid_t pid)
{
	char path[32];

	snprintf(path, sizeof(path), "/proc/%d", pid);
	return !access(path, F_OK);
}

/* The first process that the agent does not profile, or 0. */
static pid_t find_stranger(const struct cs_ondemand *o)
{
	for (unsigned int i = 0; i < o->request.npids; i++)
		if (!is_there(o->request.pids[i]) ||
		    !o->options.profiles(o->options.ctx, o->request.pids[i]))
			return o->request.pids[i];
	return 0;
}

static void consider(struct cs_ondemand *o)
{
	struct cs_why why = {""};
	pid_t stranger;

	if (cs_agent_request_parse(o->inbox.bytes, o->inbox.len, &o->request, &why)) {
		refuse(o, CS_EXIT_FAILURE, why.text);
		return;
	}
	stranger = find_stranger(o);
	if (stranger) {
		snprintf(why.text, sizeof(why.text),
			 "process %d is not there, or not among those that this agent profiles",
			 stranger);
		refuse(o, CS_EXIT_NOTHING, why.text);
		return;
	}
	o->state = ASKED;
}

static void read_request(struct cs_ondemand *o)
{
	int err = cs_ondemand_receive(o->guest, &o->inbox);

	if (!err)
		consider(o);
	else if (err == -ECONNRESET)
		part(o);
	else if (err == -EBADMSG)
		refuse(o, CS_EXIT_FAILURE,
		       "no request: one line of JSON is, with a regular file open for writing");
	else if (cs_now_ns() >= o->deadline_ns)
		refuse(o, CS_EXIT_FAILURE, "no request has come in time");
}

static void end_early(struct cs_ondemand *o, enum cs_end_reason reason)
{
	o->over = true;
	o->reason = reason;
}

/* Those that were asked for: does one of them live? Once a second. */
static bool all_gone(struct cs_ondemand *o)
{
	uint64_t now = cs_now_ns();

	if (!o->request.npids || now - o->looked_ns < SECOND)
		return false;
	o->looked_ns = now;
	for (unsigned int i = 0; i < o->request.npids; i++)
		if (is_there(o->request.pids[i]))
			return false;
	return true;
}

static void watch(struct cs_ondemand *o)
{
	struct pollfd guest = {.fd = o->guest, .events = POLLIN | POLLRDHUP};

	if (o->over)
		return;
	if (o->guest < 0 || poll(&guest, 1, 0) < 0)
		guest.revents = 0;
	if (guest.revents & (POLLHUP | POLLERR) ||
	    (guest.revents & POLLIN && !(guest.revents & POLLRDHUP))) {
		/* it is gone, or says what it may not: nobody wants the profile but the destinations */
		cs_info("process %d does not wait for its capture any more", o->guest_pid);
		cs_cleanup_close(&o->guest);
		o->guest = -1;
		end_early(o, CS_END_INTERRUPTED);
	} else if (guest.revents & POLLRDHUP) {
		end_early(o, CS_END_INTERRUPTED);
	} else if (all_gone(o)) {
		end_early(o, CS_END_TARGETS_GONE);
	} else if (cs_now_ns() >= o->deadline_ns) {
		end_early(o, CS_END_DURATION);
	}
}

bool cs_ondemand_turn(struct cs_ondemand *o)
{
	if (!o)
		return false;
	if (o->state == WRITING && cs_ondemand_write_is_over(o->write)) {
		cs_ondemand_write_free(TAKE_PTR(o->write), LINGER_NS);
		o->state = FREE;
	}
	greet(o);
	if (o->state == READING)
		read_request(o);
	else if (o->state == RUNNING)
		watch(o);
	return o->state == ASKED || (o->state == RUNNING && o->over);
}

const struct cs_agent_request *cs_ondemand_begin(struct cs_ondemand *o)
{
	if (!o || o->state != ASKED)
		return NULL;
	o->state = RUNNING;
	o->over = false;
	o->reason = CS_END_DURATION;
	o->looked_ns = cs_now_ns();
	o->deadline_ns = o->looked_ns + o->request.duration_ns;
	cs_info("process %d asks for a capture of at most %.0f s", o->guest_pid,
		(double)o->request.duration_ns / 1e9);
	return &o->request;
}

bool cs_ondemand_runs(const struct cs_ondemand *o)
{
	return o && o->state == RUNNING;
}

int cs_ondemand_tell_end(const struct cs_ondemand *o, const char *cut, struct cs_profile *profile)
{
	char note[160];

	if (!cs_ondemand_runs(o))
		return 0;
	cs_profile_meta_mut(profile)->end_reason = o->reason;
	if (o->over || !cut)
		return 0;
	snprintf(note, sizeof(note), "the capture on demand ended early: %s", cut);
	return cs_profile_note(profile, note);
}

void cs_ondemand_put(struct cs_ondemand *o, struct cs_shared_profile *profile)
{
	int err;

	if (!cs_ondemand_runs(o))
		return;
	if (o->guest < 0) {
		part(o);
		return;
	}
	err = cs_ondemand_write_new(&o->request, profile, TAKE_FD(o->guest),
				    TAKE_FD(o->inbox.output), &o->write);
	if (err)
		cs_err("a capture on demand is lost: %s", strerror(-err));
	part(o);
	o->state = err ? FREE : WRITING;
}
