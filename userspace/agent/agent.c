/* SPDX-License-Identifier: Apache-2.0 */
/*
 * coroscope agent: a capture without an end, cut into periods, each a profile that couriers bring to their destinations; within budgets, and
 * under a supervisor's eyes. One thread captures; each destination has one of its own.
 */
#include <errno.h>
#include <inttypes.h>
#include <malloc.h>
#include <stdio.h>
#include <string.h>
#include <sys/param.h>
#include <time.h>
#include <unistd.h>

#include "agent/budget.h"
#include "agent/capture.h"
#include "agent/dispatch.h"
#include "agent/figures.h"
#include "agent/ondemand.h"
#include "agent/options.h"
#include "agent/privilege.h"
#include "agent/service.h"
#include "agent/usage.h"
#include "cli/attach.h"
#include "cli/check.h"
#include "cli/cli.h"
#include "collect/record.h"
#include "core/cleanup.h"
#include "core/log.h"
#include "serve/serve.h"

#define SECOND          1000000000ull
/* When the configuration changes, what was under way to a former destination has so long. */
#define RELOAD_FLUSH_NS (2 * SECOND)

struct agent {
	int argc;
	char **argv;
	struct cs_command command;
	struct cs_dispatch *dispatch;
	struct cs_capture *capture;
	struct cs_usage *usage;
	struct cs_budget budget;
	char reason[256]; /* why rates are lower than asked for */
	struct cs_figures figures;
	struct cs_serve *serve; /* NULL: it does not listen */
	struct cs_listen listen;
	struct cs_ondemand *ondemand;     /* NULL: nobody may ask */
	uint64_t former[CS_COUNTER_MAX_]; /* accounts of captures that ended */
	uint64_t ticks, looks;            /* up to the last window: CPU samples, everything else */
	uint64_t period_end_ns, told_ns;
	bool over; /* it was said that a budget cannot be kept */
};

static uint64_t realtime_ns(void)
{
	struct timespec now;

	clock_gettime(CLOCK_REALTIME, &now);
	return (uint64_t)now.tv_sec * SECOND + (uint64_t)now.tv_nsec;
}

static double rate_now(const struct agent *agent)
{
	return (double)agent->command.config->rate_hz / cs_budget_ease(&agent->budget).clock;
}

static double asleep_rate_now(const struct agent *agent)
{
	return (double)agent->command.config->rate_hz / cs_budget_ease(&agent->budget).asleep;
}

/* Both, as people read them: "6.1 Hz" or "6.1 Hz, of what sleeps 0.38 Hz". */
static const char *rates_now(const struct agent *agent, char text[static 64])
{
	double asleep = asleep_rate_now(agent);
	size_t len = (size_t)snprintf(text, 64, "%.1f Hz", rate_now(agent));

	if (!agent->budget.only_clock && asleep < rate_now(agent))
		snprintf(text + len, 64 - len, ", of what sleeps %.*f Hz", asleep < 1 ? 2 : 1,
			 asleep);
	return text;
}

static int tell_metrics(void *ctx, struct cs_metrics *metrics)
{
	const struct agent *agent = ctx;
	int err = cs_figures_tell(&agent->figures, metrics);

	return err ? err : cs_dispatch_tell(agent->dispatch, metrics);
}

/* A sign of life, and the figures of now. */
static void publish(struct agent *agent, const char *why_not)
{
	const struct cs_session *session = cs_capture_session(agent->capture);
	const struct cs_config *config = agent->command.config;
	struct cs_figures *figures = &agent->figures;
	uint64_t counters[CS_COUNTER_MAX_];

	agent->told_ns = cs_now_ns();
	if (!agent->serve)
		return;
	/* a tick that was thought to be missing may still come; what counts must not go back */
	if (!cs_session_counters(session, counters))
		for (int i = 0; i < CS_COUNTER_MAX_; i++)
			figures->counters[i] =
				MAX(figures->counters[i], agent->former[i] + counters[i]);
	figures->npopulation = cs_session_population(session, figures->population);
	figures->probes = cs_session_probes(session);
	figures->rate_hz = rate_now(agent);
	figures->asleep_hz = agent->budget.only_clock ? 0 : asleep_rate_now(agent);
	figures->cpu_budget = config->cpu_share;
	figures->memory_budget = (double)config->memory_bytes;
	if (cs_serve_publish(agent->serve, why_not))
		cs_err("no metrics: out of memory");
}

/* Begin to answer there. Returns 0 or -errno, which is said. */
static int listen_at(struct agent *agent, const struct cs_listen *at)
{
	const struct cs_serve_options options = {.address = agent->listen.address,
						 .port = at->port,
						 .rows = tell_metrics,
						 .ctx = agent};
	int err;

	agent->listen = *at;
	err = *at->address ? cs_serve_new(&options, &agent->serve) : 0;
	if (err)
		cs_err("cannot answer on %s port %u (--listen): %s", at->address, at->port,
		       strerror(-err));
	else if (agent->serve)
		cs_info("answers on %s port %u: /healthz, /readyz, /metrics", at->address,
			cs_serve_port(agent->serve));
	return err;
}

/* Answer there instead: the old place must be free first, as both may share a port. If there it cannot be, all stays as it was. */
static void listen_elsewhere(struct agent *agent, const struct cs_listen *at)
{
	const struct cs_listen old = agent->listen;

	cs_serve_free(TAKE_PTR(agent->serve));
	if (listen_at(agent, at))
		listen_at(agent, &old);
	publish(agent, NULL);
}

static bool profiles(void *ctx, pid_t pid)
{
	const struct agent *agent = ctx;

	return cs_session_watches(cs_capture_session(agent->capture), pid);
}

/* Whoever asks there for captures gets them; path NULL: nobody. Returns 0 or -errno, which is said. */
static int heed_guests_at(struct agent *agent, const char *path)
{
	const struct cs_ondemand_options options = {
		.path = path, .profiles = profiles, .ctx = agent};

	return path ? cs_ondemand_new(&options, &agent->ondemand) : 0;
}

/* As listen_elsewhere. */
static void heed_guests_elsewhere(struct agent *agent, const char *path)
{
	const char *old = agent->command.config->socket;

	if (path == old || (path && old && !strcmp(path, old)))
		return;
	cs_ondemand_free(TAKE_PTR(agent->ondemand));
	if (heed_guests_at(agent, path))
		heed_guests_at(agent, old);
}

/* What the profile's reader should know of how it was made. */
static int note_ease(const struct agent *agent, struct cs_profile *profile)
{
	char note[400], rates[64];

	if (!agent->budget.step)
		return 0;
	snprintf(note, sizeof(note), "sampled at %s instead of %" PRIu32 ": %s",
		 rates_now(agent, rates), agent->command.config->rate_hz, agent->reason);
	return cs_profile_note(profile, note);
}

/* To all who get it. Taken over. */
static void hand_out(struct agent *agent, struct cs_profile *profile)
{
	struct cs_shared_profile *shared = cs_shared_profile_new(profile);

	if (!shared) {
		cs_err("a profile is lost: out of memory");
		return;
	}
	cs_ondemand_put(agent->ondemand, shared);
	cs_dispatch_put(agent->dispatch, shared);
	cs_shared_profile_unref(shared);
}

/* cut: what ends it before its time, NULL: nothing. Returns 0 or -errno: it cannot go on. */
static int end_period(struct agent *agent, const char *cut)
{
	_cleanup_(cs_profile_freep) struct cs_profile *profile = NULL;
	int err = cs_capture_end_period(agent->capture, &profile);

	if (!err)
		err = note_ease(agent, profile);
	if (!err)
		err = cs_filter_apply(&agent->command.config->only, profile);
	if (!err)
		err = cs_ondemand_tell_end(agent->ondemand, cut, profile);
	if (err)
		return err;
	cs_debug("a profile of %.1f s: %zu samples",
		 (double)cs_profile_meta(profile)->duration_ns / 1e9, cs_profile_nsamples(profile));
	agent->figures.profiles++;
	agent->figures.last_profile_realtime_ns = realtime_ns();
	/* a change of the rate may leave next to nothing of a period */
	if (cs_profile_nsamples(profile) || cs_profile_meta(profile)->duration_ns >= SECOND ||
	    cs_ondemand_runs(agent->ondemand))
		hand_out(agent, TAKE_PTR(profile));
	return 0;
}

static int begin_period(struct agent *agent)
{
	const struct cs_agent_request *asked = cs_ondemand_begin(agent->ondemand);

	agent->period_end_ns =
		cs_now_ns() + (asked ? asked->duration_ns : agent->command.config->period_ns);
	return cs_capture_begin_period(agent->capture, cs_budget_ease(&agent->budget), asked);
}

/* One rate a profile: with another one, another profile begins. */
static int change_rate(struct agent *agent, const struct cs_budget *budget, const char *what,
		       const struct cs_used *used)
{
	int err = end_period(agent, "its rate was too high for the agent's budgets");
	char rates[64];

	agent->budget = *budget;
	snprintf(
		agent->reason, sizeof(agent->reason),
		"the agent used %.2f%% of the machine (%.2f%% in the kernel) and %.0f MB; its budgets are %.2f%% and %.0f MB",
		budget->judged * 100, used->kernel_cpu_share * 100,
		(double)used->memory_bytes / (1 << 20), budget->cpu_share * 100,
		(double)budget->memory_bytes / (1 << 20));
	cs_info("rate %s to %s: %s", what, rates_now(agent, rates), agent->reason);
	return err ? err : begin_period(agent);
}

/* Of what was looked at in a window, the part that the clock brought. It follows from how many there were; what one costs is much the same. */
static double clock_part(struct agent *agent)
{
	uint64_t counters[CS_COUNTER_MAX_], ticks, looks;
	double new_ticks, new_looks;

	if (cs_session_counters(cs_capture_session(agent->capture), counters))
		return 1;
	ticks = counters[CS_COUNTER_SAMPLES];
	looks = counters[CS_COUNTER_WALL_THREADS] + counters[CS_COUNTER_TASKS] +
		counters[CS_COUNTER_CREATES];
	/* another capture counts from the beginning */
	new_ticks = (double)(ticks < agent->ticks ? ticks : ticks - agent->ticks);
	new_looks = (double)(looks < agent->looks ? looks : looks - agent->looks);
	agent->ticks = ticks;
	agent->looks = looks;
	return new_looks > 0 ? new_ticks / (new_ticks + new_looks) : 1;
}

/* After a window. Returns 0 or -errno: it cannot go on. */
static int keep_budget(struct agent *agent)
{
	struct cs_used used = cs_usage_take(agent->usage);
	const struct cs_use use = {
		.cpu_share = used.cpu_share,
		.clock_part = clock_part(agent),
		.memory_bytes = used.memory_bytes,
	};
	struct cs_budget budget = agent->budget;
	enum cs_budget_verdict verdict = cs_budget_judge(&budget, &use);

	agent->figures.cpu_share = used.cpu_share;
	agent->figures.kernel_cpu_share = used.kernel_cpu_share;
	agent->figures.memory_bytes = (double)used.memory_bytes;
	cs_debug("used %.2f%% of the machine, %.2f%% of it in the kernel's programs, and %.1f MB",
		 used.cpu_share * 100, used.kernel_cpu_share * 100,
		 (double)used.memory_bytes / (1 << 20));
	if (verdict == CS_BUDGET_OVER && !agent->over)
		cs_warn("the rate is as low as it can be, and still a budget is exceeded: the agent uses %.2f%% of the machine and %.0f MB",
			budget.judged * 100, (double)used.memory_bytes / (1 << 20));
	agent->over = verdict == CS_BUDGET_OVER;
	/* a higher rate can wait for the end of a capture that was asked for */
	if (verdict == CS_BUDGET_RAISE && cs_ondemand_runs(agent->ondemand))
		return 0;
	if (budget.step != agent->budget.step)
		return change_rate(agent, &budget,
				   verdict == CS_BUDGET_RAISE ? "raised" : "lowered", &used);
	agent->budget = budget;
	return 0;
}

static void heed_config(struct agent *agent)
{
	const struct cs_config *config = agent->command.config;

	cs_log_set_json(config->log_json);
	cs_log_set_level(config->log_level);
	agent->budget.cpu_share = config->cpu_share;
	agent->budget.memory_bytes = config->memory_bytes;
	agent->budget.only_clock =
		config->mode == CS_MODE_CPU || config->no_idle || config->only_gil;
}

/* Another capture in place of the one that runs, which goes on if there cannot be another. Returns 0 or -errno: it cannot go on. */
static int change_capture(struct agent *agent, struct cs_command *command)
{
	struct cs_capture *capture;
	uint64_t counters[CS_COUNTER_MAX_];
	int err;

	if (cs_capture_new(command->config, &capture) != CS_EXIT_OK)
		return -ECANCELED;
	err = end_period(agent, "the agent's configuration was read again");
	if (!cs_session_counters(cs_capture_session(agent->capture), counters))
		for (int i = 0; i < CS_COUNTER_MAX_; i++)
			agent->former[i] += counters[i];
	cs_capture_free(agent->capture);
	agent->capture = capture;
	agent->budget.step = 0;
	agent->budget.windows = 0;
	agent->period_end_ns = cs_now_ns() + command->config->period_ns;
	cs_usage_restart(agent->usage);
	return err;
}

/* Other destinations in place of those that are. */
static int change_destinations(struct agent *agent, const struct cs_command *command)
{
	const struct cs_config *config = agent->command.config;
	int err;

	cs_dispatch_end(agent->dispatch, RELOAD_FLUSH_NS);
	err = cs_dispatch_begin(agent->dispatch, command->config->to);
	if (err && cs_dispatch_begin(agent->dispatch, config->to))
		cs_err("nothing is delivered until the configuration is read again");
	return err ? -ECANCELED : 0;
}

/* Take over what has changed; -ECANCELED: the old configuration stays. */
static int change_to(struct agent *agent, struct cs_command *command)
{
	const struct cs_settings *old = agent->command.settings, *new = command->settings;
	bool destinations = cs_settings_differ(old, new, CS_OF_DESTINATION);
	int err = 0;

	if (destinations)
		err = change_destinations(agent, command);
	if (!err && cs_settings_differ(old, new, CS_OF_CAPTURE))
		err = change_capture(agent, command);
	if (!err && cs_settings_differ(old, new, CS_OF_LISTEN)) {
		listen_elsewhere(agent, &command->config->listen);
		heed_guests_elsewhere(agent, command->config->socket);
	}
	if (err == -ECANCELED && destinations)
		change_destinations(agent, &agent->command);
	return err;
}

static void take_over(struct agent *agent, struct cs_command *command)
{
	const struct cs_command old = agent->command;
	struct cs_destinations *to = command->config->to;

	/* couriers that were not changed know the old ones */
	if (!cs_settings_differ(old.settings, command->settings, CS_OF_DESTINATION)) {
		command->config->to = old.config->to;
		old.config->to = to;
	}
	agent->command = *command;
	*command = old;
	heed_config(agent);
	if (!cs_ondemand_runs(agent->ondemand))
		agent->period_end_ns =
			MIN(agent->period_end_ns, cs_now_ns() + agent->command.config->period_ns);
	cs_info("the configuration was read again");
}

/* Returns 0 or -errno: it cannot go on. */
static int reload(struct agent *agent)
{
	_cleanup_(cs_command_free) struct cs_command command = {0};
	struct cs_why why = {""};
	int err;

	cs_service_tell(CS_SERVICE_RELOADING);
	err = cs_command_read(&command, agent->argc, agent->argv, &why);
	if (err) {
		cs_err("the configuration stays as it was: %s",
		       err == -EINVAL ? why.text : strerror(-err));
		err = 0;
	} else {
		err = change_to(agent, &command);
		if (!err)
			take_over(agent, &command);
	}
	cs_service_tell(CS_SERVICE_READY);
	return err == -ECANCELED ? 0 : err;
}

/* A capture that was asked for ends when its guest, or its time, says so. */
static bool is_period_over(struct agent *agent)
{
	if (cs_ondemand_turn(agent->ondemand))
		return true;
	return !cs_ondemand_runs(agent->ondemand) && cs_now_ns() >= agent->period_end_ns;
}

/* Everything that is due after a turn. Returns 0 or -errno: it cannot go on. */
static int attend(struct agent *agent)
{
	int err = 0;

	cs_service_turn();
	if (cs_service_asked_to_reload())
		err = reload(agent);
	if (!err && cs_usage_turn(agent->usage, cs_capture_session(agent->capture))) {
		/* what a profile and its deliveries took is given back, and not judged */
		malloc_trim(0);
		err = keep_budget(agent);
	}
	if (!err && is_period_over(agent)) {
		err = end_period(agent, NULL);
		if (!err)
			err = begin_period(agent);
	}
	if (cs_now_ns() - agent->told_ns >= SECOND)
		publish(agent, NULL);
	return err;
}

static int run(struct agent *agent)
{
	int err = 0;

	agent->period_end_ns = cs_now_ns() + agent->command.config->period_ns;
	cs_usage_restart(agent->usage);
	cs_service_tell(CS_SERVICE_READY);
	cs_info("profiles at %.0f Hz, a profile every %.0f s to %zu destination%s", rate_now(agent),
		(double)agent->command.config->period_ns / 1e9, agent->command.config->to->n,
		agent->command.config->to->n == 1 ? "" : "s");
	while (!err && !cs_service_asked_to_end()) {
		err = cs_capture_turn(agent->capture);
		if (!err)
			err = attend(agent);
	}
	cs_service_tell(CS_SERVICE_STOPPING);
	publish(agent, "ending");
	if (!err)
		err = end_period(agent, "the agent ended");
	if (err)
		cs_err("cannot go on: %s", strerror(-err));
	cs_capture_free(TAKE_PTR(agent->capture));
	cs_dispatch_end(agent->dispatch, agent->command.config->flush_ns);
	return err ? CS_EXIT_FAILURE : CS_EXIT_OK;
}

/* What this machine, or a capability that was not given, costs: one warning each. Returns 0 or -ENOMEM. */
static int tell_missing(void)
{
	static const char missing[] = "MISSING ";
	_cleanup_free_ char *text = NULL;
	struct cs_check_host host;
	char *line, *rest;
	size_t len;
	FILE *out = open_memstream(&text, &len);

	if (!out)
		return -ENOMEM;
	cs_check_host_ask(&host);
	cs_check_report_host(&host, out);
	if (fclose(out))
		return -ENOMEM;
	for (line = strtok_r(text, "\n", &rest); line; line = strtok_r(NULL, "\n", &rest))
		if (!strncmp(line, missing, strlen(missing)))
			cs_warn("%s", line + strlen(missing));
	return 0;
}

static int begin(struct agent *agent)
{
	const struct cs_config *config = agent->command.config;

	if (!cs_attach_possible())
		return CS_EXIT_FAILURE;
	if (!config->to->n)
		cs_warn("no destination: nothing is delivered (--to KIND=WHERE)");
	if (cs_dispatch_new(&agent->dispatch) || cs_usage_new(&agent->usage)) {
		cs_err("out of memory");
		return CS_EXIT_FAILURE;
	}
	agent->figures.started_realtime_ns = realtime_ns();
	heed_config(agent);
	cs_service_catch_signals();
	/* threads that deliver are many and mostly wait: each with a heap of its own would keep what its largest parcel took */
	mallopt(M_ARENA_MAX, 1);
	if (tell_missing() || cs_privilege_drop())
		return CS_EXIT_FAILURE;
	if (listen_at(agent, &config->listen) || cs_dispatch_begin(agent->dispatch, config->to))
		return CS_EXIT_FAILURE;
	/* without a place to ask at it is still an agent; two at one place are a mistake */
	if (heed_guests_at(agent, config->socket) == -EADDRINUSE)
		return CS_EXIT_FAILURE;
	return cs_capture_new(config, &agent->capture);
}

static void agent_free(struct agent *agent)
{
	cs_serve_free(agent->serve);
	cs_ondemand_free(agent->ondemand);
	cs_capture_free(agent->capture);
	cs_dispatch_free(agent->dispatch);
	cs_usage_free(agent->usage);
	cs_command_free(&agent->command);
}

int cs_cli_agent(int argc, char **argv)
{
	_cleanup_(agent_free) struct agent agent = {.argc = argc, .argv = argv};
	struct cs_why why = {""};
	int err = cs_command_read(&agent.command, argc, argv, &why), code;

	if (err) {
		cs_err("%s", err == -EINVAL ? why.text : strerror(-err));
		return err == -EINVAL ? CS_EXIT_USAGE : CS_EXIT_FAILURE;
	}
	if (agent.command.print) {
		cs_settings_print(agent.command.settings, stdout);
		return CS_EXIT_OK;
	}
	code = begin(&agent);
	return code == CS_EXIT_OK ? run(&agent) : code;
}
