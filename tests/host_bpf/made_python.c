/* SPDX-License-Identifier: Apache-2.0 */
/*
 * A made-up interpreter's memory. Objects lie at regular distances from BASE, so that an address names its
 * object; the gaps between them are not readable.
 */
#include "made_python.h"

#include <errno.h>
#include <setjmp.h>
#include <stdarg.h>
#include <stdlib.h>
#include <string.h>

#include <cmocka.h>

#include <coroscope/code_check.h>
#include <coroscope/limits.h>

#include "python/interp.h"

#define BASE 0x7f0000000000ull
#define DISTANCE \
	0x4000ull /* above the largest object, an interpreter state of 3.13 up to its threads */

/* Bits of PyASCIIObject.state and of tp_flags, from Include/cpython/unicodeobject.h and Include/object.h */
#define STATE_COMPACT    (1u << 3) /* above the kind */
#define STATE_ASCII      (1u << 4)
#define TPFLAGS_LONG     (1ull << 24)
#define TPFLAGS_UNICODE  (1ull << 28)
#define DICT_ENTRY       24
#define LOG2_INDEX_BYTES 6

static unsigned char *find(struct made_python *py, uint64_t at, size_t size)
{
	uint64_t index = (at - BASE) / DISTANCE, offset = (at - BASE) % DISTANCE;

	if (at < BASE || index >= py->n)
		return NULL;
	if (offset > py->objects[index].size || size > py->objects[index].size - offset)
		return NULL;
	return py->objects[index].bytes + offset;
}

long made_read(struct made_python *py, void *dst, size_t size, uint64_t src)
{
	const unsigned char *bytes = find(py, src, size);

	py->reads++;
	assert_true(!py->dst_allowed || py->dst_allowed(py->dst_ctx, dst, size));
	if (py->reads == py->fail_at || !bytes)
		return -EFAULT;
	memcpy(dst, bytes, size);
	return 0;
}

uint64_t made_address(unsigned int index)
{
	return BASE + DISTANCE * index;
}

uint64_t made_alloc(struct made_python *py, size_t size)
{
	struct made_object *object = &py->objects[py->n];

	assert_in_range(py->n, 0, MADE_MAX_OBJECTS - 1);
	assert_in_range(size, 1, DISTANCE / 2);
	object->bytes = calloc(1, size);
	object->size = size;
	assert_non_null(object->bytes);
	return made_address(py->n++);
}

void made_put(struct made_python *py, uint64_t at, const void *bytes, size_t n)
{
	unsigned char *dst = find(py, at, n);

	assert_non_null(dst);
	memcpy(dst, bytes, n);
}

void made_put_u64(struct made_python *py, uint64_t at, uint64_t value)
{
	made_put(py, at, &value, sizeof(value));
}

static void put_u8(struct made_python *py, uint64_t at, unsigned int value)
{
	unsigned char byte = (unsigned char)value;

	made_put(py, at, &byte, 1);
}

static const struct cs_py_layout *real_row(int minor)
{
	const struct cs_py_layout *layout = cs_py_layout_find(3, minor, "gil");

	assert_non_null(layout);
	return layout;
}

static void make_object_frames(struct cs_proc_info *info)
{
	struct cs_py_offsets *off = &info->off;
	struct cs_py_traits *traits = &info->traits;

	traits->frame_is_object = 1;
	traits->lasti_kind = CS_LASTI_UNITS;
	traits->keys_by_size = 1;
	off->frame_executable = 32;
	off->frame_globals = 48;
	off->frame_previous = 24;
	off->frame_gen = 88;
	off->frame_instr_ptr = 100; /* an int */
	off->frame_owner = 0;
	off->frame_localsplus = 360;
	off->gen_iframe = 0;
	off->gen_frame = 16;
	off->code_firstlineno = 40;
	off->code_filename = 104;
	off->code_name = 112;
	off->code_qualname = 0;
	off->code_linetable = 120;
	off->code_instructions = 0;
	off->keys_size = 8;
	off->keys_log2_size = 0;
	off->keys_log2_index_bytes = 0;
	off->keys_kind = 0;
	off->tstate_native_thread_id = 0;
}

static void make_tagged(struct cs_proc_info *info)
{
	struct cs_py_offsets *off = &info->off;

	info->traits.executable_mask = 3;
	info->traits.unicode_kind_shift = 8;
	off->tstate_running_task = 872; /* beyond what is read of a thread state */
	off->code_tlbc = 160;
	off->frame_tlbc_index = 64;
	off->frame_owner = 71;
	off->tstate_interp = 16;
	off->interp_gil = 8;
	off->gil_last_holder = 8;
	off->gil_locked = 16;
}

struct made_python *made_python(int minor)
{
	const struct cs_py_layout *layout = real_row(minor == MADE_OBJECT_FRAMES ? 11
						     : minor == MADE_TAGGED      ? 13
										 : minor);
	struct made_python *py = calloc(1, sizeof(*py));

	assert_non_null(py);
	py->tgid = 7;
	py->info.flags = CS_PROC_PYTHON;
	py->info.off = layout->off;
	py->info.traits = layout->traits;
	if (minor == MADE_OBJECT_FRAMES) {
		make_object_frames(&py->info);
		py->info.traits.frame_via_cframe = 0;
	}
	if (minor == MADE_TAGGED)
		make_tagged(&py->info);
	py->info.interpreters_head = made_alloc(py, 8);
	py->interp = made_interp(py, 0);
	made_put_u64(py, py->info.interpreters_head, py->interp);
	return py;
}

void made_free(struct made_python *py)
{
	if (!py)
		return;
	for (unsigned int i = 0; i < py->n; i++)
		free(py->objects[i].bytes);
	free(py);
}

uint64_t made_interp(struct made_python *py, uint64_t previous)
{
	const struct cs_py_offsets *off = &py->info.off;
	uint32_t end = off->interp_next > off->interp_threads_head ? off->interp_next
								   : off->interp_threads_head;
	uint64_t at = made_alloc(py, end + 8);

	if (previous)
		made_put_u64(py, previous + off->interp_next, at);
	return at;
}

uint64_t made_tstate(struct made_python *py, uint64_t interp, uint64_t thread_id)
{
	const struct cs_py_offsets *off = &py->info.off;
	uint32_t end = off->tstate_running_task > CS_TSTATE_CHUNK ? off->tstate_running_task
								  : CS_TSTATE_CHUNK;
	uint64_t at = made_alloc(py, end + 8), head = 0;

	if (off->tstate_interp)
		made_put_u64(py, at + off->tstate_interp, interp);
	assert_int_equal(made_read(py, &head, sizeof(head), interp + off->interp_threads_head), 0);
	made_put_u64(py, at + off->tstate_next, head);
	made_put_u64(py, at + off->tstate_thread_id, thread_id);
	made_put_u64(py, interp + off->interp_threads_head, at);
	return at;
}

void made_set_frame(struct made_python *py, uint64_t tstate, uint64_t frame)
{
	const struct cs_py_offsets *off = &py->info.off;
	uint64_t cframe;

	if (py->info.traits.frame_via_cframe) {
		cframe = made_alloc(py, off->cframe_current_frame + 8);
		made_put_u64(py, cframe + off->cframe_current_frame, frame);
		frame = cframe;
	}
	made_put_u64(py, tstate + off->tstate_frame, frame);
}

uint64_t made_code_texts(struct made_python *py, uint32_t line, uint64_t name, uint64_t file,
			 const void *lines, size_t nlines)
{
	const struct cs_py_offsets *off = &py->info.off;
	uint64_t at = made_alloc(py, 256), table;

	made_put(py, at + off->code_firstlineno, &line, sizeof(line));
	made_put_u64(py, at + off->code_name, name);
	if (off->code_qualname)
		made_put_u64(py, at + off->code_qualname, name);
	made_put_u64(py, at + off->code_filename, file);
	table = made_alloc(py, off->bytes_data + nlines + 1);
	made_put_u64(py, table + off->object_var_size, nlines);
	made_put(py, table + off->bytes_data, lines, nlines);
	made_put_u64(py, at + off->code_linetable, table);
	return at;
}

uint64_t made_code(struct made_python *py, uint32_t line, const char *name)
{
	return made_code_texts(py, line, made_str(py, name, strlen(name), 1, true),
			       made_str(py, "/file.py", 8, 1, true), "", 0);
}

/* The last bytes of an ASCII str that the field points to. */
static uint64_t mix_text(struct made_python *py, uint64_t x, uint64_t field)
{
	const struct cs_py_offsets *off = &py->info.off;
	__u64 words[CS_CODE_TEXT_CHUNK / 8] = {0};
	uint64_t text, length, n;

	memcpy(&text, find(py, field, 8), 8);
	memcpy(&length, find(py, text + off->unicode_length, 8), 8);
	n = length < sizeof(words) ? length : sizeof(words);
	if (n)
		memcpy(words, find(py, text + off->unicode_ascii_data + length - n, n), n);
	return cs_code_check_mix_text(x, length, words);
}

uint32_t made_check(struct made_python *py, uint64_t code)
{
	const struct cs_py_offsets *off = &py->info.off;
	__u64 words[CS_CODE_CHUNK / 8] = {0}, x;
	uint32_t size = cs_code_check_size(off);
	const unsigned char *bytes = find(py, code + cs_code_check_at(off), size);

	assert_non_null(bytes);
	assert_in_range(size, 64, CS_CODE_CHUNK);
	memcpy(words, bytes, size);
	x = cs_code_check_mix(0, words, size);
	if (!py->info.traits.code_has_version) {
		x = mix_text(py, x,
			     code + (off->code_qualname ? off->code_qualname : off->code_name));
		x = mix_text(py, x, code + off->code_filename);
	}
	return cs_code_check_value(x);
}

static void put_lasti(struct made_python *py, uint64_t frame, uint64_t code, int lasti)
{
	const struct cs_py_offsets *off = &py->info.off;
	int value = lasti;

	if (py->info.traits.lasti_kind == CS_LASTI_POINTER) {
		made_put_u64(py, frame + off->frame_instr_ptr,
			     code + off->code_instructions + (uint64_t)(int64_t)lasti);
		return;
	}
	if (py->info.traits.lasti_kind == CS_LASTI_UNITS)
		value = lasti / 2;
	made_put(py, frame + off->frame_instr_ptr, &value, sizeof(value));
}

/* The oldest frame of a thread is one that C code calls. Returns what stands before it. */
static uint64_t put_entry(struct made_python *py, uint64_t frame)
{
	int owner = py->info.traits.owner_skip;

	if (owner != 255)
		return made_frame(py, 0, 0, 0, owner);
	put_u8(py, frame + py->info.off.frame_owner - 1, 1);
	return 0;
}

void made_frame_at(struct made_python *py, uint64_t frame, uint64_t previous, uint64_t code,
		   int lasti, int owner)
{
	const struct cs_py_offsets *off = &py->info.off;

	made_put_u64(py, frame + off->frame_executable,
		     code | (uint64_t)py->info.traits.executable_mask);
	if (!previous && owner < py->info.traits.owner_skip &&
	    owner != py->info.traits.owner_generator && !py->info.traits.frame_is_object)
		previous = put_entry(py, frame);
	made_put_u64(py, frame + off->frame_previous, previous);
	put_lasti(py, frame, code, lasti);
	if (py->info.traits.frame_is_object)
		made_put_u64(py, frame + off->frame_gen,
			     owner == py->info.traits.owner_generator ? MADE_NOWHERE : 0);
	else
		put_u8(py, frame + off->frame_owner, (unsigned int)owner);
}

uint64_t made_frame(struct made_python *py, uint64_t previous, uint64_t code, int lasti, int owner)
{
	uint32_t size = py->info.traits.frame_is_object ? 400 : py->info.off.frame_localsplus;
	uint64_t at = made_alloc(py, size);

	made_frame_at(py, at, previous, code, lasti, owner);
	return at;
}

uint64_t made_frames(struct made_python *py, unsigned int n, uint64_t first_code)
{
	uint64_t frame = 0;

	for (unsigned int i = 0; i < n; i++)
		frame = made_frame(py, frame, first_code + 8ull * i, (int)(2 * i), 0);
	return frame;
}

uint64_t made_coro(struct made_python *py, uint64_t previous, uint64_t code)
{
	const struct cs_py_offsets *off = &py->info.off;
	int owner = py->info.traits.owner_generator;
	uint64_t at;

	if (py->info.traits.frame_is_object) {
		at = made_alloc(py, off->gen_frame + 8);
		made_put_u64(py, at + off->gen_frame, made_frame(py, previous, code, 4, owner));
		return at;
	}
	at = made_alloc(py, off->gen_iframe + off->frame_localsplus);
	made_frame_at(py, at + off->gen_iframe, previous, code, 4, owner);
	return at;
}

uint64_t made_coro_frame(struct made_python *py, uint64_t coro)
{
	uint64_t frame = 0;

	if (!py->info.traits.frame_is_object)
		return coro + py->info.off.gen_iframe;
	assert_int_equal(made_read(py, &frame, sizeof(frame), coro + py->info.off.gen_frame), 0);
	return frame;
}

uint64_t made_task(struct made_python *py, uint64_t coro, uint64_t name)
{
	uint64_t at = made_alloc(py, py->info.off.task_size);

	made_put_u64(py, at + py->info.off.task_coro, coro);
	made_put_u64(py, at + py->info.off.task_name, name);
	return at;
}

/* An object of `size` bytes whose type has these flags. */
static uint64_t made_typed(struct made_python *py, size_t size, uint64_t flags)
{
	uint64_t type = made_alloc(py, py->info.off.type_flags + 8), at = made_alloc(py, size);

	made_put_u64(py, type + py->info.off.type_flags, flags);
	made_put_u64(py, at + py->info.off.object_type, type);
	return at;
}

uint64_t made_str(struct made_python *py, const void *text, size_t length, int kind, bool ascii)
{
	const struct cs_py_offsets *off = &py->info.off;
	uint32_t data = ascii ? off->unicode_ascii_data : off->unicode_compact_data;
	uint32_t state = ((uint32_t)kind | STATE_COMPACT | (ascii ? STATE_ASCII : 0))
			 << py->info.traits.unicode_kind_shift;
	uint64_t at = made_typed(py, data + length * (size_t)kind, TPFLAGS_UNICODE);

	made_put(py, at + off->unicode_state, &state, sizeof(state));
	made_put_u64(py, at + off->unicode_length, length);
	made_put(py, at + data, text, length * (size_t)kind);
	return at;
}

uint64_t made_int(struct made_python *py, uint64_t value)
{
	const struct cs_py_offsets *off = &py->info.off;
	uint64_t at = made_typed(py, off->long_digits + 3 * sizeof(uint32_t), TPFLAGS_LONG), n = 0;
	uint32_t digit;

	while (value) {
		assert_in_range(n, 0, 2);
		digit = value & ((1u << 30) - 1);
		made_put(py, at + off->long_digits + n++ * sizeof(digit), &digit, sizeof(digit));
		value >>= 30;
	}
	made_put_u64(py, at + off->long_tag, n << py->info.traits.long_tag_shift);
	return at;
}

uint64_t made_current_tasks(struct made_python *py, const uint64_t *values, unsigned int n)
{
	const struct cs_py_offsets *off = &py->info.off;
	uint64_t dict = made_alloc(py, off->dict_keys + 8), entries;
	uint64_t keys =
		made_alloc(py, off->keys_indices + (1u << LOG2_INDEX_BYTES) + n * DICT_ENTRY);

	entries = keys + off->keys_indices + (1u << LOG2_INDEX_BYTES);
	if (py->info.traits.keys_by_size)
		made_put_u64(py, keys + off->keys_size, 1u << LOG2_INDEX_BYTES);
	else
		put_u8(py, keys + off->keys_log2_index_bytes, LOG2_INDEX_BYTES);
	made_put_u64(py, keys + off->keys_nentries, n);
	for (unsigned int i = 0; i < n; i++)
		made_put_u64(py, entries + i * DICT_ENTRY + 16, values[i]);
	made_put_u64(py, dict + off->dict_keys, keys);
	py->info.current_tasks = dict;
	return keys;
}

void made_run_task(struct made_python *py, uint64_t tstate, uint64_t task)
{
	if (py->info.off.tstate_running_task)
		made_put_u64(py, tstate + py->info.off.tstate_running_task, task);
	else
		made_current_tasks(py, &task, 1);
}
