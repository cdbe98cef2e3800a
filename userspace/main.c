/* SPDX-License-Identifier: Apache-2.0 */
/* coroscope: finds the subcommand and hands over. */
#include <argp.h>
#include <stdio.h>
#include <string.h>

#include "cli/cli.h"
#include "core/cleanup.h"
#include "core/log.h"

static const struct command {
	const char *name;
	int (*run)(int argc, char **argv);
	const char *help;
} commands[] = {
	{"record", cs_cli_record, "sample processes and write a profile"},
	{"report", cs_cli_report, "turn a raw capture into another format"},
	{"push", cs_cli_push, "deliver a raw capture to OTLP, Pyroscope, Datadog or a directory"},
	{"agent", cs_cli_agent, "profile this machine continuously and deliver the profiles"},
	{"ps", cs_cli_ps, "the asyncio tasks of processes, a line for each"},
	{"pstree", cs_cli_pstree, "the asyncio tasks of processes as a tree"},
	{"dump", cs_cli_dump, "every thread's Python stack, now"},
	{"check", cs_cli_check, "what this machine offers, what is missing and how to get it"},
};

static void print_help(FILE *out)
{
	fprintf(out,
		"Usage: coroscope COMMAND [OPTION...]\n\n"
		"Profiles Python programs, asyncio tasks included, from outside and without a pause.\n\n");
	for (size_t i = 0; i < ARRAY_SIZE(commands); i++)
		fprintf(out, "  %-8s  %s\n", commands[i].name, commands[i].help);
	fprintf(out,
		"\nAny unique beginning of a command will do. coroscope COMMAND --help tells its options.\n");
}

/* The command that name begins, if it is only one. */
static const struct command *find_command(const char *name)
{
	const struct command *found = NULL;

	for (size_t i = 0; i < ARRAY_SIZE(commands); i++) {
		if (strcmp(commands[i].name, name) == 0)
			return &commands[i];
		if (strncmp(commands[i].name, name, strlen(name)) != 0)
			continue;
		if (found) {
			cs_err("'%s' could be '%s' or '%s'", name, found->name, commands[i].name);
			return NULL;
		}
		found = &commands[i];
	}
	if (!found)
		cs_err("no command '%s'; see coroscope --help", name);
	return found;
}

int main(int argc, char **argv)
{
	const struct command *command;
	int code;

	argp_err_exit_status = CS_EXIT_USAGE;
	if (argc < 2) {
		print_help(stderr);
		return CS_EXIT_USAGE;
	}
	if (strcmp(argv[1], "--help") == 0 || strcmp(argv[1], "-h") == 0 ||
	    strcmp(argv[1], "help") == 0) {
		print_help(stdout);
		return CS_EXIT_OK;
	}
	if (strcmp(argv[1], "--version") == 0 || strcmp(argv[1], "-V") == 0) {
		printf("coroscope %s\n", CS_VERSION);
		return CS_EXIT_OK;
	}
	command = *argv[1] ? find_command(argv[1]) : NULL;
	if (!command)
		return CS_EXIT_USAGE;
	code = command->run(argc - 1, argv + 1);
	if (fflush(stdout) || ferror(stdout)) {
		cs_err("cannot write to stdout");
		return CS_EXIT_FAILURE;
	}
	return code;
}
