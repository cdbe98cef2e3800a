/* SPDX-License-Identifier: Apache-2.0 */
/* Command lines of Python, and of others. */
#include <setjmp.h>
#include <stdarg.h>
#include <stddef.h>
#include <stdint.h>

#include <cmocka.h>
#include <stdlib.h>
#include <string.h>

#include "core/cleanup.h"
#include "unit/whose/check_fact.h"
#include "whose/command.h"

static const struct {
	const char *line; /* with a blank for each NUL */
	const char *executable, *name;
} cases[] = {
	{"python3 app.py --port 80", "python3.12", "app"},
	{"/usr/bin/python3 /usr/bin/gunicorn shop:app", "python3.11", "gunicorn"},
	{"python -m uvicorn main:app", "python3", "uvicorn"},
	{"python -Im a.b.__main__ x", "python3", "a.b"},
	{"python -mjson.tool", "python3", "json.tool"},
	{"python -X dev -W ignore -bb -Xfrozen_modules=off -Wd /srv/shop/worker.py", "python3",
	 "worker"},
	{"python --check-hash-based-pycs never -u run.py", "python3", "run"},
	{"python /srv/shop/__main__.py", "python3", "shop"},
	{"python __main__.py", "python3", "__main__"},
	{"python -c print(1)", "python3.12", "python3.12"},
	{"python -Ic print(1)", "python3", "python3"},
	{"python -", "python3", "python3"},
	{"python -m", "python3", "python3"},
	{"python", "python3", "python3"},
	{"python .py", "python3", ".py"},
	{"python -u", "python3", "python3"},
	{"python --version", "python3", "python3"},
	{"gunicorn: worker [shop]", "python3.12", "gunicorn"},
	{"/opt/bin/celery worker", "python3.12", "celery"},
	{"pypy3 x.py", "pypy3.10", "x"},
	{"postgres: writer", "postgres", "postgres"},
	{"", "nginx", "nginx"},
	{"", "", NULL},
};

static void test_names(void **state)
{
	for (size_t i = 0; i < ARRAY_SIZE(cases); i++) {
		_cleanup_facts_ struct cs_facts facts = {0};
		size_t n = strlen(cases[i].line);
		_cleanup_free_ char *line = malloc(n + !n);

		/* a renamed process has one argument */
		for (size_t at = 0; at < n; at++)
			line[at] = cases[i].line[at] == ' ' && !strchr(cases[i].line, ':')
					   ? '\0'
					   : cases[i].line[at];
		if (strstr(cases[i].line, ":app"))
			for (size_t at = 0; at < n; at++)
				line[at] = cases[i].line[at] == ' ' ? '\0' : cases[i].line[at];
		assert_int_equal(cs_command_guess(line, n, cases[i].executable, &facts), 0);
		assert_fact(&facts, PROGRAM, cases[i].name);
	}
}

int main(void)
{
	const struct CMUnitTest tests[] = {cmocka_unit_test(test_names)};

	return cmocka_run_group_tests(tests, NULL, NULL);
}
