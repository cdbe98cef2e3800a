/* SPDX-License-Identifier: Apache-2.0 */
/* A parcel's file: read back whole, refused with any bit of it changed. */
#include <setjmp.h>
#include <stdarg.h>
#include <stddef.h>
#include <stdint.h>

#include <cmocka.h>
#include <errno.h>
#include <string.h>

#include "core/cleanup.h"
#include "deliver/parcel.h"

static void make(struct cs_parcel *parcel, const void *body, size_t len)
{
	assert_int_equal(cs_parcel_begin(parcel, "application/x-protobuf", "gzip"), 0);
	assert_int_equal(cs_buf_append(&parcel->body, body, len), 0);
}

static void write_file(const struct cs_parcel *parcel, struct cs_buf *file)
{
	struct iovec parts[CS_PARCEL_PARTS];
	struct cs_parcel_header header;

	cs_parcel_write(parcel, &header, parts);
	for (int i = 0; i < CS_PARCEL_PARTS; i++)
		assert_int_equal(cs_buf_append(file, parts[i].iov_base, parts[i].iov_len), 0);
}

static void test_back(void **state)
{
	static const struct {
		const char *body;
		size_t len;
	} cases[] = {{"", 0}, {"a", 1}, {"with\0zero", 9}};

	for (size_t i = 0; i < ARRAY_SIZE(cases); i++) {
		_cleanup_(cs_parcel_free) struct cs_parcel parcel = {0}, back = {0};
		_cleanup_buf_ struct cs_buf file = {0};

		make(&parcel, cases[i].body, cases[i].len);
		write_file(&parcel, &file);
		assert_int_equal(cs_parcel_read(file.data, file.len, &back), 0);
		assert_string_equal(back.type, parcel.type);
		assert_string_equal(back.encoding, parcel.encoding);
		assert_string_equal(back.id, parcel.id);
		assert_int_equal(back.packed_ns, parcel.packed_ns);
		assert_int_equal(back.attempts, 0);
		assert_int_equal(back.body.len, cases[i].len);
		if (cases[i].len)
			assert_memory_equal(back.body.data, cases[i].body, cases[i].len);
	}
}

static void test_ids(void **state)
{
	_cleanup_(cs_parcel_free) struct cs_parcel one = {0}, other = {0};

	make(&one, "", 0);
	make(&other, "", 0);
	assert_int_equal(strlen(one.id), 32);
	assert_string_not_equal(one.id, other.id);
}

static void test_damage(void **state)
{
	_cleanup_(cs_parcel_free) struct cs_parcel parcel = {0};
	_cleanup_buf_ struct cs_buf file = {0};

	make(&parcel, "body", 4);
	write_file(&parcel, &file);
	for (size_t i = 0; i < 8 * file.len; i++) {
		struct cs_parcel back = {0};

		file.data[i / 8] ^= (char)(1 << i % 8);
		assert_int_equal(cs_parcel_read(file.data, file.len, &back), -EBADMSG);
		file.data[i / 8] ^= (char)(1 << i % 8);
	}
	for (size_t len = 0; len < file.len; len++) {
		struct cs_parcel back = {0};

		assert_int_equal(cs_parcel_read(file.data, len, &back), -EBADMSG);
	}
	assert_int_equal(cs_buf_append(&file, "", 1), 0);
	assert_int_equal(cs_parcel_read(file.data, file.len, &parcel), -EBADMSG);
}

/* What becomes a header of a request may not hold a second one, whoever computed the checksum. */
static void test_no_second_line(void **state)
{
	_cleanup_(cs_parcel_free) struct cs_parcel parcel = {0}, back = {0};
	_cleanup_buf_ struct cs_buf file = {0};

	assert_int_equal(cs_parcel_begin(&parcel, "text\r\nX-Admin: yes", ""), 0);
	write_file(&parcel, &file);
	assert_int_equal(cs_parcel_read(file.data, file.len, &back), -EBADMSG);
}

int main(void)
{
	const struct CMUnitTest tests[] = {
		cmocka_unit_test(test_back),
		cmocka_unit_test(test_ids),
		cmocka_unit_test(test_damage),
		cmocka_unit_test(test_no_second_line),
	};

	return cmocka_run_group_tests(tests, NULL, NULL);
}
