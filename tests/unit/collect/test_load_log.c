/* SPDX-License-Identifier: Apache-2.0 */
/* What is kept of libbpf's warnings. */
#include <setjmp.h>
#include <stdarg.h>
#include <stddef.h>
#include <stdint.h>
#include <stdlib.h>
#include <string.h>

#include <cmocka.h>

#include "collect/load_log.h"

#define BEGIN "libbpf: prog 'on_cpu': -- BEGIN PROG LOAD LOG --\n"
#define END   "-- END PROG LOAD LOG --\n"

static struct cs_load_log kept;

static int begin(void **state)
{
	kept = (struct cs_load_log){0};
	return 0;
}

static int end(void **state)
{
	cs_buf_free(&kept.why);
	return 0;
}

#define KEPT(text) assert_string_equal(cs_buf_str(&kept.why), text)

static void the_last_warning_is_kept(void **state)
{
	KEPT("");
	cs_load_log_add(&kept, "libbpf: kernel has no BTF\nor so\n");
	KEPT("libbpf: kernel has no BTF");
	cs_load_log_add(&kept, "libbpf: failed to load object\n");
	KEPT("libbpf: failed to load object");
}

static void what_the_verifier_says_last_is_kept(void **state)
{
	cs_load_log_add(&kept,
			"libbpf: prog 'on_cpu': BPF program load failed: Permission denied\n");
	cs_load_log_add(&kept, BEGIN "0: R1=ctx() R10=fp0\n"
				     "; int on_cpu(void *ctx) @ on_cpu.bpf.c:64\n"
				     "12: (0f) r1 += r2\n"
				     "13: (79) r3 = *(u64 *)(r1 +0)\n"
				     "R1 unbounded memory access, make sure to bounds check it\n"
				     "processed 14 insns (limit 1000000)\n" END);
	cs_load_log_add(&kept, "libbpf: prog 'on_cpu': failed to load: -13\n");
	cs_load_log_add(&kept, "libbpf: failed to load object 'coroscope'\n");
	KEPT("libbpf: prog 'on_cpu'; 12: (0f) r1 += r2; 13: (79) r3 = *(u64 *)(r1 +0);"
	     " R1 unbounded memory access, make sure to bounds check it;"
	     " processed 14 insns (limit 1000000)");
}

/* Logs that are short, empty, without an end, or meant for the terminal. */
static void odd_logs_are_kept(void **state)
{
	cs_load_log_add(&kept, BEGIN END);
	KEPT("libbpf: prog 'on_cpu'");
	cs_load_log_add(&kept, BEGIN "too large\n\n\n" END);
	KEPT("libbpf: prog 'on_cpu'; too large");
	cs_load_log_add(&kept, BEGIN "cut here");
	KEPT("libbpf: prog 'on_cpu'; cut here");
	cs_load_log_add(&kept, BEGIN "a\n\033[2Jb" END);
	KEPT("libbpf: prog 'on_cpu'; a; \\x1b[2Jb");
	cs_load_log_add(&kept, "");
	KEPT("libbpf: prog 'on_cpu'; a; \\x1b[2Jb");
}

int main(void)
{
	const struct CMUnitTest tests[] = {
		cmocka_unit_test_setup_teardown(the_last_warning_is_kept, begin, end),
		cmocka_unit_test_setup_teardown(what_the_verifier_says_last_is_kept, begin, end),
		cmocka_unit_test_setup_teardown(odd_logs_are_kept, begin, end),
	};

	return cmocka_run_group_tests(tests, NULL, NULL);
}
