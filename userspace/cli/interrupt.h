/* SPDX-License-Identifier: Apache-2.0 */
/* Ctrl-C: what is under way ends well. */
#pragma once

#include <signal.h>
#include <stdbool.h>

/* The signal that asked for the end; 0: none did. */
extern volatile sig_atomic_t cs_interrupted;

/* From here on SIGINT, SIGTERM and SIGHUP are told so. second_ends: another one of the same ends the command at once. */
void cs_interrupt_catch(bool second_ends);
