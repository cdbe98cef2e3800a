/* SPDX-License-Identifier: Apache-2.0 */
/* The kubelet's list, whole and forged, and the downward API. */
#include <setjmp.h>
#include <stdarg.h>
#include <stddef.h>
#include <stdint.h>

#include <cmocka.h>
#include <errno.h>
#include <stdlib.h>
#include <string.h>

#include "core/buf.h"
#include "core/cleanup.h"
#include "unit/whose/check_fact.h"
#include "whose/pods.h"

static const char list[] =
	"{\"kind\":\"PodList\",\"items\":["
	"{\"metadata\":{\"name\":\"shop-1\",\"namespace\":\"prod\",\"uid\":\"u-1\",\"labels\":{\"app.kubernetes.io/name\":\"shop\",\"bad\":\"a,b=c\",\"tier\":\"web\"}},"
	"\"spec\":{\"nodeName\":\"node-7\"},\"status\":{\"containerStatuses\":[{\"name\":\"web\",\"containerID\":\"containerd://c1\"},"
	"{\"name\":\"waits\"}],\"initContainerStatuses\":[{\"name\":\"migrate\",\"containerID\":\"containerd://c2\"}]}},"
	"{\"metadata\":{\"name\":\"etcd-node-7\",\"namespace\":\"kube-system\",\"uid\":\"mirror\",\"annotations\":{\"kubernetes.io/config.hash\":\"digest\"}}},"
	"{\"metadata\":{\"name\":\"\\u001b[31mred\",\"uid\":\"u-3\"}},"
	"{\"metadata\":7},7,null]}";

static int learn(struct cs_pods *pods, const char *json)
{
	return cs_pods_learn(pods, json, strlen(json));
}

static int ask(const struct cs_pods *pods, const char *uid, const char *container,
	       struct cs_facts *facts)
{
	assert_int_equal(cs_facts_tell(facts, CS_FACT_POD_UID, uid, strlen(uid)), 0);
	assert_int_equal(cs_facts_tell(facts, CS_FACT_CONTAINER, container, strlen(container)), 0);
	return cs_pods_tell(pods, facts);
}

static void test_list(void **state)
{
	_cleanup_(cs_pods_clear) struct cs_pods pods = {0};
	_cleanup_facts_ struct cs_facts one = {0}, init = {0}, fixed = {0}, red = {0}, other = {0},
					none = {0};

	assert_int_equal(learn(&pods, list), 0);
	cs_facts_tell(&one, CS_FACT_POD, "claimed", 7);
	assert_int_equal(ask(&pods, "u-1", "c1", &one), 1);
	assert_fact(&one, POD, "shop-1");
	assert_fact(&one, POD_NAMESPACE, "prod");
	assert_fact(&one, NODE, "node-7");
	assert_fact(&one, CONTAINER_NAME, "web");
	assert_fact(&one, POD_LABELS, "app.kubernetes.io/name=shop,tier=web");
	assert_int_equal(ask(&pods, "u-1", "c2", &init), 1);
	assert_fact(&init, CONTAINER_NAME, "migrate");
	assert_int_equal(ask(&pods, "digest", "c9", &fixed), 1);
	assert_fact(&fixed, POD, "etcd-node-7");
	assert_fact(&fixed, CONTAINER_NAME, NULL);
	assert_int_equal(ask(&pods, "u-3", "", &red), 1);
	assert_fact(&red, POD, "\\x1b[31mred");
	assert_int_equal(ask(&pods, "u-9", "c1", &other), 0);
	assert_fact(&other, POD, NULL);
	assert_fact(&other, CONTAINER_NAME, NULL);
	assert_int_equal(ask(&pods, "", "", &none), 1);
	/* the next list takes the place of this one; what is none does not */
	assert_int_equal(learn(&pods, "{\"items\":7}"), -EBADMSG);
	assert_int_equal(learn(&pods, "Unauthorized"), -EBADMSG);
	assert_int_equal(learn(&pods, ""), -EBADMSG);
	assert_int_equal(cs_pods_tell(&pods, &one), 1);
	assert_int_equal(learn(&pods, "{\"items\":[]}"), 0);
	assert_int_equal(cs_pods_tell(&pods, &one), 0);
}

static void test_cuts(void **state)
{
	_cleanup_(cs_pods_clear) struct cs_pods pods = {0};
	_cleanup_free_ char *bytes = NULL;

	for (size_t len = 0; len < sizeof(list) - 1; len++) {
		_cleanup_free_ char *copy = malloc(len + !len);

		memcpy(copy, list, len);
		assert_int_equal(cs_pods_learn(&pods, copy, len), -EBADMSG);
	}
	/* forged: whatever comes of it, nothing breaks */
	bytes = strdup(list);
	for (size_t at = 0; at < sizeof(list) - 1; at++) {
		bytes[at] ^= 1;
		cs_pods_learn(&pods, bytes, sizeof(list) - 1);
		bytes[at] ^= 1;
	}
}

static void test_many(void **state)
{
	_cleanup_(cs_pods_clear) struct cs_pods pods = {0};
	_cleanup_facts_ struct cs_facts last = {0}, over = {0}, crowded = {0};
	_cleanup_buf_ struct cs_buf json = {0};

	cs_buf_append_str(&json, "{\"items\":[{\"metadata\":{\"uid\":\"crowded\",\"labels\":{");
	for (int i = 0; i < 1000; i++)
		cs_buf_printf(&json, "%s\"label-%0100d\":\"v\"", i ? "," : "", i);
	cs_buf_append_str(&json, "}},\"status\":{\"containerStatuses\":[");
	for (int i = 0; i < 1000; i++)
		cs_buf_printf(&json, "%s{\"name\":\"n%d\",\"containerID\":\"x://c%d\"}",
			      i ? "," : "", i, i);
	cs_buf_append_str(&json, "]}}");
	for (int i = 1; i <= CS_MAX_PODS; i++)
		cs_buf_printf(&json, ",{\"metadata\":{\"uid\":\"u%d\",\"name\":\"p%d\"}}", i, i);
	cs_buf_append_str(&json, "]}");
	assert_int_equal(cs_pods_learn(&pods, json.data, json.len), 0);
	assert_int_equal(ask(&pods, "u4095", "", &last), 1);
	assert_int_equal(ask(&pods, "u4096", "", &over), 0);
	assert_int_equal(ask(&pods, "crowded", "c63", &crowded), 1);
	assert_fact(&crowded, CONTAINER_NAME, "n63");
	assert_in_range(strlen(crowded.at[CS_FACT_POD_LABELS]), 500, CS_MAX_FACT_LIST);
}

static void test_downward(void **state)
{
	_cleanup_(cs_pods_clear) struct cs_pods pods = {0};
	_cleanup_facts_ struct cs_facts own = {0}, other = {0}, none = {0};

	setenv("K8S_NODE_NAME", "node-1", 1);
	setenv("NODE_NAME", "wrong", 1);
	setenv("POD_NAME", "agent-1", 1);
	setenv("POD_NAMESPACE", "observe", 1);
	setenv("POD_UID", "own", 1);
	assert_int_equal(cs_pods_init(&pods), 0);
	assert_int_equal(ask(&pods, "own", "", &own), 1);
	assert_fact(&own, POD, "agent-1");
	assert_fact(&own, POD_NAMESPACE, "observe");
	assert_fact(&own, NODE, "node-1");
	/* another pod of this node */
	assert_int_equal(ask(&pods, "other", "", &other), 0);
	assert_fact(&other, POD, NULL);
	assert_fact(&other, NODE, "node-1");
	assert_int_equal(ask(&pods, "", "", &none), 1);
	assert_fact(&none, POD, NULL);
}

int main(void)
{
	const struct CMUnitTest tests[] = {
		cmocka_unit_test(test_list),
		cmocka_unit_test(test_cuts),
		cmocka_unit_test(test_many),
		cmocka_unit_test(test_downward),
	};

	return cmocka_run_group_tests(tests, NULL, NULL);
}
