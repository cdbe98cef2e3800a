/* SPDX-License-Identifier: Apache-2.0 */
/*
 * Whose name a frame gets: code objects in this test's own memory come, stay, are replaced at their address and go, between the
 * moment of a sample and that of the reading.
 */
#include "collect/names.h"

#include <setjmp.h>
#include <stdarg.h>
#include <stddef.h>
#include <stdint.h>

#include <cmocka.h>
#include <coroscope/code_check.h>
#include <stdlib.h>
#include <string.h>
#include <sys/mman.h>
#include <sys/wait.h>
#include <unistd.h>

#include "collect/record.h"
#include "core/cleanup.h"
#include "python/code.h"
#include "unit/python/made_code.h"

#define MS       1000000ull
#define SETTLED  (2000 * MS)
#define TURN     (10 * MS)
#define NOT_MADE 0x5555deadbee0 /* where no code object is */

struct fixture {
	struct made made;
	struct cs_names *names;
	struct cs_target *targets, *target;
	struct cs_buf fresh, out;
	struct cs_names_lost lost;
	uint64_t now_ns;
	size_t at; /* how far the output has been looked at */
};

static int begin(void **state, int minor)
{
	struct fixture *f = calloc(1, sizeof(*f));
	struct cs_target parent = {0};

	*state = f;
	made_begin(&f->made, minor);
	parent.interp = f->made.interp;
	f->now_ns = cs_now_ns();
	if (cs_target_fork(&parent, getpid(), f->now_ns, &f->target) || cs_names_new(&f->names))
		return -1;
	HASH_ADD_INT(f->targets, pid, f->target);
	return 0;
}

static int setup(void **state)
{
	return begin(state, 12);
}

static int teardown(void **state)
{
	struct fixture *f = *state;

	HASH_DEL(f->targets, f->target);
	cs_target_free(f->target);
	cs_names_free(f->names);
	cs_buf_free(&f->fresh);
	cs_buf_free(&f->out);
	made_end(&f->made);
	free(f);
	return 0;
}

/* The check value that the sampler would note now. */
static uint32_t check_of(struct fixture *f, uint64_t code)
{
	uint32_t check;

	cs_code_checks(&f->made.interp, f->made.ctx.mem, &code, 1, &check);
	assert_int_not_equal(check, CS_CODE_NOT_CHECKED);
	return check;
}

static struct cs_ev_stack *add_stack(struct fixture *f, uint16_t nframes, uint16_t nkernel)
{
	struct cs_ev_stack *stack = cs_record_begin(&f->fresh, CS_EV_STACK, f->now_ns, getpid(),
						    sizeof(*stack), nframes * 16u + nkernel * 8u);

	stack->nframes = nframes;
	stack->nkernel = nkernel;
	return stack;
}

/* A stack of one frame. */
static void sample(struct fixture *f, uint64_t code, uint32_t check)
{
	add_stack(f, 1, 0)->frames[0] = (struct cs_py_frame){.code = code, .check = check};
}

/* A code object as the sampler captures it. */
static struct cs_ev_code_seen *capture(struct fixture *f, uint64_t code, uint32_t check,
				       const char *name)
{
	struct cs_ev_code_seen *seen =
		cs_record_begin(&f->fresh, CS_EV_CODE_SEEN, f->now_ns, getpid(), sizeof(*seen), 24);

	assert_in_range(strlen(name), 1, 8);
	seen->code = code;
	seen->check = check;
	seen->firstlineno = 7;
	seen->name_kind = seen->file_kind = CS_NAME_LATIN1;
	seen->name_chars = seen->name_bytes = (uint16_t)strlen(name);
	seen->file_chars = seen->file_bytes = 4;
	seen->linetable_len = seen->linetable_bytes = 2;
	memcpy(seen->text, name, strlen(name));
	memcpy(seen->text + 8, "a.py", 4);
	memcpy(seen->text + 16, "\xe8\x02", 2);
	return seen;
}

static void turn(struct fixture *f)
{
	assert_int_equal(f->at, f->out.len); /* the last one's output was looked at */
	f->out.len = f->at = 0;
	f->lost = (struct cs_names_lost){0};
	f->now_ns += TURN;
	assert_int_equal(
		cs_names_for(f->names, f->targets, &f->fresh, f->now_ns, &f->out, &f->lost), 0);
	f->fresh.len = 0;
}

static const void *next(struct fixture *f, enum cs_ev_kind kind)
{
	const struct cs_ev_hdr *hdr = (const void *)(f->out.data + f->at);

	assert_in_range(f->at + sizeof(*hdr), 0, f->out.len);
	assert_int_equal(hdr->kind, kind);
	assert_int_equal(hdr->pid, getpid());
	f->at += hdr->size;
	return hdr;
}

static void expect_code(struct fixture *f, uint64_t code, const char *name)
{
	const struct cs_ev_code *ev = next(f, CS_EV_CODE);

	assert_int_equal(ev->code, code);
	assert_int_equal(ev->name_len, strlen(name));
	assert_memory_equal(ev->text, name, ev->name_len);
}

/* The stack with that frame, and CS_CODE_STALE in its place if it is. */
static void expect_frame(struct fixture *f, uint64_t code)
{
	const struct cs_ev_stack *stack = next(f, CS_EV_STACK);

	assert_int_equal(stack->nframes, 1);
	assert_int_equal(stack->frames[0].code, code);
}

static void expect_end(struct fixture *f)
{
	assert_int_equal(f->at, f->out.len);
}

/* Give the code object's memory to another one. */
static void replace(struct fixture *f, uint64_t code, const char *name)
{
	const struct cs_py_offsets *off = &f->made.interp.info.off;
	uint64_t other = made_code(&f->made, name, "/b.py");
	char bytes[256];

	memcpy(bytes, (void *)(uintptr_t)other, sizeof(bytes));
	memcpy((void *)(uintptr_t)code, bytes, sizeof(bytes));
	made_put(&f->made, code, off->object_type, f->made.type_code);
}

/* Once, before the first stack that needs it; on every layout. */
static void test_named_once(void **state)
{
	for (int minor = 8; minor <= 13; minor++) {
		struct fixture *f;
		uint64_t code;

		assert_int_equal(begin((void **)&f, minor), 0);
		code = made_code(&f->made, "Server.handle", "/srv/app.py");
		sample(f, code, check_of(f, code));
		sample(f, code, CS_CODE_NOT_CHECKED);
		turn(f);
		expect_code(f, code, "Server.handle");
		expect_frame(f, code);
		expect_frame(f, code);
		expect_end(f);
		sample(f, code, CS_CODE_NOT_CHECKED);
		turn(f);
		expect_frame(f, code);
		expect_end(f);
		assert_int_equal(f->lost.stale + f->lost.unreadable, 0);
		assert_int_equal(f->target->reused_ns, 0);
		teardown((void **)&f);
	}
}

/* The object with that check value, or none. */
static void test_replaced_before_it_was_read(void **state)
{
	struct fixture *f = *state;
	uint64_t code = made_code(&f->made, "old", "/a.py");
	uint32_t old = check_of(f, code);

	sample(f, code, old);
	replace(f, code, "new");
	sample(f, code, check_of(f, code));
	turn(f);
	expect_frame(f, CS_CODE_STALE);
	expect_code(f, code, "new");
	expect_frame(f, code);
	expect_end(f);
	assert_int_equal(f->lost.stale, 1);
	assert_int_equal(f->lost.unreadable, 0);
	assert_int_equal(f->target->reused_ns, f->now_ns); /* every frame is to be checked now */
}

/* The capture names one of them at a time. */
static void test_replaced_after_it_was_named(void **state)
{
	struct fixture *f = *state;
	uint64_t code = made_code(&f->made, "old", "/a.py");
	uint32_t old = check_of(f, code), new;

	sample(f, code, old);
	turn(f);
	expect_code(f, code, "old");
	expect_frame(f, code);
	replace(f, code, "new");
	new = check_of(f, code);
	assert_int_not_equal(old, new);
	/* met before, but by which of the two? */
	sample(f, code, CS_CODE_NOT_CHECKED);
	sample(f, code, old);
	sample(f, code, new);
	sample(f, code, old);
	turn(f);
	expect_frame(f, CS_CODE_STALE);
	expect_frame(f, code);
	expect_code(f, code, "new");
	expect_frame(f, code);
	expect_frame(f, CS_CODE_STALE);
	expect_end(f);
	assert_int_equal(f->lost.stale, 2);
	assert_int_equal(f->target->reused_ns, f->now_ns);
}

/* The sampler met the address before this capture's first turn: nobody knows what it was. */
static void test_unchecked_and_unknown(void **state)
{
	struct fixture *f = *state;
	uint64_t code = made_code(&f->made, "f", "/a.py");

	sample(f, code, CS_CODE_NOT_CHECKED);
	turn(f);
	expect_frame(f, CS_CODE_STALE);
	expect_end(f);
	assert_int_equal(f->lost.stale, 1);
}

/* A suspended coroutine holds its code object. */
static void test_suspended_tasks(void **state)
{
	struct fixture *f = *state;
	uint64_t code = made_code(&f->made, "worker", "/a.py");
	const struct cs_ev_task *found;
	struct cs_ev_task *task;

	for (unsigned int i = 0; i < 3; i++) {
		task = cs_record_begin(&f->fresh, CS_EV_TASK, f->now_ns, getpid(), sizeof(*task),
				       sizeof(struct cs_py_frame));
		task->nframes = 1;
		task->frames[0].code = code;
		turn(f);
		if (i != 1)
			expect_code(f, code, i ? "other" : "worker");
		found = next(f, CS_EV_TASK);
		assert_int_equal(found->frames[0].code, code);
		expect_end(f);
		if (i == 1)
			replace(f, code, "other");
	}
	assert_int_equal(f->lost.stale, 0);
}

/* Its creator's stack is named like any other. */
static void test_created_tasks(void **state)
{
	struct fixture *f = *state;
	uint64_t code = made_code(&f->made, "f", "/a.py");
	struct cs_ev_stack *stack = add_stack(f, 1, 0);

	stack->hdr.kind = CS_EV_TASK_CREATED;
	stack->frames[0] = (struct cs_py_frame){.code = code, .check = check_of(f, code)};
	turn(f);
	expect_code(f, code, "f");
	next(f, CS_EV_TASK_CREATED);
	expect_end(f);
}

/* A freed object's texts may be others' already. */
static void test_freed(void **state)
{
	struct fixture *f = *state;
	uint64_t code = made_code(&f->made, "f", "/a.py");

	made_put(&f->made, code, 0, 0);
	sample(f, code, check_of(f, code));
	turn(f);
	expect_frame(f, CS_CODE_STALE);
	expect_end(f);
	assert_int_equal(f->lost.unreadable, 1);
	assert_int_equal(f->lost.stale, 1);
}

/* What the sampler captured needs no memory to be read, and is never mixed up. */
static void test_captured(void **state)
{
	struct fixture *f = *state;

	capture(f, NOT_MADE, 11, "first");
	sample(f, NOT_MADE, 11);
	capture(f, NOT_MADE, 13, "second");
	sample(f, NOT_MADE, 13);
	turn(f);
	expect_code(f, NOT_MADE, "first");
	expect_frame(f, NOT_MADE);
	expect_code(f, NOT_MADE, "second");
	expect_frame(f, NOT_MADE);
	expect_end(f);
	assert_int_equal(f->lost.stale + f->lost.unreadable, 0);
	assert_int_equal(f->target->reused_ns, f->now_ns);

	sample(f, NOT_MADE, 13);
	sample(f, NOT_MADE, 11);
	turn(f);
	expect_frame(f, NOT_MADE);
	expect_frame(f, CS_CODE_STALE);
	expect_end(f);
	assert_int_equal(f->lost.stale, 1);
}

static void test_captured_content(void **state)
{
	struct fixture *f = *state;
	const struct cs_ev_code *code;

	capture(f, NOT_MADE, 11, "f");
	turn(f);
	code = next(f, CS_EV_CODE);
	assert_int_equal(code->check, 11);
	assert_int_equal(code->firstlineno, 7);
	assert_int_equal(code->linetable_len, 2);
	assert_memory_equal(code->text, "fa.py\xe8\x02", 7);
	expect_end(f);
}

/* What is missing is read while it is there. */
static void test_captured_in_part(void **state)
{
	struct fixture *f = *state;
	uint64_t codes[] = {made_code(&f->made, "no_name", "/a.py"),
			    made_code(&f->made, "no_lines", "/a.py"),
			    made_code(&f->made, "a_long_name", "/a.py")};

	capture(f, codes[0], check_of(f, codes[0]), "x")->name_kind = CS_NAME_NONE;
	sample(f, codes[0], check_of(f, codes[0]));
	turn(f);
	expect_code(f, codes[0], "no_name");
	expect_frame(f, codes[0]);
	expect_end(f);

	capture(f, codes[1], check_of(f, codes[1]), "no_lines")->linetable_len = 3000;
	sample(f, codes[1], check_of(f, codes[1]));
	turn(f);
	assert_int_equal(((const struct cs_ev_hdr *)f->out.data)->flags, 0);
	expect_code(f, codes[1], "no_lines");
	expect_frame(f, codes[1]);
	expect_end(f);
	/* another CPU meets it, too: what was read stays */
	capture(f, codes[1], check_of(f, codes[1]), "no_lines")->linetable_len = 3000;
	sample(f, codes[1], check_of(f, codes[1]));
	turn(f);
	expect_frame(f, codes[1]);
	expect_end(f);

	capture(f, codes[2], check_of(f, codes[2]), "a_long_n")->name_chars = 11;
	sample(f, codes[2], check_of(f, codes[2]));
	turn(f);
	expect_code(f, codes[2], "a_long_name");
	expect_frame(f, codes[2]);
	expect_end(f);

	/* half a name is better than none */
	capture(f, NOT_MADE, 11, "gone")->name_chars = 7;
	sample(f, NOT_MADE, 11);
	turn(f);
	expect_code(f, NOT_MADE, "gone...");
	expect_frame(f, NOT_MADE);
	expect_end(f);
}

/* A process that is gone cannot be asked: what had been the same for seconds is believed. */
static void test_gone(void **state)
{
	struct fixture *f = *state;
	uint64_t old = made_code(&f->made, "old", "/a.py"), young;
	pid_t pid = fork();

	if (pid == 0)
		_exit(0);
	assert_int_equal(waitpid(pid, NULL, 0), pid);
	sample(f, old, check_of(f, old));
	turn(f);
	expect_code(f, old, "old");
	expect_frame(f, old);
	f->now_ns += SETTLED;
	young = made_code(&f->made, "young", "/a.py");
	sample(f, young, check_of(f, young));
	turn(f);
	expect_code(f, young, "young");
	expect_frame(f, young);

	cs_mem_free(f->target->mem);
	assert_int_equal(cs_mem_new(pid, &f->target->mem), 0);
	sample(f, old, CS_CODE_NOT_CHECKED);
	sample(f, young, CS_CODE_NOT_CHECKED);
	sample(f, young, check_of(f, young));
	turn(f);
	expect_frame(f, old);
	expect_frame(f, CS_CODE_STALE);
	expect_frame(f, young);
	expect_end(f);
	sample(f, old, 3);
	turn(f);
	expect_frame(f, CS_CODE_STALE);
	expect_end(f);
}

/* ... but not where another object was met meanwhile. */
static void test_settled_and_replaced(void **state)
{
	struct fixture *f = *state;
	uint64_t code = made_code(&f->made, "old", "/a.py");

	sample(f, code, check_of(f, code));
	turn(f);
	expect_code(f, code, "old");
	expect_frame(f, code);
	f->now_ns += SETTLED;
	sample(f, code, CS_CODE_NOT_CHECKED);
	capture(f, code, 11, "new");
	sample(f, code, 11);
	turn(f);
	expect_frame(f, CS_CODE_STALE);
	expect_code(f, code, "new");
	expect_frame(f, code);
	expect_end(f);
}

/* More than one reading takes. */
static void test_many(void **state)
{
	struct fixture *f = *state;
	uint64_t codes[600];
	char name[16];

	for (size_t i = 0; i < ARRAY_SIZE(codes); i++) {
		snprintf(name, sizeof(name), "f_%zu", i);
		codes[i] = made_code(&f->made, name, "/a.py");
		sample(f, codes[i], check_of(f, codes[i]));
	}
	turn(f);
	for (size_t i = 0; i < ARRAY_SIZE(codes); i++) {
		snprintf(name, sizeof(name), "f_%zu", i);
		expect_code(f, codes[i], name);
		expect_frame(f, codes[i]);
	}
	expect_end(f);
}

/* Of processes that nobody watches, or that are no Python yet, nothing can be asked. */
static void test_not_ready(void **state)
{
	struct fixture *f = *state;
	uint64_t code = made_code(&f->made, "f", "/a.py");

	f->target->interp.state = CS_INTERP_STARTING;
	capture(f, code, 11, "f");
	sample(f, code, 11);
	turn(f);
	expect_frame(f, code);
	expect_end(f);
	assert_int_equal(f->lost.stale, 0);
	assert_int_equal(f->lost.early, 1);
	f->target->interp.state = CS_INTERP_READY;
	sample(f, code, check_of(f, code));
	turn(f);
	assert_int_equal(f->lost.early, 0);
}

/* A native address is told by the file that is mapped there, once. */
static void test_mappings(void **state)
{
	const struct cs_ev_mapping *mapping;
	struct fixture *f = *state;
	char self[4096] = "";

	assert_true(readlink("/proc/self/exe", self, sizeof(self) - 1) > 0);
	for (unsigned int i = 0; i < 3; i++) {
		if (i == 2)
			cs_names_forget(f->names, getpid());
		add_stack(f, 0, 0)->user_ip = (uint64_t)(uintptr_t)test_mappings;
		turn(f);
		if (i != 1) {
			mapping = next(f, CS_EV_MAPPING);
			assert_in_range((uintptr_t)test_mappings, mapping->start, mapping->end - 1);
			assert_int_equal(mapping->path_len, strlen(self));
			assert_memory_equal(mapping->path, self, mapping->path_len);
		}
		next(f, CS_EV_STACK);
		expect_end(f);
	}
	/* frames tell more, and memory without a file nothing */
	sample(f, NOT_MADE, 0);
	((struct cs_ev_stack *)(void *)f->fresh.data)->user_ip = (uint64_t)(uintptr_t)calloc;
	add_stack(f, 0, 0)->user_ip = (uint64_t)(uintptr_t)f->made.arena;
	turn(f);
	expect_frame(f, CS_CODE_STALE);
	next(f, CS_EV_STACK);
	expect_end(f);
}

/* Mappings of a process are read again, but not at every turn; not at all once it is another program. */
static void test_late_mappings(void **state)
{
	struct fixture *f = *state;
	_cleanup_fclose_ FILE *file = fopen("/proc/self/exe", "re");
	void *late;

	add_stack(f, 0, 0)->user_ip = (uint64_t)(uintptr_t)test_mappings;
	turn(f);
	next(f, CS_EV_MAPPING);
	next(f, CS_EV_STACK);
	late = mmap(NULL, 4096, PROT_READ, MAP_PRIVATE, fileno(file), 0);
	assert_ptr_not_equal(late, MAP_FAILED);
	add_stack(f, 0, 0)->user_ip = (uint64_t)(uintptr_t)late;
	turn(f);
	next(f, CS_EV_STACK);
	expect_end(f);
	f->now_ns += 1000 * MS;
	add_stack(f, 0, 0)->user_ip = (uint64_t)(uintptr_t)late;
	turn(f);
	next(f, CS_EV_MAPPING);
	next(f, CS_EV_STACK);
	expect_end(f);

	cs_names_forget(f->names, getpid());
	cs_names_freeze(f->names, getpid());
	f->now_ns = cs_now_ns();
	add_stack(f, 0, 0)->user_ip = (uint64_t)(uintptr_t)late;
	turn(f);
	next(f, CS_EV_STACK);
	expect_end(f);
	munmap(late, 4096);
}

#define TEST(name) cmocka_unit_test_setup_teardown(name, setup, teardown)

int main(void)
{
	const struct CMUnitTest tests[] = {
		cmocka_unit_test(test_named_once),
		TEST(test_replaced_before_it_was_read),
		TEST(test_replaced_after_it_was_named),
		TEST(test_unchecked_and_unknown),
		TEST(test_suspended_tasks),
		TEST(test_created_tasks),
		TEST(test_freed),
		TEST(test_captured),
		TEST(test_captured_content),
		TEST(test_captured_in_part),
		TEST(test_gone),
		TEST(test_settled_and_replaced),
		TEST(test_many),
		TEST(test_not_ready),
		TEST(test_mappings),
		TEST(test_late_mappings),
	};

	return cmocka_run_group_tests(tests, NULL, NULL);
}
