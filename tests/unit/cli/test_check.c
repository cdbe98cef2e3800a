/* SPDX-License-Identifier: Apache-2.0 */
/*
 * `coroscope check` against made-up machines: folders that hold the few files of /proc and /sys that it reads,
 * and against made-up interpreters.
 */
#include <errno.h>
#include <setjmp.h>
#include <stdarg.h>
#include <stddef.h>
#include <stdint.h>

#include <cmocka.h>
#include <limits.h>
#include <stdio.h>
#include <stdlib.h>
#include <string.h>
#include <sys/stat.h>
#include <unistd.h>

#include "cli/check.h"
#include "core/cleanup.h"

#define RELEASE  "/proc/sys/kernel/osrelease"
#define PARANOID "/proc/sys/kernel/perf_event_paranoid"
#define KPTR     "/proc/sys/kernel/kptr_restrict"
#define STATUS   "/proc/self/status"
#define LIMITS   "/proc/self/limits"
#define BTF      "/sys/kernel/btf/vmlinux"
#define LOCKDOWN "/sys/kernel/security/lockdown"

static const char *const folders[] = {
	"/proc", "/proc/sys",   "/proc/sys/kernel", "/proc/self",
	"/sys",  "/sys/kernel", "/sys/kernel/btf",  "/sys/kernel/security",
};
static const char *const files[] = {RELEASE, PARANOID, KPTR, STATUS, LIMITS, BTF, LOCKDOWN};

static char root[] = "/tmp/coroscope-check-XXXXXX";

static void set_file(const char *path, const char *text)
{
	_cleanup_fclose_ FILE *file = NULL;
	char full[PATH_MAX];

	snprintf(full, sizeof(full), "%s%s", root, path);
	file = fopen(full, "w");
	assert_non_null(file);
	fputs(text, file);
}

static void remove_file(const char *path)
{
	char full[PATH_MAX];

	snprintf(full, sizeof(full), "%s%s", root, path);
	unlink(full);
}

static int make_root(void **state)
{
	char full[PATH_MAX];

	if (!mkdtemp(root))
		return -1;
	for (size_t i = 0; i < ARRAY_SIZE(folders); i++) {
		snprintf(full, sizeof(full), "%s%s", root, folders[i]);
		if (mkdir(full, 0700))
			return -1;
	}
	return 0;
}

static int remove_root(void **state)
{
	char full[PATH_MAX];

	for (size_t i = 0; i < ARRAY_SIZE(files); i++)
		remove_file(files[i]);
	for (size_t i = ARRAY_SIZE(folders); i-- > 0;) {
		snprintf(full, sizeof(full), "%s%s", root, folders[i]);
		rmdir(full);
	}
	return rmdir(root);
}

/* A machine on which everything works, as root. */
static int good_machine(void **state)
{
	set_file(RELEASE, "6.1.0-18-amd64\n");
	set_file(PARANOID, "3\n");
	set_file(KPTR, "0\n");
	set_file(STATUS, "Name:\tcoroscope\nCapPrm:\t0\nCapEff:\t000001ffffffffff\n");
	set_file(LIMITS,
		 "Limit                     Soft Limit           Hard Limit           Units\n"
		 "Max locked memory         65536                65536                bytes\n");
	set_file(BTF, "x");
	set_file(LOCKDOWN, "[none] integrity confidentiality\n");
	return 0;
}

/* What `check` says of the machine with a kernel that can do all, or only what every supported one can. Owned by the caller. */
static char *report(bool newest, unsigned int *ret_missing)
{
	struct cs_check_host host;
	char *text = NULL;
	size_t size = 0;
	FILE *out = open_memstream(&text, &size);

	assert_non_null(out);
	cs_check_host_read(root, &host);
	host.walks_threads = host.grows_tables = host.instants = newest;
	*ret_missing = cs_check_report_host(&host, out);
	fclose(out);
	return text;
}

static char *report_host(unsigned int *ret_missing)
{
	return report(true, ret_missing);
}

/* Exactly one line says MISSING, and it starts as given and mentions the remedy. */
static void assert_one_missing(const char *line, const char *remedy)
{
	unsigned int missing;
	_cleanup_free_ char *text = report_host(&missing);
	const char *found = strstr(text, "MISSING ");

	assert_int_equal(missing, 1);
	assert_non_null(found);
	assert_int_equal(strncmp(found + strlen("MISSING "), line, strlen(line)), 0);
	assert_non_null(strstr(found, remedy));
}

static void nothing_is_missing_on_a_good_machine(void **state)
{
	unsigned int missing;
	_cleanup_free_ char *text = report_host(&missing);

	assert_int_equal(missing, 0);
	assert_null(strstr(text, "MISSING"));
	assert_non_null(strstr(text, "ok      kernel: 6.1.0-18-amd64\n"));
	assert_non_null(strstr(text, "ok      lockdown: none\n"));
	assert_non_null(strstr(text, "ok      memlock limit: 65536 bytes\n"));
}

static void an_old_kernel_is_named(void **state)
{
	set_file(RELEASE, "5.4.0-42-generic\n");
	assert_one_missing("kernel: 5.4.0-42-generic", "5.10");
}

static void what_a_kernel_lacks_is_told(void **state)
{
	unsigned int missing;
	_cleanup_free_ char *able = report(true, &missing), *lacking = NULL;

	assert_int_equal(missing, 0);
	assert_non_null(strstr(able, "ok      wall clock: task iterator with bpf_"));
	assert_non_null(strstr(able, "ok      tables: grow as they fill\n"));
	assert_non_null(strstr(able, "ok      busy event loops: tasks are seen at one instant"));
	lacking = report(false, &missing);
	assert_int_equal(missing, 1);
	assert_non_null(strstr(lacking, "MISSING wall clock: task iterator without bpf_"));
	assert_non_null(strstr(lacking, "ok      tables: allocated whole: "));
	assert_non_null(
		strstr(lacking, "ok      busy event loops: tasks are confirmed one by one"));
}

static void missing_btf_is_named(void **state)
{
	remove_file(BTF);
	assert_one_missing("BTF: /sys/kernel/btf/vmlinux cannot be read", "CONFIG_DEBUG_INFO_BTF");
}

static void only_the_strictest_lockdown_hurts(void **state)
{
	unsigned int missing;
	_cleanup_free_ char *text = NULL;

	set_file(LOCKDOWN, "none [integrity] confidentiality\n");
	text = report_host(&missing);
	assert_int_equal(missing, 0);
	assert_non_null(strstr(text, "ok      lockdown: integrity\n"));
	set_file(LOCKDOWN, "none integrity [confidentiality]\n");
	assert_one_missing("lockdown: confidentiality", "lockdown=integrity");
}

static void without_capabilities_each_loss_is_named(void **state)
{
	unsigned int missing;
	_cleanup_free_ char *text = NULL;

	set_file(STATUS, "CapEff:\t0000000000000000\n");
	text = report_host(&missing);
	assert_int_equal(missing, 6);
	assert_non_null(strstr(text, "MISSING capability to load BPF: "));
	assert_non_null(strstr(text, "MISSING capability to attach uprobes: no CAP_SYS_ADMIN; "));
	assert_non_null(strstr(text, "MISSING capability to read processes: no CAP_SYS_PTRACE; "));
	assert_non_null(strstr(text, "MISSING capability to read files: no CAP_DAC_READ_SEARCH; "));
	assert_non_null(strstr(text, "MISSING perf_event_paranoid: 3; "));
	assert_non_null(strstr(text, "MISSING kptr_restrict: 0; "));
	assert_non_null(strstr(text, "ok      tables: not known"));
}

/* CAP_BPF, CAP_PERFMON, CAP_SYS_PTRACE, CAP_DAC_READ_SEARCH and CAP_SYSLOG: all but the uprobe works. */
static void least_privilege_loses_the_uprobe_only(void **state)
{
	set_file(STATUS, "CapEff:\t000000c400080004\n");
	set_file(PARANOID, "2\n");
	assert_one_missing("capability to attach uprobes", "CAP_SYS_ADMIN");
}

static void memlock_matters_on_old_kernels_only(void **state)
{
	unsigned int missing;
	_cleanup_free_ char *text = NULL;

	set_file(RELEASE, "5.10.0\n");
	set_file(STATUS, "CapEff:\t000001fffeffffff\n"); /* all but CAP_SYS_RESOURCE */
	text = report_host(&missing);
	assert_int_equal(missing, 1);
	assert_non_null(strstr(text, "MISSING memlock limit: 65536 bytes; "));
	set_file(RELEASE, "6.1.0\n");
	set_file(LIMITS,
		 "Max locked memory         unlimited            unlimited            bytes\n");
	free(TAKE_PTR(text));
	text = report_host(&missing);
	assert_int_equal(missing, 0);
	assert_non_null(strstr(text, "ok      memlock limit: unlimited\n"));
}

static void hidden_kernel_addresses_are_named(void **state)
{
	set_file(KPTR, "2\n");
	assert_one_missing("kptr_restrict: 2", "kptr_restrict=1");
}

static void an_empty_machine_is_not_trusted(void **state)
{
	unsigned int missing;
	_cleanup_free_ char *text = NULL;

	for (size_t i = 0; i < ARRAY_SIZE(files); i++)
		remove_file(files[i]);
	text = report_host(&missing);
	assert_non_null(strstr(text, "MISSING kernel: unknown; "));
	assert_non_null(strstr(text, "MISSING BTF: "));
	assert_non_null(strstr(text, "MISSING perf_event_paranoid: cannot be read; "));
}

static char *report_interp(const struct cs_interp *interp, const struct cs_asyncio *asyncio,
			   unsigned int *ret_missing)
{
	char *text = NULL;
	size_t size = 0;
	FILE *out = open_memstream(&text, &size);

	assert_non_null(out);
	*ret_missing = cs_check_report_interp(interp, asyncio, out);
	fclose(out);
	return text;
}

static void an_unsupported_python_is_refused_by_name(void **state)
{
	struct cs_interp interp = {.state = CS_INTERP_UNSUPPORTED,
				   .reason = "Python 3.7 is not supported",
				   .binary = "/usr/bin/python3.7"};
	unsigned int missing;
	_cleanup_free_ char *text = report_interp(&interp, NULL, &missing);

	assert_int_equal(missing, 1);
	assert_non_null(strstr(
		text, "MISSING interpreter: Python 3.7 is not supported, in /usr/bin/python3.7; "));
}

static void builds_are_named(void **state)
{
	_cleanup_free_ char *versions = NULL, *found = NULL;
	struct cs_interp interp = {.state = CS_INTERP_READY,
				   .major = 3,
				   .minor = 9,
				   .micro = 2,
				   .flavour = "debug",
				   .binary = "/usr/bin/python3.9d"};
	unsigned int missing;
	size_t size = 0;
	FILE *out = open_memstream(&versions, &size);

	assert_non_null(out);
	cs_check_report_versions(out);
	fclose(out);
	assert_int_equal(
		strncmp(versions, "ok      Python 3.8: gil\nok      Python 3.9: gil, debug\n", 55),
		0);
	assert_non_null(strstr(
		versions,
		"ok      Python 3.14: gil, debug, free-threaded (from headers, not tried)\n"));
	found = report_interp(&interp, NULL, &missing);
	assert_int_equal(missing, 0);
	assert_non_null(
		strstr(found, "interpreter: Python 3.9.2 (debug) in /usr/bin/python3.9d\n"));
}

static const struct cs_interp ready = {.state = CS_INTERP_READY,
				       .major = 3,
				       .minor = 12,
				       .micro = 1,
				       .flavour = "gil",
				       .binary = "/opt/\033[31mpython\nok",
				       .offsets_source = "generated table (3.12)"};

/* The path is the target's: it must not forge lines or move the cursor. */
static void a_forged_path_stays_on_its_line(void **state)
{
	struct cs_asyncio asyncio = {.loaded = false};
	unsigned int missing;
	_cleanup_free_ char *text = report_interp(&ready, &asyncio, &missing);

	assert_int_equal(missing, 0);
	assert_string_equal(text, "ok      interpreter: Python 3.12.1 in /opt/?[31mpython?ok\n"
				  "ok      offsets: generated table (3.12)\n"
				  "ok      asyncio: not loaded, so there are no tasks\n"
				  "ok      task probe: not needed until asyncio is loaded\n");
}

static void why_there_is_no_probe_is_said(void **state)
{
	struct cs_asyncio asyncio = {.loaded = true,
				     .probe_reason = "tp_init is in anonymous memory"};
	unsigned int missing;
	_cleanup_free_ char *text = report_interp(&ready, &asyncio, &missing);

	assert_int_equal(missing, 1);
	assert_non_null(strstr(text, "MISSING task probe: tp_init is in anonymous memory; "));
}

static void expect_published(const struct cs_check_published *published, enum cs_interp_state state,
			     unsigned int nvars, const char *expected)
{
	const struct cs_interp interp = {.state = state};
	const struct cs_tracer_list tracers = {.row.nvars = nvars};
	_cleanup_free_ char *text = NULL;
	size_t size;
	FILE *out = open_memstream(&text, &size);

	assert_non_null(out);
	cs_check_report_published(published, &interp, &tracers, out);
	fclose(out);
	if (*expected)
		assert_non_null(strstr(text, expected));
	else
		assert_string_equal(text, "");
}

static void what_threads_publish_is_compared(void **state)
{
	struct cs_check_published published = {.found = -ENOENT, .believed = true};

	expect_published(&published, CS_INTERP_NOT_PYTHON, 0, "");
	published.found = -EAGAIN;
	expect_published(&published, CS_INTERP_NOT_PYTHON, 0, "is not told (yet)\n");
	published.found = -ENOTUNIQ;
	expect_published(&published, CS_INTERP_READY, 1, "not taken\n");
	published.found = 0;
	expect_published(&published, CS_INTERP_NOT_PYTHON, 0, "samples tell them\n");
	published.believed = false;
	expect_published(&published, CS_INTERP_READY, 0, "not taken, since");
	expect_published(&published, CS_INTERP_READY, 1, "none was seen in a span\n");
	published.agreement.silent = 3;
	expect_published(&published, CS_INTERP_READY, 1, "none, by threads that were in spans\n");
	published.agreement.looks = 12;
	published.agreement.same = 11;
	expect_published(&published, CS_INTERP_READY, 1,
			 "11 of 12 looks agree with what is read of them\n");
	published.agreement.loop_looks = 8;
	published.agreement.loop_same = 7;
	expect_published(&published, CS_INTERP_READY, 1, "event loop 7 of 8\n");
}

int main(void)
{
	const struct CMUnitTest tests[] = {
		cmocka_unit_test_setup(nothing_is_missing_on_a_good_machine, good_machine),
		cmocka_unit_test_setup(an_old_kernel_is_named, good_machine),
		cmocka_unit_test_setup(what_a_kernel_lacks_is_told, good_machine),
		cmocka_unit_test_setup(missing_btf_is_named, good_machine),
		cmocka_unit_test_setup(only_the_strictest_lockdown_hurts, good_machine),
		cmocka_unit_test_setup(without_capabilities_each_loss_is_named, good_machine),
		cmocka_unit_test_setup(least_privilege_loses_the_uprobe_only, good_machine),
		cmocka_unit_test_setup(memlock_matters_on_old_kernels_only, good_machine),
		cmocka_unit_test_setup(hidden_kernel_addresses_are_named, good_machine),
		cmocka_unit_test_setup(an_empty_machine_is_not_trusted, good_machine),
		cmocka_unit_test(an_unsupported_python_is_refused_by_name),
		cmocka_unit_test(builds_are_named),
		cmocka_unit_test(what_threads_publish_is_compared),
		cmocka_unit_test(a_forged_path_stays_on_its_line),
		cmocka_unit_test(why_there_is_no_probe_is_said),
	};

	return cmocka_run_group_tests(tests, make_root, remove_root);
}
