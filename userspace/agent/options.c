/* SPDX-License-Identifier: Apache-2.0 */
/* The command line of `coroscope agent`: its flags are those of the table in config.c. */
#include "agent/options.h"

#include <argp.h>
#include <errno.h>
#include <stdlib.h>
#include <string.h>

#include "agent/config_file.h"
#include "cli/args.h"
#include "core/cleanup.h"

enum {
	KEY_CONFIG = 0x200,
	KEY_PRINT,
	KEY_OPTION = 0x300, /* and the option's place in the table */
};

struct parsing {
	struct cs_settings *settings;
	struct cs_settings_place *place; /* that flags belong to now */
	const char *file;
	bool print;
};

static const struct cs_option *option_of(int key)
{
	for (size_t i = 0; i < cs_noptions; i++)
		if (key == KEY_OPTION + (int)i || (key && key == cs_options[i].letter))
			return &cs_options[i];
	return NULL;
}

static error_t parse_flag(struct parsing *parsing, const struct cs_option *option, const char *arg)
{
	struct cs_settings_place *place = parsing->place;
	int err;

	if (option->of != CS_OF_DESTINATION)
		place = &parsing->settings->all;
	if (option == cs_option_to)
		err = cs_settings_begin(parsing->settings, arg, CS_FROM_FLAG, 0, &parsing->place);
	else
		err = cs_settings_set(place, option, arg ? arg : "true", CS_FROM_FLAG, 0);
	if (err == -E2BIG)
		cs_usage_error("at most %d destinations", CS_DESTINATIONS);
	return err ? ENOMEM : 0;
}

static error_t parse_option(int key, char *arg, struct argp_state *state)
{
	struct parsing *parsing = state->input;
	const struct cs_option *option = option_of(key);

	if (option)
		return parse_flag(parsing, option, arg);
	switch (key) {
	case KEY_CONFIG:
		parsing->file = arg;
		return 0;
	case KEY_PRINT:
		parsing->print = true;
		return 0;
	case ARGP_KEY_ARG:
		cs_usage_error("'%s': the agent takes options only", arg);
	default:
		return ARGP_ERR_UNKNOWN;
	}
}

/* What --help says of an option; owned by the caller. */
static char *describe(const struct cs_option *option)
{
	char *text;

	if (!option->fallback || !option->argument)
		return strdup(option->help);
	return asprintf(&text, "%s (default %s)", option->help, option->fallback) < 0 ? NULL : text;
}

/* The table as argp wants it: cs_noptions + 3 entries with texts to be freed, or NULL. */
static struct argp_option *make_flags(void)
{
	struct argp_option *flags = calloc(cs_noptions + 3, sizeof(*flags));

	if (!flags)
		return NULL;
	for (size_t i = 0; i < cs_noptions; i++) {
		const struct cs_option *option = &cs_options[i];

		flags[i] = (struct argp_option){
			.name = option->name,
			.key = option->letter ? option->letter : KEY_OPTION + (int)i,
			.arg = option->argument ? option->argument : "BOOL",
			.flags = option->argument ? 0 : OPTION_ARG_OPTIONAL,
			.doc = describe(option),
			.group = (int)option->of + 2,
		};
	}
	flags[cs_noptions] = (struct argp_option){
		.name = "config",
		.key = KEY_CONFIG,
		.arg = "FILE",
		.doc = strdup("options in YAML, by the same names"),
		.group = 1,
	};
	flags[cs_noptions + 1] = (struct argp_option){
		.name = "print-config",
		.key = KEY_PRINT,
		.doc = strdup("print what is in effect, and where it is from"),
		.group = 1,
	};
	return flags;
}

static int parse_flags(struct parsing *parsing, int argc, char **argv)
{
	_cleanup_free_ struct argp_option *flags = make_flags();
	const struct argp argp = {
		.options = flags,
		.parser = parse_option,
		.doc = "Profiles this machine continuously, within a budget, and delivers a profile every period.\v"
		       "Every option but the first two may also stand in the file and, as COROSCOPE_NAME with _ for -, in the environment, there with "
		       "commas between the members of a list. A flag counts more than the environment, that more than the file. "
		       "SIGHUP reads all again; SIGTERM delivers what is there and ends.",
	};
	int err;

	if (!flags)
		return -ENOMEM;
	argv[0] = (char *)"coroscope agent";
	err = argp_parse(&argp, argc, argv, 0, NULL, parsing);
	for (size_t i = 0; i < cs_noptions + 2; i++)
		free((char *)flags[i].doc);
	return err == EINVAL ? -EINVAL : -err;
}

/* It quotes what may be anything. */
static void make_printable(struct cs_why *why)
{
	for (char *at = why->text; *at; at++)
		if ((unsigned char)*at < 0x20 || *at == 0x7f)
			*at = '?';
}

int cs_command_read(struct cs_command *ret, int argc, char **argv, struct cs_why *why)
{
	_cleanup_(cs_settings_freep) struct cs_settings *settings = NULL;
	struct parsing parsing = {.file = getenv("COROSCOPE_CONFIG")};
	int err = cs_settings_new(&settings);

	*ret = (struct cs_command){0};
	if (err)
		return err;
	parsing.settings = settings;
	parsing.place = &settings->all;
	err = parse_flags(&parsing, argc, argv);
	if (!err)
		err = cs_settings_read_environment(settings, why);
	if (!err && parsing.file && *parsing.file)
		err = cs_config_file_read(parsing.file, settings, why);
	if (!err)
		err = cs_settings_apply(settings, &ret->config, why);
	make_printable(why);
	if (err)
		return err;
	ret->settings = TAKE_PTR(settings);
	ret->print = parsing.print;
	return 0;
}

void cs_command_free(struct cs_command *command)
{
	cs_config_free(TAKE_PTR(command->config));
	cs_settings_free(TAKE_PTR(command->settings));
}
