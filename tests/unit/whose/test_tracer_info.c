/* SPDX-License-Identifier: Apache-2.0 */
/* MessagePack as tracers write it, with every kind of value between, cut off and forged. */
#include <setjmp.h>
#include <stdarg.h>
#include <stddef.h>
#include <stdint.h>

#include <cmocka.h>
#include <signal.h>
#include <stdio.h>
#include <stdlib.h>
#include <string.h>
#include <sys/mman.h>
#include <sys/wait.h>
#include <unistd.h>

#include "core/cleanup.h"
#include "unit/whose/check_fact.h"
#include "whose/tracer_info.h"

/* As ddtrace writes it: a map of 9. */
static const char real[] = "\x89\xaeschema_version\x02\xaaruntime_id\xd9\x24"
			   "0123456789abcdef0123456789abcdef0123"
			   "\xaftracer_language\xa6python\xaetracer_version\xa5"
			   "4.3.1"
			   "\xa8hostname\xa3"
			   "box\xacservice_name\xa4shop\xabservice_env\xa4prod"
			   "\xafservice_version\xa3"
			   "1.2\xac"
			   "container_id\xc0";

/* In an allocation of exactly its size, so that sanitizers see a read beyond it. */
static void parse(const void *bytes, size_t len, bool inherited, struct cs_facts *facts)
{
	_cleanup_free_ char *copy = malloc(len + !len);

	if (len)
		memcpy(copy, bytes, len);
	assert_int_equal(cs_tracer_info_parse(copy, len, inherited, facts), 0);
}

static void test_real(void **state)
{
	_cleanup_facts_ struct cs_facts own = {0}, inherited = {0};

	parse(real, sizeof(real) - 1, false, &own);
	assert_fact(&own, SERVICE, "shop");
	assert_fact(&own, ENVIRONMENT, "prod");
	assert_fact(&own, VERSION, "1.2");
	assert_fact(&own, TRACER_VERSION, "4.3.1");
	assert_fact(&own, RUNTIME_ID, "0123456789abcdef0123456789abcdef0123");
	assert_fact(&own, CONTAINER, NULL);
	parse(real, sizeof(real) - 1, true, &inherited);
	assert_fact(&inherited, SERVICE, "shop");
	assert_fact(&inherited, RUNTIME_ID, NULL);
}

/* Every kind of value, which is passed over whole: what follows is read. */
static void test_kinds(void **state)
{
	static const struct {
		const char *bytes;
		size_t len;
	} values[] = {
#define V(text) {text, sizeof(text) - 1}
		V("\x00"),
		V("\x7f"),
		V("\xff"),
		V("\xc0"),
		V("\xc2"),
		V("\xc3"),
		V("\x80"),
		V("\x82\x01\x02\xa1"
		  "a\x80"),
		V("\x90"),
		V("\x92\xa1"
		  "a\x91\x01"),
		V("\xc4\x02"
		  "ab"),
		V("\xc5\x00\x01"
		  "a"),
		V("\xc6\x00\x00\x00\x01"
		  "a"),
		V("\xc7\x02\x01"
		  "ab"),
		V("\xc8\x00\x01\x01"
		  "a"),
		V("\xc9\x00\x00\x00\x01\x01"
		  "a"),
		V("\xca"
		  "1234"),
		V("\xcb"
		  "12345678"),
		V("\xcc"
		  "1"),
		V("\xcd"
		  "12"),
		V("\xce"
		  "1234"),
		V("\xcf"
		  "12345678"),
		V("\xd0"
		  "1"),
		V("\xd1"
		  "12"),
		V("\xd2"
		  "1234"),
		V("\xd3"
		  "12345678"),
		V("\xd4"
		  "12"),
		V("\xd5"
		  "123"),
		V("\xd6"
		  "12345"),
		V("\xd7"
		  "123456789"),
		V("\xd8"
		  "12345678901234567"),
		V("\xda\x00\x02"
		  "ab"),
		V("\xdb\x00\x00\x00\x02"
		  "ab"),
		V("\xdc\x00\x02\x01\x02"),
		V("\xdd\x00\x00\x00\x01\x90"),
		V("\xde\x00\x01\x01\x02"),
		V("\xdf\x00\x00\x00\x01\x01\x02"),
	};

	for (size_t i = 0; i < ARRAY_SIZE(values); i++) {
		_cleanup_facts_ struct cs_facts facts = {0};
		char bytes[128] = "\xde\x00\x02\xa1x";
		size_t len = 5;

		memcpy(bytes + len, values[i].bytes, values[i].len);
		len += values[i].len;
		memcpy(bytes + len, "\xacservice_name\xa4shop", 18);
		parse(bytes, len + 18, false, &facts);
		assert_fact(&facts, SERVICE, "shop");
	}
}

static void test_cut_and_forged(void **state)
{
	char bytes[sizeof(real)];

	for (size_t len = 0; len < sizeof(real) - 1; len++) {
		_cleanup_facts_ struct cs_facts facts = {0};

		parse(real, len, false, &facts);
	}
	for (size_t at = 0; at < sizeof(real) - 1; at++)
		for (int value = 0; value < 256; value++) {
			_cleanup_facts_ struct cs_facts facts = {0};

			memcpy(bytes, real, sizeof(bytes));
			bytes[at] = (char)value;
			parse(bytes, sizeof(real) - 1, false, &facts);
		}
}

/* Promises without end, and nesting without end, take no more time and memory than their bytes. */
static void test_endless(void **state)
{
	static const char *const heads[] = {
		"\xdf\xff\xff\xff\xff", "\xdd\xff\xff\xff\xff", "\x91",
		"\x81\xa1x\x91",        "\xdb\xff\xff\xff\xff", "\xc9\xff\xff\xff\xff"};
	const size_t n = 65536;
	_cleanup_free_ char *bytes = malloc(n);

	for (size_t i = 0; i < ARRAY_SIZE(heads); i++) {
		_cleanup_facts_ struct cs_facts facts = {0};
		size_t len = strlen(heads[i]), at = 4;

		memcpy(bytes, "\x82\xa1x", 4);
		for (at = 3; at + len <= n; at += len)
			memcpy(bytes + at, heads[i], len);
		parse(bytes, at, false, &facts);
		parse(bytes + 3, at - 3, false, &facts);
		assert_fact(&facts, SERVICE, NULL);
	}
}

static int make(const char *name, const char *service)
{
	int fd = memfd_create(name, MFD_CLOEXEC);

	assert_true(fd >= 0);
	assert_true(dprintf(fd, "\x82\xacservice_name%c%s\xaaruntime_id\xa1r",
			    (int)(0xa0 | strlen(service)), service) > 0);
	return fd;
}

static void test_files(void **state)
{
	_cleanup_facts_ struct cs_facts none = {0}, found = {0}, late = {0};
	_cleanup_close_ int other = make("datadog-tracer-inf", "wrong"), old, fresh;

	assert_int_equal(cs_tracer_info_read(getpid(), 0, 0, &none), 0);
	assert_fact(&none, SERVICE, NULL);
	old = make("datadog-tracer-info-0123abcd", "old");
	usleep(20000); /* file systems' clocks tick */
	fresh = make("datadog-tracer-info-ffffffff", "fresh");
	assert_int_equal(cs_tracer_info_read(getpid(), 0, 0, &found), 0);
	assert_fact(&found, SERVICE, "fresh");
	assert_fact(&found, RUNTIME_ID, "r");
	/* of a process that has begun after the file was written */
	assert_int_equal(cs_tracer_info_read(getpid(), 0, UINT64_MAX, &late), 0);
	assert_fact(&late, SERVICE, "fresh");
	assert_fact(&late, RUNTIME_ID, NULL);
	assert_int_equal(cs_tracer_info_read(0x7fffffff, 0, 0, &none), 0);
}

/* The parent has it, too: inherited, whatever a clock that was set makes of its age. */
static void test_inherited(void **state)
{
	_cleanup_facts_ struct cs_facts own = {0}, its = {0};
	_cleanup_close_ int fd = make("datadog-tracer-info-0123abcd", "shop");
	pid_t child = fork();

	assert_true(child >= 0);
	if (!child) {
		pause();
		_exit(0);
	}
	assert_int_equal(cs_tracer_info_read(getpid(), getppid(), 0, &own), 0);
	assert_int_equal(cs_tracer_info_read(child, getpid(), 0, &its), 0);
	kill(child, SIGKILL);
	waitpid(child, NULL, 0);
	assert_fact(&own, RUNTIME_ID, "r");
	assert_fact(&its, SERVICE, "shop");
	assert_fact(&its, RUNTIME_ID, NULL);
}

/* A file of that name is no memfd. */
static void test_forged_name(void **state)
{
	_cleanup_facts_ struct cs_facts facts = {0};
	FILE *file = fopen("/memfd:datadog-tracer-info-0 (deleted)", "w+e");

	if (!file)
		skip(); /* not root */
	fwrite("\x81\xacservice_name\xa4shop", 1, 19, file);
	fflush(file);
	assert_int_equal(cs_tracer_info_read(getpid(), 0, 0, &facts), 0);
	fclose(file);
	unlink("/memfd:datadog-tracer-info-0 (deleted)");
	assert_fact(&facts, SERVICE, NULL);
}

int main(void)
{
	const struct CMUnitTest tests[] = {
		cmocka_unit_test(test_real),           cmocka_unit_test(test_kinds),
		cmocka_unit_test(test_cut_and_forged), cmocka_unit_test(test_endless),
		cmocka_unit_test(test_files),          cmocka_unit_test(test_forged_name),
		cmocka_unit_test(test_inherited),
	};

	return cmocka_run_group_tests(tests, NULL, NULL);
}
