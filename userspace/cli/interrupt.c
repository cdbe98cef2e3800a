/* SPDX-License-Identifier: Apache-2.0 */
/* Signals that ask for the end. */
#include "cli/interrupt.h"

#include <stddef.h>

volatile sig_atomic_t cs_interrupted;

static void on_signal(int sig)
{
	cs_interrupted = sig;
}

void cs_interrupt_catch(bool second_ends)
{
	const struct sigaction action = {
		.sa_handler = on_signal,
		.sa_flags = second_ends ? (int)SA_RESETHAND : 0,
	};

	sigaction(SIGINT, &action, NULL);
	sigaction(SIGTERM, &action, NULL);
	sigaction(SIGHUP, &action, NULL);
}
