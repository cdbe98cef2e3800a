/* SPDX-License-Identifier: Apache-2.0 */
/*
 * A class with __slots__ has a PyMemberDef for each of them, with its name and offset, and so has each of its bases
 * (Objects/typeobject.c: type_new_slots; Include/structmember.h). The attributes of other instances lie in the order in which they
 * were first given to one, which the class's shared keys tell.
 */
#include "python/tracer_class.h"

#include <errno.h>
#include <stddef.h>
#include <string.h>

#include "core/cleanup.h"

/* struct PyMemberDef: name, type, offset, flags, doc. */
#define MEMBER_BYTES     40
#define MEMBER_TYPE_AT   8
#define MEMBER_OFFSET_AT 16
#define MEMBER_OBJECT_EX 16 /* Py_T_OBJECT_EX: a reference */

#define MAX_MEMBERS 128
#define MAX_BASES   8
/* Instances share at most 30 keys (SHARED_KEYS_MAX_SIZE of Include/internal/pycore_dict.h). */
#define MAX_SHARED  64

/* A slot of interest; of several with one field the first that there is counts. */
struct slot {
	enum cs_span_class_kind kind;
	const char *name;
	size_t field; /* of a __u16 in struct cs_span_class */
	bool needed;
};

#define FIELD(name) offsetof(struct cs_span_class, name)

static const struct slot slots[] = {
	{CS_CLASS_DD_SPAN, "span_id", FIELD(span_id), true},
	{CS_CLASS_DD_SPAN, "trace_id", FIELD(trace_id), true},
	{CS_CLASS_DD_SPAN, "duration_ns", FIELD(ended), true},
	{CS_CLASS_DD_SPAN, "_parent", FIELD(parent), true},
	{CS_CLASS_DD_SPAN, "_local_root_value", FIELD(root), false},
	{CS_CLASS_DD_SPAN, "_local_root", FIELD(root), true}, /* early 2.x */
	{CS_CLASS_DD_SPAN, "_parent_context", FIELD(parent_context), false},
	{CS_CLASS_DD_SPAN, "span_type", FIELD(span_type), true},
	{CS_CLASS_DD_SPAN, "resource", FIELD(resource), false},
	{CS_CLASS_DD_SPAN, "_resource", FIELD(resource), false}, /* 2.x: a list of one */
	{CS_CLASS_DD_SPAN, "service", FIELD(service), false},
	{CS_CLASS_DD_SPAN, "error", FIELD(error), false},
	{CS_CLASS_DD_SPAN, "parent_id", FIELD(parent_id), false},
	{CS_CLASS_DD_SPAN, "start_ns", FIELD(start), false},
	{CS_CLASS_DD_SPAN, "context", FIELD(meta), false},
	{CS_CLASS_DD_SPAN, "_context", FIELD(meta), false}, /* 4.14 and later */
	{CS_CLASS_DD_CONTEXT, "span_id", FIELD(span_id), true},
	{CS_CLASS_DD_CONTEXT, "trace_id", FIELD(trace_id), true},
	{CS_CLASS_DD_CONTEXT, "_meta", FIELD(meta), true},
	{CS_CLASS_DD_CONTEXT, "_reactivate", FIELD(reactivate), false},
};

static __u16 *field_of(struct cs_span_class *class, const struct slot *slot)
{
	return (__u16 *)((char *)class + slot->field);
}

/* A field of that many bytes at this offset is read, too. */
static int reach(struct cs_span_class *class, uint64_t end)
{
	if (end > CS_SPAN_CHUNK)
		return -ENOENT;
	if (class->bytes < end)
		class->bytes = (__u16)end;
	return 0;
}

static int take_member(struct cs_span_class *class, const char *name, uint64_t offset,
		       uint64_t basicsize)
{
	for (size_t i = 0; i < ARRAY_SIZE(slots); i++) {
		if (slots[i].kind != class->kind || strcmp(slots[i].name, name))
			continue;
		if (!offset || offset % 8 || offset + 8 > basicsize)
			return -EINVAL;
		*field_of(class, &slots[i]) = (__u16)offset;
		return reach(class, offset + 8);
	}
	return 0;
}

/* The slots that one class adds to its base's. */
static int take_members(const struct cs_pyobj_ctx *ctx, const struct cs_pytype *type,
			struct cs_span_class *class)
{
	char member[MEMBER_BYTES], name[32];
	uint64_t at;
	int err;

	err = cs_mem_read_u64(ctx->mem, type->addr + ctx->interp->info.off.type_members, &at);
	for (int i = 0; !err && at && i < MAX_MEMBERS; i++, at += MEMBER_BYTES) {
		err = cs_mem_read(ctx->mem, at, member, sizeof(member));
		if (err || !cs_pyobj_word(member, 0))
			return err;
		if ((uint32_t)cs_pyobj_word(member, MEMBER_TYPE_AT) != MEMBER_OBJECT_EX)
			continue;
		err = cs_mem_read_str(ctx->mem, cs_pyobj_word(member, 0), name, sizeof(name));
		if (!err)
			err = take_member(class, name, cs_pyobj_word(member, MEMBER_OFFSET_AT),
					  type->basicsize);
	}
	return err;
}

static int learn_slots(const struct cs_pyobj_ctx *ctx, const struct cs_pytype *type,
		       struct cs_span_class *class)
{
	struct cs_pytype at = *type;
	int err = 0;

	for (int i = 0; i < MAX_BASES && !err && at.flags & CS_PYTYPE_HEAP; i++) {
		err = take_members(ctx, &at, class);
		if (err || !at.base || cs_pytype_read(ctx, at.base, &at))
			break;
	}
	for (size_t i = 0; !err && i < ARRAY_SIZE(slots); i++) {
		if (slots[i].kind == class->kind && slots[i].needed && !*field_of(class, &slots[i]))
			return -ENODATA;
	}
	return err;
}

/* The way in which the version keeps instances' attributes. */
static int learn_attrs_at(const struct cs_pyobj_ctx *ctx, const struct cs_pytype *type,
			  struct cs_span_class *class)
{
	uint64_t offset = type->basicsize;
	int err = 0;

	if (ctx->interp->info.traits.attrs_at == CS_ATTRS_DICT)
		err = cs_mem_read_u64(ctx->mem, type->addr + ctx->interp->info.off.type_dictoffset,
				      &offset);
	if (err)
		return err;
	if (!offset || offset > type->basicsize || offset > CS_SPAN_CHUNK)
		return -ENOENT;
	class->attrs_at = (__u16)offset;
	return 0;
}

static int learn_attrs(const struct cs_pyobj_ctx *ctx, const struct cs_pytype *type,
		       struct cs_span_class *class, uint64_t names[CS_OTEL_ATTR_MAX_])
{
	static const char *const attrs[] = {
		[CS_OTEL_CONTEXT] = "_context",   [CS_OTEL_PARENT] = "_parent",
		[CS_OTEL_END_TIME] = "_end_time", [CS_OTEL_NAME] = "_name",
		[CS_OTEL_KIND] = "_kind",         [CS_OTEL_START] = "_start_time",
		[CS_OTEL_STATUS] = "_status",     [CS_OTEL_STATUS_CODE] = "_status_code",
	};
	const size_t needed =
		class->kind == CS_CLASS_OTEL_STATUS ? CS_OTEL_STATUS_CODE : CS_OTEL_CONTEXT;
	struct cs_attr_place place;
	int err = learn_attrs_at(ctx, type, class);

	for (size_t i = 0; !err && i < ARRAY_SIZE(attrs); i++) {
		err = cs_pytype_attr_place(ctx, type, attrs[i], &place);
		/* what records nothing has an identity only */
		if (err == -ENOENT && i != needed) {
			err = 0;
			continue;
		}
		if (err)
			return err;
		if (place.index >= MAX_SHARED)
			return -ENOENT;
		class->keys = place.keys;
		class->attr[i] = (__u16)(place.index + 1);
		names[i] = place.name;
		err = reach(class, 8 * (place.index + 1));
	}
	return err;
}

int cs_span_class_learn(const struct cs_pyobj_ctx *ctx, const struct cs_pytype *type,
			enum cs_span_class_kind kind, struct cs_span_class *ret,
			uint64_t names[CS_OTEL_ATTR_MAX_])
{
	struct cs_span_class class = {.type = type->addr, .kind = (__u16)kind};
	int err = 0;

	memset(names, 0, CS_OTEL_ATTR_MAX_ * sizeof(*names));
	if (kind == CS_CLASS_DD_SPAN || kind == CS_CLASS_DD_CONTEXT)
		err = learn_slots(ctx, type, &class);
	else if (kind == CS_CLASS_OTEL_CONTEXT)
		err = type->flags & CS_PYTYPE_DICT ? 0 : -ENOENT;
	else if (kind == CS_CLASS_OTEL_SPAN || kind == CS_CLASS_OTEL_STATUS)
		err = learn_attrs(ctx, type, &class, names);
	if (!err || err == -ENODATA)
		*ret = class;
	return err;
}

int cs_class_rust_words(const struct cs_pyobj_ctx *ctx, const struct cs_pytype *type,
			unsigned int *ret)
{
	struct cs_pytype at = *type;
	uint64_t bytes = 0;

	for (int i = 0; i < MAX_BASES && at.flags & CS_PYTYPE_HEAP; i++) {
		bytes = at.basicsize;
		if (!at.base)
			break;
		if (cs_pytype_read(ctx, at.base, &at))
			return -ENOENT;
	}
	if (bytes > CS_SPAN_CHUNK)
		return -ENOENT;
	*ret = (unsigned int)(bytes / 8);
	return 0;
}
