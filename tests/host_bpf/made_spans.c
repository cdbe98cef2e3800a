/* SPDX-License-Identifier: Apache-2.0 */
/* Made-up spans, Contexts and HAMTs. */
#include "made_spans.h"

#include <setjmp.h>
#include <stdarg.h>
#include <string.h>

#include <cmocka.h>

#include "core/cleanup.h"

#define BASICSIZE     48 /* of instances with attributes */
#define DICT_AT       16
#define BEFORE        64
#define VALUES_HEADER 8
#define ATTRS         7 /* of OpenTelemetry's spans, not all of them of interest */
#define LOG2_INDICES  3

/* Slots of ddtrace's classes; behind the head of any object. */
enum {
	SPAN_ID = 48,
	TRACE_ID = 56,
	ROOT = 64,
	PARENT = 72,
	CONTEXT = 80,
	ENDED = 88,
	TYPE = 96,
	META = 64,
	REACTIVATE = 72,
	RESOURCE = 104,
	SERVICE = 112,
	ERROR = 120,
	PARENT_ID = 128,
	START = 136,
	SPAN_BYTES = 144,
	CONTEXT_BYTES = 80
};

/* Fields of Rust objects. */
enum {
	N_ENDED = 24,
	N_TRACE = 32,
	N_TYPE = 48,
	N_ID = 56,
	N_PARENT = 64,
	N_ROOT = 72,
	N_ENTRY = 80,
	N_CONTEXT = 88,
	N_ERROR = 100, /* the upper half of a word */
	N_BYTES = 104,
	N_CONTEXT_TRACE = 32,
	N_CONTEXT_ID = 64,
	N_CONTEXT_META = 80,
	N_CONTEXT_BYTES = 88
};

static uint64_t new_object(struct made_spans *m, uint64_t type, size_t size)
{
	uint64_t at = made_alloc(m->py, BEFORE + size) + BEFORE;

	made_put_u64(m->py, at + m->py->info.off.object_type, type);
	return at;
}

static void put(struct made_spans *m, uint64_t at, uint64_t value)
{
	made_put_u64(m->py, at, value);
}

static uint64_t new_type(struct made_spans *m)
{
	return made_alloc(m->py, 8);
}

static void add_classes(struct made_spans *m)
{
	const struct cs_span_class dd_span = {.type = new_type(m),
					      .kind = CS_CLASS_DD_SPAN,
					      .bytes = SPAN_BYTES,
					      .span_id = SPAN_ID,
					      .trace_id = TRACE_ID,
					      .root = ROOT,
					      .parent = PARENT,
					      .parent_context = CONTEXT,
					      .ended = ENDED,
					      .span_type = TYPE,
					      .resource = RESOURCE,
					      .service = SERVICE,
					      .error = ERROR,
					      .parent_id = PARENT_ID,
					      .start = START};
	const struct cs_span_class dd_context = {.type = new_type(m),
						 .kind = CS_CLASS_DD_CONTEXT,
						 .bytes = CONTEXT_BYTES,
						 .span_id = SPAN_ID,
						 .trace_id = TRACE_ID,
						 .meta = META,
						 .reactivate = REACTIVATE};
	const struct cs_span_class otel_context = {.type = new_type(m),
						   .kind = CS_CLASS_OTEL_CONTEXT};
	uint16_t attrs_at = m->py->info.traits.attrs_at == CS_ATTRS_DICT ? DICT_AT : BASICSIZE;
	const struct cs_span_class otel_span = {.type = new_type(m),
						.kind = CS_CLASS_OTEL_SPAN,
						.bytes = 8 * ATTRS,
						.attr = {2, 5, 3, 1, 4, 6, 7},
						.attrs_at = attrs_at,
						.keys = made_alloc(m->py, 8)};
	const struct cs_span_class otel_empty = {.type = new_type(m),
						 .kind = CS_CLASS_OTEL_SPAN,
						 .bytes = 8,
						 .attr = {1},
						 .attrs_at = attrs_at,
						 .keys = made_alloc(m->py, 8)};
	const struct cs_span_class other = {.type = new_type(m)};
	const struct cs_span_class rust = {.type = new_type(m),
					   .kind = CS_CLASS_DD_SPAN,
					   .bytes = N_BYTES,
					   .rust = CS_RUST_ID | CS_RUST_TRACE | CS_RUST_ENDED_TAG,
					   .span_id = N_ID,
					   .trace_id = N_TRACE,
					   .root = N_ROOT,
					   .root_too = N_ENTRY,
					   .parent = N_PARENT,
					   .parent_context = N_CONTEXT,
					   .ended = N_ENDED,
					   .span_type = N_TYPE};
	const struct cs_span_class rust_context = {.type = new_type(m),
						   .kind = CS_CLASS_DD_CONTEXT,
						   .bytes = N_CONTEXT_BYTES,
						   .rust = CS_RUST_ID | CS_RUST_TRACE |
							   CS_RUST_TAGGED,
						   .span_id = N_CONTEXT_ID,
						   .trace_id = N_CONTEXT_TRACE,
						   .meta = N_CONTEXT_META};
	const struct cs_span_class status = {.type = new_type(m),
					     .kind = CS_CLASS_OTEL_STATUS,
					     .bytes = 16,
					     .attr = {[CS_OTEL_STATUS_CODE] = 2},
					     .attrs_at = attrs_at,
					     .keys = made_alloc(m->py, 8)};
	const struct cs_span_class all[] = {dd_span,   dd_context,   otel_context,
					    otel_span, otel_empty,   other,
					    rust,      rust_context, status};

	memcpy(m->list.classes, all, sizeof(all));
	m->list.nclasses = ARRAY_SIZE(all);
}

void made_spans(struct made_spans *m, struct made_python *py)
{
	*m = (struct made_spans){.py = py};
	m->tstate = made_tstate(py, py->interp, MADE_THREAD_POINTER);
	made_set_frame(py, m->tstate, 0);
	py->info.flags |= CS_PROC_TRACED;
	m->list.nvars = 2;
	m->list.vars[0] = (struct cs_tracer_var){MADE_DD_VAR, MADE_DD_HASH, CS_TRACER_DDTRACE};
	m->list.vars[1] = (struct cs_tracer_var){MADE_OTEL_VAR, MADE_OTEL_HASH, CS_TRACER_OTEL};
	m->list.hamt_bitmap = new_type(m);
	m->list.hamt_array = new_type(m);
	m->list.hamt_collision = new_type(m);
	m->list.long_type = new_type(m);
	m->list.str_type = new_type(m);
	m->list.list_type = new_type(m);
	m->list.otel_server = made_alloc(m->py, 8);
	m->list.none = new_object(m, new_type(m), 64);
	m->list.true_ = new_object(m, m->list.long_type, 64);
	m->list.otel_key = made_text(m, "current-span-1");
	m->list.otel_id_type = new_type(m);
	m->list.otel_names[CS_OTEL_CONTEXT] = made_text(m, "_context");
	m->list.otel_names[CS_OTEL_PARENT] = made_text(m, "_parent");
	m->list.otel_names[CS_OTEL_END_TIME] = made_text(m, "_end_time");
	m->list.otel_names[CS_OTEL_NAME] = made_text(m, "_name");
	m->list.otel_names[CS_OTEL_KIND] = made_text(m, "_kind");
	m->list.otel_names[CS_OTEL_START] = made_text(m, "_start_time");
	m->list.otel_names[CS_OTEL_STATUS] = made_text(m, "_status");
	m->list.otel_names[CS_OTEL_STATUS_CODE] = made_text(m, "_status_code");
	add_classes(m);
	m->list.false_ = new_object(m, m->list.long_type, 64);
	m->list.otel_unset = made_alloc(m->py, 8);
	m->list.otel_ok = made_alloc(m->py, 8);
	m->list.otel_error = made_alloc(m->py, 8);
	m->otel_status = m->list.otel_first_status = made_otel_status(m, m->list.otel_unset, false);
	m->list.exception_type = new_type(m);
}

static uint64_t type_of(const struct made_spans *m, unsigned int class)
{
	return m->list.classes[class].type;
}

uint64_t made_long(struct made_spans *m, uint64_t hi, uint64_t lo)
{
	const struct cs_py_offsets *off = &m->py->info.off;
	unsigned __int128 rest = (unsigned __int128)hi << 64 | lo;
	uint32_t digits[5], n = 0;
	uint64_t at;

	for (; rest; rest >>= 30)
		digits[n++] = (uint32_t)rest & ((1u << 30) - 1);
	at = new_object(m, m->list.long_type, off->long_digits + n * sizeof(*digits));
	if (n)
		made_put(m->py, at + off->long_digits, digits, n * sizeof(*digits));
	put(m, at + off->long_tag, (uint64_t)n << m->py->info.traits.long_tag_shift);
	return at;
}

uint64_t made_text(struct made_spans *m, const char *text)
{
	uint64_t at = made_str(m->py, text, strlen(text), 1, true);

	put(m, at + m->py->info.off.object_type, m->list.str_type);
	return at;
}

static uint32_t index_of(uint32_t hash, unsigned int level)
{
	return hash >> (5 * level) & 31;
}

/* Bitmap nodes have the bits below the pair's and one above set, so that its place has to be counted. */
uint64_t made_bitmap(struct made_spans *m, uint32_t hash, unsigned int level, uint64_t key,
		     uint64_t value)
{
	uint32_t index = index_of(hash, level),
		 bits = 1u << index | (index ? 1u << (index - 1) : 0);
	uint64_t head = m->py->info.off.object_var_size + 8, at;

	bits |= 1u << 31;
	at = new_object(m, m->list.hamt_bitmap, head + 8 + 16 * 3);
	put(m, at + head - 8, 6);
	made_put(m->py, at + head, &bits, sizeof(bits));
	at += head + 8 + (index ? 16 : 0);
	put(m, at, key);
	put(m, at + 8, value);
	return at - head - 8 - (index ? 16 : 0);
}

uint64_t made_array(struct made_spans *m, uint32_t hash, unsigned int level, uint64_t child)
{
	uint64_t head = m->py->info.off.object_type + 8;
	uint64_t at = new_object(m, m->list.hamt_array, head + 8 * 33);

	put(m, at + head + 8ull * index_of(hash, level), child);
	return at;
}

uint64_t made_collision(struct made_spans *m, uint64_t other, uint64_t key, uint64_t value)
{
	uint64_t head = m->py->info.off.object_var_size;
	uint64_t at = new_object(m, m->list.hamt_collision, head + 16 + 32);

	put(m, at + head, 4);
	put(m, at + head + 16, other);
	put(m, at + head + 32, key);
	put(m, at + head + 40, value);
	return at;
}

void made_context(struct made_spans *m, uint64_t root)
{
	const struct cs_py_offsets *off = &m->py->info.off;
	uint64_t hamt = new_object(m, new_type(m), off->hamt_root + 8);
	uint64_t context = new_object(m, new_type(m), off->context_vars + 8);

	put(m, hamt + off->hamt_root, root);
	put(m, context + off->context_vars, hamt);
	put(m, m->tstate + off->tstate_context, context);
}

void made_activate(struct made_spans *m, enum cs_tracer_kind kind, uint64_t value)
{
	const struct cs_tracer_var *var = &m->list.vars[kind == CS_TRACER_OTEL];

	made_context(m, made_bitmap(m, var->hash, 0, var->var, value));
}

static uint64_t or_none(const struct made_spans *m, uint64_t ref)
{
	return ref ? ref : m->list.none;
}

static uint64_t get(struct made_spans *m, uint64_t at)
{
	uint64_t value;

	assert_int_equal(made_read(m->py, &value, sizeof(value), at), 0);
	return value;
}

uint64_t made_dd_span(struct made_spans *m, const struct made_dd *span)
{
	uint64_t at = new_object(m, type_of(m, 0), SPAN_BYTES);

	put(m, at + SPAN_ID, made_long(m, 0, span->id));
	put(m, at + TRACE_ID,
	    span->trace_of ? get(m, span->trace_of + TRACE_ID)
			   : made_long(m, 0xabc0000000000000, 0x1234567890abcdef));
	put(m, at + ROOT, or_none(m, span->root));
	put(m, at + PARENT, or_none(m, span->parent));
	put(m, at + CONTEXT, or_none(m, span->context));
	put(m, at + ENDED, span->ended ? made_long(m, 0, MADE_DURATION) : m->list.none);
	put(m, at + TYPE, span->type ? made_text(m, span->type) : m->list.none);
	put(m, at + RESOURCE, or_none(m, span->resource));
	put(m, at + SERVICE, or_none(m, span->service));
	put(m, at + ERROR, or_none(m, span->error));
	put(m, at + PARENT_ID, made_long(m, 0, span->parent_id ? span->parent_id : MADE_PARENT));
	put(m, at + START, made_long(m, 0, MADE_START));
	return at;
}

void made_dd_end(struct made_spans *m, uint64_t span, bool native)
{
	if (native)
		put(m, span + N_ENDED, 1);
	else
		put(m, span + ENDED, made_long(m, 0, MADE_DURATION));
}

/* Its digits; it has as many of them. */
static void overwrite_long(struct made_spans *m, uint64_t at, uint64_t hi, uint64_t lo, size_t n)
{
	uint32_t offset = m->py->info.off.long_digits;
	uint32_t digits[5];

	assert_int_equal(
		made_read(m->py, digits, n * sizeof(*digits), made_long(m, hi, lo) + offset), 0);
	made_put(m->py, at + offset, digits, n * sizeof(*digits));
}

void made_dd_rename(struct made_spans *m, uint64_t span, uint64_t id, uint64_t trace_lo)
{
	overwrite_long(m, get(m, span + SPAN_ID), 0, id, 3);
	overwrite_long(m, get(m, span + TRACE_ID), 0xabc0000000000000, trace_lo, 5);
}

uint64_t made_box(struct made_spans *m, uint64_t item)
{
	const struct cs_py_offsets *off = &m->py->info.off;
	uint64_t at = new_object(m, m->list.list_type, off->list_items + 8);
	uint64_t items = made_alloc(m->py, 8);

	put(m, items, item);
	put(m, at + off->object_var_size, item != 0);
	put(m, at + off->list_items, items);
	return at;
}

uint64_t made_dd_rust(struct made_spans *m, const struct made_dd *span)
{
	uint64_t at = new_object(m, type_of(m, MADE_NATIVE), N_BYTES);

	put(m, at + N_ID, span->id);
	put(m, at + N_TRACE, 0x1234567890abcdef);
	put(m, at + N_TRACE + 8, 0xabc0000000000000);
	put(m, at + N_ROOT, span->root);
	put(m, at + N_ENTRY, span->root);
	put(m, at + N_PARENT, span->parent);
	put(m, at + N_CONTEXT, span->context);
	put(m, at + N_ENDED, span->ended);
	put(m, at + N_ERROR - 4, span->error << 32 | 0xf00d);
	put(m, at + N_TYPE, span->type ? made_text(m, span->type) : m->list.none);
	return at;
}

/* Keys and values of a dict of texts, behind it. */
static uint64_t new_dict(struct made_spans *m, const uint64_t *pairs, unsigned int n)
{
	const struct cs_py_offsets *off = &m->py->info.off;
	bool general = m->py->info.traits.keys_by_size;
	uint32_t entry = general ? 24 : 16, key_at = general ? 8 : 0;
	uint64_t indices = 1u << LOG2_INDICES, keys, dict, at;
	uint8_t kind = 1, log2_bytes = LOG2_INDICES;

	keys = made_alloc(m->py, off->keys_indices + indices + n * entry);
	dict = new_object(m, new_type(m), off->dict_values + 8);
	if (general) {
		put(m, keys + off->keys_size, indices);
	} else {
		made_put(m->py, keys + off->keys_kind, &kind, 1);
		made_put(m->py, keys + off->keys_log2_index_bytes, &log2_bytes, 1);
	}
	put(m, keys + off->keys_nentries, n);
	for (unsigned int i = 0; i < n; i++) {
		at = keys + off->keys_indices + indices + i * entry + key_at;
		put(m, at, pairs[2 * i]);
		put(m, at + 8, pairs[2 * i + 1]);
	}
	put(m, dict + off->dict_keys, keys);
	return dict;
}

uint64_t made_dd_context(struct made_spans *m, uint64_t id, const char *root, const char *type,
			 bool reactivate)
{
	uint64_t at = new_object(m, type_of(m, 1), CONTEXT_BYTES), pairs[8];
	unsigned int n = 0;

	pairs[n++] = made_text(m, "_dd.p.dm");
	pairs[n++] = made_text(m, "-0");
	/* as long as a key of interest */
	pairs[n++] = made_text(m, "_dd.profiling.local_root_span_no");
	pairs[n++] = made_text(m, "00000000000000ff");
	if (root) {
		pairs[n++] = made_text(m, "_dd.profiling.local_root_span_id");
		pairs[n++] = made_text(m, root);
	}
	if (type) {
		pairs[n++] = made_text(m, "_dd.profiling.span_type");
		pairs[n++] = made_text(m, type);
	}
	put(m, at + SPAN_ID, id ? made_long(m, 0, id) : m->list.none);
	put(m, at + TRACE_ID, made_long(m, 0, 77));
	put(m, at + META, new_dict(m, pairs, n / 2));
	put(m, at + REACTIVATE, reactivate ? m->list.true_ : new_object(m, m->list.long_type, 64));
	return at;
}

uint64_t made_dd_rust_context(struct made_spans *m, uint64_t id, const char *root)
{
	const uint64_t pairs[] = {made_text(m, "_dd.profiling.local_root_span_id"),
				  made_text(m, root ? root : "")};
	uint64_t at = new_object(m, type_of(m, MADE_NATIVE_CONTEXT), N_CONTEXT_BYTES);

	put(m, at + N_CONTEXT_TRACE - 16, 1);
	put(m, at + N_CONTEXT_TRACE, 77);
	put(m, at + N_CONTEXT_ID - 16, id != 0);
	put(m, at + N_CONTEXT_ID, id ? id : 0x1234);
	put(m, at + N_CONTEXT_META, new_dict(m, pairs, root ? 1 : 0));
	return at;
}

uint64_t made_otel_id(struct made_spans *m, uint64_t hi, uint64_t lo, uint64_t id, bool remote)
{
	uint32_t items = m->py->info.off.tuple_items;
	uint64_t at = new_object(m, m->list.otel_id_type, items + 24);

	put(m, at + items, made_long(m, hi, lo));
	put(m, at + items + 8, made_long(m, 0, id));
	put(m, at + items + 16, remote ? m->list.true_ : m->list.none);
	return at;
}

/* An instance that keeps these values as the version does. */
static uint64_t new_instance(struct made_spans *m, const struct cs_span_class *class,
			     const uint64_t *values, unsigned int n)
{
	const struct cs_py_offsets *off = &m->py->info.off;
	uint64_t before = (uint64_t)m->py->info.traits.managed_dict_before, array, dict;
	uint64_t obj = new_object(m, class->type, BASICSIZE + VALUES_HEADER + 8 * n);
	uint8_t valid = 1;

	if (m->py->info.traits.attrs_at == CS_ATTRS_INLINE) {
		made_put(m->py, obj + BASICSIZE + 3, &valid, 1);
		array = obj + BASICSIZE + VALUES_HEADER;
	} else {
		array = made_alloc(m->py, 8 * n);
	}
	for (unsigned int i = 0; i < n; i++)
		put(m, array + 8 * i, values[i]);
	if (m->py->info.traits.attrs_at == CS_ATTRS_VALUES_BEFORE) {
		put(m, obj - before - 8, array);
	} else if (m->py->info.traits.attrs_at == CS_ATTRS_TAGGED_BEFORE) {
		put(m, obj - before, array - 1);
	} else if (m->py->info.traits.attrs_at == CS_ATTRS_DICT) {
		dict = made_alloc(m->py, off->dict_values + 8);
		put(m, dict + off->dict_keys, class->keys);
		put(m, dict + off->dict_values, array);
		put(m, obj + DICT_AT, dict);
	}
	return obj;
}

/* One that keeps them in a dict of its own. */
static uint64_t new_with_dict(struct made_spans *m, const struct cs_span_class *class,
			      const uint64_t *pairs, unsigned int n)
{
	uint64_t before = (uint64_t)m->py->info.traits.managed_dict_before;
	uint64_t obj = new_object(m, class->type, BASICSIZE + VALUES_HEADER);
	bool at_offset = m->py->info.traits.attrs_at == CS_ATTRS_DICT;

	put(m, at_offset ? obj + DICT_AT : obj - before, new_dict(m, pairs, n));
	return obj;
}

static uint64_t new_otel_span(struct made_spans *m, const uint64_t values[ATTRS], bool own_dict)
{
	uint64_t pairs[2 * CS_OTEL_ATTR_MAX_];

	for (unsigned int i = 0; i < CS_OTEL_ATTR_MAX_; i++) {
		pairs[2 * i] = m->list.otel_names[i];
		if (m->list.classes[3].attr[i])
			pairs[2 * i + 1] = values[m->list.classes[3].attr[i] - 1];
		else
			pairs[2 * i + 1] = m->list.none;
	}
	return own_dict ? new_with_dict(m, &m->list.classes[3], pairs, CS_OTEL_ATTR_MAX_ - 1)
			: new_instance(m, &m->list.classes[3], values, ATTRS);
}

uint64_t made_otel_span(struct made_spans *m, uint64_t id, uint64_t parent, bool ended,
			bool own_dict)
{
	uint64_t end = ended ? made_long(m, 0, 5) : m->list.none;
	const uint64_t values[ATTRS] = {m->list.none,
					id,
					end,
					m->list.none,
					or_none(m, parent),
					made_long(m, 0, MADE_START),
					m->otel_status};

	return new_otel_span(m, values, own_dict);
}

uint64_t made_otel_server(struct made_spans *m, uint64_t id, const char *name, bool own_dict)
{
	const uint64_t values[ATTRS] = {made_text(m, name), id,
					m->list.none,       m->list.otel_server,
					m->list.none,       made_long(m, 0, MADE_START),
					m->otel_status};

	return new_otel_span(m, values, own_dict);
}

uint64_t made_otel_status(struct made_spans *m, uint64_t code, bool own_dict)
{
	const struct cs_span_class *class = &m->list.classes[MADE_STATUS];
	const uint64_t values[] = {m->list.none, code};
	const uint64_t pairs[] = {m->list.otel_names[CS_OTEL_NAME], m->list.none,
				  m->list.otel_names[CS_OTEL_STATUS_CODE], code};

	return own_dict ? new_with_dict(m, class, pairs, 2) : new_instance(m, class, values, 2);
}

uint64_t made_otel_empty(struct made_spans *m, uint64_t id)
{
	return new_instance(m, &m->list.classes[4], &id, 1);
}

uint64_t made_otel_context(struct made_spans *m, uint64_t span)
{
	const uint64_t pairs[] = {made_text(m, "baggage"), m->list.none, m->list.otel_key, span};
	uint64_t at = new_dict(m, pairs, 2);

	put(m, at + m->py->info.off.object_type, type_of(m, 2));
	return at;
}

uint64_t made_exception(struct made_spans *m, unsigned int nbases, unsigned int exception_at)
{
	const struct cs_py_offsets *off = &m->py->info.off;
	uint64_t type = made_alloc(m->py, off->type_mro + 8);
	uint64_t mro = made_alloc(m->py, off->tuple_items + 8ull * (nbases + 1));

	put(m, mro + off->object_var_size, nbases);
	for (unsigned int i = 0; i < nbases; i++)
		put(m, mro + off->tuple_items + 8ull * i,
		    i == exception_at ? m->list.exception_type : new_type(m));
	put(m, type + off->type_mro, mro);
	return new_object(m, type, 16);
}

uint64_t made_call(struct made_spans *m, uint64_t previous, uint64_t code, const uint64_t *locals,
		   unsigned int n, bool generator)
{
	const struct cs_py_offsets *off = &m->py->info.off;
	const struct cs_py_traits *traits = &m->py->info.traits;
	uint64_t gen =
		made_alloc(m->py, 256 + off->gen_exc_state + off->frame_localsplus + 8ull * n);
	uint64_t frame = traits->frame_is_object || !generator
				 ? made_alloc(m->py, off->frame_localsplus + 8ull * n + 64)
				 : gen + off->gen_iframe;

	made_frame_at(m->py, frame, previous, code, 2, generator ? traits->owner_generator : 0);
	if (traits->frame_is_object)
		put(m, frame + off->frame_gen, generator ? gen : 0);
	for (unsigned int i = 0; i < n; i++)
		put(m, frame + off->frame_localsplus + 8ull * i,
		    locals[i] | (uint64_t)traits->executable_mask);
	if (generator)
		put(m, m->tstate + off->tstate_exc_info, gen + off->gen_exc_state);
	return frame;
}

void made_handle(struct made_spans *m, uint64_t exception)
{
	const struct cs_py_offsets *off = &m->py->info.off;
	uint64_t item = 0;

	assert_int_equal(made_read(m->py, &item, sizeof(item), m->tstate + off->tstate_exc_info),
			 0);
	if (!item) {
		item = made_alloc(m->py, 32);
		put(m, m->tstate + off->tstate_exc_info, item);
	}
	put(m, item + off->exc_item_value, exception);
}
