/* SPDX-License-Identifier: Apache-2.0 */
/* Texts of options with where they are from. */
#include "agent/settings.h"

#include <ctype.h>
#include <errno.h>
#include <stdlib.h>
#include <string.h>
#include <sys/param.h>

#include "core/cleanup.h"

/* Of the memory budget, for what waits for a server without a spool, or while its disk fails. */
#define KEPT_PART 4

static struct cs_setting *setting_of(const struct cs_settings_place *place,
				     const struct cs_option *option)
{
	return &place->settings[option - cs_options];
}

static void clear(struct cs_setting *setting)
{
	for (size_t i = 0; i < setting->n; i++)
		free(setting->texts[i]);
	free(setting->texts);
	*setting = (struct cs_setting){0};
}

static int place_begin(struct cs_settings_place *place)
{
	place->settings = calloc(cs_noptions, sizeof(*place->settings));
	return place->settings ? 0 : -ENOMEM;
}

static void place_end(struct cs_settings_place *place)
{
	for (size_t i = 0; place->settings && i < cs_noptions; i++)
		clear(&place->settings[i]);
	free(TAKE_PTR(place->settings));
}

int cs_settings_new(struct cs_settings **ret)
{
	_cleanup_(cs_settings_freep) struct cs_settings *settings = calloc(1, sizeof(*settings));

	if (!settings || place_begin(&settings->all))
		return -ENOMEM;
	*ret = TAKE_PTR(settings);
	return 0;
}

static void end_destinations(struct cs_settings *settings)
{
	while (settings->nto)
		place_end(&settings->to[--settings->nto]);
}

void cs_settings_free(struct cs_settings *settings)
{
	if (!settings)
		return;
	end_destinations(settings);
	place_end(&settings->all);
	free(settings->file);
	free(settings);
}

int cs_settings_set(struct cs_settings_place *place, const struct cs_option *option,
		    const char *text, enum cs_source source, size_t line)
{
	struct cs_setting *setting = setting_of(place, option);
	char **texts, *copy;

	if (setting->source > source)
		return 0;
	if (setting->source < source || !option->many)
		clear(setting);
	copy = strdup(text);
	texts = copy ? reallocarray(setting->texts, setting->n + 1, sizeof(*texts)) : NULL;
	if (!texts) {
		free(copy);
		return -ENOMEM;
	}
	setting->texts = texts;
	setting->texts[setting->n++] = copy;
	setting->source = source;
	setting->line = line;
	return 0;
}

int cs_settings_begin(struct cs_settings *settings, const char *text, enum cs_source source,
		      size_t line, struct cs_settings_place **ret)
{
	struct cs_settings_place *place;

	*ret = NULL;
	if (settings->nto && settings->to_source > source)
		return 0;
	if (settings->to_source < source)
		end_destinations(settings);
	if (settings->nto == CS_DESTINATIONS)
		return -E2BIG;
	settings->to_source = source;
	place = &settings->to[settings->nto];
	if (place_begin(place))
		return -ENOMEM;
	settings->nto++;
	*ret = place;
	return cs_settings_set(place, cs_option_to, text, source, line);
}

/* COROSCOPE_LOG_FORMAT for log-format */
static void variable_of(const struct cs_option *option, char name[64])
{
	size_t n = (size_t)snprintf(name, 64, "COROSCOPE_%s", option->name);

	for (size_t i = 0; i < n; i++)
		name[i] = name[i] == '-' ? '_' : (char)toupper((unsigned char)name[i]);
}

static int read_variable(struct cs_settings *settings, const struct cs_option *option, char *text,
			 struct cs_why *why)
{
	struct cs_settings_place *place;
	int err = 0;

	if (!option->many)
		return cs_settings_set(&settings->all, option, text, CS_FROM_ENVIRONMENT, 0);
	for (char *at; !err && (at = strsep(&text, ","));) {
		if (option == cs_option_to)
			err = cs_settings_begin(settings, at, CS_FROM_ENVIRONMENT, 0, &place);
		else
			err = cs_settings_set(&settings->all, option, at, CS_FROM_ENVIRONMENT, 0);
	}
	if (err == -E2BIG)
		snprintf(why->text, sizeof(why->text), "COROSCOPE_TO: at most %d destinations",
			 CS_DESTINATIONS);
	return err == -E2BIG ? -EINVAL : err;
}

int cs_settings_read_environment(struct cs_settings *settings, struct cs_why *why)
{
	int err = 0;

	for (size_t i = 0; !err && i < cs_noptions; i++) {
		_cleanup_free_ char *text = NULL;
		const char *value;
		char name[64];

		variable_of(&cs_options[i], name);
		value = getenv(name);
		if (!value)
			continue;
		text = strdup(value);
		err = text ? read_variable(settings, &cs_options[i], text, why) : -ENOMEM;
	}
	return err;
}

/* "agent.yaml:7", "COROSCOPE_RATE", "--rate", "default" */
static void where_from(const struct cs_settings *settings, const struct cs_option *option,
		       const struct cs_setting *setting, char *where, size_t size)
{
	char variable[64];

	variable_of(option, variable);
	switch (setting->source) {
	case CS_FROM_FLAG:
		snprintf(where, size, "--%s", option->name);
		return;
	case CS_FROM_ENVIRONMENT:
		snprintf(where, size, "%s", variable);
		return;
	case CS_FROM_FILE:
		snprintf(where, size, "%s:%zu", settings->file, setting->line);
		return;
	default:
		snprintf(where, size, "default");
	}
}

/* One text into the config, which keeps a copy. */
static int apply_text(const struct cs_settings *settings, const struct cs_option *option,
		      const struct cs_setting *setting, const char *text, struct cs_config *config,
		      struct cs_destination *to, struct cs_why *why)
{
	struct cs_destinations *kept = config->to;
	char **texts = reallocarray(kept->texts, kept->ntexts + 1, sizeof(*texts));
	struct cs_why inner = {""};
	char where[128];
	char *copy;
	int err;

	if (!texts)
		return -ENOMEM;
	kept->texts = texts;
	copy = strdup(text);
	if (!copy)
		return -ENOMEM;
	kept->texts[kept->ntexts++] = copy;
	err = option->set(config, to, copy, &inner);
	if (err == -EINVAL) {
		where_from(settings, option, setting, where, sizeof(where));
		/* a flag has said the name */
		if (setting->source == CS_FROM_FLAG)
			cs_refuse(why, "%.100s: %.130s", where, inner.text);
		else
			cs_refuse(why, "%.100s: %.20s: %.130s", where, option->name, inner.text);
	}
	return err;
}

/* Whatever is set in this place, of destinations or of all else. */
static int apply_place(const struct cs_settings *settings, const struct cs_settings_place *place,
		       bool destination, bool fallbacks, struct cs_config *config,
		       struct cs_destination *to, struct cs_why *why)
{
	int err = 0;

	for (size_t i = 0; !err && i < cs_noptions; i++) {
		const struct cs_option *option = &cs_options[i];
		const struct cs_setting *setting = &place->settings[i];

		if ((option->of == CS_OF_DESTINATION) != destination)
			continue;
		for (size_t k = 0; !err && k < setting->n; k++)
			err = apply_text(settings, option, setting, setting->texts[k], config, to,
					 why);
		if (!err && !setting->n && fallbacks && option->fallback)
			err = apply_text(settings, option, setting, option->fallback, config, to,
					 why);
	}
	return err;
}

static int apply_destination(const struct cs_settings *settings,
			     const struct cs_settings_place *place, struct cs_config *config,
			     struct cs_why *why)
{
	struct cs_destination *to = &config->to->at[config->to->n];
	struct cs_why inner = {""};
	int err;

	to->limits = cs_destination_limits;
	err = apply_place(settings, &settings->all, true, true, config, to, why);
	config->to->n++; /* it owns something from now on */
	if (!err)
		err = apply_place(settings, place, true, false, config, to, why);
	if (err)
		return err;
	/* what waits in memory is the agent's memory */
	to->memory_bytes = MIN(to->limits.bytes, config->memory_bytes / KEPT_PART);
	err = cs_destination_complete(to, &inner);
	if (err == -EINVAL)
		snprintf(why->text, sizeof(why->text), "%.100s: %.150s",
			 setting_of(place, cs_option_to)->texts[0], inner.text);
	return err;
}

int cs_settings_apply(const struct cs_settings *settings, struct cs_config **ret,
		      struct cs_why *why)
{
	_cleanup_(cs_config_freep) struct cs_config *config = NULL;
	int err = cs_config_new(&config);

	if (!err)
		err = apply_place(settings, &settings->all, false, true, config, NULL, why);
	for (size_t i = 0; !err && i < settings->nto; i++)
		err = apply_destination(settings, &settings->to[i], config, why);
	if (err)
		return err;
	if (config->npids && cs_selection_given(&config->selection)) {
		snprintf(why->text, sizeof(why->text),
			 "pid names processes: it does not go with user, comm or cgroup");
		return -EINVAL;
	}
	*ret = TAKE_PTR(config);
	return 0;
}

static bool same_setting(const struct cs_option *option, const struct cs_setting *a,
			 const struct cs_setting *b)
{
	const char *fallback = option->fallback ? option->fallback : "";

	/* what is not set is as its default */
	if (!a->n != !b->n && !option->many)
		return !strcmp(a->n ? a->texts[0] : fallback, b->n ? b->texts[0] : fallback);
	if (a->n != b->n)
		return false;
	for (size_t i = 0; i < a->n; i++)
		if (strcmp(a->texts[i], b->texts[i]))
			return false;
	return true;
}

static bool same_place(const struct cs_settings_place *a, const struct cs_settings_place *b,
		       enum cs_option_of of)
{
	for (size_t i = 0; i < cs_noptions; i++)
		if (cs_options[i].of == of &&
		    !same_setting(&cs_options[i], &a->settings[i], &b->settings[i]))
			return false;
	return true;
}

bool cs_settings_differ(const struct cs_settings *a, const struct cs_settings *b,
			enum cs_option_of of)
{
	if (!same_place(&a->all, &b->all, of))
		return true;
	if (of != CS_OF_DESTINATION)
		return false;
	if (a->nto != b->nto)
		return true;
	for (size_t i = 0; i < a->nto; i++)
		if (!same_place(&a->to[i], &b->to[i], of))
			return true;
	return false;
}

static bool is_plain(const char *text)
{
	if (!isalnum((unsigned char)*text) && *text != '/')
		return false;
	for (; *text; text++)
		if (!isalnum((unsigned char)*text) && !strchr("/._=+%:-", *text))
			return false;
	return text[-1] != ':';
}

/* As YAML reads it back. */
static void print_text(const char *text, FILE *out)
{
	if (is_plain(text)) {
		fputs(text, out);
		return;
	}
	putc('"', out);
	for (; *text; text++) {
		if ((unsigned char)*text < 0x20 || *text == 0x7f)
			fprintf(out, "\\x%02x", (unsigned char)*text);
		else if (*text == '"' || *text == '\\')
			fprintf(out, "\\%c", *text);
		else
			putc(*text, out);
	}
	putc('"', out);
}

static void print_setting(const struct cs_settings *settings, const struct cs_option *option,
			  const struct cs_setting *setting, const char *indent, FILE *out)
{
	char where[512];

	where_from(settings, option, setting, where, sizeof(where));
	for (size_t i = 0; i < setting->n; i++) {
		if (option->many && !i)
			fprintf(out, "%s%s:\n", indent, option->name);
		if (option->many)
			fprintf(out, "%s  - ", indent);
		else
			fprintf(out, "%s%s: ", indent, option->name);
		print_text(setting->texts[i], out);
		fprintf(out, "  # %s\n", where);
	}
	if (!setting->n && option->fallback) {
		fprintf(out, "%s%s: ", indent, option->name);
		print_text(option->fallback, out);
		fprintf(out, "  # default\n");
	}
}

static void print_destination(const struct cs_settings *settings,
			      const struct cs_settings_place *place, FILE *out)
{
	const struct cs_setting *to = setting_of(place, cs_option_to);
	char where[512];

	where_from(settings, cs_option_to, to, where, sizeof(where));
	fputs("  - to: ", out);
	print_text(to->texts[0], out);
	fprintf(out, "  # %s\n", where);
	for (size_t i = 0; i < cs_noptions; i++)
		if (cs_options[i].of == CS_OF_DESTINATION && &cs_options[i] != cs_option_to &&
		    place->settings[i].n)
			print_setting(settings, &cs_options[i], &place->settings[i], "    ", out);
}

void cs_settings_print(const struct cs_settings *settings, FILE *out)
{
	for (size_t i = 0; i < cs_noptions; i++)
		if (&cs_options[i] != cs_option_to)
			print_setting(settings, &cs_options[i], &settings->all.settings[i], "",
				      out);
	if (settings->nto)
		fputs("to:\n", out);
	for (size_t i = 0; i < settings->nto; i++)
		print_destination(settings, &settings->to[i], out);
}
