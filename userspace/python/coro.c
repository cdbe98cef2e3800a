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

/* Memory that was read: `size` bytes at `at`. Gone when more is read. */
struct chunk {
	const char *bytes;
	uint64_t at;
	size_t size;
};

/* What of a frame is of interest, taken out of a chunk. */
struct frame {
	uint64_t code, instr; /* instr: an address, or the raw f_lasti */
	int32_t tlbc_index;
	uint64_t slot;    /* the address of the pointer to what it awaits, if it does; 0: absurd */
	uint64_t awaited; /* that pointer, as stored, if it was in the chunk */
	bool has_awaited;
};

/* cs_pyobj_word, in the middle of what is done a hundred thousand times a pass */
static inline uint64_t word(const char *chunk, uint32_t offset)
{
	uint64_t value;

	memcpy(&value, chunk + offset, sizeof(value));
	return value;
}

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
	int32_t index = frame->tlbc_index;
	uint64_t array, size;
	int err;

	*ret = frame->code + off->code_instructions;
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

/* The address of the slot where a frame's fields say that an awaited object is; 0 if that cannot be. */
static uint64_t awaited_slot(const struct cs_pyobj_ctx *ctx, const char *fields, uint64_t addr)
{
	const struct cs_py_offsets *off = &ctx->interp->info.off;
	uint64_t base = addr + off->frame_localsplus, end;
	int32_t depth;

	if (off->frame_stackpointer) {
		end = word(fields, off->frame_stackpointer);
		if (end <= base || end - base > 8 * MAX_STACKTOP)
			return 0;
	} else {
		if (off->frame_valuestack)
			base = word(fields, off->frame_valuestack);
		memcpy(&depth, fields + off->frame_stacktop, sizeof(depth));
		if (depth <= 0 || depth > MAX_STACKTOP)
			return 0;
		end = base + 8 * (uint64_t)depth;
	}
	return end - 8 * (uint64_t)ctx->interp->info.traits.awaited_slot;
}

/* Take the frame at this address out of the chunk. */
static void take_frame(const struct cs_pyobj_ctx *ctx, const struct chunk *chunk, uint64_t addr,
		       struct frame *frame)
{
	const struct cs_py_offsets *off = &ctx->interp->info.off;
	const char *fields = chunk->bytes + (addr - chunk->at);

	frame->code = untag(ctx, word(fields, off->frame_executable));
	frame->instr = word(fields, off->frame_instr_ptr);
	frame->tlbc_index = 0;
	if (off->frame_tlbc_index)
		memcpy(&frame->tlbc_index, fields + off->frame_tlbc_index,
		       sizeof(frame->tlbc_index));
	frame->slot = awaited_slot(ctx, fields, addr);
	frame->has_awaited = frame->slot >= chunk->at && frame->slot - chunk->at + 8 <= chunk->size;
	if (frame->has_awaited)
		frame->awaited = word(chunk->bytes, (uint32_t)(frame->slot - chunk->at));
}

static int read_awaited(const struct cs_pyobj_ctx *ctx, struct frame *frame, uint64_t *ret)
{
	int err = 0;

	if (!frame->slot)
		return -EINVAL;
	if (!frame->has_awaited)
		err = cs_mem_read_u64(ctx->mem, frame->slot, &frame->awaited);
	if (!err)
		*ret = untag(ctx, frame->awaited);
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

/* What a live coroutine's frame says. */
static int parse_frame(const struct cs_pyobj_ctx *ctx, struct frame *frame, int state,
		       struct cs_coro *coro)
{
	bool awaiting;
	int err;

	if ((err = read_place(ctx, frame, &coro->frame)) ||
	    (err = is_awaiting(ctx, coro, state, frame, &awaiting)))
		return err;
	if (awaiting) {
		coro->place.slot = frame->slot;
		err = read_awaited(ctx, frame, &coro->awaits);
	}
	coro->digest = cs_digest_word(cs_digest_word(coro->digest, frame->code), frame->instr);
	coro->digest = cs_digest_word(coro->digest, coro->awaits);
	return err;
}

/* Bytes of a coroutine with its frame, without locals and stack. */
static size_t fixed_part(const struct cs_py_offsets *off)
{
	return (size_t)off->gen_iframe + off->frame_localsplus;
}

/* From 3.11 on: the frame is part of the object. */
static int parse_embedded(const struct cs_pyobj_ctx *ctx, const struct chunk *chunk,
			  struct cs_coro *coro)
{
	const struct cs_py_offsets *off = &ctx->interp->info.off;
	struct frame frame;
	int state;

	if (fixed_part(off) > chunk->size)
		return -EINVAL;
	state = (int8_t)chunk->bytes[off->gen_frame_state];
	coro->state = state_of(&ctx->interp->info.traits, state);
	coro->digest = (uint64_t)state;
	if (coro->state == CS_CORO_ENDED)
		return 0;
	take_frame(ctx, chunk, chunk->at + off->gen_iframe, &frame);
	return parse_frame(ctx, &frame, state, coro);
}

/* Before 3.10 no field says how far it is. */
static int state_by_lasti(const struct cs_pyobj_ctx *ctx, bool running, const char *frame)
{
	const struct cs_interp *interp = ctx->interp;
	int32_t lasti;

	memcpy(&lasti, frame + interp->info.off.frame_instr_ptr, sizeof(lasti));
	if (running)
		return interp->info.traits.gen_executing;
	return lasti < 0 ? interp->info.traits.gen_created : interp->info.traits.gen_executing - 1;
}

/* Up to 3.10: the object points to its frame, until it has ended. */
static int parse_pointing(const struct cs_pyobj_ctx *ctx, const struct chunk *object,
			  struct cs_coro *coro)
{
	const struct cs_py_offsets *off = &ctx->interp->info.off;
	struct chunk chunk = {.size = FRAME_OBJECT_CHUNK};
	char bytes[FRAME_OBJECT_CHUNK];
	struct frame frame;
	bool running;
	int state, err;

	if (off->gen_frame + 8 > object->size || off->gen_running >= object->size)
		return -EINVAL;
	running = object->bytes[off->gen_running];
	chunk.at = coro->place.frame = word(object->bytes, off->gen_frame);
	coro->digest = cs_digest_word(0, chunk.at);
	if (!chunk.at)
		return 0;
	err = cs_mem_read(ctx->mem, chunk.at, bytes, sizeof(bytes));
	if (err)
		return err;
	chunk.bytes = bytes;
	state = off->frame_state ? (int8_t)bytes[off->frame_state]
				 : state_by_lasti(ctx, running, bytes);
	coro->state = state_of(&ctx->interp->info.traits, state);
	coro->digest = cs_digest_word(coro->digest, (uint64_t)state);
	if (coro->state == CS_CORO_ENDED)
		return 0;
	take_frame(ctx, &chunk, chunk.at, &frame);
	return parse_frame(ctx, &frame, state, coro);
}

/* Find what can be read of an object: most are smaller than the chunk, and memory may end right behind one. */
static int read_chunk(const struct cs_pyobj_ctx *ctx, uint64_t obj, char copy[CS_CORO_CHUNK],
		      struct chunk *chunk)
{
	const struct cs_py_offsets *off = &ctx->interp->info.off;
	const size_t sizes[] = {
		CS_CORO_CHUNK,
		ctx->interp->info.traits.frame_is_object ? (size_t)off->gen_frame + 16
							 : fixed_part(off),
		off->object_type + 8,
	};
	int err = -EINVAL;

	*chunk = (struct chunk){cs_mem_peek(ctx->mem, obj, CS_CORO_CHUNK), obj, CS_CORO_CHUNK};
	if (chunk->bytes)
		return 0;
	chunk->bytes = copy;
	for (size_t i = 0; i < ARRAY_SIZE(sizes) && err && sizes[i] <= CS_CORO_CHUNK; i++) {
		chunk->size = sizes[i];
		err = cs_mem_read(ctx->mem, obj, copy, sizes[i]);
	}
	return err;
}

int cs_coro_read(const struct cs_pyobj_ctx *ctx, uint64_t obj, struct cs_coro *ret)
{
	char copy[CS_CORO_CHUNK];
	struct chunk chunk;
	int err = read_chunk(ctx, obj, copy, &chunk);

	if (err)
		return err;
	*ret = (struct cs_coro){
		.type = word(chunk.bytes, ctx->interp->info.off.object_type),
	};
	if (!cs_coro_is(ctx->interp, ret->type))
		return 0;
	return ctx->interp->info.traits.frame_is_object ? parse_pointing(ctx, &chunk, ret)
							: parse_embedded(ctx, &chunk, ret);
}

void cs_coro_want(const struct cs_pyobj_ctx *ctx, struct cs_mem *other, uint64_t obj,
		  const struct cs_coro_place *place)
{
	cs_mem_want(other, obj, CS_CORO_CHUNK);
	if (place->frame)
		cs_mem_want(other, place->frame, FRAME_OBJECT_CHUNK);
	if (place->slot)
		cs_mem_want(other, place->slot, sizeof(uint64_t));
}

bool cs_coro_same(const struct cs_pyobj_ctx *ctx, struct cs_mem *other, uint64_t obj,
		  const struct cs_coro_place *place)
{
	const struct cs_py_offsets *off = &ctx->interp->info.off;
	uint32_t head = off->object_type; /* references come and go */

	if (place->slot && !cs_mem_same(ctx->mem, other, place->slot, sizeof(uint64_t)))
		return false;
	if (!ctx->interp->info.traits.frame_is_object)
		return cs_mem_same(ctx->mem, other, obj + head, fixed_part(off) - head);
	return cs_mem_same(ctx->mem, other, obj + head, 8) &&
	       cs_mem_same(ctx->mem, other, obj + off->gen_frame, 8) &&
	       (!place->frame ||
		cs_mem_same(ctx->mem, other, place->frame + head, FRAME_OBJECT_CHUNK - head));
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
