/* SPDX-License-Identifier: Apache-2.0 */
/* The probe of new tasks: attached if it is wanted, paid for if it is limited, and each rest has a record at both ends. */
#include "collect/task_probe.h"

#include <coroscope/event.h>
#include <setjmp.h>
#include <stdarg.h>
#include <stddef.h>
#include <stdint.h>
#include <string.h>

#include <cmocka.h>

#include "core/cleanup.h"
#include "unit/collect/made_probes.h"

#define PID 7
#define S   1000000000ull

static const struct cs_probe_site site;

static void begin(struct cs_task_probe *task_probe, struct cs_probes *probes)
{
	const struct cs_proc_info info = {0};

	assert_int_equal(cs_probes_set_process(probes, PID, &info), 0);
	assert_int_equal(cs_task_probe_attach(task_probe, probes, PID, &site, S), 0);
}

/* The records that a look has made: 1 for each that says that creations are told, 0 that they are missed. Returns how many. */
static size_t look(struct cs_task_probe *task_probe, struct cs_probes *probes, uint64_t now_ns,
		   bool *ret_told)
{
	_cleanup_buf_ struct cs_buf out = {0};
	const struct cs_ev_hdr *hdr;

	assert_int_equal(cs_task_probe_check(task_probe, probes, PID, true, now_ns, &out), 0);
	if (!out.len)
		return 0;
	hdr = (const struct cs_ev_hdr *)out.data;
	assert_int_equal(hdr->kind, CS_EV_CREATIONS);
	assert_int_equal(hdr->pid, PID);
	assert_int_equal(hdr->ts_ns, now_ns);
	*ret_told = hdr->flags;
	return out.len / sizeof(*hdr);
}

static void test_off(void **state)
{
	struct cs_probe_link link = {0};
	struct cs_probes probes = {.link = &link};
	struct cs_task_probe task_probe = {.probing = CS_PROBING_OFF};

	begin(&task_probe, &probes);
	assert_null(task_probe.link);
	assert_int_equal(link.users, 0);
}

static void test_on(void **state)
{
	struct cs_probe_link link = {0};
	struct cs_probes probes = {.link = &link, .creations = 1};
	struct cs_task_probe task_probe = {.probing = CS_PROBING_ON};
	bool told;

	begin(&task_probe, &probes);
	assert_int_equal(link.users, 1);
	assert_false(link.limited);
	assert_int_equal(look(&task_probe, &probes, S, &told), 0);
	probes.creations = 1000000;
	assert_int_equal(look(&task_probe, &probes, 2 * S, &told), 0);
	assert_int_equal(link.spent_ns, 0);
	cs_task_probe_end(&task_probe);
	assert_int_equal(link.users, 0);
}

static void test_pays(void **state)
{
	struct cs_probe_link link = {0};
	struct cs_probes probes = {.link = &link, .creations = 5000};
	struct cs_task_probe task_probe = {.probing = CS_PROBING_AUTO};
	bool told;

	begin(&task_probe, &probes);
	assert_true(link.limited);
	/* what others have made it create before */
	assert_int_equal(look(&task_probe, &probes, 2 * S, &told), 0);
	assert_int_equal(link.spent_ns, 0);
	probes.creations += 100;
	assert_int_equal(look(&task_probe, &probes, 3 * S, &told), 0);
	assert_in_range(link.spent_ns, 100 * 2000, 100 * 4000);
}

static void test_rests(void **state)
{
	struct cs_probe_link link = {0};
	struct cs_probes probes = {.link = &link, .creations = 5000};
	struct cs_task_probe task_probe = {.probing = CS_PROBING_AUTO};
	bool told = true;

	begin(&task_probe, &probes);
	look(&task_probe, &probes, 2 * S, &told);
	probes.creations += 40000;
	look(&task_probe, &probes, 3 * S, &told);
	assert_string_equal(task_probe.note, "");
	link.rests = true;
	assert_int_equal(look(&task_probe, &probes, 4 * S, &told), 1);
	assert_false(told);
	assert_non_null(strstr(task_probe.note, "40000 a second"));
	assert_int_equal(look(&task_probe, &probes, 5 * S, &told), 0);
	link.rests = false;
	assert_int_equal(look(&task_probe, &probes, 6 * S, &told), 1);
	assert_true(told);
	/* another program begins, while it rests */
	link.rests = true;
	assert_int_equal(look(&task_probe, &probes, 7 * S, &told), 1);
	cs_task_probe_end(&task_probe);
	assert_string_equal(task_probe.note, "");
	begin(&task_probe, &probes);
	assert_int_equal(look(&task_probe, &probes, 8 * S, &told), 1);
	assert_false(told);
}

int main(void)
{
	const struct CMUnitTest tests[] = {
		cmocka_unit_test(test_off),
		cmocka_unit_test(test_on),
		cmocka_unit_test(test_pays),
		cmocka_unit_test(test_rests),
	};

	return cmocka_run_group_tests(tests, NULL, NULL);
}
