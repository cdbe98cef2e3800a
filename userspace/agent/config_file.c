/* SPDX-License-Identifier: Apache-2.0 */
/*
 * The agent's configuration file. libyaml keeps where each node stands, so every complaint has its line. What the file does not say plainly is
 * refused: an unknown key, a key twice, a list where there is one value.
 */
#include "agent/config_file.h"

#include <errno.h>
#include <stdarg.h>
#include <stdlib.h>
#include <string.h>
#include <sys/stat.h>
#include <yaml.h>

#include "core/cleanup.h"

#define MAX_BYTES (1 << 20)
/* Of lists in lists; there is sense in four. libyaml takes the square of the depth in time: minutes for a megabyte of brackets. */
#define MAX_DEPTH 100

struct reading {
	struct cs_settings *settings;
	yaml_document_t document;
	struct cs_why *why;
};

static int refuse(struct reading *reading, size_t line, const char *fmt, ...)
	__attribute__((format(printf, 3, 4)));
static int refuse(struct reading *reading, size_t line, const char *fmt, ...)
{
	struct cs_why *why = reading->why;
	int n = snprintf(why->text, sizeof(why->text), "%.120s:%zu: ", reading->settings->file,
			 line);
	va_list args;

	va_start(args, fmt);
	vsnprintf(why->text + n, sizeof(why->text) - (size_t)n, fmt, args);
	va_end(args);
	return -EINVAL;
}

static size_t line_of(const yaml_node_t *node)
{
	return node->start_mark.line + 1;
}

/* NULL if it is none, or holds what ends a C string. */
static const char *text_of(const yaml_node_t *node)
{
	const char *text = (const char *)node->data.scalar.value;

	if (node->type != YAML_SCALAR_NODE || strlen(text) != node->data.scalar.length)
		return NULL;
	return text;
}

/* The option that a key names, or NULL: there is none, which is said in why. */
static const struct cs_option *find_option(struct reading *reading, const yaml_node_t *key)
{
	const char *name = text_of(key), *near = NULL;
	const struct cs_option *option = name ? cs_option_find(name, &near) : NULL;

	if (!name)
		refuse(reading, line_of(key), "a key is not a plain text");
	else if (!option && near)
		refuse(reading, line_of(key), "no option '%.40s': did you mean '%s'?", name, near);
	else if (!option)
		refuse(reading, line_of(key), "no option '%.40s'", name);
	return option;
}

/* "KEY: VALUE" below an option that takes KEY=VALUE */
static int read_pairs(struct reading *reading, struct cs_settings_place *place,
		      const struct cs_option *option, const yaml_node_t *node)
{
	const yaml_node_pair_t *pair;
	int err = 0;

	for (pair = node->data.mapping.pairs.start; !err && pair < node->data.mapping.pairs.top;
	     pair++) {
		const yaml_node_t *key = yaml_document_get_node(&reading->document, pair->key);
		const yaml_node_t *value = yaml_document_get_node(&reading->document, pair->value);
		_cleanup_free_ char *text = NULL;

		if (!text_of(key) || !text_of(value))
			return refuse(reading, line_of(key), "%s: not KEY: VALUE", option->name);
		if (asprintf(&text, "%s=%s", text_of(key), text_of(value)) < 0)
			return -ENOMEM;
		err = cs_settings_set(place, option, text, CS_FROM_FILE, line_of(value));
	}
	return err;
}

static int read_value(struct reading *reading, struct cs_settings_place *place,
		      const struct cs_option *option, const yaml_node_t *node)
{
	int err = 0;

	if (text_of(node))
		return cs_settings_set(place, option, text_of(node), CS_FROM_FILE, line_of(node));
	if (node->type == YAML_MAPPING_NODE && option->pairs)
		return read_pairs(reading, place, option, node);
	if (node->type != YAML_SEQUENCE_NODE || !option->many)
		return refuse(reading, line_of(node), "%s takes one value", option->name);
	for (const yaml_node_item_t *item = node->data.sequence.items.start;
	     !err && item < node->data.sequence.items.top; item++) {
		const yaml_node_t *value = yaml_document_get_node(&reading->document, *item);

		if (!text_of(value))
			return refuse(reading, line_of(value), "%s: not a plain text",
				      option->name);
		err = cs_settings_set(place, option, text_of(value), CS_FROM_FILE, line_of(value));
	}
	return err;
}

static int begin_destination(struct reading *reading, const yaml_node_t *to,
			     struct cs_settings_place **ret)
{
	int err;

	if (!text_of(to))
		return refuse(reading, line_of(to), "to: not KIND=WHERE");
	err = cs_settings_begin(reading->settings, text_of(to), CS_FROM_FILE, line_of(to), ret);
	return err == -E2BIG
		       ? refuse(reading, line_of(to), "at most %d destinations", CS_DESTINATIONS)
		       : err;
}

/* Was this key there before? */
static bool is_again(struct reading *reading, const yaml_node_t *mapping,
		     const yaml_node_pair_t *pair, const char *name)
{
	for (const yaml_node_pair_t *at = mapping->data.mapping.pairs.start; at < pair; at++) {
		const yaml_node_t *key = yaml_document_get_node(&reading->document, at->key);

		if (text_of(key) && !strcmp(text_of(key), name))
			return true;
	}
	return false;
}

/* The mapping's next option; NULL: it is refused, see why. The caller knows which it may be. */
static const struct cs_option *next_option(struct reading *reading, const yaml_node_t *mapping,
					   const yaml_node_pair_t *pair)
{
	const yaml_node_t *key = yaml_document_get_node(&reading->document, pair->key);
	const struct cs_option *option = find_option(reading, key);

	if (!option || !is_again(reading, mapping, pair, option->name))
		return option;
	refuse(reading, line_of(key), "%s is there twice", option->name);
	return NULL;
}

/* A destination with options of its own. */
static int read_destination(struct reading *reading, const yaml_node_t *mapping)
{
	const yaml_node_pair_t *pair, *end = mapping->data.mapping.pairs.top;
	const struct cs_option *option;
	struct cs_settings_place *place;
	const yaml_node_t *to = NULL;
	int err = 0;

	for (pair = mapping->data.mapping.pairs.start; !err && pair < end; pair++) {
		option = next_option(reading, mapping, pair);
		if (!option)
			return -EINVAL;
		if (option->of != CS_OF_DESTINATION)
			err = refuse(reading, line_of(mapping), "%s is no option of a destination",
				     option->name);
		if (option == cs_option_to)
			to = yaml_document_get_node(&reading->document, pair->value);
	}
	if (!err && !to)
		return refuse(reading, line_of(mapping), "a destination without `to: KIND=WHERE`");
	if (!err)
		err = begin_destination(reading, to, &place);
	for (pair = mapping->data.mapping.pairs.start; !err && place && pair < end; pair++) {
		option = next_option(reading, mapping, pair);
		if (option && option != cs_option_to)
			err = read_value(reading, place, option,
					 yaml_document_get_node(&reading->document, pair->value));
	}
	return err;
}

static int read_destinations(struct reading *reading, const yaml_node_t *node)
{
	struct cs_settings_place *place;
	int err = 0;

	if (node->type == YAML_SCALAR_NODE)
		return begin_destination(reading, node, &place);
	if (node->type == YAML_MAPPING_NODE)
		return read_destination(reading, node);
	for (const yaml_node_item_t *item = node->data.sequence.items.start;
	     !err && item < node->data.sequence.items.top; item++) {
		const yaml_node_t *to = yaml_document_get_node(&reading->document, *item);

		err = to->type == YAML_MAPPING_NODE ? read_destination(reading, to)
						    : begin_destination(reading, to, &place);
	}
	return err;
}

static int read_root(struct reading *reading)
{
	const yaml_node_t *root = yaml_document_get_root_node(&reading->document);
	const yaml_node_pair_t *pair;
	int err = 0;

	if (!root) /* an empty file says nothing */
		return 0;
	if (root->type != YAML_MAPPING_NODE)
		return refuse(reading, line_of(root), "not a list of options, as `rate: 49`");
	for (pair = root->data.mapping.pairs.start; !err && pair < root->data.mapping.pairs.top;
	     pair++) {
		const yaml_node_t *value = yaml_document_get_node(&reading->document, pair->value);
		const struct cs_option *option = next_option(reading, root, pair);

		if (!option)
			return -EINVAL;
		err = option == cs_option_to
			      ? read_destinations(reading, value)
			      : read_value(reading, &reading->settings->all, option, value);
	}
	return err;
}

/* The line from which on brackets are too deep, quoted ones too; 0: none. */
static size_t find_depth(const struct cs_buf *text)
{
	size_t depth = 0, line = 1;

	for (size_t i = 0; i < text->len; i++) {
		const char c = text->data[i];

		line += c == '\n';
		if (c == '[' || c == '{')
			depth++;
		else if ((c == ']' || c == '}') && depth)
			depth--;
		if (depth > MAX_DEPTH)
			return line;
	}
	return 0;
}

static int read_document(struct reading *reading, const struct cs_buf *text)
{
	size_t deep = find_depth(text);
	yaml_parser_t parser;
	int err;

	if (deep)
		return refuse(reading, deep, "brackets deeper than %d", MAX_DEPTH);
	if (!yaml_parser_initialize(&parser))
		return -ENOMEM;
	yaml_parser_set_input_string(&parser, (const unsigned char *)text->data, text->len);
	if (!yaml_parser_load(&parser, &reading->document)) {
		err = refuse(reading, parser.problem_mark.line + 1, "no YAML: %.100s",
			     parser.problem ? parser.problem : "it cannot be read");
	} else {
		err = read_root(reading);
		yaml_document_delete(&reading->document);
	}
	yaml_parser_delete(&parser);
	return err;
}

int cs_config_file_read(const char *path, struct cs_settings *settings, struct cs_why *why)
{
	struct reading reading = {.settings = settings, .why = why};
	_cleanup_fclose_ FILE *file = fopen(path, "re");
	_cleanup_buf_ struct cs_buf text = {0};
	struct stat st;
	char *bytes;

	if (!file || fstat(fileno(file), &st)) {
		snprintf(why->text, sizeof(why->text), "cannot open %.150s: %s", path,
			 strerror(errno));
		return -EINVAL;
	}
	if (!S_ISREG(st.st_mode) || st.st_size > MAX_BYTES) {
		snprintf(why->text, sizeof(why->text), "%.150s: no file of at most 1 MB", path);
		return -EINVAL;
	}
	bytes = cs_buf_extend(&text, (size_t)st.st_size + 1);
	if (!bytes)
		return -ENOMEM;
	/* one that grows meanwhile is read so far */
	text.len = fread(bytes, 1, (size_t)st.st_size, file);
	free(settings->file);
	settings->file = strdup(path);
	return settings->file ? read_document(&reading, &text) : -ENOMEM;
}
