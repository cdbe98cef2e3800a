/* SPDX-License-Identifier: Apache-2.0 */
/*
 * One coroutine of another process.
 *
 * From 3.11 on a generator-like object embeds its frame; before, it points to a frame object. While it is suspended in an
 * await (or yield from) the awaited object is at the top of the frame's value stack. Coroutines suspend in no other way; a
 * generator may also be suspended in a plain yield, and then the top of the stack is something unrelated (the iterator of a
 * for loop, say). 3.13 has a frame state of its own for "in an await". Before, the instruction tells. Up to 3.10 the next
 * one is YIELD_FROM. In 3.11 and 3.12 a suspended frame always stands before a RESUME, whose argument says after what; its
 * opcode is not compared, since specialisation and sys.monitoring replace it; the argument stays.
 */
#include "python/coro.h"

#include <errno.h>
#include <string.h>

#include "core/cleanup.h"
#include "python/digest.h"

/* gen_yield_from of interpreters that do not tell (include/coroscope/py_offsets.h). */
#define YIELD_FROM_NOT_TOLD 127

/* RESUME's argument: 0 at the start, 1 after yield, 2 after yield from, 3 after await; then flags. */
#define RESUME_ARG_MASK         3
#define RESUME_AFTER_YIELD_FROM 2

/* A code unit is an opcode and its argument. A suspended frame points at the one before the next, except from 3.13 on. */
#define CODE_UNIT_BYTES 2

/* Slots of a frame: locals and value stack. Real functions stay far below. */
#define MAX_STACKTOP 65536

/* Of a frame object: everything before its locals and block stack that is read. */
#define FRAME_OBJECT_CHUNK 128

/* Where a frame's fields were read to, and what of them is being told. */
struct frame {
	const char *bytes; /* of the frame, from its first field */
	uint64_t addr;
	uint64_t code, instr; /* instr: an address, or the raw f_lasti */
};

static uint64_t untag(const struct cs_pyobj_ctx *ctx, uint64_t ref)
{
	return ref & ~(uint64_t)(uint16_t)ctx->interp->info.traits.executable_mask;
}

static bool is_coroutine(const struct cs_pyobj_ctx *ctx, uint64_t type)
{
	return type == ctx->interp->type_coro;
}

/* Is a generator of 3.11 or 3.12, suspended at instr, in an await and not in a plain yield? */
static int resumes_after_await(const struct cs_pyobj_ctx *ctx, uint64_t instr, bool *ret)
{
	uint8_t resume[CODE_UNIT_BYTES];
	int err = cs_mem_read(ctx->mem, instr + CODE_UNIT_BYTES, resume, sizeof(resume));

	if (!err)
		*ret = (resume[1] & RESUME_ARG_MASK) >= RESUME_AFTER_YIELD_FROM;
	return err;
}

/* The same up to 3.10. */
static int yields_from(const struct cs_pyobj_ctx *ctx, uint64_t code, int32_t lasti, bool *ret)
{
	const struct cs_py_offsets *off = &ctx->interp->info.off;
	uint64_t bytes, data, len;
	uint8_t next;
	int err;

	if ((err = cs_mem_read_u64(ctx->mem, code + off->code_bytes, &bytes)) ||
	    (err = cs_pyobj_bytes(ctx, bytes, &data, &len)))
		return err;
	if (lasti < 0 || (uint64_t)lasti + CODE_UNIT_BYTES >= len)
		return -EINVAL;
	err = cs_mem_read(ctx->mem, data + (uint64_t)lasti + CODE_UNIT_BYTES, &next, 1);
	if (!err)
		*ret = next == (uint8_t)ctx->interp->info.traits.yield_from_opcode;
	return err;
}

static int is_awaiting(const struct cs_pyobj_ctx *ctx, const struct cs_coro *coro, int state,
		       const struct frame *frame, bool *ret)
{
	const struct cs_py_traits *traits = &ctx->interp->info.traits;

	*ret = false;
	if (coro->state != CS_CORO_SUSPENDED)
		return 0;
	if (traits->gen_yield_from != YIELD_FROM_NOT_TOLD) {
		*ret = state == traits->gen_yield_from;
		return 0;
	}
	if (is_coroutine(ctx, coro->type)) {
		*ret = true;
		return 0;
	}
	if (traits->yield_from_opcode)
		return yields_from(ctx, frame->code, coro->frame.lasti, ret);
	return resumes_after_await(ctx, frame->instr, ret);
}

/*
 * Where the code's instructions begin. A build without the GIL gives each thread a copy of its own, and the frame says
 * which: _PyCodeArray holds a count, then pointers.
 */
static int first_instruction(const struct cs_pyobj_ctx *ctx, const struct frame *frame,
			     uint64_t *ret)
{
	const struct cs_py_offsets *off = &ctx->interp->info.off;
	uint64_t array, size;
	int32_t index;
	int err;

	*ret = frame->code + off->code_instructions;
	if (!off->frame_tlbc_index)
		return 0;
	memcpy(&index, frame->bytes + off->frame_tlbc_index, sizeof(index));
	if (index <= 0)
		return 0;
	if ((err = cs_mem_read_u64(ctx->mem, frame->code + off->code_tlbc, &array)) ||
	    (err = cs_mem_read_u64(ctx->mem, array, &size)))
		return err;
	if ((uint64_t)index >= size)
		return -EINVAL;
	return cs_mem_read_u64(ctx->mem, array + 8 + 8 * (uint64_t)index, ret);
}

static int read_place(const struct cs_pyobj_ctx *ctx, const struct frame *frame,
		      struct cs_py_frame *ret)
{
	int64_t lasti = (int32_t)frame->instr;
	uint64_t first;
	int err;

	switch (ctx->interp->info.traits.lasti_kind) {
	case CS_LASTI_POINTER:
		err = first_instruction(ctx, frame, &first);
		if (err)
			return err;
		lasti = (int64_t)(frame->instr - first);
		break;
	case CS_LASTI_UNITS:
		lasti = lasti < 0 ? lasti : lasti * CODE_UNIT_BYTES;
		break;
	default:
		break;
	}
	if (!frame->code || lasti != (int32_t)lasti)
		return -EINVAL;
	*ret = (struct cs_py_frame){
		.code = frame->code,
		.lasti = (int32_t)lasti,
	};
	return 0;
}

/* The address of the slot behind the top of the value stack. */
static int stack_end(const struct cs_pyobj_ctx *ctx, const struct frame *frame, uint64_t *ret)
{
	const struct cs_py_offsets *off = &ctx->interp->info.off;
	uint64_t base = frame->addr + off->frame_localsplus;
	int32_t depth;

	if (off->frame_stackpointer) {
		*ret = cs_pyobj_word(frame->bytes, off->frame_stackpointer);
		return *ret > base && *ret - base <= 8 * MAX_STACKTOP ? 0 : -EINVAL;
	}
	if (off->frame_valuestack)
		base = cs_pyobj_word(frame->bytes, off->frame_valuestack);
	memcpy(&depth, frame->bytes + off->frame_stacktop, sizeof(depth));
	*ret = base + 8 * (uint64_t)(depth > 0 ? depth : 0);
	return depth > 0 && depth <= MAX_STACKTOP ? 0 : -EINVAL;
}

/* The awaited object; chunk holds the first `size` bytes at `at`. */
static int read_awaited(const struct cs_pyobj_ctx *ctx, const struct frame *frame, uint64_t at,
			const char *chunk, size_t size, uint64_t *ret)
{
	uint64_t slot, offset;
	int err = stack_end(ctx, frame, &slot);

	if (err)
		return err;
	slot -= 8 * (uint64_t)ctx->interp->info.traits.awaited_slot;
	offset = slot - at;
	if (slot >= at && offset + 8 <= size)
		*ret = cs_pyobj_word(chunk, (uint32_t)offset);
	else
		err = cs_mem_read_u64(ctx->mem, slot, ret);
	*ret = untag(ctx, *ret);
	return err;
}

static enum cs_coro_state state_of(const struct cs_py_traits *traits, int state)
{
	if (state == traits->gen_created)
		return CS_CORO_CREATED;
	if (state == traits->gen_executing)
		return CS_CORO_EXECUTING;
	return state >= traits->gen_ended ? CS_CORO_ENDED : CS_CORO_SUSPENDED;
}

/* What a live coroutine's frame says; chunk holds the first `size` bytes at `at`, the frame among them. */
static int parse_frame(const struct cs_pyobj_ctx *ctx, struct frame *frame, int state, uint64_t at,
		       const char *chunk, size_t size, struct cs_coro *coro)
{
	const struct cs_py_offsets *off = &ctx->interp->info.off;
	bool awaiting;
	int err;

	frame->code = untag(ctx, cs_pyobj_word(frame->bytes, off->frame_executable));
	frame->instr = cs_pyobj_word(frame->bytes, off->frame_instr_ptr);
	if ((err = read_place(ctx, frame, &coro->frame)) ||
	    (err = is_awaiting(ctx, coro, state, frame, &awaiting)) || !awaiting)
		return err;
	err = read_awaited(ctx, frame, at, chunk, size, &coro->awaits);
	coro->digest = cs_digest_word(coro->digest, coro->awaits);
	return err;
}

/* From 3.11 on: the frame is part of the object. */
static int parse_embedded(const struct cs_pyobj_ctx *ctx, uint64_t obj, const char *chunk,
			  size_t size, struct cs_coro *coro)
{
	const struct cs_py_offsets *off = &ctx->interp->info.off;
	size_t fixed = (size_t)off->gen_iframe + off->frame_localsplus;
	struct frame frame = {.bytes = chunk + off->gen_iframe, .addr = obj + off->gen_iframe};
	int state;

	if (fixed > size)
		return -EINVAL;
	state = (int8_t)chunk[off->gen_frame_state];
	coro->state = state_of(&ctx->interp->info.traits, state);
	coro->digest = cs_digest(0, chunk + off->object_type, fixed - off->object_type);
	if (coro->state == CS_CORO_ENDED)
		return 0;
	return parse_frame(ctx, &frame, state, obj, chunk, size, coro);
}

/* Before 3.10 no field says how far it is. */
static int state_by_lasti(const struct cs_pyobj_ctx *ctx, const char *chunk, const char *frame)
{
	const struct cs_interp *interp = ctx->interp;
	int32_t lasti;

	memcpy(&lasti, frame + interp->info.off.frame_instr_ptr, sizeof(lasti));
	if (chunk[interp->info.off.gen_running])
		return interp->info.traits.gen_executing;
	return lasti < 0 ? interp->info.traits.gen_created : interp->info.traits.gen_executing - 1;
}

/* Up to 3.10: the object points to its frame, until it has ended. */
static int parse_pointing(const struct cs_pyobj_ctx *ctx, const char *chunk, size_t size,
			  struct cs_coro *coro)
{
	const struct cs_py_offsets *off = &ctx->interp->info.off;
	char bytes[FRAME_OBJECT_CHUNK];
	struct frame frame = {.bytes = bytes};
	int state, err;

	if (off->gen_frame + 8 > size || off->gen_running >= size)
		return -EINVAL;
	frame.addr = cs_pyobj_word(chunk, off->gen_frame);
	coro->digest = cs_digest_word(0, frame.addr);
	if (!frame.addr)
		return 0;
	err = cs_mem_read(ctx->mem, frame.addr, bytes, sizeof(bytes));
	if (err)
		return err;
	state = off->frame_state ? (int8_t)bytes[off->frame_state]
				 : state_by_lasti(ctx, chunk, bytes);
	coro->state = state_of(&ctx->interp->info.traits, state);
	coro->digest =
		cs_digest(coro->digest, bytes + off->object_type, sizeof(bytes) - off->object_type);
	if (coro->state == CS_CORO_ENDED)
		return 0;
	return parse_frame(ctx, &frame, state, frame.addr, bytes, sizeof(bytes), coro);
}

int cs_coro_read(const struct cs_pyobj_ctx *ctx, uint64_t obj, struct cs_coro *ret)
{
	const struct cs_py_offsets *off = &ctx->interp->info.off;
	bool pointing = ctx->interp->info.traits.frame_is_object;
	const size_t sizes[] = {CS_CORO_CHUNK,
				pointing ? (size_t)off->gen_frame + 16
					 : (size_t)off->gen_iframe + off->frame_localsplus,
				off->object_type + 8};
	struct cs_coro coro = {0};
	char chunk[CS_CORO_CHUNK];
	int err = -EINVAL;
	size_t size = 0;

	/* Most objects are smaller than the chunk, and memory may end right behind one. */
	for (size_t i = 0; i < ARRAY_SIZE(sizes) && err && sizes[i] <= sizeof(chunk); i++) {
		size = sizes[i];
		err = cs_mem_read(ctx->mem, obj, chunk, size);
	}
	if (err)
		return err;
	coro.type = cs_pyobj_word(chunk, off->object_type);
	if (cs_coro_is(ctx->interp, coro.type)) {
		err = pointing ? parse_pointing(ctx, chunk, size, &coro)
			       : parse_embedded(ctx, obj, chunk, size, &coro);
		if (err)
			return err;
	}
	*ret = coro;
	return 0;
}

bool cs_coro_is_wrapper(const struct cs_pytype *type)
{
	static const char *const names[] = {
		"coroutine_wrapper",
		"async_generator_asend",
		"async_generator_athrow",
		"anext_awaitable",
	};

	/* A class of the program may have any name; the interpreter's own types are static. */
	for (size_t i = 0; i < ARRAY_SIZE(names) && !(type->flags & CS_PYTYPE_HEAP); i++) {
		if (!strcmp(type->name, names[i]))
			return true;
	}
	return false;
}

int cs_coro_unwrap(const struct cs_pyobj_ctx *ctx, uint64_t wrapper, uint64_t *ret)
{
	/* In all of them it is the first member behind PyObject_HEAD, where a PyVarObject has its size. */
	return cs_mem_read_u64(ctx->mem, wrapper + ctx->interp->info.off.object_var_size, ret);
}
