/* SPDX-License-Identifier: Apache-2.0 */
/* The agent's end of cli/agent_request.h: who may ask, and what has come so far. Nothing here waits, unless it is told to. */
#pragma once

#include <stddef.h>
#include <sys/socket.h>

#include "cli/agent_request.h"

/*
 * Listen there, for root alone: in a folder of our own (made, 0700, if it is not there), on a socket that only its owner may write to. One that a
 * dead agent has left is replaced. Returns the socket, or -EADDRINUSE: somebody answers there, or another -errno; it is said.
 */
int cs_ondemand_listen(const char *path);

/* Whoever has come, and who that is. Returns a socket that does not wait, -EAGAIN: nobody, or another -errno. */
int cs_ondemand_accept(int listener, struct ucred *ret);

/* What one guest has sent. */
struct cs_ondemand_inbox {
	char bytes[CS_AGENT_REQUEST];
	size_t len;
	int output; /* owned; -1: none yet */
};

/*
 * Take what has come. Returns 0: the line is whole (its end is not in len any more), and so is the output; -EAGAIN: more is to come; -ECONNRESET: the guest is
 * gone; -EBADMSG: that is no request.
 */
int cs_ondemand_receive(int guest, struct cs_ondemand_inbox *inbox);

/* Answer, with lines of text, waiting for at most so long; whoever does not listen is left alone. */
void cs_ondemand_answer(int guest, int code, const char *text, uint64_t within_ns);
