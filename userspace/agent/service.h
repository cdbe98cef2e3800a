/* SPDX-License-Identifier: Apache-2.0 */
/* How whoever started the agent talks to it (signals), and it to them (sd_notify; without systemd nobody listens). */
#pragma once

#include <stdbool.h>

void cs_service_catch_signals(void);

/* SIGTERM or SIGINT has come. A second one ends the process at once. */
bool cs_service_asked_to_end(void);

/* SIGHUP has come since the last time. */
bool cs_service_asked_to_reload(void);

enum cs_service_state { CS_SERVICE_READY, CS_SERVICE_RELOADING, CS_SERVICE_STOPPING };
void cs_service_tell(enum cs_service_state state);

/* Often: the watchdog, if there is one, hears of it in time. */
void cs_service_turn(void);
