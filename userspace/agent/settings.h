/* SPDX-License-Identifier: Apache-2.0 */
/*
 * The texts that flags, environment and file give to options, each with where it is from. What is set by a higher source replaces what a
 * lower one has set: flag, environment, file, default. They become a config only when all sources are read.
 */
#pragma once

#include <stdbool.h>
#include <stdio.h>

#include "agent/config.h"

enum cs_source { CS_FROM_DEFAULT = 0, CS_FROM_FILE, CS_FROM_ENVIRONMENT, CS_FROM_FLAG };

struct cs_setting {
	char **texts; /* owned */
	size_t n;
	enum cs_source source;
	size_t line; /* of the file */
};

/* The settings of all, or of one destination, by option. */
struct cs_settings_place {
	struct cs_setting *settings; /* owned; cs_noptions */
};

struct cs_settings {
	struct cs_settings_place all, to[CS_DESTINATIONS];
	size_t nto;
	enum cs_source to_source; /* of all destinations */
	char *file;               /* owned; NULL: none was read */
};

int cs_settings_new(struct cs_settings **ret); /* 0 or -ENOMEM */
void cs_settings_free(struct cs_settings *settings);
static inline void cs_settings_freep(struct cs_settings **settings)
{
	cs_settings_free(*settings);
}

/*
 * Set an option, of all or of a destination's place. Lists grow, as far as they are from the same source. Returns 0 (also if a higher source
 * has set it) or -ENOMEM.
 */
int cs_settings_set(struct cs_settings_place *place, const struct cs_option *option,
		    const char *text, enum cs_source source, size_t line);

/*
 * A destination begins ("KIND=WHERE"): the place for its own options, which lives as long as no higher source begins one. *ret is NULL if a
 * higher one has done so. Returns 0, -E2BIG or -ENOMEM.
 */
int cs_settings_begin(struct cs_settings *settings, const char *text, enum cs_source source,
		      size_t line, struct cs_settings_place **ret);

/* COROSCOPE_NAME of every option; lists are separated by commas. Returns 0, -EINVAL (see why) or -ENOMEM. */
int cs_settings_read_environment(struct cs_settings *settings, struct cs_why *why);

/* The config. Returns 0, -EINVAL (see why, which says where) or -ENOMEM. */
int cs_settings_apply(const struct cs_settings *settings, struct cs_config **ret,
		      struct cs_why *why);

/* Is what is in effect of this kind another in b than in a? */
bool cs_settings_differ(const struct cs_settings *a, const struct cs_settings *b,
			enum cs_option_of of);

/* What is in effect, as a file of the same meaning with where each is from. */
void cs_settings_print(const struct cs_settings *settings, FILE *out);
