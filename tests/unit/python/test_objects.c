/* SPDX-License-Identifier: Apache-2.0 */
/* Objects of another process: what they should be, and what a hostile process may make of them. */
#include "python/objects.h"

#include <errno.h>
#include <stdio.h>
#include <string.h>

#include "core/cleanup.h"
#include "made_objects.h"
#include "test.h"

static const int minors[] = {11, 12, 13};

static void expect_str(struct made *made, uint64_t obj, size_t size, const char *text, bool cut)
{
	char dst[64];
	size_t len;
	bool was_cut;

	assert_int_equal(cs_pyobj_str(&made->ctx, obj, dst, size, &len, &was_cut), 0);
	assert_string_equal(dst, text);
	assert_int_equal(len, strlen(text));
	assert_int_equal(was_cut, cut);
}

static void strings_become_utf8(void **state)
{
	static const uint16_t two[] = {0x4e2d, 'a', 0xd800};
	static const uint32_t four[] = {0x1f600, 0x110000, 'z'};
	static const uint8_t latin[] = {'n', 0xe4};

	for (size_t i = 0; i < ARRAY_SIZE(minors); i++) {
		struct made made;

		made_begin(&made, minors[i]);
		expect_str(&made, made_str(&made, ""), 64, "", false);
		expect_str(&made, made_str(&made, "task"), 64, "task", false);
		expect_str(&made, made_str(&made, "task"), 5, "task", false);
		expect_str(&made, made_str(&made, "task"), 4, "tas", true);
		expect_str(&made, made_str_of(&made, latin, 2, 1), 64, "n\xc3\xa4", false);
		expect_str(&made, made_str_of(&made, latin, 2, 1), 3, "n", true);
		expect_str(&made, made_str_of(&made, two, 3, 2), 64,
			   "\xe4\xb8\xad"
			   "a\xef\xbf\xbd",
			   false);
		expect_str(&made, made_str_of(&made, four, 3, 4), 64,
			   "\xf0\x9f\x98\x80\xef\xbf\xbdz", false);
		expect_str(&made, made_str_of(&made, four, 3, 4), 4, "", true);
		made_end(&made);
	}
}

static void hostile_strings_are_refused(void **state)
{
	const struct cs_py_offsets *off;
	struct made made;
	char dst[32];
	uint64_t obj;
	bool cut;

	made_begin(&made, 13);
	off = &made.interp.info.off;
	obj = made_str(&made, "abcdefgh");
	made_put(&made, obj, off->unicode_length, 1ull << 60);
	assert_int_equal(cs_pyobj_str(&made.ctx, obj, dst, 9, NULL, &cut), 0);
	assert_string_equal(dst, "abcdefgh");
	assert_true(cut);
	/* Not compact: a pointer to nowhere. */
	made_put32(&made, obj, off->unicode_state, 1 << 2);
	made_put(&made, obj, off->unicode_compact_data, 0xdeadbeef0000);
	assert_int_equal(cs_pyobj_str(&made.ctx, obj, dst, sizeof(dst), NULL, NULL), -EFAULT);
	made_put32(&made, obj, off->unicode_state, 3 << 2 | 1 << 5);
	assert_int_equal(cs_pyobj_str(&made.ctx, obj, dst, sizeof(dst), NULL, NULL), -EINVAL);
	assert_int_equal(cs_pyobj_str(&made.ctx, made_int(&made, 1), dst, sizeof(dst), NULL, NULL),
			 -EINVAL);
	assert_int_equal(cs_pyobj_str(&made.ctx, 0, dst, sizeof(dst), NULL, NULL), -EFAULT);
	assert_int_equal(cs_pyobj_str(&made.ctx, ~0ull, dst, sizeof(dst), NULL, NULL), -EFAULT);
	made_end(&made);
}

static void integers(void **state)
{
	static const int64_t values[] = {0, 1, -1, 1 << 30, 0x7f0123456789, INT64_MAX, -INT64_MAX};

	for (size_t i = 0; i < ARRAY_SIZE(minors); i++) {
		struct made made;
		uint64_t obj;
		int64_t value;

		made_begin(&made, minors[i]);
		for (size_t k = 0; k < ARRAY_SIZE(values); k++) {
			obj = made_int(&made, values[k]);
			assert_int_equal(cs_pyobj_long(&made.ctx, obj, &value), 0);
			assert_true(value == values[k]);
		}
		made_put(&made, obj, made.interp.info.off.long_tag, 1ull << 62);
		assert_int_equal(cs_pyobj_long(&made.ctx, obj, &value), -ERANGE);
		made_put(&made, obj, made.interp.info.off.long_tag, 1ull << 63);
		assert_int_equal(cs_pyobj_long(&made.ctx, obj, &value), -ERANGE);
		obj = made_int(&made, 5);
		made_put32(&made, obj, made.interp.info.off.long_digits, ~0u);
		assert_int_equal(cs_pyobj_long(&made.ctx, obj, &value), -EINVAL);
		assert_int_equal(cs_pyobj_long(&made.ctx, made_str(&made, "1"), &value), -EINVAL);
		made_end(&made);
	}
}

static const char *const names[] = {"alpha", "beta", "gamma"};

static uint64_t made_dict(struct made *made, uint64_t keys, uint64_t values)
{
	uint64_t dict = made_object(made, made->type_dict, 64);

	made_put(made, dict, made->interp.info.off.dict_keys, keys);
	made_put(made, dict, made->interp.info.off.dict_values, values);
	return dict;
}

static void dicts(void **state)
{
	static const uint64_t values[] = {100, 0, 300};

	for (size_t i = 0; i < 2 * ARRAY_SIZE(minors); i++) {
		uint64_t dict, value;
		struct made made;

		made_begin(&made, minors[i / 2]);
		dict = made_dict(&made, made_keys(&made, names, values, 3, i & 1), 0);
		assert_int_equal(cs_pyobj_dict_get(&made.ctx, dict, "alpha", &value), 0);
		assert_int_equal(value, 100);
		assert_int_equal(cs_pyobj_dict_get(&made.ctx, dict, "gamma", &value), 0);
		assert_int_equal(value, 300);
		assert_int_equal(cs_pyobj_dict_get(&made.ctx, dict, "beta", &value), -ENOENT);
		assert_int_equal(cs_pyobj_dict_get(&made.ctx, dict, "alph", &value), -ENOENT);
		assert_int_equal(cs_pyobj_dict_get(&made.ctx, made_int(&made, 1), "a", &value),
				 -EINVAL);
		made_end(&made);
	}
}

/* Where a key was found is where the next dict is asked first; what it says is what stands there. */
static void a_place_is_remembered_not_believed(void **state)
{
	char texts[2][40][16];
	const char *first[40], *other[40];
	uint64_t values[40], value;
	struct made made;

	for (size_t i = 0; i < 40; i++) {
		snprintf(texts[0][i], sizeof(texts[0][i]), "module_%zu", i);
		snprintf(texts[1][i], sizeof(texts[1][i]), "other_%zu", i);
		values[i] = 1000 + i;
		first[i] = texts[0][i];
		other[i] = texts[1][i];
	}
	for (size_t m = 0; m < ARRAY_SIZE(minors); m++) {
		uint64_t dict, moved, without, shorter;

		made_begin(&made, minors[m]);
		dict = made_dict(&made, made_keys(&made, first, values, 40, true), 0);
		other[7] = first[30];
		moved = made_dict(&made, made_keys(&made, other, values, 40, true), 0);
		other[7] = texts[1][7];
		without = made_dict(&made, made_keys(&made, other, values, 40, true), 0);
		shorter = made_dict(&made, made_keys(&made, first, values, 20, true), 0);
		for (int again = 0; again < 3; again++) {
			assert_int_equal(cs_pyobj_dict_get(&made.ctx, dict, first[30], &value), 0);
			assert_int_equal(value, 1030);
			assert_int_equal(cs_pyobj_dict_get(&made.ctx, moved, first[30], &value), 0);
			assert_int_equal(value, 1007);
			assert_int_equal(cs_pyobj_dict_get(&made.ctx, without, first[30], &value),
					 -ENOENT);
			assert_int_equal(cs_pyobj_dict_get(&made.ctx, shorter, first[30], &value),
					 -ENOENT);
		}
		made_end(&made);
	}
}

static void hostile_dicts_are_refused(void **state)
{
	const struct cs_py_offsets *off;
	uint64_t dict, keys, value;
	struct made made;

	made_begin(&made, 12);
	off = &made.interp.info.off;
	keys = made_keys(&made, names, NULL, 3, false);
	dict = made_dict(&made, keys, 0);
	made_put(&made, keys, off->keys_nentries, 1ull << 60);
	assert_int_equal(cs_pyobj_dict_get(&made.ctx, dict, "alpha", &value), -EINVAL);
	made_put(&made, keys, off->keys_nentries, 3);
	made_put8(&made, keys, off->keys_log2_size, 63);
	assert_int_equal(cs_pyobj_dict_get(&made.ctx, dict, "alpha", &value), -EINVAL);
	made_put8(&made, keys, off->keys_log2_size, 5);
	made_put8(&made, keys, off->keys_log2_index_bytes, 200);
	assert_int_equal(cs_pyobj_dict_get(&made.ctx, dict, "alpha", &value), -EINVAL);
	made_put8(&made, keys, off->keys_log2_index_bytes, 5);
	made_put8(&made, keys, off->keys_kind, 7);
	assert_int_equal(cs_pyobj_dict_get(&made.ctx, dict, "alpha", &value), -EINVAL);
	made_put(&made, dict, off->dict_keys, 0x10);
	assert_int_equal(cs_pyobj_dict_get(&made.ctx, dict, "alpha", &value), -EFAULT);
	made_end(&made);
}

/* An instance with `beta` set, its values where the version keeps them. */
static uint64_t made_instance(struct made *made, int minor, uint64_t beta)
{
	uint64_t type = made_type(made, "Thing", 1 << 2 | 1 << 4 | CS_PYTYPE_HEAP, 0, 16);
	uint64_t values = made_bytes(made, 64), obj = made_object(made, type, 128);

	made_put(made, type, made->interp.info.off.heaptype_cached_keys,
		 made_keys(made, names, NULL, 3, false));
	if (minor == 13) {
		made_put8(made, obj, 16 + 3, 1);
		made_put(made, obj, 16 + 8 + 8, beta);
		return obj;
	}
	made_put(made, values, 8, beta);
	if (minor == 11)
		made_put(made, obj - 32, 0, values);
	else
		made_put(made, obj - 24, 0, values - 1);
	return obj;
}

static void attributes_in_the_instance(void **state)
{
	for (size_t i = 0; i < ARRAY_SIZE(minors); i++) {
		struct made made;
		uint64_t obj, value;

		made_begin(&made, minors[i]);
		obj = made_instance(&made, minors[i], 4711);
		assert_int_equal(cs_pyobj_attr(&made.ctx, obj, "beta", &value), 0);
		assert_int_equal(value, 4711);
		assert_int_equal(cs_pyobj_attr(&made.ctx, obj, "alpha", &value), -ENOENT);
		assert_int_equal(cs_pyobj_attr(&made.ctx, obj, "delta", &value), -ENOENT);
		assert_int_equal(cs_pyobj_attr(&made.ctx, made_int(&made, 1), "beta", &value),
				 -ENOENT);
		made_end(&made);
	}
}

static void attributes_in_a_split_dict(void **state)
{
	for (size_t i = 0; i < ARRAY_SIZE(minors); i++) {
		uint64_t type, obj, values, dict, value;
		struct made made;

		made_begin(&made, minors[i]);
		type = made_type(&made, "Thing", 1 << 4 | CS_PYTYPE_HEAP, 0, 16);
		obj = made_object(&made, type, 64);
		values = made_bytes(&made, 64);
		made_put(&made, values, (minors[i] == 13 ? 8 : 0) + 16, 99);
		dict = made_dict(&made, made_keys(&made, names, NULL, 3, false), values);
		made_put(&made, obj - 24, 0, dict);
		assert_int_equal(cs_pyobj_attr(&made.ctx, obj, "gamma", &value), 0);
		assert_int_equal(value, 99);
		made_end(&made);
	}
}

static void sets(void **state)
{
	static const uint64_t masks[] = {1ull << 40, (1ull << 40) - 1, 6, ~0ull};
	const struct cs_py_offsets *off;
	uint64_t set, table, nslots;
	struct made made;

	made_begin(&made, 13);
	off = &made.interp.info.off;
	set = made_set(&made, NULL, 0, 8);
	assert_int_equal(cs_pyobj_set_table(&made.ctx, set, 1024, &table, &nslots), 0);
	assert_int_equal(nslots, 8);
	for (size_t i = 0; i < ARRAY_SIZE(masks); i++) {
		made_put(&made, set, off->set_mask, masks[i]);
		assert_int_equal(cs_pyobj_set_table(&made.ctx, set, 1024, &table, &nslots),
				 -EINVAL);
	}
	assert_int_equal(
		cs_pyobj_set_table(&made.ctx, made_str(&made, "set"), 1024, &table, &nslots),
		-EINVAL);
	made_end(&made);
}

static void types(void **state)
{
	const struct cs_py_offsets *off;
	uint64_t base, derived, other;
	struct cs_pytype type;
	struct made made;

	made_begin(&made, 11);
	off = &made.interp.info.off;
	base = made_type(&made, "Base", 0, 0, 0);
	derived = made_type(&made, "D\xc3\xa4rived\n", 0, made_type(&made, "M", 0, base, 0), 0);
	other = made_type(&made, "Cycle", 0, 0, 0);
	made_put(&made, other, off->type_base, other);
	assert_int_equal(cs_pytype_read(&made.ctx, derived, &type), 0);
	assert_string_equal(type.name, "D??rived?");
	assert_true(cs_pytype_derives(&made.ctx, &type, base));
	assert_false(cs_pytype_derives(&made.ctx, &type, other));
	assert_int_equal(cs_pytype_read(&made.ctx, other, &type), 0);
	assert_false(cs_pytype_derives(&made.ctx, &type, base));
	/* An object that is no type, and nothing at all. */
	assert_int_equal(cs_pytype_read(&made.ctx, made_str(&made, "x"), &type), -EINVAL);
	assert_int_equal(cs_pytype_read(&made.ctx, 0x1000, &type), -EFAULT);
	made_end(&made);
}

int main(void)
{
	const struct CMUnitTest tests[] = {
		cmocka_unit_test(strings_become_utf8),
		cmocka_unit_test(hostile_strings_are_refused),
		cmocka_unit_test(integers),
		cmocka_unit_test(dicts),
		cmocka_unit_test(a_place_is_remembered_not_believed),
		cmocka_unit_test(hostile_dicts_are_refused),
		cmocka_unit_test(attributes_in_the_instance),
		cmocka_unit_test(attributes_in_a_split_dict),
		cmocka_unit_test(sets),
		cmocka_unit_test(types),
	};

	return cmocka_run_group_tests(tests, NULL, NULL);
}
