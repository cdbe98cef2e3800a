/* SPDX-License-Identifier: Apache-2.0 */
/* Probes of spans: attached when their programs are there, without being asked for in few processes only, and it is said why they are not. */
#include "collect/span_probes.h"

#include <errno.h>
#include <setjmp.h>
#include <stdarg.h>
#include <stddef.h>
#include <stdint.h>
#include <string.h>
#include <unistd.h>

#include <cmocka.h>

#include "unit/collect/made_probes.h"

/* This program is no interpreter: it has nothing that could be probed. */
#define NO_SITE "PyContextVar_Set cannot be probed"

static const struct cs_tracers traced = {.nvars = 1}, untraced;

static void attach(struct cs_span_probes *ret, struct cs_probes *probes,
		   const struct cs_tracers *tracers, enum cs_probing events)
{
	struct cs_interp interp = {.pid = getpid()};

	cs_span_probes_attach(ret, probes, &interp, tracers, events);
}

static void test_until_loaded(void **state)
{
	struct cs_probes probes = {.spans_err = -EAGAIN};
	struct cs_span_probes spans = {0};

	for (int turn = 0; turn < 3; turn++) {
		attach(&spans, &probes, &traced, CS_PROBING_AUTO);
		assert_false(spans.tried);
		assert_string_equal(spans.note, "");
	}
	probes.spans_err = 0;
	attach(&spans, &probes, &traced, CS_PROBING_AUTO);
	assert_true(spans.tried);
	assert_non_null(strstr(spans.note, NO_SITE));
}

static void test_not_loaded(void **state)
{
	struct cs_probes probes = {.spans_err = -EPERM};
	struct cs_span_probes spans = {0};

	attach(&spans, &probes, &traced, CS_PROBING_ON);
	assert_true(spans.tried);
	assert_non_null(strstr(spans.note, strerror(EPERM)));
}

static void test_without_tracer(void **state)
{
	struct cs_probes probes = {0};
	struct cs_span_probes spans = {0};

	attach(&spans, &probes, &untraced, CS_PROBING_ON);
	assert_false(spans.tried);
	assert_string_equal(spans.note, "");
}

static void test_many_processes(void **state)
{
	struct cs_probes probes = {.span_processes = 15};
	struct cs_span_probes last = {0}, next = {0}, asked = {0};

	attach(&last, &probes, &traced, CS_PROBING_AUTO);
	assert_non_null(strstr(last.note, NO_SITE));
	probes.span_processes++;
	attach(&next, &probes, &traced, CS_PROBING_AUTO);
	assert_non_null(strstr(next.note, "16 other processes"));
	attach(&asked, &probes, &traced, CS_PROBING_ON);
	assert_non_null(strstr(asked.note, NO_SITE));
}

int main(void)
{
	const struct CMUnitTest tests[] = {
		cmocka_unit_test(test_until_loaded),
		cmocka_unit_test(test_not_loaded),
		cmocka_unit_test(test_without_tracer),
		cmocka_unit_test(test_many_processes),
	};

	return cmocka_run_group_tests(tests, NULL, NULL);
}
