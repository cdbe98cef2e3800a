/* SPDX-License-Identifier: Apache-2.0 */
/* The command line of coroscope record. */
#include "cli/record_options.h"

#include <argp.h>
#include <stdio.h>
#include <stdlib.h>
#include <string.h>

#include "cli/agent_request.h"
#include "cli/cli.h"
#include "core/cleanup.h"
#include "core/log.h"

#define DEFAULT_RATE_HZ    99
#define DEFAULT_RING       ((size_t)4 << 20)
/* Shorter blocks are those of locks that are hardly held; the budget is some 3% of a CPU and 25 MB a second. */
#define DEFAULT_OFF_MIN    1000u
#define DEFAULT_OFF_BUDGET 20000u
#define MAX_OFF_BUDGET     1000000u
/* In off-CPU mode text formats count microseconds. */
#define OFF_INTERVAL_NS    1000u

enum {
	KEY_EXIT_STATUS = 0x100,
	KEY_RING_SIZE,
	KEY_NO_ITERATOR,
	KEY_COMM,
	KEY_USER,
	KEY_IDLE,
	KEY_NO_IDLE,
	KEY_ASYNC,
	KEY_SPAN_EVENTS,
	KEY_TASK_EVENTS,
	KEY_NATIVE,
	KEY_OFF_MIN,
	KEY_OFF_BUDGET,
	KEY_WAKERS,
	KEY_AGENT,
};

struct parsing {
	struct cs_record_options *options;
	const struct argp_option *not_agents; /* the first that no agent can heed; NULL: none */
};

static const struct argp_option argp_options[] = {
	{"pid", 'p', "PID[,PID...]", 0, "profile these processes", 1},
	{"all", 'a', NULL, 0, "profile every process", 1},
	{"subprocesses", 's', NULL, 0, "and their children, also those born later", 1},
	{"comm", KEY_COMM, "NAME", 0, "profile every process of this name (as in ps -o comm)", 1},
	{"user", KEY_USER, "USER", 0, "profile every process of this user", 1},
	{"cgroup", 'G', "PATH", 0, "profile every process in or below this cgroup (v2)", 1},
	{"mode", 'm', "cpu|wall|offcpu", 0,
	 "cpu: what runs; wall (default): also what sleeps, suspended tasks included; offcpu: every time that a thread is blocked, how long, where and why",
	 2},
	{"rate", 'r', "HZ", 0, "samples a second of each CPU, 1 to 10000 (default 99)", 2},
	{NULL, 'F', "HZ", 0, "the same, as in perf", 2},
	{"idle", KEY_IDLE, NULL, 0,
	 "sleeping threads and suspended tasks too (default of --mode wall)", 2},
	{"no-idle", KEY_NO_IDLE, NULL, 0, "only what runs or waits for a CPU", 2},
	{"async", KEY_ASYNC, "off|running|all", 0,
	 "asyncio's tasks: none; those that run; suspended ones too (default)", 2},
	{"span-events", KEY_SPAN_EVENTS, "off|auto|on", 0,
	 "when each span begins and ends, by a probe: not; as long as it costs a process no more than 1% of a CPU (default); always",
	 2},
	{"task-events", KEY_TASK_EVENTS, "off|auto|on", 0,
	 "who creates each task, by a probe: not; for part of the time if all the time would cost more than 1% of a CPU (default); always",
	 2},
	{"gil", 'g', NULL, 0, "only threads that hold the interpreter's lock", 2},
	{"native", KEY_NATIVE, "off|on", 0,
	 "native frames too, of what runs: whole stacks of programs without Python, and what Python functions called (default on)",
	 2},
	{"offcpu-min", KEY_OFF_MIN, "TIME", 0,
	 "--mode offcpu: blocks of at least this length: 1us (default), 500us, 10ms", 2},
	{"offcpu-budget", KEY_OFF_BUDGET, "N", 0,
	 "--mode offcpu: of more than so many blocks a second (default 20000) a share stands for all",
	 2},
	{"wakers", KEY_WAKERS, NULL, 0, "--mode offcpu: who ended each block, too", 2},
	{"duration", 'd', "TIME", 0,
	 "how long: 30, 30s, 5m (default: until Ctrl-C or the target's end)", 2},
	{"agent", KEY_AGENT, "SOCKET", OPTION_ARG_OPTIONAL,
	 "let the agent that runs here do it, in its mode and at its rate, of what it profiles (SOCKET: default " CS_AGENT_SOCKET
	 "): at most 10m, for root",
	 2},
	{"exit-status", KEY_EXIT_STATUS, NULL, 0, "exit with COMMAND's status", 4},
	{"quiet", 'q', NULL, 0, "only errors", 4},
	{"verbose", 'v', NULL, 0, "say more", 4},
	{"ring-size", KEY_RING_SIZE, "BYTES", 0, "of the kernel's ring buffer (default 4M)", 4},
	{"no-iterator", KEY_NO_ITERATOR, NULL, 0,
	 "read sleeping threads from user space, as on kernels before 5.18", 4},
	{0},
};

static enum cs_capture_mode parse_mode(const char *arg)
{
	if (strcmp(arg, "cpu") == 0)
		return CS_MODE_CPU;
	if (strcmp(arg, "wall") == 0)
		return CS_MODE_WALL;
	if (strcmp(arg, "offcpu") == 0)
		return CS_MODE_OFF_CPU;
	cs_usage_error("no mode '%s': cpu, wall or offcpu", arg);
}

static enum cs_async parse_async(const char *arg)
{
	static const char *const names[] = {
		[CS_ASYNC_ALL] = "all",
		[CS_ASYNC_RUNNING] = "running",
		[CS_ASYNC_OFF] = "off",
	};

	for (size_t i = 0; i < ARRAY_SIZE(names); i++) {
		if (!strcmp(arg, names[i]))
			return (enum cs_async)i;
	}
	cs_usage_error("no '--async %s': off, running or all", arg);
}

static enum cs_probing parse_probing(const char *option, const char *arg)
{
	int probing = cs_probing_by_name(arg);

	if (probing < 0)
		cs_usage_error("no '--%s %s': off, auto or on", option, arg);
	return (enum cs_probing)probing;
}

static uint64_t parse_budget(const char *arg)
{
	char *end;
	unsigned long n = strtoul(arg, &end, 10);

	if (*arg < '0' || *arg > '9' || *end || !n || n > MAX_OFF_BUDGET)
		cs_usage_error("--offcpu-budget: '%s' is not from 1 to %u", arg, MAX_OFF_BUDGET);
	return n;
}

static bool parse_native(const char *arg)
{
	if (strcmp(arg, "on") && strcmp(arg, "off"))
		cs_usage_error("no '--native %s': off or on", arg);
	return !strcmp(arg, "on");
}

static void check_off_cpu(struct cs_record_options *options)
{
	if (options->mode != CS_MODE_OFF_CPU) {
		if (options->off_min_ns || options->off_budget || options->off_wakers)
			cs_usage_error(
				"--offcpu-min, --offcpu-budget and --wakers are of --mode offcpu");
		return;
	}
	if (options->idle || options->no_idle || options->only_gil || options->view.slow_ns)
		cs_usage_error(
			"--mode offcpu: what runs is not seen: no --idle, --no-idle, --gil, --slow-callback");
	if (!options->off_min_ns)
		options->off_min_ns = DEFAULT_OFF_MIN;
	if (!options->off_budget)
		options->off_budget = DEFAULT_OFF_BUDGET;
}

/* The agent captures as it was told when it began. */
static void check_agent(const struct parsing *parsing)
{
	const struct argp_option *not_agents = parsing->not_agents;
	const struct cs_record_options *options = parsing->options;
	uint64_t ns = options->duration_ns;

	if (not_agents)
		cs_usage_error(
			"--agent: how and what it profiles is the agent's own option: no %s%s",
			not_agents->name ? "--" : "-",
			not_agents->name ? not_agents->name
					 : (const char[]){(char)not_agents->key, '\0'});
	if (options->command)
		cs_usage_error("--agent: it starts no COMMAND");
	if (options->view.slow_ns || options->view.unfold || options->view.inlines)
		cs_usage_error("--agent: no --slow-callback, --unfold and --inlines");
	if (options->all && options->npids)
		cs_usage_error("-p and -a contradict each other");
	if (ns && (ns < CS_AGENT_MIN_NS || ns > CS_AGENT_MAX_NS))
		cs_usage_error("--agent: -d is from 1s to 10m");
}

/* What contradicts itself is said, not guessed. */
static void check_options(const struct parsing *parsing)
{
	struct cs_record_options *options = parsing->options;
	bool chosen = cs_selection_given(&options->selection);

	if (options->agent) {
		check_agent(parsing);
		return;
	}
	if (!!options->npids + !!options->command + (options->all || chosen) != 1)
		cs_usage_error(
			"one of -p PID, -a, --comm, --user, --cgroup or -- COMMAND is needed");
	if (options->idle && options->no_idle)
		cs_usage_error("--idle and --no-idle contradict each other");
	if (options->idle && (options->mode == CS_MODE_CPU || options->only_gil))
		cs_usage_error("--idle: %s",
			       options->only_gil
				       ? "a thread that holds the lock does not sleep (--gil)"
				       : "the CPU clock sees no sleeping threads: use --mode wall");
	check_off_cpu(options);
}

/* Which processes. Returns false if the key is another's. */
static bool parse_processes(struct cs_record_options *options, int key, char *arg)
{
	struct cs_selection *selection = &options->selection;

	switch (key) {
	case 'p':
		if (cs_parse_pids(arg, options->pids, &options->npids))
			cs_usage_error("'%s' is no list of process ids", arg);
		return true;
	case 'a':
		options->all = true;
		return true;
	case 's':
		options->subprocesses = true;
		return true;
	case KEY_COMM:
		/* the kernel keeps this much of a name */
		snprintf(selection->comm, sizeof(selection->comm), "%s", arg);
		return true;
	case KEY_USER:
		if (cs_parse_user(arg, &selection->uid))
			cs_usage_error("no user '%s'", arg);
		selection->by_user = true;
		return true;
	case 'G':
		if (cs_selection_set_cgroup(selection, arg))
			cs_usage_error("no cgroup '%s' in the unified hierarchy (/sys/fs/cgroup)",
				       arg);
		return true;
	default:
		return false;
	}
}

/* How and for how long. Returns false if the key is another's. */
static bool parse_sampling(struct cs_record_options *options, int key, char *arg)
{
	switch (key) {
	case 'm':
		options->mode = parse_mode(arg);
		return true;
	case 'r':
	case 'F':
		if (cs_parse_rate(arg, &options->rate_hz))
			cs_usage_error("rate '%s' is not from 1 to %d Hz", arg, CS_MAX_RATE_HZ);
		return true;
	case KEY_IDLE:
		options->idle = true;
		return true;
	case KEY_NO_IDLE:
		options->no_idle = true;
		return true;
	case KEY_ASYNC:
		options->async = parse_async(arg);
		return true;
	case KEY_SPAN_EVENTS:
		options->span_events = parse_probing("span-events", arg);
		return true;
	case KEY_TASK_EVENTS:
		options->task_events = parse_probing("task-events", arg);
		return true;
	case 'g':
		options->only_gil = true;
		return true;
	case KEY_NATIVE:
		options->native = parse_native(arg);
		return true;
	case KEY_OFF_MIN:
		if (cs_parse_moment(arg, &options->off_min_ns))
			cs_usage_error("--offcpu-min: '%s' is not from 1us to 3600s", arg);
		return true;
	case KEY_WAKERS:
		options->off_wakers = true;
		return true;
	case KEY_OFF_BUDGET:
		options->off_budget = parse_budget(arg);
		return true;
	case 'd':
		if (cs_parse_duration(arg, &options->duration_ns))
			cs_usage_error("'%s' is no duration: 30, 30s, 5m", arg);
		return true;
	case KEY_RING_SIZE:
		if (cs_parse_size(arg, &options->ring_bytes))
			cs_usage_error("'%s' is no size: 64K, 8M", arg);
		return true;
	case KEY_NO_ITERATOR:
		options->no_iterator = true;
		return true;
	default:
		return false;
	}
}

/* Remember what --agent would have to refuse. */
static void note_option(struct parsing *parsing, int key)
{
	static const int agents[] = {'p', 'a', 'd', 'q', 'v', KEY_AGENT};

	for (size_t i = 0; i < ARRAY_SIZE(agents); i++)
		if (key == agents[i])
			return;
	for (const struct argp_option *option = argp_options; option->key; option++)
		if (option->key == key && !parsing->not_agents)
			parsing->not_agents = option;
}

static error_t parse_option(int key, char *arg, struct argp_state *state)
{
	struct parsing *parsing = state->input;
	struct cs_record_options *options = parsing->options;

	note_option(parsing, key);
	if (parse_processes(options, key, arg) || parse_sampling(options, key, arg))
		return 0;
	switch (key) {
	case ARGP_KEY_INIT:
		state->child_inputs[0] = &options->view;
		return 0;
	case 'q':
		options->quiet = true;
		cs_log_set_level(CS_LOG_ERROR);
		return 0;
	case 'v':
		cs_log_set_level(CS_LOG_DEBUG);
		return 0;
	case KEY_EXIT_STATUS:
		options->exit_status = true;
		return 0;
	case KEY_AGENT:
		options->agent = arg ? arg : CS_AGENT_SOCKET;
		return 0;
	case ARGP_KEY_ARGS:
		options->command = state->argv + state->next;
		return 0;
	case ARGP_KEY_END:
		check_options(parsing);
		return 0;
	default:
		return ARGP_ERR_UNKNOWN;
	}
}

void cs_record_options_parse(struct cs_record_options *ret, int argc, char **argv)
{
	static const struct argp_child children[] = {{&cs_view_argp, 0, NULL, 0}, {0}};
	static const struct argp argp = {
		.children = children,
		.options = argp_options,
		.parser = parse_option,
		.args_doc =
			"-p PID[,PID...]\n-a\n--comm NAME | --user USER | -G PATH\n-- COMMAND [ARGUMENT...]\n--agent[=SOCKET] [-p PID[,PID...]]",
		.doc = "Samples processes and writes a profile.\v"
		       "COMMAND runs as the user behind sudo; when -d ends before it does, it is sent SIGTERM.",
	};

	struct parsing parsing = {.options = ret};

	*ret = (struct cs_record_options){
		.mode = CS_MODE_WALL,
		.span_events = CS_PROBING_AUTO,
		.task_events = CS_PROBING_AUTO,
		.rate_hz = DEFAULT_RATE_HZ,
		.ring_bytes = DEFAULT_RING,
		.native = true,
	};
	argv[0] = (char *)"coroscope record";
	if (argp_parse(&argp, argc, argv, ARGP_IN_ORDER, NULL, &parsing))
		exit(CS_EXIT_USAGE);
}

uint64_t cs_record_options_interval(const struct cs_record_options *options)
{
	return options->mode == CS_MODE_OFF_CPU ? OFF_INTERVAL_NS : 1000000000u / options->rate_hz;
}

bool cs_record_options_open_ended(const struct cs_record_options *options)
{
	return options->all || cs_selection_given(&options->selection);
}
