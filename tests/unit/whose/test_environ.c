/* SPDX-License-Identifier: Apache-2.0 */
/* What is read of an environment, and that nothing else of it stays anywhere in memory. */
#include <setjmp.h>
#include <stdarg.h>
#include <stddef.h>
#include <stdint.h>

#include <cmocka.h>
#include <stdlib.h>
#include <string.h>
#include <sys/mman.h>
#include <unistd.h>

#include "core/buf.h"
#include "core/cleanup.h"
#include "unit/whose/check_fact.h"
#include "whose/environ.h"

static int file_of(const void *bytes, size_t n)
{
	int fd = memfd_create("environ", MFD_CLOEXEC);

	assert_true(fd >= 0);
	assert_int_equal(write(fd, bytes, n), n);
	assert_int_equal(lseek(fd, 0, SEEK_SET), 0);
	return fd;
}

static void read_bytes(const void *bytes, size_t n, struct cs_facts *facts)
{
	_cleanup_close_ int fd = file_of(bytes, n);

	assert_int_equal(cs_environ_read(fd, facts), 0);
}

/* A string with a NUL for each newline. */
static void read_lines(const char *lines, struct cs_facts *facts)
{
	_cleanup_free_ char *text = strdup(lines);
	size_t n = strlen(lines);

	for (size_t i = 0; i < n; i++)
		text[i] = lines[i] == '\n' ? '\0' : lines[i];
	read_bytes(text, n, facts);
}

static void test_precedence(void **state)
{
	static const struct {
		const char *lines, *service, *version, *environment;
	} cases[] = {
		{"DD_SERVICE=dd\nOTEL_SERVICE_NAME=otel\n", "otel", NULL, NULL},
		{"DD_SERVICE=dd\nOTEL_RESOURCE_ATTRIBUTES=service.name=list,service.version=2\nDD_VERSION=1\n",
		 "list", "2", NULL},
		{"OTEL_SERVICE_NAME=\nDD_SERVICE=dd\nDD_ENV=prod\nDD_VERSION=1", "dd", "1", "prod"},
		{"DD_SERVICE=first\nDD_SERVICE=second\n", "first", NULL, NULL},
		{"XDD_SERVICE=a\nDD_SERVICEX=b\nDD_SERVIC=c\nDD_SERVICE\nD=DD_SERVICE=d\n", NULL,
		 NULL, NULL},
		{"A=\n\n\nDD_ENV=a=b\n", NULL, NULL, "a=b"},
		{"OTEL_SERVICE_NAME=unknown_service\nDD_SERVICE=dd\n", "dd", NULL, NULL},
		{"", NULL, NULL, NULL},
	};

	for (size_t i = 0; i < ARRAY_SIZE(cases); i++) {
		_cleanup_facts_ struct cs_facts facts = {0};

		read_lines(cases[i].lines, &facts);
		assert_fact(&facts, SERVICE, cases[i].service);
		assert_fact(&facts, VERSION, cases[i].version);
		assert_fact(&facts, ENVIRONMENT, cases[i].environment);
	}
}

static void test_list(void **state)
{
	_cleanup_facts_ struct cs_facts facts = {0};

	read_lines(
		"OTEL_RESOURCE_ATTRIBUTES= service.name = a%20b%2Cc%zz% ,api.key=hidden,service.version,=x,,service.namespace=shop"
		",k8s.pod.name=pod-1,process.executable.name=forged,deployment.environment=old,deployment.environment.name=new",
		&facts);
	assert_fact(&facts, SERVICE, "a b,c%zz%");
	assert_fact(&facts, VERSION, NULL);
	assert_fact(&facts, SERVICE_NAMESPACE, "shop");
	assert_fact(&facts, POD, "pod-1");
	assert_fact(&facts, EXECUTABLE, NULL);
	assert_fact(&facts, ENVIRONMENT, "old");
}

/* A pair that is cut off by the bound says nothing; those before it do. */
static void test_long_list(void **state)
{
	_cleanup_facts_ struct cs_facts facts = {0};
	_cleanup_buf_ struct cs_buf text = {0};

	cs_buf_append_str(&text, "OTEL_RESOURCE_ATTRIBUTES=service.name=a,x=");
	while (text.len < 25 + 4096 - 18)
		cs_buf_append(&text, "y", 1);
	cs_buf_append_str(&text, ",service.version=123456789");
	read_bytes(text.data, text.len, &facts);
	assert_fact(&facts, SERVICE, "a");
	assert_fact(&facts, VERSION, NULL);
}

/* Wherever a variable lies to the pieces in which it is read, and behind a value of megabytes. */
static void test_pieces(void **state)
{
	_cleanup_buf_ struct cs_buf text = {0};

	for (size_t before = 4096 - 40; before < 4096 + 8; before++) {
		_cleanup_facts_ struct cs_facts facts = {0};

		text.len = 0;
		cs_buf_append_str(&text, "SECRET=");
		while (text.len < before)
			cs_buf_append(&text, "s", 1);
		cs_buf_append(&text, "\0DD_SERVICE=shop\0DD_ENV=prod\0", 30);
		read_bytes(text.data, text.len, &facts);
		assert_fact(&facts, SERVICE, "shop");
		assert_fact(&facts, ENVIRONMENT, "prod");
	}
	for (size_t megabytes = 1; megabytes < 12; megabytes += 10) {
		_cleanup_facts_ struct cs_facts facts = {0};

		text.len = 0;
		while (text.len < megabytes << 20)
			cs_buf_append_str(&text, "0123456789abcdef");
		cs_buf_append(&text, "\0DD_SERVICE=shop", 16);
		read_bytes(text.data, text.len, &facts);
		assert_fact(&facts, SERVICE, megabytes < 8 ? "shop" : NULL);
	}
}

static void test_huge_value(void **state)
{
	_cleanup_facts_ struct cs_facts facts = {0};
	_cleanup_buf_ struct cs_buf text = {0};

	cs_buf_append_str(&text, "DD_SERVICE=");
	while (text.len < 1 << 20)
		cs_buf_append(&text, "x", 1);
	cs_buf_append(&text, "\0DD_VERSION=7", 13);
	read_bytes(text.data, text.len, &facts);
	assert_int_equal(strlen(facts.at[CS_FACT_SERVICE]), CS_MAX_FACT);
	assert_fact(&facts, VERSION, "7");
}

int main(void)
{
	const struct CMUnitTest tests[] = {
		cmocka_unit_test(test_precedence), cmocka_unit_test(test_list),
		cmocka_unit_test(test_long_list),  cmocka_unit_test(test_pieces),
		cmocka_unit_test(test_huge_value),
	};

	return cmocka_run_group_tests(tests, NULL, NULL);
}
