/* SPDX-License-Identifier: Apache-2.0 */
/* What a Python command line runs. */
#include "whose/command.h"

#include <stdbool.h>
#include <string.h>

struct word {
	const char *at;
	size_t len;
};

/* Takes the next argument off the front; one that is cut off by the end counts. */
static bool take(struct word *rest, struct word *ret)
{
	if (!rest->len)
		return false;
	ret->at = rest->at;
	ret->len = strnlen(rest->at, rest->len);
	rest->at += ret->len < rest->len ? ret->len + 1 : ret->len;
	rest->len -= ret->len < rest->len ? ret->len + 1 : ret->len;
	return true;
}

static struct word base_name(struct word path)
{
	const char *slash = memrchr(path.at, '/', path.len);
	size_t skip = slash ? (size_t)(slash + 1 - path.at) : 0;

	return (struct word){path.at + skip, path.len - skip};
}

static bool is(struct word word, const char *text)
{
	return word.len == strlen(text) && !memcmp(word.at, text, word.len);
}

static bool is_python(struct word name)
{
	return (name.len >= 6 && !memcmp(name.at, "python", 6)) ||
	       (name.len >= 4 && !memcmp(name.at, "pypy", 4));
}

static struct word without_suffix(struct word name)
{
	if (name.len > 3 && !memcmp(name.at + name.len - 3, ".py", 3))
		name.len -= 3;
	return name;
}

static struct word script_name(struct word path)
{
	struct word name = without_suffix(base_name(path)), folder = path;

	if (!is(name, "__main__"))
		return name;
	/* a package, or an archive with one */
	folder.len -= base_name(path).len;
	while (folder.len && folder.at[folder.len - 1] == '/')
		folder.len--;
	return folder.len ? base_name(folder) : name;
}

/* "a.b.__main__" is run as "a.b" */
static struct word module_name(struct word module)
{
	static const char main_part[] = ".__main__";
	const size_t n = sizeof(main_part) - 1;

	if (module.len > n && !memcmp(module.at + module.len - n, main_part, n))
		module.len -= n;
	return module;
}

/*
 * A cluster of single-letter options as "-Im": -c and -m end Python's own options, -W and -X take the rest or the next argument. Returns
 * whether it is over, with *ret what runs (empty: nothing that has a name).
 */
static bool take_cluster(struct word option, struct word *rest, struct word *ret)
{
	for (size_t i = 1; i < option.len; i++) {
		struct word value = {option.at + i + 1, option.len - i - 1};

		if (!strchr("cmWX", option.at[i]))
			continue;
		if (!value.len)
			take(rest, &value);
		if (option.at[i] == 'm')
			*ret = module_name(value);
		return option.at[i] == 'c' || option.at[i] == 'm';
	}
	return false;
}

/* What stands behind the interpreter's own options; empty if it has no name. */
static struct word what_runs(struct word rest)
{
	struct word argument, found = {"", 0};

	while (take(&rest, &argument)) {
		if (is(argument, "-"))
			return found;
		if (!argument.len || *argument.at != '-')
			return script_name(argument);
		if (is(argument, "--check-hash-based-pycs"))
			take(&rest, &argument);
		else if (argument.len > 1 && argument.at[1] != '-' &&
			 take_cluster(argument, &rest, &found))
			return found;
	}
	return found;
}

static struct word first_word(struct word text)
{
	size_t n = 0;

	while (n < text.len && text.at[n] != ' ' && text.at[n] != ':')
		n++;
	return (struct word){text.at, n};
}

int cs_command_guess(const char *arguments, size_t len, const char *executable,
		     struct cs_facts *facts)
{
	struct word rest = {arguments, len}, first = {"", 0}, found = {"", 0};
	struct word program = {executable, strlen(executable)};

	if (is_python(program) && take(&rest, &first)) {
		if (is_python(base_name(first)))
			found = what_runs(rest);
		else /* it has renamed itself; or a link to the interpreter has another name */
			found = base_name(first_word(first));
	}
	if (!found.len)
		found = program;
	return cs_facts_tell(facts, CS_FACT_PROGRAM, found.at, found.len);
}
