/* SPDX-License-Identifier: Apache-2.0 */
/* URLs, servers' words, and that a profile too large for one request becomes several with every sample once. */
#include <setjmp.h>
#include <stdarg.h>
#include <stddef.h>
#include <stdint.h>

#include <cmocka.h>
#include <errno.h>
#include <stdio.h>
#include <stdlib.h>
#include <string.h>

#include "core/cleanup.h"
#include "deliver/backend.h"
#include "export/otlp.h"
#include "unit/export/made_profile.h"

static void test_url(void **state)
{
	static const char *const cases[][2] = {
		{"http://host:4318", "http://host:4318/v1development/profiles"},
		{"http://host:4318/", "http://host:4318/v1development/profiles"},
		{"https://host/otlp", "https://host/otlp"},
		{"https://host/otlp/", "https://host/otlp/"},
		{"https://host?key=1", "https://host?key=1"},
		{"nonsense", "nonsense"},
		{"", ""},
	};

	for (size_t i = 0; i < ARRAY_SIZE(cases); i++) {
		_cleanup_free_ char *url = cs_backend_url(&cs_backend_otlp, cases[i][0]);

		assert_string_equal(url, cases[i][1]);
	}
	assert_ptr_equal(cs_backend_by_name("datadog"), &cs_backend_datadog);
	assert_null(cs_backend_by_name("dir"));
}

static void test_words(void **state)
{
	struct cs_verdict_text words;
	char many[5000];

	cs_backend_read_answer(&cs_backend_datadog, "no \x1b[2J key\n", 12, false, &words);
	assert_string_equal(words.message, "no \\x1b[2J key\\x0a");
	cs_backend_read_answer(&cs_backend_datadog, "a\0b", 3, false, &words);
	assert_string_equal(words.message, "");
	cs_backend_read_answer(&cs_backend_datadog, "fine", 4, true, &words);
	assert_string_equal(words.message, "");
	memset(many, 'x', sizeof(many));
	cs_backend_read_answer(&cs_backend_datadog, many, sizeof(many), false, &words);
	assert_int_equal(strlen(words.message), sizeof(words.message) - 1);
}

struct taken {
	size_t n, largest;
};

static int take(void *ctx, struct cs_parcel *parcel)
{
	struct taken *taken = ctx;

	taken->n++;
	if (parcel->body.len > taken->largest)
		taken->largest = parcel->body.len;
	cs_parcel_free(parcel);
	return 0;
}

static int refuse(void *ctx, struct cs_parcel *parcel)
{
	cs_parcel_free(parcel);
	return -ENOSPC;
}

static const struct cs_backend *const all[] = {&cs_backend_otlp, &cs_backend_pyroscope,
					       &cs_backend_datadog};

static void test_parcels(void **state)
{
	_cleanup_(cs_profile_freep) struct cs_profile *profile = made_profile(true);
	_cleanup_(cs_profile_freep) struct cs_profile *empty = made_empty(true);
	const struct cs_pack_options options = {0};

	for (size_t i = 0; i < ARRAY_SIZE(all); i++) {
		struct taken taken = {0};

		assert_int_equal(all[i]->pack(empty, &options, take, &taken), 0);
		assert_int_equal(taken.n, 0);
		assert_int_equal(all[i]->pack(profile, &options, take, &taken), 0);
		assert_int_equal(taken.n, 1);
		assert_int_equal(all[i]->pack(profile, &options, refuse, NULL), -ENOSPC);
	}
}

/* So many samples that each server's limits are passed: of their number, and with long names of the bytes. */
static struct cs_profile *made_large(void)
{
	struct cs_profile *profile = made_empty(false);
	const uint64_t values[CS_VALUE_MAX_] = {1, 1000, 1000};
	char name[512];

	for (uint32_t i = 0; i < 40000; i++) {
		const struct cs_labels labels = {.process_id = 1, .thread_id = i + 1};
		uint32_t frame;

		snprintf(name, sizeof(name), "%u%0300u", i, i);
		frame = made_frame(profile, CS_FRAME_PYTHON, name, "f.py", 1);
		assert_int_equal(cs_profile_add(profile, &frame, 1, &labels, values), 0);
	}
	return profile;
}

static void test_split(void **state)
{
	_cleanup_(cs_profile_freep) struct cs_profile *profile = made_large();
	const struct cs_pack_options options = {0};
	struct taken taken = {0};

	assert_int_equal(cs_backend_otlp.pack(profile, &options, take, &taken), 0);
	/* 13 MB of names in requests of at most 4 MiB: by halves, 4 */
	assert_int_equal(taken.n, 4);
	taken = (struct taken){0};
	assert_int_equal(cs_backend_pyroscope.pack(profile, &options, take, &taken), 0);
	assert_in_range(taken.n, 1,
			3); /* three profiles of 16,000 samples at most, in requests of 3 MiB */
	assert_in_range(taken.largest, 1, 4 << 20);
}

struct bodies {
	size_t n;
	struct cs_buf body[4];
};

static int keep(void *ctx, struct cs_parcel *parcel)
{
	struct bodies *bodies = ctx;

	assert_true(bodies->n < 4);
	bodies->body[bodies->n++] = parcel->body;
	parcel->body = (struct cs_buf){0};
	cs_parcel_free(parcel);
	return 0;
}

static void bodies_free(struct bodies *bodies)
{
	for (size_t i = 0; i < bodies->n; i++)
		cs_buf_free(&bodies->body[i]);
}

static bool holds(const struct cs_buf *body, const char *text)
{
	return memmem(body->data, body->len, text, strlen(text));
}

/* How often a text occurs. */
static size_t count(const struct cs_buf *body, const char *text)
{
	size_t n = 0;

	for (const char *at = body->data, *end = at + body->len;
	     (at = memmem(at, (size_t)(end - at), text, strlen(text))); at++)
		n++;
	return n;
}

static void own(struct cs_profile *profile, uint32_t pid, enum cs_fact fact, const char *text)
{
	int64_t index = cs_profile_string(profile, text, strlen(text));

	assert_true(index > 0);
	cs_profile_owner(profile, pid)->facts[fact] = (uint32_t)index;
}

static void sample_of(struct cs_profile *profile, uint32_t pid)
{
	const struct cs_labels labels = {.process_id = pid};
	const uint64_t values[CS_VALUE_MAX_] = {1, 1000, 1000};
	uint32_t frame = made_frame(profile, CS_FRAME_PYTHON, "f", "f.py", 1);

	assert_int_equal(cs_profile_add(profile, &frame, 1, &labels, values), 0);
}

/* Two workers of one service, another one of it in another environment, one that nobody named, and what a pid was before and after an exec. */
static struct cs_profile *made_services(void)
{
	struct cs_profile *profile = made_empty(false);

	for (uint32_t pid = 1; pid <= 3; pid++) {
		own(profile, pid, CS_FACT_SERVICE, "shop");
		own(profile, pid, CS_FACT_ENVIRONMENT, pid < 3 ? "prod" : "test");
		own(profile, pid, CS_FACT_RUNTIME_ID, pid < 2 ? "run-1" : "run-2");
		own(profile, pid, CS_FACT_POD_LABELS, "tier=web,app.kubernetes.io/name=shop");
		cs_profile_owner(profile, pid)->py_major = 3;
		sample_of(profile, pid);
	}
	own(profile, 4, CS_FACT_PROGRAM, "worker");
	sample_of(profile, 4);
	cs_profile_end_owner(profile, 4);
	own(profile, 4, CS_FACT_SERVICE, "execed");
	sample_of(profile, 4);
	return profile;
}

static void test_pyroscope_services(void **state)
{
	_cleanup_(cs_profile_freep) struct cs_profile *profile = made_services();
	const struct cs_export_tag tags[] = {{"deployment_environment", "mine"}};
	const struct cs_pack_options plain = {0}, tagged = {.tags = tags, .ntags = 1};
	_cleanup_(bodies_free) struct bodies bodies = {0}, others = {0};

	assert_int_equal(cs_backend_pyroscope.pack(profile, &plain, keep, &bodies), 0);
	assert_int_equal(bodies.n, 1);
	/* one series for two workers */
	assert_int_equal(count(&bodies.body[0], "service_name"), 4);
	assert_int_equal(count(&bodies.body[0], "shop"), 2);
	assert_int_equal(count(&bodies.body[0], "prod"), 1);
	assert_int_equal(count(&bodies.body[0], "unknown_service:worker"), 1);
	assert_int_equal(count(&bodies.body[0], "execed"), 1);
	/* no id is a label */
	assert_false(holds(&bodies.body[0], "run-1"));
	assert_int_equal(cs_backend_pyroscope.pack(profile, &tagged, keep, &others), 0);
	assert_false(holds(&others.body[0], "prod"));
	assert_int_equal(count(&others.body[0], "deployment_environment"), 4);
}

/* Texts that try to pass for another process's. */
static void test_pyroscope_forged(void **state)
{
	_cleanup_(cs_profile_freep) struct cs_profile *profile = made_empty(false);
	_cleanup_(bodies_free) struct bodies bodies = {0};
	const struct cs_pack_options options = {0};

	own(profile, 1, CS_FACT_SERVICE, "shop");
	own(profile, 1, CS_FACT_ENVIRONMENT, "prod");
	own(profile, 2, CS_FACT_SERVICE, "prodshop");
	own(profile, 3, CS_FACT_SERVICE, "4:prodshop");
	for (uint32_t pid = 1; pid <= 3; pid++)
		sample_of(profile, pid);
	assert_int_equal(cs_backend_pyroscope.pack(profile, &options, keep, &bodies), 0);
	assert_int_equal(count(&bodies.body[0], "service_name"), 3);
}

static void test_datadog_services(void **state)
{
	_cleanup_(cs_profile_freep) struct cs_profile *profile = made_empty(false);
	const struct cs_export_tag tags[] = {{"env", "mine"}};
	const struct cs_pack_options plain = {0},
				     tagged = {.tags = tags, .ntags = 1, .service = "all"};
	_cleanup_(bodies_free) struct bodies bodies = {0}, others = {0};

	own(profile, 1, CS_FACT_SERVICE, "a,b\"c");
	own(profile, 1, CS_FACT_ENVIRONMENT, "prod");
	own(profile, 1, CS_FACT_RUNTIME_ID, "run-1");
	own(profile, 2, CS_FACT_PROGRAM, "worker");
	cs_profile_owner(profile, 1)->py_major = 3;
	sample_of(profile, 1);
	sample_of(profile, 2);
	assert_int_equal(cs_backend_datadog.pack(profile, &plain, keep, &bodies), 0);
	assert_int_equal(bodies.n, 2);
	assert_true(holds(&bodies.body[0], "service:a_b\\\"c,"));
	assert_true(holds(&bodies.body[0], ",runtime_version:3.0.0,env:prod,runtime-id:run-1,"));
	assert_true(holds(&bodies.body[1], "service:worker,"));
	assert_false(holds(&bodies.body[1], "prod"));
	assert_false(holds(&bodies.body[1], "runtime"));
	assert_int_equal(cs_backend_datadog.pack(profile, &tagged, keep, &others), 0);
	assert_true(holds(&others.body[0], "service:all,"));
	assert_true(holds(&others.body[0], ",env:mine"));
	assert_false(holds(&others.body[0], "env:prod"));
}

/* Requests that were seen to end are counted, those of the process that the form is of. */
static void test_datadog_endpoints(void **state)
{
	_cleanup_(cs_profile_freep) struct cs_profile *profile = made_empty(false);
	const struct cs_pack_options options = {0};
	_cleanup_(bodies_free) struct bodies bodies = {0};
	struct cs_traced span = {
		.type = (uint32_t)cs_profile_string(profile, "web", 3),
		.resource = (uint32_t)cs_profile_string(profile, "GET /", 5),
	};

	for (uint32_t pid = 1; pid <= 3; pid++)
		sample_of(profile, pid);
	for (uint64_t i = 1; i <= 10; i++) {
		span.process_id = i < 8 ? 1 : 2;
		span.span_id = i;
		span.root_span_id = i == 1 ? 2 : i; /* one is below another */
		span.from_ns = 100;
		span.to_ns = i == 10 ? 0 : 200; /* and one goes on */
		assert_int_equal(cs_profile_add_traced(profile, &span), 0);
	}
	assert_int_equal(cs_backend_datadog.pack(profile, &options, keep, &bodies), 0);
	assert_int_equal(bodies.n, 3);
	assert_true(holds(&bodies.body[0], "\"endpoint_counts\":{\"GET /\":6}"));
	assert_true(holds(&bodies.body[1], "\"endpoint_counts\":{\"GET /\":2}"));
	assert_true(holds(&bodies.body[2], "\"endpoint_counts\":null"));
}

static void test_otlp_services(void **state)
{
	_cleanup_(cs_profile_freep) struct cs_profile *profile = made_services();
	const struct cs_export_tag tags[] = {{"k8s.pod.name", "mine"}};
	const struct cs_otlp_options options = {.tags = tags, .ntags = 1, .to = 5};
	_cleanup_buf_ struct cs_buf request = {0};

	own(profile, 1, CS_FACT_POD, "pod-1");
	assert_int_equal(cs_otlp_write(profile, &options, &request), 0);
	assert_int_equal(count(&request, "service.name"), 5);
	assert_int_equal(count(&request, "process.runtime.version"), 3);
	assert_int_equal(count(&request, "k8s.pod.label.tier"), 3);
	assert_int_equal(count(&request, "k8s.pod.label.app.kubernetes.io/name"), 3);
	assert_int_equal(count(&request, "k8s.pod.name"), 5);
	assert_false(holds(&request, "pod-1"));
	assert_int_equal(count(&request, "unknown_service:worker"), 1);
	assert_int_equal(count(&request, "execed"), 1);
}

int main(void)
{
	const struct CMUnitTest tests[] = {
		cmocka_unit_test(test_url),
		cmocka_unit_test(test_words),
		cmocka_unit_test(test_parcels),
		cmocka_unit_test(test_split),
		cmocka_unit_test(test_pyroscope_services),
		cmocka_unit_test(test_pyroscope_forged),
		cmocka_unit_test(test_datadog_services),
		cmocka_unit_test(test_datadog_endpoints),
		cmocka_unit_test(test_otlp_services),
	};

	return cmocka_run_group_tests(tests, NULL, NULL);
}
