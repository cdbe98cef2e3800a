/* SPDX-License-Identifier: Apache-2.0 */
/* The values of the command line, right and wrong. */
#include <setjmp.h>
#include <stdarg.h>
#include <stddef.h>
#include <stdint.h>

#include <cmocka.h>
#include <errno.h>
#include <stdio.h>
#include <string.h>
#include <sys/wait.h>
#include <unistd.h>

#include "cli/args.h"
#include "cli/cli.h"
#include "core/buf.h"
#include "core/cleanup.h"

#define UNTOUCHED 4711

static void test_durations(void **state)
{
	static const struct {
		const char *text;
		int err;
		uint64_t ns;
	} cases[] = {
		{"30", 0, 30000000000},    {"30s", 0, 30000000000}, {"0.5", 0, 500000000},
		{".5s", 0, 500000000},     {"250ms", 0, 250000000}, {"250MS", 0, 250000000},
		{"1ms", 0, 1000000},       {"5m", 0, 300000000000}, {"5min", 0, 300000000000},
		{"1h", 0, 3600000000000},  {"unlimited", 0, 0},     {"0", -ERANGE, 0},
		{"0.5ms", -ERANGE, 0},     {"10000h", -ERANGE, 0},  {"1e300", -ERANGE, 0},
		{"1e999", -EINVAL, 0},     {"", -EINVAL, 0},        {".", -EINVAL, 0},
		{"-1", -EINVAL, 0},        {"+1", -EINVAL, 0},      {" 1", -EINVAL, 0},
		{"1 s", -EINVAL, 0},       {"1d", -EINVAL, 0},      {"s", -EINVAL, 0},
		{"1s1", -EINVAL, 0},       {"nan", -EINVAL, 0},     {"inf", -EINVAL, 0},
		{"Unlimited", -EINVAL, 0},
	};

	for (size_t i = 0; i < ARRAY_SIZE(cases); i++) {
		uint64_t ns = UNTOUCHED;
		int err = cs_parse_duration(cases[i].text, &ns);

		if (err != cases[i].err || ns != (err ? UNTOUCHED : cases[i].ns))
			fail_msg("'%s': %d, %llu ns", cases[i].text, err, (unsigned long long)ns);
	}
}

static void test_moments(void **state)
{
	static const struct {
		const char *text;
		int err;
		uint64_t ns;
	} cases[] = {
		{"1us", 0, 1000},          {"500US", 0, 500000},  {"1.5us", 0, 1500},
		{"10ms", 0, 10000000},     {"1s", 0, 1000000000}, {"3600s", 0, 3600000000000},
		{"0.9us", -ERANGE, 0},     {"0s", -ERANGE, 0},    {"3601s", -ERANGE, 0},
		{"1", -EINVAL, 0},         {"", -EINVAL, 0},      {"-1us", -EINVAL, 0},
		{"unlimited", -EINVAL, 0},
	};

	for (size_t i = 0; i < ARRAY_SIZE(cases); i++) {
		uint64_t ns = UNTOUCHED;
		int err = cs_parse_moment(cases[i].text, &ns);

		if (err != cases[i].err || ns != (err ? UNTOUCHED : cases[i].ns))
			fail_msg("'%s': %d, %llu ns", cases[i].text, err, (unsigned long long)ns);
	}
}

static void test_rates(void **state)
{
	static const struct {
		const char *text;
		int err;
		uint32_t hz;
	} cases[] = {
		{"99", 0, 99},         {"1", 0, 1},
		{"99hz", 0, 99},       {"99Hz", 0, 99},
		{"1k", 0, 1000},       {"1khz", 0, 1000},
		{"0.1k", 0, 100},      {"10000", 0, 10000},
		{"10k", 0, 10000},     {"0", -ERANGE, 0},
		{"0.9", -ERANGE, 0},   {"10001", -ERANGE, 0},
		{"11k", -ERANGE, 0},   {"1000000", -ERANGE, 0},
		{"", -EINVAL, 0},      {"-1", -EINVAL, 0},
		{"fast", -EINVAL, 0},  {"99s", -EINVAL, 0},
		{"99 hz", -EINVAL, 0}, {"9,9", -EINVAL, 0},
	};

	for (size_t i = 0; i < ARRAY_SIZE(cases); i++) {
		uint32_t hz = UNTOUCHED;
		int err = cs_parse_rate(cases[i].text, &hz);

		if (err != cases[i].err || hz != (err ? UNTOUCHED : cases[i].hz))
			fail_msg("'%s': %d, %u Hz", cases[i].text, err, hz);
	}
}

static void test_ids(void **state)
{
	static const struct {
		const char *text;
		size_t digits;
		const char *id; /* NULL: refused */
	} cases[] = {
		{"1", 4, "0001"},
		{"0xAb", 4, "00ab"},
		{"0XAB12", 4, "ab12"},
		{"0", 1, "0"},
		{"12345", 4, NULL},
		{"", 4, NULL},
		{"0x", 4, NULL},
		{"0x0x1", 16, NULL},
		{"g", 4, NULL},
		{"-1", 4, NULL},
		{" 1", 4, NULL},
		{"1 ", 4, NULL},
		{"0123456789abcdef0123456789ABCDEF", 32, "0123456789abcdef0123456789abcdef"},
	};

	for (size_t i = 0; i < ARRAY_SIZE(cases); i++) {
		char id[CS_ID_DIGITS + 1] = "";
		int err = cs_parse_id(cases[i].text, cases[i].digits, id);

		assert_int_equal(err, cases[i].id ? 0 : -EINVAL);
		assert_string_equal(id, cases[i].id ? cases[i].id : "");
	}
}

static void test_sizes(void **state)
{
	static const struct {
		const char *text;
		int err;
		size_t bytes;
	} cases[] = {
		{"4096", 0, 4096},   {"64K", 0, 65536},     {"64k", 0, 65536},
		{"8M", 0, 8u << 20}, {"1G", 0, 1u << 30},   {"0.5M", 0, 1u << 19},
		{"0", -ERANGE, 0},   {"1025M", -ERANGE, 0}, {"2g", -ERANGE, 0},
		{"8MB", -EINVAL, 0}, {"", -EINVAL, 0},      {"M", -EINVAL, 0},
		{"-1", -EINVAL, 0},  {"big", -EINVAL, 0},
	};

	for (size_t i = 0; i < ARRAY_SIZE(cases); i++) {
		size_t bytes = UNTOUCHED;
		int err = cs_parse_size(cases[i].text, &bytes);

		if (err != cases[i].err || bytes != (err ? UNTOUCHED : cases[i].bytes))
			fail_msg("'%s': %d, %zu bytes", cases[i].text, err, bytes);
	}
}

static void test_pids(void **state)
{
	static const struct {
		const char *text;
		int err;
		unsigned int n;
		pid_t first, last;
	} cases[] = {
		{"12", 0, 1, 12, 12},          {"12,345", 0, 2, 12, 345},
		{"0x1f", 0, 1, 31, 31},        {"4194304", 0, 1, 4194304, 4194304},
		{"4194305", -EINVAL, 0, 0, 0}, {"99999999999999999999", -EINVAL, 0, 0, 0},
		{"", -EINVAL, 0, 0, 0},        {"0", -EINVAL, 0, 0, 0},
		{"-1", -EINVAL, 0, 0, 0},      {",1", -EINVAL, 0, 0, 0},
		{"1,,2", -EINVAL, 0, 0, 0},    {"1, 2", -EINVAL, 0, 0, 0},
		{"1;2", -EINVAL, 0, 0, 0},     {"python", -EINVAL, 0, 0, 0},
		{"12x", -EINVAL, 0, 0, 0},
	};

	for (size_t i = 0; i < ARRAY_SIZE(cases); i++) {
		pid_t pids[CS_MAX_PIDS];
		unsigned int n = 0;
		int err = cs_parse_pids(cases[i].text, pids, &n);

		if (err != cases[i].err || (!err && (n != cases[i].n || pids[0] != cases[i].first ||
						     pids[n - 1] != cases[i].last)))
			fail_msg("'%s': %d, %u pids", cases[i].text, err, n);
	}
}

static void test_pids_are_appended(void **state)
{
	_cleanup_buf_ struct cs_buf many = {0};
	pid_t pids[CS_MAX_PIDS + 1] = {0};
	unsigned int n = 0;

	assert_int_equal(cs_parse_pids("7", pids, &n), 0);
	assert_int_equal(cs_parse_pids("8,9", pids, &n), 0);
	assert_int_equal(n, 3);
	assert_int_equal(pids[0], 7);
	assert_int_equal(pids[2], 9);
	for (unsigned int i = 3; i < CS_MAX_PIDS; i++)
		cs_buf_printf(&many, "%s%u", i > 3 ? "," : "", i);
	assert_int_equal(cs_parse_pids(cs_buf_str(&many), pids, &n), 0);
	assert_int_equal(n, CS_MAX_PIDS);
	assert_int_equal(cs_parse_pids("1", pids, &n), -E2BIG);
	assert_int_equal(n, CS_MAX_PIDS);
	assert_int_equal(pids[CS_MAX_PIDS], 0);
}

/* One line on stderr, and the exit code for wrong usage. */
static void test_usage_error(void **state)
{
	_cleanup_fclose_ FILE *said = tmpfile();
	char text[256] = "";
	pid_t pid = fork();
	int status;

	assert_non_null(said);
	if (pid == 0) {
		dup2(fileno(said), STDERR_FILENO);
		cs_usage_error("rate '%s' is wrong", "0");
	}
	assert_int_equal(waitpid(pid, &status, 0), pid);
	assert_true(WIFEXITED(status));
	assert_int_equal(WEXITSTATUS(status), CS_EXIT_USAGE);
	assert_true(pread(fileno(said), text, sizeof(text) - 1, 0) > 0);
	assert_non_null(strstr(text, "rate '0' is wrong\n"));
	assert_ptr_equal(strchr(text, '\n'), strrchr(text, '\n'));
}

int main(void)
{
	const struct CMUnitTest tests[] = {
		cmocka_unit_test(test_durations),
		cmocka_unit_test(test_moments),
		cmocka_unit_test(test_rates),
		cmocka_unit_test(test_sizes),
		cmocka_unit_test(test_ids),
		cmocka_unit_test(test_pids),
		cmocka_unit_test(test_pids_are_appended),
		cmocka_unit_test(test_usage_error),
	};

	return cmocka_run_group_tests(tests, NULL, NULL);
}
