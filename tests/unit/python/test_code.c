/* SPDX-License-Identifier: Apache-2.0 */
/* Code objects into records. */
#include "python/code.h"

#include <coroscope/event.h>
#include <coroscope/limits.h>
#include <string.h>

#include "core/cleanup.h"
#include "made_code.h"
#include "test.h"

static const struct cs_ev_code *read_one(struct made *made, uint64_t code, struct cs_buf *out,
					 uint64_t *unreadable)
{
	const struct cs_ev_code *ev;

	out->len = 0;
	assert_int_equal(cs_code_read(&made->interp, made->ctx.mem, &code, 1, 7, out, unreadable),
			 0);
	ev = (const struct cs_ev_code *)out->data;
	assert_int_equal(ev->hdr.size, out->len);
	assert_int_equal(ev->hdr.size % 8, 0);
	assert_int_equal(ev->hdr.kind, CS_EV_CODE);
	assert_int_equal(ev->hdr.ts_ns, 7);
	assert_int_equal(ev->code, code);
	return ev;
}

static void names_files_and_lines(void **state)
{
	_cleanup_buf_ struct cs_buf out = {0};
	const struct cs_ev_code *ev;
	uint64_t unreadable;
	struct made made;

	for (int minor = 11; minor <= 13; minor++) {
		made_begin(&made, minor);
		ev = read_one(&made,
			      made_code_of(&made, made_str(&made, "Server.handle"),
					   made_str(&made, "/srv/app.py"),
					   made_linetable(&made, 5)),
			      &out, &unreadable);
		assert_int_equal(unreadable, 0);
		assert_int_equal(ev->hdr.flags, 0);
		assert_int_equal(ev->firstlineno, 42);
		assert_int_equal(ev->name_len, 13);
		assert_int_equal(ev->file_len, 11);
		assert_int_equal(ev->linetable_len, 5);
		assert_memory_equal(ev->text, "Server.handle/srv/app.pyLINES", 29);
		made_end(&made);
	}
}

static void asyncio_is_known_by_its_place(void **state)
{
	static const struct {
		const char *file, *name;
		unsigned int flags;
	} cases[] = {
		{"/usr/lib/python3.11/asyncio/base_events.py", "BaseEventLoop._run_once",
		 CS_CODE_ASYNCIO},
		{"/opt/python3.9/x/lib/python3.13/asyncio/runners.py", "run",
		 CS_CODE_ASYNCIO | CS_CODE_LOOP},
		{"/usr/lib/python3.11/asyncio/runners.py", "Runner.close", CS_CODE_ASYNCIO},
		{"/usr/lib/python3.11/asyncio/tasks.py", "run", CS_CODE_ASYNCIO},
		{"<frozen asyncio.tasks>", "sleep", CS_CODE_ASYNCIO},
		{"/usr/lib/python3.11/site-packages/asyncio/runners.py", "run", 0},
		{"/home/me/asyncio/runners.py", "run", 0},
		{"runners.py", "run", 0},
		{"", "", 0},
	};
	_cleanup_buf_ struct cs_buf out = {0};
	uint64_t unreadable;
	struct made made;

	made_begin(&made, 12);
	for (size_t i = 0; i < ARRAY_SIZE(cases); i++) {
		uint64_t code =
			made_code_of(&made, made_str(&made, cases[i].name),
				     made_str(&made, cases[i].file), made_linetable(&made, 0));

		assert_int_equal(read_one(&made, code, &out, &unreadable)->hdr.flags,
				 cases[i].flags);
	}
	made_end(&made);
}

/* A freed object is as it was but for its first word: the allocator's list of free blocks, or its end. */
static void freed_objects_are_not_read(void **state)
{
	static const uint64_t first_words[] = {0, 0x00007f1234567890};
	_cleanup_buf_ struct cs_buf out = {0};
	uint64_t unreadable;
	struct made made;

	for (int minor = 11; minor <= 13; minor++) {
		for (size_t i = 0; i < 4 * ARRAY_SIZE(first_words); i++) {
			uint64_t objs[4];

			made_begin(&made, minor);
			objs[1] = made_str(&made, "name");
			objs[2] = made_str(&made, "/file.py");
			objs[3] = made_linetable(&made, 5);
			objs[0] = made_code_of(&made, objs[1], objs[2], objs[3]);
			made_put(&made, objs[i / 2], 0, first_words[i % 2]);
			assert_int_equal(read_one(&made, objs[0], &out, &unreadable)->hdr.flags,
					 CS_CODE_UNREADABLE);
			assert_int_equal(unreadable, 1);
			made_end(&made);
		}
	}
}

static void long_texts_are_cut_and_say_so(void **state)
{
	_cleanup_buf_ struct cs_buf out = {0};
	const struct cs_ev_code *ev;
	char name[CS_MAX_NAME + 8];
	uint16_t wide[CS_MAX_NAME];
	uint64_t unreadable;
	struct made made;

	made_begin(&made, 12);
	memset(name, 'n', sizeof(name));
	ev = read_one(&made,
		      made_code_of(&made, made_str_of(&made, name, sizeof(name), 1),
				   made_str(&made, "f"), made_linetable(&made, 1ull << 60)),
		      &out, &unreadable);
	assert_int_equal(ev->hdr.flags, CS_CODE_LINES_CUT);
	assert_int_equal(ev->name_len, CS_MAX_NAME);
	assert_memory_equal(ev->text + CS_MAX_NAME - 5, "nn...", 5);
	assert_int_equal(ev->linetable_len, CS_MAX_LINETABLE);
	/* between characters: of two bytes each here, so that the limit less the dots lies within one */
	for (size_t i = 0; i < ARRAY_SIZE(wide); i++)
		wide[i] = 0xe9;
	ev = read_one(&made,
		      made_code_of(&made, made_str_of(&made, wide, ARRAY_SIZE(wide), 2),
				   made_str(&made, "f"), made_linetable(&made, 5)),
		      &out, &unreadable);
	assert_int_equal(ev->name_len, CS_MAX_NAME - 1);
	assert_memory_equal(ev->text + ev->name_len - 5, "\xc3\xa9...", 5);
	made_end(&made);
}

static void what_is_no_code_is_unreadable(void **state)
{
	_cleanup_buf_ struct cs_buf out = {0};
	uint64_t good, unreadable;
	struct made made;

	made_begin(&made, 12);
	good = made_linetable(&made, 1);
	const uint64_t bad[] = {
		0,
		~0ull,
		0x1000,
		made_str(&made, "no code at all, but long enough to be read as if it were one"),
		made_code_of(&made, made_int(&made, 1), made_str(&made, "f"), good),
		made_code_of(&made, made_str(&made, "n"), 0, good),
		made_code_of(&made, made_str(&made, "n"), made_str(&made, "f"), made_int(&made, 1)),
		made_code_of(&made, made_str(&made, "n"), made_str(&made, "f"),
			     made_linetable(&made, -1ull)),
	};
	for (size_t i = 0; i < ARRAY_SIZE(bad); i++) {
		const struct cs_ev_code *ev = read_one(&made, bad[i], &out, &unreadable);

		assert_int_equal(unreadable, 1);
		assert_int_equal(ev->hdr.flags, CS_CODE_UNREADABLE);
		assert_int_equal(ev->hdr.size, sizeof(*ev));
	}
	made_end(&made);
}

int main(void)
{
	const struct CMUnitTest tests[] = {
		cmocka_unit_test(names_files_and_lines),
		cmocka_unit_test(asyncio_is_known_by_its_place),
		cmocka_unit_test(freed_objects_are_not_read),
		cmocka_unit_test(long_texts_are_cut_and_say_so),
		cmocka_unit_test(what_is_no_code_is_unreadable),
	};

	return cmocka_run_group_tests(tests, NULL, NULL);
}
