/* SPDX-License-Identifier: Apache-2.0 */
/* What events teach, what replaces what, and what is shown where nothing is known. */
#include <setjmp.h>
#include <stdarg.h>
#include <stddef.h>
#include <stdint.h>

#include <cmocka.h>
#include <coroscope/code_check.h>
#include <stdlib.h>
#include <errno.h>
#include <string.h>

#include "symbolize/symbolize.h"

#define TEXT(literal) ((struct cs_text){literal, sizeof(literal) - 1})

struct fixture {
	struct cs_profile *profile;
	struct cs_symbols *symbols;
};

static int set_up(void **state)
{
	struct fixture *f = calloc(1, sizeof(*f));

	*state = f;
	return cs_profile_new(&f->profile) || cs_symbols_new(f->profile, false, &f->symbols);
}

static int tear_down(void **state)
{
	struct fixture *f = *state;

	cs_symbols_free(f->symbols);
	cs_profile_free(f->profile);
	free(f);
	return 0;
}

static void feed_code(struct fixture *f, uint32_t pid, uint64_t address, const char *name,
		      unsigned int flags)
{
	/* Line 10 for the first unit, 12 for the second, none for the third. */
	static const uint8_t linetable[] = {0xe8, 0x00, 0xe8, 0x04, 0xf8};
	struct cs_event event = {
		.kind = CS_EV_CODE,
		.pid = pid,
		.code = {.code = address,
			 .firstlineno = 10,
			 .flags = flags,
			 .name = {name, strlen(name)},
			 .file = TEXT("/srv/app.py"),
			 .linetable = linetable,
			 .linetable_len = sizeof(linetable)},
	};

	assert_int_equal(cs_symbols_feed(f->symbols, &event), 0);
}

static void feed_mapping(struct fixture *f, uint32_t pid, uint64_t start, uint64_t end,
			 uint64_t offset, struct cs_text path)
{
	struct cs_event event = {
		.kind = CS_EV_MAPPING, .pid = pid, .mapping = {start, end, offset, path}};

	assert_int_equal(cs_symbols_feed(f->symbols, &event), 0);
}

static const struct cs_frame *frame_at(struct fixture *f, int64_t index)
{
	assert_true(index >= 0);
	return cs_profile_get_frame(f->profile, (uint32_t)index);
}

static const struct cs_frame *python(struct fixture *f, uint32_t pid, uint64_t code, int32_t lasti)
{
	struct cs_py_frame frame = {.code = code, .lasti = lasti};

	return frame_at(f, cs_symbols_python(f->symbols, pid, &frame));
}

static void check_name(struct fixture *f, const struct cs_frame *frame, enum cs_frame_kind kind,
		       const char *name)
{
	assert_int_equal(frame->kind, kind);
	assert_string_equal(cs_profile_str(f->profile, frame->name), name);
}

static void test_python_lines(void **state)
{
	struct fixture *f = *state;
	const struct cs_frame *frame;

	feed_code(f, 1, 0x100, "main", CS_CODE_LOOP);
	frame = python(f, 1, 0x100, 2);
	check_name(f, frame, CS_FRAME_PYTHON, "main");
	assert_string_equal(cs_profile_str(f->profile, frame->file), "/srv/app.py");
	assert_int_equal(frame->line, 12);
	assert_int_equal(frame->first_line, 10);
	assert_int_equal(frame->address, 0);
	assert_ptr_equal(python(f, 1, 0x100, 2), frame);
	assert_int_equal(python(f, 1, 0x100, 0)->line, 10);
	assert_int_equal(python(f, 1, 0x100, -1)->line, 10);
	assert_int_equal(python(f, 1, 0x100, 4)->line, 0);
	assert_int_equal(cs_profile_nframes(f->profile), 3);
	assert_int_equal(cs_symbols_code_flags(f->symbols, 1, 0x100), CS_CODE_LOOP);
	assert_int_equal(cs_symbols_code_flags(f->symbols, 1, 0x101), 0);
	assert_int_equal(cs_symbols_code_flags(f->symbols, 2, 0x100), 0);
}

static void test_first_lines(void **state)
{
	struct fixture *f = *state;

	cs_symbols_free(f->symbols);
	assert_int_equal(cs_symbols_new(f->profile, true, &f->symbols), 0);
	feed_code(f, 1, 0x100, "main", 0);
	for (int32_t lasti = -1; lasti < 6; lasti++)
		assert_int_equal(python(f, 1, 0x100, lasti)->line, 10);
	assert_int_equal(cs_profile_nframes(f->profile), 1);
}

/* The interpreter's own frame; a table whose end is missing says nothing of what lies beyond. */
static void test_no_lines(void **state)
{
	const struct cs_py_frame shim = {.code = 0x200};
	struct fixture *f = *state;

	feed_code(f, 1, 0x200, "__init__", CS_CODE_SHIM);
	assert_int_equal(cs_symbols_python(f->symbols, 1, &shim), -ENOENT);
	feed_code(f, 1, 0x100, "main", CS_CODE_LINES_CUT);
	assert_int_equal(python(f, 1, 0x100, -1)->line, 10);
	assert_int_equal(python(f, 1, 0x100, 2)->line, 0);
}

static void test_python_unreadable(void **state)
{
	struct fixture *f = *state;

	feed_code(f, 1, 0x100, "", CS_CODE_UNREADABLE);
	check_name(f, python(f, 1, 0x100, 0), CS_FRAME_MARK, "[unreadable]");
	check_name(f, python(f, 1, CS_CODE_STALE, 0), CS_FRAME_MARK, "[stale]");
	check_name(f, python(f, 1, CS_CODE_LEFT_OUT, 1744), CS_FRAME_MARK,
		   "[1744 frames left out]");
	assert_ptr_equal(python(f, 9, 0x900, 0), python(f, 1, 0x100, 8));
}

static void test_latest_code_wins(void **state)
{
	struct fixture *f = *state;
	struct cs_event exec = {.kind = CS_EV_EXEC, .pid = 1};

	feed_code(f, 1, 0x100, "old", 0);
	feed_code(f, 2, 0x100, "other", 0);
	check_name(f, python(f, 1, 0x100, 0), CS_FRAME_PYTHON, "old");
	feed_code(f, 1, 0x100, "new", 0);
	check_name(f, python(f, 1, 0x100, 0), CS_FRAME_PYTHON, "new");
	assert_int_equal(cs_symbols_feed(f->symbols, &exec), 0);
	check_name(f, python(f, 1, 0x100, 0), CS_FRAME_MARK, "[unreadable]");
	check_name(f, python(f, 2, 0x100, 0), CS_FRAME_PYTHON, "other");
	assert_int_equal(cs_symbols_feed(f->symbols, &exec), 0);
}

static void test_kernel(void **state)
{
	struct fixture *f = *state;
	struct cs_event event = {.kind = CS_EV_KSYM, .ksym = {0xffff, TEXT("do_idle")}};
	const struct cs_frame *frame;

	check_name(f, frame_at(f, cs_symbols_kernel(f->symbols, 0xffff)), CS_FRAME_KERNEL,
		   "[kernel+0xffff]");
	assert_int_equal(cs_symbols_feed(f->symbols, &event), 0);
	frame = frame_at(f, cs_symbols_kernel(f->symbols, 0xffff));
	check_name(f, frame, CS_FRAME_KERNEL, "do_idle");
	assert_int_equal(frame->address, 0xffff);
	event.ksym.name = TEXT("schedule");
	assert_int_equal(cs_symbols_feed(f->symbols, &event), 0);
	check_name(f, frame_at(f, cs_symbols_kernel(f->symbols, 0xffff)), CS_FRAME_KERNEL,
		   "schedule");
}

static void check_native(struct fixture *f, uint64_t address, const char *name)
{
	const struct cs_frame *frame = frame_at(f, cs_symbols_native(f->symbols, 1, address));

	check_name(f, frame, CS_FRAME_NATIVE, name);
	assert_int_equal(frame->address, address);
}

static void test_native(void **state)
{
	struct fixture *f = *state;
	struct cs_event exec = {.kind = CS_EV_EXEC, .pid = 1};
	unsigned int i;

	check_native(f, 0x1010, "[0x1010]");
	feed_mapping(f, 1, 0x1000, 0x3000, 0x200, TEXT("/usr/lib/libc.so.6"));
	feed_mapping(f, 1, 0x2000, 0x4000, 0, TEXT("[vdso]"));
	feed_mapping(f, 1, 0x5000, 0x6000, 0, TEXT(""));
	feed_mapping(f, 1, 0x6000, 0x7000, 0, TEXT("/a/"));
	check_native(f, 0x0fff, "[0xfff]");
	check_native(f, 0x1010, "libc.so.6+0x210");
	check_native(f, 0x2000, "[vdso]+0x0");
	check_native(f, 0x4000, "[0x4000]");
	check_native(f, 0x5000, "[0x5000]");
	check_native(f, 0x6000, "[0x6000]");
	for (i = 0; i < 40; i++)
		feed_mapping(f, 1, 0x10000 + i * 0x1000, 0x11000 + i * 0x1000, 0, TEXT("/bin/x"));
	check_native(f, 0x10000 + 39 * 0x1000 + 1, "x+0x1");
	assert_int_equal(cs_symbols_feed(f->symbols, &exec), 0);
	check_native(f, 0x1010, "[0x1010]");
}

static void test_native_symbols(void **state)
{
	struct fixture *f = *state;
	struct cs_event symbol = {
		.kind = CS_EV_SYMBOL, .pid = 1, .symbol = {.addr = 0x1010, .name = TEXT("qsort")}};
	struct cs_event exec = {.kind = CS_EV_EXEC, .pid = 1};
	const struct cs_frame *frame;

	assert_int_equal(cs_symbols_feed(f->symbols, &symbol), 0);
	check_native(f, 0x1010, "qsort");
	check_native(f, 0x1011, "[0x1011]");
	feed_mapping(f, 1, 0x1000, 0x3000, 0x200, TEXT("/usr/lib/libc.so.6"));
	check_native(f, 0x1010, "qsort");
	frame = frame_at(f, cs_symbols_native(f->symbols, 1, 0x1010));
	assert_string_equal(cs_profile_str(f->profile, frame->file), "libc.so.6");
	check_native(f, 0x1011, "libc.so.6+0x211");
	/* another process's address is another one's */
	check_name(f, frame_at(f, cs_symbols_native(f->symbols, 2, 0x1010)), CS_FRAME_NATIVE,
		   "[0x1010]");
	symbol.symbol.name = TEXT("main"); /* what was mapped there has changed */
	assert_int_equal(cs_symbols_feed(f->symbols, &symbol), 0);
	check_native(f, 0x1010, "main");
	assert_int_equal(cs_symbols_feed(f->symbols, &exec), 0);
	check_native(f, 0x1010, "[0x1010]");
}

/* A name is shown as a person wrote it, and one that is taken back is none. */
static void test_native_names(void **state)
{
	struct fixture *f = *state;
	struct cs_event symbol = {.kind = CS_EV_SYMBOL,
				  .pid = 1,
				  .symbol = {.addr = 0x1010, .name = TEXT("_ZN4work3runEi")}};

	assert_int_equal(cs_symbols_feed(f->symbols, &symbol), 0);
	check_native(f, 0x1010, "work::run");
	symbol.symbol.name = TEXT("");
	assert_int_equal(cs_symbols_feed(f->symbols, &symbol), 0);
	check_native(f, 0x1010, "[0x1010]");
	assert_int_equal(cs_symbols_feed(f->symbols, &symbol), 0);
}

/* What a backend needs to find the name of an address by itself. */
static void test_native_mapping(void **state)
{
	static const uint8_t id[] = {0xab, 0x00, 0xcd};
	struct fixture *f = *state;
	struct cs_event event = {.kind = CS_EV_MAPPING,
				 .pid = 1,
				 .mapping = {.start = 0x1000,
					     .end = 0x3000,
					     .offset = 0x200,
					     .path = TEXT("/usr/lib/libc.so.6"),
					     .build_id = id,
					     .build_id_len = sizeof(id)}};
	struct cs_event symbol = {
		.kind = CS_EV_SYMBOL, .pid = 1, .symbol = {.addr = 0x1010, .name = TEXT("qsort")}};
	const struct cs_frame *named, *unnamed, *other;
	const struct cs_mapped *mapped;

	assert_int_equal(cs_symbols_feed(f->symbols, &event), 0);
	assert_int_equal(cs_symbols_feed(f->symbols, &symbol), 0);
	event.pid = 2; /* the same file at the same place: one mapping */
	assert_int_equal(cs_symbols_feed(f->symbols, &event), 0);
	named = frame_at(f, cs_symbols_native(f->symbols, 1, 0x1010));
	unnamed = frame_at(f, cs_symbols_native(f->symbols, 1, 0x1020));
	other = frame_at(f, cs_symbols_native(f->symbols, 2, 0x1020));
	assert_false(named->unnamed);
	assert_true(unnamed->unnamed);
	assert_ptr_equal(unnamed, other);
	assert_int_equal(named->mapping, unnamed->mapping);
	assert_int_equal(cs_profile_nmappings(f->profile), 1);
	mapped = cs_profile_get_mapping(f->profile, named->mapping - 1);
	assert_int_equal(mapped->start, 0x1000);
	assert_int_equal(mapped->end, 0x3000);
	assert_int_equal(mapped->offset, 0x200);
	assert_string_equal(cs_profile_str(f->profile, mapped->path), "/usr/lib/libc.so.6");
	assert_string_equal(cs_profile_str(f->profile, mapped->build_id), "ab00cd");
	named = frame_at(f, cs_symbols_native(f->symbols, 1, 0x5000));
	assert_int_equal(named->mapping, 0);
	/* the same once more, by who knows less; and another file there */
	feed_mapping(f, 1, 0x1000, 0x2000, 0x200, TEXT("/usr/lib/libc.so.6"));
	assert_ptr_equal(frame_at(f, cs_symbols_native(f->symbols, 1, 0x1020)), unnamed);
	feed_mapping(f, 1, 0x1000, 0x2000, 0x200, TEXT("/usr/lib/libd.so.6"));
	check_native(f, 0x1020, "libd.so.6+0x220");
}

struct asked {
	unsigned int times;
	bool named;
	uint64_t vaddr;
	char path[64];
	size_t n; /* what is answered */
};

static size_t answer(void *ctx, const struct cs_code_address *address,
		     struct cs_code_function ret[CS_MAX_INLINED])
{
	struct asked *asked = ctx;

	asked->times++;
	asked->named = address->named;
	asked->vaddr = address->vaddr;
	strncpy(asked->path, address->path, sizeof(asked->path) - 1);
	assert_memory_equal(address->build_id, "\x01\x02", address->build_id_len);
	ret[0] = (struct cs_code_function){"_ZN4work5mixedEm", "/src/work.cc", 12};
	ret[1] = (struct cs_code_function){NULL, NULL, 0};
	ret[2] = (struct cs_code_function){"outer", "/src/work.cc", 30};
	return asked->n;
}

static void feed_code_mapping(struct fixture *f)
{
	static const uint8_t id[] = {1, 2};
	struct cs_event event = {.kind = CS_EV_MAPPING,
				 .pid = 1,
				 .mapping = {.start = 0x1000,
					     .end = 0x3000,
					     .offset = 0x200,
					     .vaddr = 0x400200,
					     .path = TEXT("/bin/work"),
					     .build_id = id,
					     .build_id_len = sizeof(id)}};

	assert_int_equal(cs_symbols_feed(f->symbols, &event), 0);
}

/* The innermost function's frame refers to the others, and each address is asked for once. */
static void test_inlined(void **state)
{
	struct fixture *f = *state;
	struct asked asked = {.n = 3};
	const struct cs_lookup lookup = {answer, &asked};
	const struct cs_frame *frame;

	feed_code_mapping(f);
	cs_symbols_look_up(f->symbols, &lookup);
	frame = frame_at(f, cs_symbols_native(f->symbols, 1, 0x1010));
	check_name(f, frame, CS_FRAME_INLINED, "work::mixed");
	assert_string_equal(cs_profile_str(f->profile, frame->file), "/src/work.cc");
	assert_int_equal(frame->line, 12);
	frame = frame_at(f, frame->inlined_into);
	check_name(f, frame, CS_FRAME_INLINED, "[inlined]");
	frame = frame_at(f, frame->inlined_into);
	check_name(f, frame, CS_FRAME_NATIVE, "outer");
	assert_int_equal(frame->line, 30);
	assert_false(frame->unnamed);
	assert_int_equal(
		cs_profile_inlined(f->profile, (uint32_t)cs_symbols_native(f->symbols, 1, 0x1010)),
		2);
	assert_int_equal(asked.times, 1);
	assert_int_equal(asked.vaddr, 0x400210);
	assert_string_equal(asked.path, "/bin/work");
	assert_false(asked.named);
}

/* The capture's own name of a function is the true one: it was found while the process lived. */
static void test_looked_up_but_named(void **state)
{
	struct fixture *f = *state;
	struct asked asked = {.n = 3};
	const struct cs_lookup lookup = {answer, &asked};
	struct cs_event symbol = {
		.kind = CS_EV_SYMBOL, .pid = 1, .symbol = {.addr = 0x1010, .name = TEXT("alias")}};
	const struct cs_frame *frame;

	feed_code_mapping(f);
	assert_int_equal(cs_symbols_feed(f->symbols, &symbol), 0);
	cs_symbols_look_up(f->symbols, &lookup);
	frame = frame_at(f, cs_symbols_native(f->symbols, 1, 0x1010));
	frame = frame_at(f, frame_at(f, frame->inlined_into)->inlined_into);
	check_name(f, frame, CS_FRAME_NATIVE, "alias");
	assert_int_equal(frame->line, 30);
	assert_true(asked.named);
}

static void test_nothing_found(void **state)
{
	struct fixture *f = *state;
	struct asked asked = {.n = 0};
	const struct cs_lookup lookup = {answer, &asked};

	cs_symbols_look_up(f->symbols, &lookup);
	check_native(f, 0x1010, "[0x1010]");
	feed_mapping(f, 1, 0x1000, 0x3000, 0x200, TEXT("/bin/work"));
	check_native(f, 0x1010, "work+0x210");
	assert_int_equal(asked.times, 0); /* without a build id there is nothing to ask for */
	feed_code_mapping(f);
	check_native(f, 0x1010, "work+0x210");
	check_native(f, 0x1010, "work+0x210");
	assert_int_equal(asked.times, 1);
}

int main(void)
{
	const struct CMUnitTest tests[] = {
		cmocka_unit_test_setup_teardown(test_python_lines, set_up, tear_down),
		cmocka_unit_test_setup_teardown(test_first_lines, set_up, tear_down),
		cmocka_unit_test_setup_teardown(test_no_lines, set_up, tear_down),
		cmocka_unit_test_setup_teardown(test_python_unreadable, set_up, tear_down),
		cmocka_unit_test_setup_teardown(test_latest_code_wins, set_up, tear_down),
		cmocka_unit_test_setup_teardown(test_kernel, set_up, tear_down),
		cmocka_unit_test_setup_teardown(test_native, set_up, tear_down),
		cmocka_unit_test_setup_teardown(test_native_symbols, set_up, tear_down),
		cmocka_unit_test_setup_teardown(test_native_names, set_up, tear_down),
		cmocka_unit_test_setup_teardown(test_native_mapping, set_up, tear_down),
		cmocka_unit_test_setup_teardown(test_inlined, set_up, tear_down),
		cmocka_unit_test_setup_teardown(test_looked_up_but_named, set_up, tear_down),
		cmocka_unit_test_setup_teardown(test_nothing_found, set_up, tear_down),
	};

	return cmocka_run_group_tests(tests, NULL, NULL);
}
