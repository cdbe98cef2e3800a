/* SPDX-License-Identifier: Apache-2.0 */
/* Choosing an exporter, and counting intervals. */
#include <setjmp.h>
#include <stdarg.h>
#include <stddef.h>
#include <stdint.h>

#include <cmocka.h>
#include <string.h>

#include "core/cleanup.h"
#include "export/exporter.h"
#include "unit/export/made_profile.h"

static void test_choosing(void **state)
{
	assert_ptr_equal(cs_exporters[0], &cs_export_collapsed);
	assert_ptr_equal(cs_exporters[1], &cs_export_pprof);
	assert_ptr_equal(cs_exporters[2], &cs_export_html);
	assert_ptr_equal(cs_exporters[3], &cs_export_tree);
	assert_ptr_equal(cs_exporters[4], &cs_export_otlp);
	assert_null(cs_exporters[5]);
	assert_ptr_equal(cs_exporter_by_name("otlp"), &cs_export_otlp);
	assert_ptr_equal(cs_exporter_by_path("out.otlp"), &cs_export_otlp);
	assert_ptr_equal(cs_exporter_by_name("html"), &cs_export_html);
	assert_ptr_equal(cs_exporter_by_name("pprof"), &cs_export_pprof);
	assert_null(cs_exporter_by_name("svg"));
	assert_ptr_equal(cs_exporter_by_path("a.b/out.html"), &cs_export_html);
	assert_ptr_equal(cs_exporter_by_path("out.pb.gz"), &cs_export_pprof);
	assert_ptr_equal(cs_exporter_by_path("out.pprof"), &cs_export_pprof);
	assert_ptr_equal(cs_exporter_by_path("out.collapsed"), &cs_export_collapsed);
	assert_ptr_equal(cs_exporter_by_path("out.folded"), &cs_export_collapsed);
	assert_ptr_equal(cs_exporter_by_path("out.txt"), &cs_export_collapsed);
	assert_null(cs_exporter_by_path("out.gz"));
	assert_null(cs_exporter_by_path("html"));
	assert_null(cs_exporter_by_path(""));
}

static uint64_t intervals(bool wall, uint64_t interval_ns, uint64_t cpu_ns, uint64_t wall_ns)
{
	_cleanup_(cs_profile_freep) struct cs_profile *profile = made_empty(wall);
	struct cs_sample sample = {.values = {1, cpu_ns, wall_ns}};

	cs_profile_meta_mut(profile)->interval_ns = interval_ns;
	return cs_export_intervals(profile, &sample);
}

static void test_intervals(void **state)
{
	assert_int_equal(intervals(false, 10, 34, 1000), 3);
	assert_int_equal(intervals(false, 10, 35, 1000), 4);
	assert_int_equal(intervals(true, 10, 34, 1000), 100);
	assert_int_equal(intervals(true, 10, 34, 0), 1);
	assert_int_equal(intervals(false, 10, 4, 0), 1);
	assert_int_equal(intervals(false, 3, 4, 0), 1);
	assert_int_equal(intervals(false, 3, 5, 0), 2);
	assert_int_equal(intervals(false, 0, 7, 0), 7); /* a capture that does not say */
	assert_int_equal(intervals(false, UINT64_MAX, UINT64_MAX, 0), 1);
	assert_int_equal(intervals(false, 1, UINT64_MAX, 0), UINT64_MAX);
}

int main(void)
{
	const struct CMUnitTest tests[] = {
		cmocka_unit_test(test_choosing),
		cmocka_unit_test(test_intervals),
	};

	return cmocka_run_group_tests(tests, NULL, NULL);
}
