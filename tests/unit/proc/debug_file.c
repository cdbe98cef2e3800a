/* SPDX-License-Identifier: Apache-2.0 */
/* proc/debug_file.c on made-up files: what is found, what is not the file that was meant, and what is damaged. */
#include <elf.h>
#include <errno.h>
#include <lzma.h>
#include <setjmp.h>
#include <stdarg.h>
#include <stddef.h>
#include <stdio.h>
#include <stdlib.h>
#include <string.h>
#include <unistd.h>
#include <zlib.h>

#include <cmocka.h>

#include "core/cleanup.h"
#include "proc/debug_file.h"
#include "proc/symtab.h"
#include "unit/proc/made_elf.h"

static const uint8_t id[20] = {0xab, 0xcd, 1, 2, 3}, other_id[20] = {0xab, 0xce};
#define BY_ID "/usr/lib/debug/.build-id/ab/cd010203000000000000000000000000000000.debug"

struct fixture {
	char root[64];
	char path[512]; /* scratch */
};

static int set_up(void **state)
{
	struct fixture *f = calloc(1, sizeof(*f));

	strcpy(f->root, "/tmp/debug_file.XXXXXX");
	*state = f;
	return !mkdtemp(f->root);
}

static int tear_down(void **state)
{
	struct fixture *f = *state;
	char command[128];

	snprintf(command, sizeof(command), "rm -r '%s'", f->root);
	free(f);
	return system(command); // NOLINT(cert-env33-c)
}

static const char *in_root(struct fixture *f, const char *path)
{
	snprintf(f->path, sizeof(f->path), "%s%s", f->root, path);
	return f->path;
}

/* A file that has one function, and a build id if one is given. */
static struct cs_buf debug_bytes(const char *function, const uint8_t *build_id)
{
	struct made_section sections[MADE_SYMBOLS + 1];

	made_symbols(function, sections);
	if (build_id)
		sections[MADE_SYMBOLS] = made_build_id(build_id);
	return made_elf(sections, MADE_SYMBOLS + !!build_id);
}

static struct cs_elf *stripped(const uint8_t *build_id, const void *link, size_t link_len)
{
	struct made_section sections[2];
	size_t n = 0;

	if (build_id)
		sections[n++] = made_build_id(build_id);
	if (link)
		sections[n++] =
			(struct made_section){".gnu_debuglink", SHT_PROGBITS, link, link_len};
	return made_open(made_elf(sections, n));
}

/* The name of the function at 0x1010, or "" if there is none. */
static void check_name(struct cs_elf *elf, const struct cs_elf_home *home, const char *expected)
{
	_cleanup_(cs_symtab_freep) struct cs_symtab *symtab = NULL;
	const char *name;

	assert_int_equal(cs_symtab_load(elf, home, &symtab), 0);
	name = cs_symtab_find(symtab, 0x1010);
	assert_string_equal(name ? name : "", expected);
	cs_elf_close(elf);
}

static void by_build_id(void **state)
{
	struct fixture *f = *state;
	const struct cs_elf_home home = {f->root, "/bin/x", f->root};
	_cleanup_buf_ struct cs_buf bytes = debug_bytes("by_id", id);
	_cleanup_buf_ struct cs_buf wrong = debug_bytes("wrong", other_id);

	check_name(stripped(id, NULL, 0), &home, "");
	made_file(in_root(f, BY_ID), &bytes);
	check_name(stripped(id, NULL, 0), &home, "by_id");
	check_name(stripped(other_id, NULL, 0), &home, "");
	check_name(stripped(NULL, NULL, 0), &home, "");
	/* it is in that process's root, not in ours */
	check_name(stripped(id, NULL, 0), &(struct cs_elf_home){"/", "/bin/x", "/"}, "");
	check_name(stripped(id, NULL, 0), NULL, "");
	/* a path of ours does not matter for that */
	check_name(stripped(id, NULL, 0), &(struct cs_elf_home){f->root, "/bin/x", "/"}, "by_id");
	/* another file in its place */
	made_file(in_root(f, BY_ID), &wrong);
	check_name(stripped(id, NULL, 0), &home, "");
}

static void links_do_not_lead_out(void **state)
{
	struct fixture *f = *state;
	const struct cs_elf_home home = {f->root, "/bin/x", f->root};
	_cleanup_buf_ struct cs_buf bytes = debug_bytes("by_id", id);
	char outside[80];

	snprintf(outside, sizeof(outside), "%s.outside", f->root);
	made_file(outside, &bytes);
	made_file(in_root(f, BY_ID), &bytes);
	assert_int_equal(unlink(in_root(f, BY_ID)), 0);
	assert_int_equal(symlink(outside, in_root(f, BY_ID)), 0);
	check_name(stripped(id, NULL, 0), &home, "");
	/* while one that stays inside is followed */
	made_file(in_root(f, outside), &bytes);
	check_name(stripped(id, NULL, 0), &home, "by_id");
	unlink(outside);
}

struct link {
	char name[12];
	uint32_t crc;
};

static void by_link(void **state)
{
	static const char *const places[] = {"/opt/x.dbg", "/opt/.debug/x.dbg",
					     "/usr/lib/debug/opt/x.dbg"};
	struct fixture *f = *state;
	const struct cs_elf_home home = {f->root, "/opt/x", f->root};
	_cleanup_buf_ struct cs_buf bytes = debug_bytes("linked", NULL);
	struct link link = {"x.dbg", 0};

	for (size_t i = 0; i < ARRAY_SIZE(places); i++) {
		/* the name's zero and its padding: the sum is at 8 */
		link.crc = (uint32_t)crc32(0, (const Bytef *)bytes.data, (uInt)bytes.len);
		memcpy(link.name + 8, &link.crc, sizeof(link.crc));
		made_file(in_root(f, places[i]), &bytes);
		check_name(stripped(NULL, &link, 12), &home, "linked");
		check_name(stripped(NULL, &link, 11), &home, "");
		check_name(stripped(NULL, &link, 5), &home, "");
		link.name[8] ^= 1;
		check_name(stripped(NULL, &link, 12), &home, "");
		link.name[8] ^= 1;
		unlink(in_root(f, places[i]));
		check_name(stripped(NULL, &link, 12), &home, "");
	}
}

/* Where both have a build id it decides, not the sum. */
static void link_with_build_id(void **state)
{
	struct fixture *f = *state;
	const struct cs_elf_home home = {f->root, "/opt/x", f->root};
	_cleanup_buf_ struct cs_buf bytes = debug_bytes("linked", id);
	const struct link link = {"x.dbg", 0};

	made_file(in_root(f, "/opt/x.dbg"), &bytes);
	check_name(stripped(id, &link, 12), &home, "linked");
	check_name(stripped(other_id, &link, 12), &home, "");
}

static void link_is_a_name_only(void **state)
{
	struct fixture *f = *state;
	const struct cs_elf_home home = {f->root, "/opt/x", f->root};
	_cleanup_buf_ struct cs_buf bytes = debug_bytes("linked", id);
	const struct link up = {"../a", 0};

	made_file(in_root(f, "/a"), &bytes);
	check_name(stripped(id, &up, 12), &home, "");
}

static struct cs_buf packed(const struct cs_buf *bytes)
{
	size_t room = lzma_stream_buffer_bound(bytes->len), len = 0;
	struct cs_buf out = {0};

	assert_non_null(cs_buf_extend(&out, room));
	assert_int_equal(lzma_easy_buffer_encode(0, LZMA_CHECK_CRC32, NULL, (uint8_t *)bytes->data,
						 bytes->len, (uint8_t *)out.data, &len, room),
			 LZMA_OK);
	out.len = len;
	return out;
}

static struct cs_elf *with_data(const struct cs_buf *data)
{
	const struct made_section section = {".gnu_debugdata", SHT_PROGBITS, data->data, data->len};

	return made_open(made_elf(&section, 1));
}

static void small_table(void **state)
{
	_cleanup_buf_ struct cs_buf bytes = debug_bytes("small", NULL), xz = packed(&bytes);

	check_name(with_data(&xz), NULL, "small");
	for (size_t i = 0; i < xz.len; i += 7) {
		xz.data[i] ^= 0x10;
		check_name(with_data(&xz), NULL, "");
		xz.data[i] ^= 0x10;
	}
	while (xz.len > 1) {
		xz.len--;
		check_name(with_data(&xz), NULL, "");
	}
}

static void small_table_that_is_none(void **state)
{
	_cleanup_buf_ struct cs_buf zeroes = {0}, bomb = {0};
	_cleanup_(cs_elf_closep) struct cs_elf *elf = NULL, *found = NULL;

	assert_non_null(cs_buf_extend(&zeroes, ((size_t)64 << 20) + 1));
	bomb = packed(&zeroes);
	assert_true(bomb.len < 1 << 16);
	elf = with_data(&bomb);
	assert_int_equal(cs_debug_data_open(elf, &found), -ENOENT);
}

int main(void)
{
	const struct CMUnitTest tests[] = {
		cmocka_unit_test_setup_teardown(by_build_id, set_up, tear_down),
		cmocka_unit_test_setup_teardown(links_do_not_lead_out, set_up, tear_down),
		cmocka_unit_test_setup_teardown(by_link, set_up, tear_down),
		cmocka_unit_test_setup_teardown(link_with_build_id, set_up, tear_down),
		cmocka_unit_test_setup_teardown(link_is_a_name_only, set_up, tear_down),
		cmocka_unit_test(small_table),
		cmocka_unit_test(small_table_that_is_none),
	};

	return cmocka_run_group_tests(tests, NULL, NULL);
}
