/* SPDX-License-Identifier: Apache-2.0 */
/* How the agent and whoever started it talk. Source: sd_notify(3), sd_watchdog_enabled(3). */
#include "agent/service.h"

#include <inttypes.h>
#include <signal.h>
#include <stddef.h>
#include <stdint.h>
#include <systemd/sd-daemon.h>

#include "collect/record.h"

static volatile sig_atomic_t ending, reload;

static void on_end(int sig)
{
	ending = 1;
}

static void on_reload(int sig)
{
	reload = 1;
}

void cs_service_catch_signals(void)
{
	const struct sigaction end = {.sa_handler = on_end, .sa_flags = (int)SA_RESETHAND};
	const struct sigaction again = {.sa_handler = on_reload};

	sigaction(SIGINT, &end, NULL);
	sigaction(SIGTERM, &end, NULL);
	sigaction(SIGHUP, &again, NULL);
	signal(SIGPIPE, SIG_IGN);
}

bool cs_service_asked_to_end(void)
{
	return ending;
}

bool cs_service_asked_to_reload(void)
{
	bool asked = reload;

	reload = 0;
	return asked;
}

void cs_service_tell(enum cs_service_state state)
{
	if (state == CS_SERVICE_READY)
		sd_notify(0, "READY=1");
	else if (state == CS_SERVICE_STOPPING)
		sd_notify(0, "STOPPING=1");
	else
		sd_notifyf(0, "RELOADING=1\nMONOTONIC_USEC=%" PRIu64, cs_now_ns() / 1000);
}

void cs_service_turn(void)
{
	static uint64_t told_ns, every_ns = UINT64_MAX;
	uint64_t now = cs_now_ns(), usec;

	if (every_ns == UINT64_MAX)
		every_ns = sd_watchdog_enabled(0, &usec) > 0 ? usec * 1000 / 2 : 0;
	if (!every_ns || now - told_ns < every_ns)
		return;
	told_ns = now;
	sd_notify(0, "WATCHDOG=1");
}
