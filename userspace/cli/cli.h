/* SPDX-License-Identifier: Apache-2.0 */
/* The subcommands. Each parses its own arguments (argv[0] is the subcommand) and returns the exit code. */
#pragma once

enum cs_exit {
	CS_EXIT_OK = 0,
	CS_EXIT_FAILURE = 1,
	CS_EXIT_USAGE = 2,
	CS_EXIT_PERMISSION = 3,
	CS_EXIT_NOTHING = 4, /* nothing to profile was found */
};

int cs_cli_record(int argc, char **argv);
int cs_cli_report(int argc, char **argv);
int cs_cli_push(int argc, char **argv);
int cs_cli_agent(int argc, char **argv); /* agent/agent.c */
int cs_cli_ps(int argc, char **argv);
int cs_cli_pstree(int argc, char **argv);
int cs_cli_dump(int argc, char **argv);
int cs_cli_check(int argc, char **argv);
