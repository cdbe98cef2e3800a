/* SPDX-License-Identifier: Apache-2.0 */
/* Paths as the runtimes and the kubelet make them, and such as they do not. */
#include <setjmp.h>
#include <stdarg.h>
#include <stddef.h>
#include <stdint.h>

#include <cmocka.h>
#include <stdlib.h>
#include <string.h>

#include "core/cleanup.h"
#include "unit/whose/check_fact.h"
#include "whose/cgroup.h"

#define ID    "0123456789abcdef0123456789abcdef0123456789abcdef0123456789abcdef"
#define OTHER "fedcba9876543210fedcba9876543210fedcba9876543210fedcba9876543210"
#define UID   "8dbc5577-d0e2-4706-8787-57d52c03ddf2"
#define UID_  "8dbc5577_d0e2_4706_8787_57d52c03ddf2"
#define HASH  "0123456789abcdef0123456789abcdef"

static const struct {
	const char *text, *container, *runtime, *pod, *unit;
} cases[] = {
	{"0::/\n", NULL, NULL, NULL, NULL},
	{"0::/system.slice/nginx.service\n", NULL, NULL, NULL, "nginx.service"},
	{"0::/system.slice/system-getty.slice/getty@tty1.service", NULL, NULL, NULL,
	 "getty@tty1.service"},
	{"0::/user.slice/user-1000.slice/user@1000.service/app.slice/x.service\n", NULL, NULL, NULL,
	 "user@1000.service"},
	{"0::/system.slice/_cpu.service/a.service\n", NULL, NULL, NULL, "cpu.service"},
	{"0::/init.scope\n", NULL, NULL, NULL, "init.scope"},
	{"0::/x/nginx.service\n", NULL, NULL, NULL, NULL},
	{"4:memory:/system.slice/a.service\n1:name=systemd:/system.slice/b.service\n0::/\n", NULL,
	 NULL, NULL, "b.service"},
	/* seen from within a container */
	{"0::/../../../../system.slice/nginx.service\n", NULL, NULL, NULL, "nginx.service"},
	{"0::/../../../kubepods-besteffort.slice/kubepods-besteffort-pod" UID_
	 ".slice/cri-containerd-" ID ".scope\n",
	 ID, "containerd", UID, NULL},
	{"0::/../..x/nginx.service\n", NULL, NULL, NULL, NULL},
	/* docker: cgroupfs, systemd, version 1 */
	{"0::/docker/" ID "\n", ID, "docker", NULL, NULL},
	{"0::/system.slice/docker-" ID ".scope\n", ID, "docker", NULL, NULL},
	{"12:pids:/docker/" ID "\n1:name=systemd:/docker/" ID "\n", ID, "docker", NULL, NULL},
	{"0::/../../docker/" ID "/init.scope\n", ID, "docker", NULL, NULL},
	{"0::/system.slice/docker-" ID ".scope/system.slice/a.service\n", ID, "docker", NULL, NULL},
	/* podman */
	{"0::/machine.slice/libpod-" ID ".scope/container\n", ID, "podman", NULL, NULL},
	{"0::/machine.slice/libpod-conmon-" ID ".scope\n", NULL, NULL, NULL,
	 "libpod-conmon-" ID ".scope"},
	{"0::/user.slice/user-1000.slice/user@1000.service/user.slice/libpod-" ID
	 ".scope/container\n",
	 ID, "podman", NULL, "user@1000.service"},
	/* containerd and cri-o below the kubelet, with both drivers */
	{"0::/kubepods.slice/kubepods-burstable.slice/kubepods-burstable-pod" UID_
	 ".slice/cri-containerd-" ID ".scope\n",
	 ID, "containerd", UID, NULL},
	{"0::/kubepods.slice/kubepods-pod" UID_ ".slice/crio-" ID ".scope\n", ID, "cri-o", UID,
	 NULL},
	{"0::/kubepods.slice/kubepods-pod" UID_ ".slice/crio-conmon-" ID ".scope\n", NULL, NULL,
	 UID, "crio-conmon-" ID ".scope"},
	{"11:cpu:/kubepods/besteffort/pod" UID "/" ID "\n", ID, NULL, UID, NULL},
	{"0::/kubepods/pod" HASH "/" ID "\n", ID, NULL, HASH, NULL},
	{"0::/kubepods.slice/kubepods-besteffort.slice/kubepods-besteffort-pod" HASH
	 ".slice/cri-containerd-" ID ".scope\n",
	 ID, "containerd", HASH, NULL},
	/* nerdctl; ECS; a node in a container */
	{"0::/system.slice/nerdctl-" ID ".scope\n", ID, "containerd", NULL, NULL},
	{"9:perf_event:/ecs/" HASH "/" HASH "-1234567890\n", HASH "-1234567890", NULL, NULL, NULL},
	{"0::/docker/" OTHER "/kubelet.slice/kubelet-kubepods.slice/kubelet-kubepods-pod" UID_
	 ".slice/cri-containerd-" ID ".scope\n",
	 ID, "containerd", UID, NULL},
	/* none */
	{"0::/docker/" HASH "\n", NULL, NULL, NULL, NULL},
	{"0::/x/" ID "0\n", NULL, NULL, NULL, NULL},
	{"0::/x/" HASH "-\n", NULL, NULL, NULL, NULL},
	{"0::/x/" HASH "-12a\n", NULL, NULL, NULL, NULL},
	{"0::/x/X123456789abcdef0123456789abcdef0123456789abcdef0123456789abcdef\n", NULL, NULL,
	 NULL, NULL},
	{"0::/x/pod" UID "x\n", NULL, NULL, NULL, NULL},
	{"0::/x/tripod" UID "\n", NULL, NULL, NULL, NULL},
	{"0::/x/pod0123_56789abcdef0123456789abcdef\n", NULL, NULL, NULL, NULL},
	{"", NULL, NULL, NULL, NULL},
	{"nonsense\n::\n:\n0:\n", NULL, NULL, NULL, NULL},
};

/* In an allocation of exactly its size, so that sanitizers see a read beyond it. */
static void parse(const char *text, size_t len, struct cs_facts *facts)
{
	_cleanup_free_ char *copy = malloc(len + !len);

	memcpy(copy, text, len);
	assert_int_equal(cs_cgroup_parse(copy, len, facts), 0);
}

static void test_paths(void **state)
{
	for (size_t i = 0; i < ARRAY_SIZE(cases); i++) {
		_cleanup_facts_ struct cs_facts facts = {0};

		parse(cases[i].text, strlen(cases[i].text), &facts);
		assert_fact(&facts, CONTAINER, cases[i].container);
		assert_fact(&facts, CONTAINER_RUNTIME, cases[i].runtime);
		assert_fact(&facts, POD_UID, cases[i].pod);
		assert_fact(&facts, UNIT, cases[i].unit);
	}
}

static void test_cuts(void **state)
{
	for (size_t i = 0; i < ARRAY_SIZE(cases); i++)
		for (size_t len = 0; len < strlen(cases[i].text); len++) {
			_cleanup_facts_ struct cs_facts facts = {0};

			parse(cases[i].text, len, &facts);
		}
}

static void test_hostile(void **state)
{
	_cleanup_facts_ struct cs_facts facts = {0};
	_cleanup_free_ char *text = malloc(1 << 20);

	memset(text, '/', 1 << 20);
	memcpy(text, "0::", 3);
	parse(text, 1 << 20, &facts);
	memset(text, 'a', 1 << 20);
	memcpy(text, "0::/", 4);
	parse(text, 1 << 20, &facts);
	assert_fact(&facts, UNIT, NULL);
	parse("0::/system.slice/a\x1b[31m.service", 31, &facts);
	assert_fact(&facts, UNIT, "a\\x1b[31m.service");
}

int main(void)
{
	const struct CMUnitTest tests[] = {
		cmocka_unit_test(test_paths),
		cmocka_unit_test(test_cuts),
		cmocka_unit_test(test_hostile),
	};

	return cmocka_run_group_tests(tests, NULL, NULL);
}
