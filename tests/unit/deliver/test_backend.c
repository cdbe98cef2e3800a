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

int main(void)
{
	const struct CMUnitTest tests[] = {
		cmocka_unit_test(test_url),
		cmocka_unit_test(test_words),
		cmocka_unit_test(test_parcels),
		cmocka_unit_test(test_split),
	};

	return cmocka_run_group_tests(tests, NULL, NULL);
}
