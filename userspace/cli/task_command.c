/* SPDX-License-Identifier: Apache-2.0 */
/*
 * From arguments to looks. Every look is taken before anything is decoded, so that those of
 * several processes lie close together, and while the watching goes on, so that no creation falls
 * between the two.
 */
#include "cli/task_command.h"

#include <argp.h>
#include <ctype.h>
#include <dirent.h>
#include <errno.h>
#include <inttypes.h>
#include <stdio.h>
#include <stdlib.h>
#include <string.h>
#include <unistd.h>

#include "cli/args.h"
#include "cli/cli.h"
#include "cli/task_data.h"
#include "cli/watch.h"
#include "core/cleanup.h"
#include "core/log.h"

enum format { FORMAT_TEXT, FORMAT_JSON, FORMAT_CSV };

enum { KEY_CSV = 256, KEY_FOR };

struct options {
	pid_t *pids; /* owned; with all: those that there are when the look is taken */
	unsigned int npids;
	bool all;
	enum format format;
	uint64_t watch_ns; /* 0: one look */
};

struct run {
	const struct cs_task_command *command;
	const struct options *options;
	struct cs_watch *watch;        /* owned; NULL: nobody watched */
	struct cs_instants *instants;  /* owned */
	struct cs_snapshot *snapshots; /* those that were looked at */
	unsigned int n, nshown;
	unsigned int unreadable; /* met by chance, and not readable */
	int code;                /* of the first process asked for that could not be shown */
};

/* Arguments */

static int compare_pids(const void *a, const void *b)
{
	return (*(const pid_t *)a > *(const pid_t *)b) - (*(const pid_t *)a < *(const pid_t *)b);
}

static void add_pids(struct options *options, const char *arg)
{
	unsigned int before = options->npids;

	if (!options->pids)
		options->pids = calloc(CS_MAX_PIDS, sizeof(*options->pids));
	if (!options->pids)
		cs_usage_error("no memory");
	if (cs_parse_pids(arg, options->pids, &options->npids))
		cs_usage_error("'%s' is no process id", arg);
	/* each once, in the order given */
	for (unsigned int i = before, n = options->npids; i < n; i++) {
		pid_t pid = options->pids[i];
		unsigned int known = 0;

		while (known < before && options->pids[known] != pid)
			known++;
		if (known == before)
			options->pids[before++] = pid;
	}
	options->npids = before;
}

static uint64_t parse_for(const char *arg)
{
	uint64_t ns;

	if (strcmp(arg, "0") == 0)
		return 0;
	if (cs_parse_duration(arg, &ns) || !ns)
		cs_usage_error("'%s' is no duration: 5, 5s, 1m", arg);
	return ns;
}

static error_t parse_option(int key, char *arg, struct argp_state *state)
{
	struct options *options = state->input;

	switch (key) {
	case 'a':
		options->all = true;
		return 0;
	case 'j':
		options->format = FORMAT_JSON;
		return 0;
	case KEY_CSV:
		options->format = FORMAT_CSV;
		return 0;
	case KEY_FOR:
		options->watch_ns = parse_for(arg);
		return 0;
	case 'p':
	case ARGP_KEY_ARG:
		add_pids(options, arg);
		return 0;
	case ARGP_KEY_END:
		if (!options->all && !options->npids)
			cs_usage_error("which process? a PID, or -a for all");
		if (options->all && options->npids)
			cs_usage_error("-a means all processes: give it alone");
		return 0;
	default:
		return ARGP_ERR_UNKNOWN;
	}
}

static const struct argp_option argp_options[] = {
	{"pid", 'p', "PID", 0, "a process, as in py-spy", 0},
	{"all", 'a', NULL, 0, "every Python process that has loaded asyncio", 0},
	{"json", 'j', NULL, 0, "as JSON", 0},
	{"csv", KEY_CSV, NULL, 0, "as CSV, a row for each task", 0},
	{"for", KEY_FOR, "SECONDS", 0,
	 "watch for so long, then print: only who watches knows a task's creator, its age, and since when it waits (default 0: one look)",
	 0},
	{0},
};

/* Every process there is, in order. Returns 0 or -errno. */
static int list_processes(struct options *options)
{
	_cleanup_closedir_ DIR *proc = opendir("/proc");
	struct dirent *entry;
	unsigned int cap = 0;

	if (!proc)
		return -errno;
	while ((entry = readdir(proc))) {
		if (!isdigit((unsigned char)entry->d_name[0]))
			continue;
		if (options->npids == cap) {
			pid_t *pids = realloc(options->pids, (cap + 1024) * sizeof(*pids));

			if (!pids)
				return -ENOMEM;
			options->pids = pids;
			cap += 1024;
		}
		options->pids[options->npids++] = (pid_t)strtol(entry->d_name, NULL, 10);
	}
	qsort(options->pids, options->npids, sizeof(*options->pids), compare_pids);
	return 0;
}

/* Looking */

/*
 * With -a, what is no program with asyncio is passed over, and so is what may not be read, but
 * counted.
 */
static bool is_passed_over(struct run *run, int err)
{
	if (!run->options->all)
		return false;
	if (err == -EPERM || err == -EACCES)
		run->unreadable++;
	return err == -EPERM || err == -EACCES || err == -ESRCH || err == -ENOEXEC ||
	       err == -ENODATA;
}

static void look_at(struct run *run, pid_t pid)
{
	struct cs_snapshot *snapshot = &run->snapshots[run->n];
	int err = cs_snapshot_try(pid, snapshot), code;

	if (!err)
		err = cs_snapshot_look(snapshot, run->instants);
	if (!err) {
		run->n++;
		if (run->watch)
			cs_watch_keep_up(run->watch);
		return;
	}
	if (!is_passed_over(run, err)) {
		code = cs_snapshot_explain(snapshot, pid, err);
		run->code = run->code ? run->code : code;
	}
	cs_snapshot_close(snapshot);
}

/* Returns an exit code: failures of single processes are in run->code. */
static int look_at_all(struct run *run, struct options *options)
{
	int err = options->all ? list_processes(options) : 0;

	if (!err)
		err = cs_instants_new(NULL, &run->instants);
	if (!err)
		run->snapshots = calloc(options->npids + 1, sizeof(*run->snapshots));
	if (err || !run->snapshots) {
		cs_err("cannot look for processes: %s", strerror(err ? -err : ENOMEM));
		return CS_EXIT_FAILURE;
	}
	for (unsigned int i = 0; i < options->npids; i++)
		look_at(run, options->pids[i]);
	if (run->unreadable)
		cs_warn("%u process%s may not be read%s", run->unreadable,
			run->unreadable == 1 ? "" : "es", geteuid() ? ": run as root" : "");
	/* of those that nobody named, some may be hard to read */
	if (run->n && options->all)
		run->code = CS_EXIT_OK;
	if (run->n || run->code)
		return CS_EXIT_OK;
	cs_err("no Python process with asyncio found");
	if (run->unreadable && geteuid())
		return CS_EXIT_PERMISSION;
	return CS_EXIT_NOTHING;
}

/* Showing */

static int print_csv(const struct cs_task_table *table, bool first)
{
	_cleanup_buf_ struct cs_buf out = {0};
	int err = first ? cs_task_data_csv_header(&out) : 0;

	if (!err)
		err = cs_task_data_csv(table, &out);
	if (!err)
		fwrite(out.data, 1, out.len, stdout);
	return err;
}

/* One process that was asked for alone is the document itself. */
static bool is_alone(const struct run *run)
{
	return !run->options->all && run->options->npids == 1;
}

static int print_json(const struct run *run, const struct cs_task_table *table, bool first)
{
	json_t *process = cs_task_data_json(table);
	int err;

	if (!process)
		return -ENOMEM;
	if (!is_alone(run))
		fputs(first ? "{\"processes\": [\n" : ",\n", stdout);
	/* names and paths may hold anything: what is not ASCII is escaped */
	err = json_dumpf(process, stdout, JSON_INDENT(2) | JSON_ENSURE_ASCII);
	json_decref(process);
	if (is_alone(run))
		putchar('\n');
	return err ? -EIO : 0;
}

static int print_table(const struct run *run, const struct cs_task_table *table, bool first)
{
	switch (run->options->format) {
	case FORMAT_JSON:
		return print_json(run, table, first);
	case FORMAT_CSV:
		return print_csv(table, first);
	default:
		if (!first)
			putchar('\n');
		return run->command->print(table);
	}
}

static void show(struct run *run, struct cs_snapshot *snapshot, int capture)
{
	struct cs_task_table table = {0};
	int err = cs_snapshot_tell(snapshot, capture);

	if (*snapshot->note)
		cs_warn("process %d: %s", snapshot->target->pid, snapshot->note);
	if (snapshot->ndropped)
		cs_warn("process %d: %u tasks are missing: they changed whenever they were read",
			snapshot->target->pid, snapshot->ndropped);
	if (!err)
		err = cs_task_table_make(snapshot, &table);
	if (!err)
		err = print_table(run, &table, run->nshown == 0);
	if (err) {
		cs_err("cannot show the tasks of %d: %s", snapshot->target->pid, strerror(-err));
		run->code = run->code ? run->code : CS_EXIT_FAILURE;
	} else {
		run->nshown++;
	}
	cs_task_table_free(&table);
	cs_snapshot_close(snapshot);
}

/* Returns an exit code: failures of single processes are in run->code. */
static int show_all(struct run *run)
{
	int capture = run->watch ? cs_watch_end(run->watch) : -1;

	if (run->watch && capture < 0) {
		cs_err("cannot write what was seen: %s", strerror(-capture));
		return CS_EXIT_FAILURE;
	}
	for (unsigned int i = 0; i < run->n; i++)
		show(run, &run->snapshots[i], capture);
	if (run->options->format == FORMAT_JSON && !is_alone(run) && run->nshown)
		fputs("\n]}\n", stdout);
	return CS_EXIT_OK;
}

static int watch_and_look(struct run *run, struct options *options)
{
	int code = CS_EXIT_OK;

	if (options->watch_ns)
		code = cs_watch_begin(options->pids, options->npids, options->all,
				      options->watch_ns, &run->watch);
	if (!code)
		code = look_at_all(run, options);
	if (!code)
		code = show_all(run);
	for (unsigned int i = 0; i < run->n; i++)
		cs_snapshot_close(&run->snapshots[i]);
	free(run->snapshots);
	cs_instants_free(run->instants);
	cs_watch_free(run->watch);
	return code;
}

int cs_task_command_run(const struct cs_task_command *command, int argc, char **argv)
{
	const struct argp argp = {
		.options = argp_options,
		.parser = parse_option,
		.args_doc = "PID...\n-a",
		.doc = command->doc,
	};
	struct options options = {0};
	struct run run = {.command = command, .options = &options};
	char name[32];
	int code = CS_EXIT_USAGE;

	snprintf(name, sizeof(name), "coroscope %s", command->name);
	argv[0] = name;
	if (!argp_parse(&argp, argc, argv, 0, NULL, &options))
		code = watch_and_look(&run, &options);
	free(options.pids);
	return code ? code : run.code;
}

/* Text */

int cs_task_append_span(const struct cs_since_span *span, struct cs_buf *out)
{
	double seconds = (double)span->ns / 1e9;

	if (!span->exact && !span->ns)
		return cs_buf_append_str(out, "?");
	return cs_buf_printf(out, "%s%.*fs", span->exact ? "" : ">=", seconds < 10 ? 2 : 0,
			     seconds);
}

int cs_task_append_short_name(const struct cs_task_node *node, size_t max, struct cs_buf *out)
{
	const char *name = node->task->name ? node->task->name : "?";
	size_t len = strnlen(name, max + 1);
	bool cut = len > max;

	if (cut) {
		/* not within a character */
		for (len = max; len && ((unsigned char)name[len] & 0xc0) == 0x80;)
			len--;
	}
	if (cs_buf_append_escaped(out, name, len, ""))
		return -ENOMEM;
	return cut ? cs_buf_append_str(out, "...") : 0;
}

void cs_task_print_header(const struct cs_task_table *table)
{
	const struct cs_interp *interp = &table->snapshot->target->interp;

	printf("process %d: Python %d.%d.%d, %d task%s%s\n", interp->pid, interp->major,
	       interp->minor, interp->micro, table->nalive, table->nalive == 1 ? "" : "s",
	       table->snapshot->coherence == CS_COHERENT_PER_TASK ? ", each at a moment of its own"
								  : "");
}
