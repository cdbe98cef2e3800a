/* SPDX-License-Identifier: Apache-2.0 */
/* Tracers, found through sys.modules: what is half imported is found when more has been. */
#include "python/tracer.h"

#include <errno.h>
#include <stdio.h>
#include <string.h>

#include "core/cleanup.h"
#include "python/tracer_class.h"
#include "python/tracer_scope.h"

#define MAX_MODULE_NAME 48
/* A process may have any number of types, and lets us look for them only so often. */
#define TYPE_MET_NS     20000000ull
/* Instances that tell what spans are like: some of one turn, which may be a long one. */
#define RUST_BURST      8

/* The modules that are looked into. */
enum module {
	BUILTINS,
	DD_VERSION,
	DD_PROVIDER,
	DD_SPAN,
	DD_CONTEXT,
	DD_HANDLERS,
	OTEL_RESOURCES,
	OTEL_RUNTIME,
	OTEL_CONTEXT,
	OTEL_KEY,
	OTEL_API,
	OTEL_TRACE,
	OTEL_SDK,
	MODULES_MAX_
};

/* ddtrace kept them in its top package up to 2.0. */
static const struct {
	const char *name;
	enum module module;
} modules[] = {
	{"builtins", BUILTINS},
	{"ddtrace", DD_VERSION},
	{"ddtrace._trace.provider", DD_PROVIDER},
	{"ddtrace.provider", DD_PROVIDER},
	{"ddtrace._trace.span", DD_SPAN},
	{"ddtrace.span", DD_SPAN},
	{"ddtrace._trace.context", DD_CONTEXT},
	{"ddtrace.context", DD_CONTEXT},
	{"ddtrace._trace.trace_handlers", DD_HANDLERS},
	{"opentelemetry.sdk.resources", OTEL_RESOURCES},
	{"opentelemetry.context", OTEL_RUNTIME},
	{"opentelemetry.context.context", OTEL_CONTEXT},
	{"opentelemetry.trace.propagation", OTEL_KEY},
	{"opentelemetry.trace.span", OTEL_API},
	{"opentelemetry.trace", OTEL_TRACE},
	{"opentelemetry.sdk.trace", OTEL_SDK},
};

/* Classes that are described. */
static const struct {
	enum module module;
	const char *name;
	enum cs_span_class_kind kind;
} classes[] = {
	{DD_SPAN, "Span", CS_CLASS_DD_SPAN},
	{DD_CONTEXT, "Context", CS_CLASS_DD_CONTEXT},
	{OTEL_CONTEXT, "Context", CS_CLASS_OTEL_CONTEXT},
	{OTEL_SDK, "_Span", CS_CLASS_OTEL_SPAN},
	{OTEL_API, "NonRecordingSpan", CS_CLASS_OTEL_SPAN},
	{OTEL_TRACE, "Status", CS_CLASS_OTEL_STATUS},
};

/* One look. */
struct look {
	const struct cs_pyobj_ctx *ctx;
	uint64_t dicts[MODULES_MAX_]; /* of the modules; 0: not imported */
	struct cs_tracer_list found;
};

const char *cs_tracer_name(enum cs_tracer_kind kind)
{
	return kind == CS_TRACER_DDTRACE ? "ddtrace" : "OpenTelemetry";
}

/* The walkers read an int's type, size and digits in one piece, and a HAMT's node and what a variable has cached likewise. */
static bool layout_fits(const struct cs_py_offsets *off)
{
	return off->tstate_context && off->context_vars && off->contextvar_hash && off->hamt_root &&
	       off->object_var_size == off->object_type + 8 &&
	       off->long_tag == off->object_type + 8 && off->long_digits == off->long_tag + 8 &&
	       (!off->contextvar_cached ||
		(off->contextvar_cached_tsid == off->contextvar_cached + 8 &&
		 off->contextvar_cached_tsver == off->contextvar_cached + 16));
}

/* The modules of the main interpreter, which is the last of the list; 0: not there yet. */
static int main_modules(const struct cs_pyobj_ctx *ctx, uint64_t *ret)
{
	const struct cs_py_offsets *off = &ctx->interp->info.off;
	uint64_t at, next;
	int err;

	err = cs_mem_read_u64(ctx->mem, ctx->interp->info.interpreters_head, &at);
	for (int i = 0; !err && at && i < CS_MAX_INTERPRETERS; i++) {
		err = cs_mem_read_u64(ctx->mem, at + off->interp_next, &next);
		if (err || !next)
			break;
		at = next;
	}
	*ret = 0;
	return err || !at ? err : cs_mem_read_u64(ctx->mem, at + off->interp_modules, ret);
}

static int meet_module(void *arg, uint64_t key, uint64_t value)
{
	struct look *look = arg;
	char name[MAX_MODULE_NAME];
	bool cut;

	if (cs_pyobj_str(look->ctx, key, name, sizeof(name), NULL, &cut) || cut)
		return 0;
	for (size_t i = 0; i < ARRAY_SIZE(modules); i++) {
		if (!strcmp(modules[i].name, name))
			/* a module that is being made has no dict yet, and None stands for one that failed */
			cs_mem_read_u64(look->ctx->mem,
					value + look->ctx->interp->info.off.module_dict,
					&look->dicts[modules[i].module]);
	}
	return 0;
}

static int module_get(const struct look *look, enum module module, const char *name, __u64 *ret)
{
	uint64_t value;
	int err = look->dicts[module]
			  ? cs_pyobj_dict_get(look->ctx, look->dicts[module], name, &value)
			  : -ENOENT;

	if (!err)
		*ret = value;
	return err;
}

static int find_own_objects(struct look *look)
{
	struct cs_tracers *row = &look->found.row;
	int err;

	if ((err = module_get(look, BUILTINS, "None", &row->none)) ||
	    (err = module_get(look, BUILTINS, "True", &row->true_)) ||
	    (err = module_get(look, BUILTINS, "int", &row->long_type)))
		return err;
	if ((err = module_get(look, BUILTINS, "list", &row->list_type)))
		return err;
	return module_get(look, BUILTINS, "str", &row->str_type);
}

/* PyContextVar.var_hash as a HAMT uses it: hamt_hash() of Python/hamt.c. */
static uint32_t hamt_hash(uint64_t hash)
{
	uint32_t folded = (uint32_t)hash ^ (uint32_t)(hash >> 32);

	return folded == UINT32_MAX ? UINT32_MAX - 1 : folded;
}

/* Take an object for a tracer's variable if it is a ContextVar of this name. Returns 0, -EINVAL or another error. */
static int take_var(struct look *look, uint64_t var, enum cs_tracer_kind kind, const char *name)
{
	const struct cs_py_offsets *off = &look->ctx->interp->info.off;
	struct cs_tracers *row = &look->found.row;
	uint64_t text, hash;
	struct cs_pytype type;
	int err;

	if ((err = cs_pyobj_type(look->ctx, var, &type)))
		return err;
	if (type.flags & CS_PYTYPE_HEAP ||
	    (strcmp(type.name, "ContextVar") && strcmp(type.name, "_contextvars.ContextVar")))
		return -EINVAL;
	if ((err = cs_mem_read_u64(look->ctx->mem, var + off->contextvar_name, &text)) ||
	    (err = cs_mem_read_u64(look->ctx->mem, var + off->contextvar_hash, &hash)))
		return err;
	if (!cs_pyobj_str_equals(look->ctx, text, name))
		return -EINVAL;
	row->vars[row->nvars++] = (struct cs_tracer_var){var, hamt_hash(hash), kind};
	return 0;
}

static struct cs_tracer *add_tracer(struct look *look, enum cs_tracer_kind kind, enum module module,
				    const char *version)
{
	struct cs_tracer *tracer = &look->found.items[look->found.n++];
	__u64 text;

	tracer->kind = kind;
	if (module_get(look, module, version, &text) ||
	    cs_pyobj_str(look->ctx, text, tracer->version, sizeof(tracer->version), NULL, NULL))
		tracer->version[0] = '\0';
	for (char *c = tracer->version; *c; c++) {
		if (*c < ' ' || *c == 0x7f)
			*c = '?';
	}
	return tracer;
}

static void lacks(struct cs_tracer *tracer, const char *why)
{
	snprintf(tracer->lack, sizeof(tracer->lack), "%s", why);
}

static bool has_class(const struct look *look, enum cs_span_class_kind kind)
{
	for (unsigned int i = 0; i < look->found.row.nclasses; i++) {
		if (look->found.row.classes[i].kind == kind)
			return true;
	}
	return false;
}

static void find_ddtrace(struct look *look)
{
	struct cs_tracer *tracer;
	__u64 var;

	if (module_get(look, DD_PROVIDER, "_DD_CONTEXTVAR", &var))
		return;
	tracer = add_tracer(look, CS_TRACER_DDTRACE, DD_VERSION, "__version__");
	tracer->learns = look->found.rust.span.type && look->found.rust.context.type;
	if (!tracer->learns && !has_class(look, CS_CLASS_DD_SPAN))
		lacks(tracer, "its Span keeps its ids in no slots: of a release that is not known");
	else if (!tracer->learns && !has_class(look, CS_CLASS_DD_CONTEXT))
		lacks(tracer,
		      "its Context keeps its ids in no slots: of a release that is not known");
	else if (take_var(look, var, CS_TRACER_DDTRACE, "datadog_contextvar"))
		lacks(tracer, "what it keeps the active span in is no ContextVar");
}

/* SpanKind.SERVER: members of an enum are in a dict of its class. Without it no endpoint is told. */
static void find_otel_server(struct look *look)
{
	const struct cs_pyobj_ctx *ctx = look->ctx;
	uint64_t dict, members, server;
	__u64 kinds;

	if (!module_get(look, OTEL_TRACE, "SpanKind", &kinds) &&
	    !cs_mem_read_u64(ctx->mem, kinds + ctx->interp->info.off.type_dict, &dict) &&
	    !cs_pyobj_dict_get(ctx, dict, "_member_map_", &members) &&
	    !cs_pyobj_dict_get(ctx, members, "SERVER", &server))
		look->found.row.otel_server = server;
}

static void find_otel(struct look *look)
{
	struct cs_tracers *row = &look->found.row;
	struct cs_tracer *tracer;
	uint64_t var;
	__u64 runtime;

	/* the API alone makes no spans */
	if (!look->dicts[OTEL_SDK] || module_get(look, OTEL_RUNTIME, "_RUNTIME_CONTEXT", &runtime))
		return;
	/* 1.20 takes it from its metadata, 1.45 from a module of its own: both keep it there */
	tracer = add_tracer(look, CS_TRACER_OTEL, OTEL_RESOURCES, "_OPENTELEMETRY_SDK_VERSION");
	if (module_get(look, OTEL_KEY, "_SPAN_KEY", &row->otel_key) ||
	    module_get(look, OTEL_API, "SpanContext", &row->otel_id_type) ||
	    !has_class(look, CS_CLASS_OTEL_CONTEXT))
		lacks(tracer, "its modules lack what every release has");
	else if (cs_pyobj_attr(look->ctx, runtime, "_current_context", &var) ||
		 take_var(look, var, CS_TRACER_OTEL, "current_context"))
		lacks(tracer, "its context is kept in no ContextVar");
	find_otel_server(look);
}

/* ddtrace's own Context counts, which is met first, not what is derived from it. */
static void begin_context(struct cs_rust *rust, const struct cs_span_class *class,
			  unsigned int words)
{
	if (!rust->context.type || rust->context.type == class->type)
		cs_rust_begin_context(rust, class, words);
}

/* A class whose instances are Rust objects: what was learned of them, or what is to be. */
static int learn_rust(const struct cs_pyobj_ctx *ctx, struct cs_rust *rust,
		      const struct cs_pytype *type, struct cs_span_class *class)
{
	unsigned int words;
	int err = cs_class_rust_words(ctx, type, &words);

	if (err)
		return err;
	if (class->kind == CS_CLASS_DD_SPAN) {
		/* without a Context of its own nothing tells its ids */
		if (!class->meta)
			return -ENOENT;
		if (!rust->span.type)
			cs_rust_begin(rust, class, words);
		/* one that is derived from it lays out what it has of it alike */
		err = cs_rust_span(rust, class) ? 0 : -ENOENT;
	} else {
		begin_context(rust, class, words);
		err = cs_rust_context(rust, class) ? 0 : -ENOENT;
	}
	class->type = type->addr;
	return err;
}

/* Describe a class; one that is known is described anew. */
static bool add_class(const struct cs_pyobj_ctx *ctx, struct cs_tracer_list *list,
		      const struct cs_pytype *type, enum cs_span_class_kind kind)
{
	struct cs_tracers *row = &list->row;
	uint64_t names[CS_OTEL_ATTR_MAX_];
	struct cs_span_class class;
	unsigned int i = 0;
	int err;

	err = cs_span_class_learn(ctx, type, kind, &class, names);
	if (err == -ENODATA)
		err = learn_rust(ctx, &list->rust, type, &class);
	else if (!err && kind == CS_CLASS_DD_CONTEXT)
		begin_context(&list->rust, &class, 0);
	if (err)
		return false;
	while (i < row->nclasses && row->classes[i].type != type->addr)
		i++;
	if (i == CS_MAX_SPAN_CLASSES)
		return false;
	row->classes[i] = class;
	row->nclasses = i < row->nclasses ? row->nclasses : i + 1;
	for (size_t a = 0; a < CS_OTEL_ATTR_MAX_; a++) {
		if (names[a])
			row->otel_names[a] = names[a];
	}
	return true;
}

static bool is_known(const struct cs_tracers *row, uint64_t type)
{
	for (unsigned int i = 0; i < row->nclasses; i++) {
		if (row->classes[i].type == type)
			return true;
	}
	return false;
}

static void find_classes(struct look *look)
{
	struct cs_pytype type;
	__u64 addr;

	for (size_t i = 0; i < ARRAY_SIZE(classes); i++) {
		if (!module_get(look, classes[i].module, classes[i].name, &addr) &&
		    !cs_pytype_read(look->ctx, addr, &type))
			add_class(look->ctx, &look->found, &type, classes[i].kind);
	}
}

/* A class derived from one that is known has its slots, and attributes of its own. */
static enum cs_span_class_kind kind_of(const struct cs_pyobj_ctx *ctx, const struct cs_tracers *row,
				       const struct cs_pytype *type)
{
	for (unsigned int i = 0; i < row->nclasses; i++) {
		if (row->classes[i].kind != CS_CLASS_OTHER &&
		    cs_pytype_derives(ctx, type, row->classes[i].type))
			return row->classes[i].kind;
	}
	return CS_CLASS_OTHER;
}

/* What was met since, as far as it is there still. */
static void keep_met(struct look *look, const struct cs_tracers *before)
{
	struct cs_tracers *row = &look->found.row;
	struct cs_pytype type;

	for (unsigned int i = 0; i < before->nclasses; i++) {
		const struct cs_span_class *class = &before->classes[i];

		if (!is_known(row, class->type) && !cs_pytype_read(look->ctx, class->type, &type))
			add_class(look->ctx, &look->found, &type, kind_of(look->ctx, row, &type));
	}
}

/* By what it is known how spans end. */
static void find_scopes(struct look *look)
{
	const struct cs_scope_modules where = {look->dicts[BUILTINS], look->dicts[OTEL_TRACE],
					       look->dicts[OTEL_SDK], look->dicts[DD_SPAN],
					       look->dicts[DD_HANDLERS]};

	cs_scopes_find(look->ctx, &where, &look->found.row);
}

int cs_tracers_find(const struct cs_pyobj_ctx *ctx, struct cs_tracer_list *list)
{
	struct look look = {.ctx = ctx};
	struct cs_tracers *row = &look.found.row;
	uint64_t dict;
	int err;

	if (!layout_fits(&ctx->interp->info.off))
		return 0;
	err = main_modules(ctx, &dict);
	if (err || !dict)
		return err;
	err = cs_pyobj_dict_each(ctx, dict, meet_module, &look);
	if (err)
		return err;
	look.found.rust = list->rust;
	/* the interpreter's own types stay */
	row->hamt_bitmap = list->row.hamt_bitmap;
	row->hamt_array = list->row.hamt_array;
	row->hamt_collision = list->row.hamt_collision;
	if (!find_own_objects(&look)) {
		find_classes(&look);
		keep_met(&look, &list->row);
		find_ddtrace(&look);
		find_otel(&look);
		find_scopes(&look);
	}
	row->wake = cs_rust_waits(&look.found.rust);
	*list = look.found;
	return 0;
}

/* A node of a HAMT, the interpreter's own. */
static bool meet_node(struct cs_tracers *row, const struct cs_pytype *type)
{
	if (type->flags & CS_PYTYPE_HEAP)
		return false;
	if (!strcmp(type->name, "hamt_bitmap_node"))
		row->hamt_bitmap = type->addr;
	else if (!strcmp(type->name, "hamt_array_node"))
		row->hamt_array = type->addr;
	else if (!strcmp(type->name, "hamt_collision_node"))
		row->hamt_collision = type->addr;
	else
		return false;
	return true;
}

static bool is_rust(const struct cs_rust *rust, uint64_t type)
{
	return rust->span.type && (type == rust->span.type || type == rust->context.type);
}

uint64_t cs_tracers_pause_ns(const struct cs_tracer_list *list, uint64_t type)
{
	return is_rust(&list->rust, type) ? cs_rust_pause_ns(&list->rust, type) : TYPE_MET_NS;
}

unsigned int cs_tracers_burst(const struct cs_tracer_list *list, uint64_t type)
{
	return is_rust(&list->rust, type) ? RUST_BURST : 1;
}

bool cs_tracers_know(const struct cs_tracer_list *list, uint64_t type)
{
	return is_known(&list->row, type);
}

/* What is certain by now, as classes of the row. Returns whether that has changed. */
static bool tell_rust(const struct cs_pyobj_ctx *ctx, struct cs_tracer_list *list)
{
	const struct cs_tracers before = list->row;
	struct cs_span_class span, context;
	struct cs_pytype other;

	if (cs_rust_span(&list->rust, &span) && !cs_pytype_read(ctx, span.type, &other))
		add_class(ctx, list, &other, CS_CLASS_DD_SPAN);
	if (cs_rust_context(&list->rust, &context) && !cs_pytype_read(ctx, context.type, &other))
		add_class(ctx, list, &other, CS_CLASS_DD_CONTEXT);
	list->row.wake = cs_rust_waits(&list->rust);
	return memcmp(&before, &list->row, sizeof(before)) != 0;
}

/* An instance of ddtrace's own classes, which may tell more of what they are like. */
static bool meet_rust(const struct cs_pyobj_ctx *ctx, struct cs_tracer_list *list, uint64_t object)
{
	cs_rust_meet(&list->rust, ctx, &list->row, object);
	return tell_rust(ctx, list);
}

bool cs_tracers_watch(const struct cs_pyobj_ctx *ctx, struct cs_tracer_list *list)
{
	return cs_rust_watch(&list->rust, ctx) && tell_rust(ctx, list);
}

bool cs_tracers_learn(const struct cs_pyobj_ctx *ctx, struct cs_tracer_list *list,
		      const struct cs_ev_span_lesson *lesson)
{
	/* one that is derived from it has the same in front */
	return is_known(&list->row, lesson->type) && cs_rust_learn(&list->rust, lesson) &&
	       tell_rust(ctx, list);
}

bool cs_tracers_meet(const struct cs_pyobj_ctx *ctx, struct cs_tracer_list *list, uint64_t addr,
		     uint64_t object)
{
	struct cs_tracers *row = &list->row;
	struct cs_pytype type;

	if (!row->nvars || cs_pytype_read(ctx, addr, &type))
		return false;
	if (meet_node(row, &type))
		return true;
	if (is_rust(&list->rust, addr))
		return meet_rust(ctx, list, object);
	/* one of the tracers' own that had no instance when it was looked at */
	if (cs_tracers_find(ctx, list))
		return false;
	return is_known(row, addr) || add_class(ctx, list, &type, kind_of(ctx, row, &type));
}
