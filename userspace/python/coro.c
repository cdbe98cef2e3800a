/* SPDX-License-Identifier: Apache-2.0 */
/*
 * One coroutine of another process.
 *
 * A generator-like object embeds its frame. While it is suspended in an await (or yield from) the awaited
 * object is on top of the frame's value stack. Coroutines suspend in no other way; a generator may also be
 * suspended in a plain yield, and then the top of the stack is something unrelated (the iterator of a for
 * loop, say). 3.13 has a frame state of its own for "in an await". Before, the instruction tells: a suspended
 * frame always stands before a RESUME, whose argument says after what. Its opcode is not compared, since
 * specialisation and sys.monitoring replace it; the argument stays.
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

/* A code unit is an opcode and its argument. Up to 3.12 a frame points at the one before RESUME. */
#define CODE_UNIT_BYTES 2

/* Slots of a frame: locals and value stack. Real functions stay far below. */
#define MAX_STACKTOP 65536

/* Is a generator before 3.13, suspended at instr, in an await and not in a plain yield? */
static int resumes_after_await(const struct cs_pyobj_ctx *ctx, uint64_t instr, bool *ret)
{
	uint8_t resume[CODE_UNIT_BYTES];
	int err = cs_mem_read(ctx->mem, instr + CODE_UNIT_BYTES, resume, sizeof(resume));

	if (!err)
		*ret = (resume[1] & RESUME_ARG_MASK) >= RESUME_AFTER_YIELD_FROM;
	return err;
}

static int is_awaiting(const struct cs_pyobj_ctx *ctx, uint64_t type, int state, uint64_t instr,
		       bool *ret)
{
	const struct cs_py_traits *traits = &ctx->interp->info.traits;

	*ret = false;
	if (state >= 0 || state == traits->gen_created)
		return 0;
	if (traits->gen_yield_from != YIELD_FROM_NOT_TOLD) {
		*ret = state == traits->gen_yield_from;
		return 0;
	}
	if (type == ctx->interp->type_coro) {
		*ret = true;
		return 0;
	}
	return resumes_after_await(ctx, instr, ret);
}

static int read_frame(const struct cs_pyobj_ctx *ctx, const char *frame, struct cs_py_frame *ret,
		      uint64_t *ret_instr)
{
	const struct cs_py_offsets *off = &ctx->interp->info.off;
	uint64_t code = cs_pyobj_word(frame, off->frame_executable);
	uint64_t instr = cs_pyobj_word(frame, off->frame_instr_ptr);
	int64_t lasti = (int64_t)(instr - (code + off->code_instructions));

	if (!code || lasti != (int32_t)lasti)
		return -EINVAL;
	*ret = (struct cs_py_frame){
		.code = code,
		.lasti = (int32_t)lasti,
	};
	*ret_instr = instr;
	return 0;
}

/* The top of a value stack that begins at offset `stack` of the object; chunk holds its first `size` bytes. */
static int read_awaited(const struct cs_pyobj_ctx *ctx, uint64_t obj, const char *chunk,
			size_t size, size_t stack, uint64_t *ret)
{
	size_t stacktop_at =
		ctx->interp->info.off.gen_iframe + ctx->interp->info.off.frame_stacktop;
	int32_t stacktop;
	size_t at;

	memcpy(&stacktop, chunk + stacktop_at, sizeof(stacktop));
	if (stacktop <= 0 || stacktop > MAX_STACKTOP)
		return -EINVAL;
	at = stack + 8 * ((size_t)stacktop - 1);
	if (at + 8 > size)
		return cs_mem_read_u64(ctx->mem, obj + at, ret);
	*ret = cs_pyobj_word(chunk, (uint32_t)at);
	return 0;
}

static int parse(const struct cs_pyobj_ctx *ctx, uint64_t obj, const char *chunk, size_t size,
		 struct cs_coro *coro)
{
	const struct cs_py_offsets *off = &ctx->interp->info.off;
	size_t stack = (size_t)off->gen_iframe + off->frame_localsplus;
	bool awaiting;
	uint64_t instr;
	int err;

	if (stack > size)
		return -EINVAL;
	coro->state = (int8_t)chunk[off->gen_frame_state];
	coro->digest = cs_digest(0, chunk + off->object_type, stack - off->object_type);
	if (cs_coro_ended(coro))
		return 0;
	if ((err = read_frame(ctx, chunk + off->gen_iframe, &coro->frame, &instr)) ||
	    (err = is_awaiting(ctx, coro->type, coro->state, instr, &awaiting)))
		return err;
	if (!awaiting)
		return 0;
	err = read_awaited(ctx, obj, chunk, size, stack, &coro->awaits);
	coro->digest = cs_digest_word(coro->digest, coro->awaits);
	return err;
}

int cs_coro_read(const struct cs_pyobj_ctx *ctx, uint64_t obj, struct cs_coro *ret)
{
	const struct cs_py_offsets *off = &ctx->interp->info.off;
	const size_t sizes[] = {CS_CORO_CHUNK, (size_t)off->gen_iframe + off->frame_localsplus,
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
	if (cs_coro_is(ctx->interp, coro.type) && (err = parse(ctx, obj, chunk, size, &coro)))
		return err;
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
