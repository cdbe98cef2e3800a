/* SPDX-License-Identifier: Apache-2.0 */
/* Servers that are not set, and one that takes a question and never answers. */
#include <arpa/inet.h>
#include <errno.h>
#include <netinet/in.h>
#include <setjmp.h>
#include <stdarg.h>
#include <stddef.h>
#include <stdio.h>
#include <stdlib.h>
#include <string.h>
#include <sys/socket.h>
#include <time.h>
#include <unistd.h>

#include <cmocka.h>

#include "core/cleanup.h"
#include "debuginfo/fetch.h"

static const uint8_t id[20] = {0xfe, 0xdc, 0xba};

static double now(void)
{
	struct timespec ts;

	clock_gettime(CLOCK_MONOTONIC, &ts);
	return (double)ts.tv_sec + (double)ts.tv_nsec / 1e9;
}

static void without_servers(void **state)
{
	struct cs_fetch *fetch;

	unsetenv("DEBUGINFOD_URLS");
	assert_int_equal(cs_fetch_new(1000000, &fetch), -ENOENT);
	setenv("DEBUGINFOD_URLS", "", 1);
	assert_int_equal(cs_fetch_new(1000000, &fetch), -ENOENT);
}

static void silent_server(void **state)
{
	struct sockaddr_in address = {.sin_family = AF_INET,
				      .sin_addr.s_addr = htonl(INADDR_LOOPBACK)};
	_cleanup_close_ int listening = socket(AF_INET, SOCK_STREAM | SOCK_CLOEXEC, 0);
	char url[64], cache[] = "/tmp/test_fetch.XXXXXX", remove[128];
	socklen_t len = sizeof(address);
	struct cs_fetch *fetch;
	double start;

	assert_int_equal(bind(listening, (struct sockaddr *)&address, len), 0);
	assert_int_equal(listen(listening, 4), 0);
	assert_int_equal(getsockname(listening, (struct sockaddr *)&address, &len), 0);
	snprintf(url, sizeof(url), "http://127.0.0.1:%u/", ntohs(address.sin_port));
	assert_non_null(mkdtemp(cache));
	setenv("DEBUGINFOD_URLS", url, 1);
	setenv("DEBUGINFOD_CACHE_PATH", cache, 1);
	assert_int_equal(cs_fetch_new(500000000, &fetch), 0);
	start = now();
	assert_int_equal(cs_fetch_debug_file(fetch, id, sizeof(id)), -ETIMEDOUT);
	assert_true(now() - start >= 0.49);
	/* the bound is for all: a second question does not wait */
	start = now();
	assert_int_equal(cs_fetch_debug_file(fetch, id, sizeof(id)), -ETIMEDOUT);
	assert_true(now() - start < 0.4);
	/* and the thread ends soon, though the server still says nothing */
	start = now();
	cs_fetch_free(fetch);
	assert_true(now() - start < 10);
	snprintf(remove, sizeof(remove), "rm -r '%s'", cache);
	assert_int_equal(system(remove), 0); // NOLINT(cert-env33-c)
}

static void ids_are_bounded(void **state)
{
	uint8_t long_id[100] = {0};
	struct cs_fetch *fetch;

	setenv("DEBUGINFOD_URLS", "http://127.0.0.1:1/", 1);
	assert_int_equal(cs_fetch_new(100000000, &fetch), 0);
	assert_int_equal(cs_fetch_debug_file(fetch, long_id, sizeof(long_id)), -ENOENT);
	assert_int_equal(cs_fetch_debug_file(fetch, long_id, 0), -ENOENT);
	cs_fetch_free(fetch);
}

int main(void)
{
	const struct CMUnitTest tests[] = {
		cmocka_unit_test(without_servers),
		cmocka_unit_test(silent_server),
		cmocka_unit_test(ids_are_bounded),
	};

	return cmocka_run_group_tests(tests, NULL, NULL);
}
