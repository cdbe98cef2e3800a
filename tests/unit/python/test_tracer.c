/* SPDX-License-Identifier: Apache-2.0 */
/* Tracers in a made-up process of every layout: which are found, what is learned of their classes, and what is not taken for one. */
#include "python/tracer.h"

#include <errno.h>
#include <string.h>

#include "core/cleanup.h"
#include "made_objects.h"
#include "test.h"

#define MAX_NAMES 16
#define HASH      0x1234567800000001ull
#define DICT_AT   16

struct names {
	const char *keys[MAX_NAMES];
	uint64_t values[MAX_NAMES];
	size_t n;
};

struct world {
	struct made made;
	struct names modules;
	uint64_t otel_server; /* SpanKind.SERVER */
	uint64_t dd_var, otel_var, dd_span, dd_context, otel_span, otel_empty, otel_status;
	uint64_t runtime_class;
	struct cs_tracer_list list;
};

static void add(struct names *names, const char *key, uint64_t value)
{
	assert_in_range(names->n, 0, MAX_NAMES - 1);
	names->keys[names->n] = key;
	names->values[names->n++] = value;
}

static void add_module(struct world *world, const char *name, const struct names *content)
{
	struct made *made = &world->made;
	uint64_t module = made_object(made, made_type(made, "module", 0, 0, 0), 64);

	made_put(made, module, made->interp.info.off.module_dict,
		 made_namespace(made, content->keys, content->values, content->n));
	add(&world->modules, name, module);
}

static uint64_t made_var(struct world *world, const char *type, const char *name)
{
	const struct cs_py_offsets *off = &world->made.interp.info.off;
	uint64_t var = made_object(&world->made, made_type(&world->made, type, 0, 0, 0), 96);

	made_put(&world->made, var, off->contextvar_name, made_str(&world->made, name));
	made_put(&world->made, var, off->contextvar_hash, HASH);
	return var;
}

/* Give a class these slots, in this order from 32 on. */
static void made_slots(struct world *world, uint64_t class, const char *const *names)
{
	uint64_t members = made_bytes(&world->made, 40 * (MAX_NAMES + 1));

	for (uint32_t i = 0; names[i]; i++) {
		uint64_t text = made_bytes(&world->made, 64);

		memcpy((char *)(uintptr_t)text, names[i], strlen(names[i]));
		made_put(&world->made, members, 40 * i, text);
		made_put(&world->made, members, 40 * i + 8, 16);
		made_put(&world->made, members, 40 * i + 16, 32 + 8ull * i);
	}
	made_put(&world->made, class, world->made.interp.info.off.type_members, members);
	made_put(&world->made, class, world->made.interp.info.off.type_basicsize, 256);
}

/* Instances of a class have had these attributes. */
static void made_shared(struct world *world, uint64_t class, const char *const *names, size_t n)
{
	const struct cs_py_offsets *off = &world->made.interp.info.off;

	made_put(&world->made, class, off->heaptype_cached_keys,
		 made_keys(&world->made, names, NULL, n,
			   world->made.interp.info.traits.keys_by_size));
	made_put(&world->made, class, off->type_dictoffset, DICT_AT);
	made_put(&world->made, class, off->type_basicsize, 48);
}

static uint64_t new_class(struct world *world, const char *name, uint64_t base)
{
	return made_class(&world->made, name, made_namespace(&world->made, NULL, NULL, 0), base);
}

static void add_builtins(struct world *world)
{
	struct names names = {0};

	add(&names, "None", made_object(&world->made, world->made.type_none, 16));
	add(&names, "True", made_int(&world->made, 1));
	add(&names, "int", world->made.type_int);
	add(&names, "str", world->made.type_str);
	add(&names, "list", world->made.type_list);
	add_module(world, "builtins", &names);
}

static const char *const dd_slots[] = {"_local_root_value", "_parent",  "_parent_context",
				       "duration_ns",       "span_id",  "span_type",
				       "trace_id",          "resource", NULL};
static const char *const dd_context_slots[] = {"_meta", "_reactivate", "span_id", "trace_id", NULL};

static void add_ddtrace(struct world *world)
{
	struct names top = {0}, provider = {0}, span = {0}, context = {0};

	world->dd_var = made_var(world, "ContextVar", "datadog_contextvar");
	world->dd_span = new_class(world, "Span", 0);
	world->dd_context = new_class(world, "Context", 0);
	made_slots(world, world->dd_span, dd_slots);
	made_slots(world, world->dd_context, dd_context_slots);
	add(&top, "__version__", made_str(&world->made, "3.19.9"));
	add_module(world, "ddtrace", &top);
	add(&provider, "_DD_CONTEXTVAR", world->dd_var);
	add_module(world, "ddtrace._trace.provider", &provider);
	add(&span, "Span", world->dd_span);
	add_module(world, "ddtrace._trace.span", &span);
	add(&context, "Context", world->dd_context);
	add_module(world, "ddtrace._trace.context", &context);
}

static void add_otel(struct world *world)
{
	static const char *const runtime_names[] = {"_current_context"};
	static const char *const server = "SERVER", *const member_map = "_member_map_";
	struct names runtime = {0}, context = {0}, key = {0}, api = {0}, sdk = {0}, version = {0};
	struct names trace = {0};
	uint64_t members, kinds;
	uint64_t context_class = new_class(world, "Context", world->made.type_dict);

	made_put(&world->made, context_class, world->made.interp.info.off.type_flags,
		 CS_PYTYPE_HEAP | CS_PYTYPE_DICT);
	world->otel_var = made_var(world, "_contextvars.ContextVar", "current_context");
	world->otel_span = new_class(world, "_Span", 0);
	world->otel_empty = new_class(world, "NonRecordingSpan", 0);
	world->runtime_class = new_class(world, "ContextVarsRuntimeContext", 0);
	made_shared(world, world->otel_empty, (const char *const[]){"_context"}, 1);
	add(&runtime, "_RUNTIME_CONTEXT",
	    made_instance_of(&world->made, world->runtime_class, runtime_names, &world->otel_var,
			     1));
	add_module(world, "opentelemetry.context", &runtime);
	add(&context, "Context", context_class);
	add_module(world, "opentelemetry.context.context", &context);
	add(&key, "_SPAN_KEY", made_str(&world->made, "current-span-1"));
	add_module(world, "opentelemetry.trace.propagation", &key);
	add(&api, "NonRecordingSpan", world->otel_empty);
	add(&api, "SpanContext", new_class(world, "SpanContext", 0));
	add_module(world, "opentelemetry.trace.span", &api);
	world->otel_server = made_int(&world->made, 1);
	members = made_namespace(&world->made, &server, &world->otel_server, 1);
	kinds = made_class(&world->made, "SpanKind",
			   made_namespace(&world->made, &member_map, &members, 1), 0);
	add(&trace, "SpanKind", kinds);
	world->otel_status = new_class(world, "Status", 0);
	made_shared(world, world->otel_status,
		    (const char *const[]){"_description", "_status_code"}, 2);
	add(&trace, "Status", world->otel_status);
	add_module(world, "opentelemetry.trace", &trace);
	add(&sdk, "_Span", world->otel_span);
	add_module(world, "opentelemetry.sdk.trace", &sdk);
	add(&version, "_OPENTELEMETRY_SDK_VERSION", made_str(&world->made, "1.44.0"));
	add_module(world, "opentelemetry.sdk.resources", &version);
}

/* The modules as they are so far, in the last of two interpreters. */
static void publish(struct world *world)
{
	const struct cs_py_offsets *off = &world->made.interp.info.off;
	uint32_t size =
		off->interp_modules > off->interp_next ? off->interp_modules : off->interp_next;
	uint64_t head = made_bytes(&world->made, 8), first = made_bytes(&world->made, size + 8);
	uint64_t last = made_bytes(&world->made, size + 8);

	made_put(&world->made, head, 0, first);
	made_put(&world->made, first, off->interp_next, last);
	made_put(&world->made, last, off->interp_modules,
		 made_namespace(&world->made, world->modules.keys, world->modules.values,
				world->modules.n));
	world->made.interp.info.interpreters_head = head;
}

static void begin(struct world *world, int minor)
{
	*world = (struct world){0};
	made_begin(&world->made, minor);
	add_builtins(world);
}

static void find(struct world *world, unsigned int ntracers, unsigned int nvars)
{
	publish(world);
	assert_int_equal(cs_tracers_find(&world->made.ctx, &world->list), 0);
	assert_int_equal(world->list.n, ntracers);
	assert_int_equal(world->list.row.nvars, nvars);
}

static const struct cs_span_class *class_of(const struct world *world, uint64_t type)
{
	for (unsigned int i = 0; i < world->list.row.nclasses; i++) {
		if (world->list.row.classes[i].type == type)
			return &world->list.row.classes[i];
	}
	return NULL;
}

#define EACH(world)                                                                     \
	for (int minor_ = MADE_FIRST_MINOR; minor_ <= MADE_LAST_MINOR; minor_++)        \
		for (struct world world, *once = (begin(&world, minor_), &world); once; \
		     made_end(&world.made), once = NULL)

static void nothing(void **state)
{
	EACH(world)
	find(&world, 0, 0);
}

static void ddtrace(void **state)
{
	EACH(world)
	{
		const struct cs_span_class *class;

		add_ddtrace(&world);
		find(&world, 1, 1);
		assert_int_equal(world.list.items[0].kind, CS_TRACER_DDTRACE);
		assert_string_equal(world.list.items[0].version, "3.19.9");
		assert_string_equal(world.list.items[0].lack, "");
		assert_int_equal(world.list.row.vars[0].var, world.dd_var);
		assert_int_equal(world.list.row.vars[0].hash, 0x12345678u ^ 1u);
		assert_int_equal(world.list.row.vars[0].kind, CS_TRACER_DDTRACE);
		class = class_of(&world, world.dd_span);
		assert_non_null(class);
		assert_int_equal(class->kind, CS_CLASS_DD_SPAN);
		assert_int_equal(class->root, 32);
		assert_int_equal(class->parent, 40);
		assert_int_equal(class->parent_context, 48);
		assert_int_equal(class->ended, 56);
		assert_int_equal(class->span_id, 64);
		assert_int_equal(class->span_type, 72);
		assert_int_equal(class->trace_id, 80);
		assert_int_equal(class->resource, 88);
		assert_int_equal(class->bytes, 96);
		class = class_of(&world, world.dd_context);
		assert_non_null(class);
		assert_int_equal(class->kind, CS_CLASS_DD_CONTEXT);
		assert_int_equal(class->meta, 32);
		assert_int_equal(class->reactivate, 40);
		assert_int_equal(class->span_id, 48);
		assert_int_equal(class->trace_id, 56);
		assert_int_equal(class->bytes, 64);
	}
}

/* Slots that are not what a release that is known has: nothing is read, and check says why. */
static void ddtrace_unknown(void **state)
{
	static const char *const rust[] = {"_store", NULL};

	EACH(world)
	{
		add_ddtrace(&world);
		made_slots(&world, world.dd_span, rust);
		find(&world, 1, 0);
		assert_non_null(strstr(world.list.items[0].lack, "Span"));
		made_slots(&world, world.dd_span, dd_slots);
		made_slots(&world, world.dd_context, rust);
		find(&world, 1, 0);
		assert_non_null(strstr(world.list.items[0].lack, "Context"));
	}
}

/* A Span that is partly a Rust object, and has a Context: its spans will tell the rest. */
static void ddtrace_rust(void **state)
{
	static const char *const rust[] = {"_context", "_store", NULL};

	EACH(world)
	{
		add_ddtrace(&world);
		made_slots(&world, world.dd_span, rust);
		find(&world, 1, 1);
		assert_string_equal(world.list.items[0].lack, "");
		assert_true(world.list.items[0].learns);
		assert_null(class_of(&world, world.dd_span));
		assert_int_equal(world.list.rust.span.meta, 32);
		/* nothing was there to learn from */
		assert_false(cs_tracers_meet(&world.made.ctx, &world.list, world.dd_span, 0x10));
	}
}

/* An offset beyond the instance is no slot's. */
static void forged_slots(void **state)
{
	EACH(world)
	{
		add_ddtrace(&world);
		made_put(&world.made, world.dd_span, world.made.interp.info.off.type_basicsize, 80);
		find(&world, 1, 0);
	}
}

/* What is called so is not for that reason a tracer's variable. */
static void other_variables(void **state)
{
	EACH(world)
	{
		struct names own = {0};

		add(&own, "_DD_CONTEXTVAR", made_var(&world, "ContextVar", "datadog_contextvar"));
		add(&own, "current_context", made_var(&world, "ContextVar", "current_context"));
		add_module(&world, "application", &own);
		find(&world, 0, 0);
	}
	EACH(world)
	{
		add_ddtrace(&world);
		made_put(&world.made, world.dd_var, world.made.interp.info.off.contextvar_name,
			 made_str(&world.made, "datadog_llmobs_contextvar"));
		find(&world, 1, 0);
		assert_non_null(strstr(world.list.items[0].lack, "ContextVar"));
		made_put(&world.made, world.dd_var, world.made.interp.info.off.object_type,
			 new_class(&world, "ContextVar", 0));
		find(&world, 1, 0);
	}
}

static const char *const span_attrs[] = {"_name",   "_context",  "_kind",
					 "_parent", "_end_time", "_status"};

static void otel(void **state)
{
	EACH(world)
	{
		const struct cs_span_class *class;

		add_otel(&world);
		find(&world, 1, 1);
		assert_int_equal(world.list.items[0].kind, CS_TRACER_OTEL);
		assert_string_equal(world.list.items[0].version, "1.44.0");
		assert_int_equal(world.list.row.vars[0].var, world.otel_var);
		assert_int_equal(world.list.row.otel_server, world.otel_server);
		/* no span has been made yet */
		assert_null(class_of(&world, world.otel_span));
		made_shared(&world, world.otel_span, span_attrs, ARRAY_SIZE(span_attrs));
		assert_true(cs_tracers_meet(&world.made.ctx, &world.list, world.otel_span, 0));
		class = class_of(&world, world.otel_span);
		assert_non_null(class);
		assert_int_equal(class->attr[CS_OTEL_CONTEXT], 2);
		assert_int_equal(class->attr[CS_OTEL_PARENT], 4);
		assert_int_equal(class->attr[CS_OTEL_END_TIME], 5);
		assert_int_equal(class->attr[CS_OTEL_STATUS], 6);
		assert_int_equal(class->attr[CS_OTEL_STATUS_CODE], 0);
		assert_int_equal(class->bytes, 48);
		assert_int_equal(class->attrs_at,
				 world.made.interp.info.traits.attrs_at == CS_ATTRS_DICT ? DICT_AT
											 : 48);
		assert_int_equal(world.list.row.otel_names[CS_OTEL_PARENT],
				 made_name(&world.made, "_parent"));
		class = class_of(&world, world.otel_empty);
		assert_non_null(class);
		assert_int_equal(class->attr[CS_OTEL_CONTEXT], 1);
		assert_int_equal(class->attr[CS_OTEL_PARENT], 0);
		class = class_of(&world, world.otel_status);
		assert_non_null(class);
		assert_int_equal(class->kind, CS_CLASS_OTEL_STATUS);
		assert_int_equal(class->attr[CS_OTEL_STATUS_CODE], 2);
		assert_int_equal(world.list.row.otel_names[CS_OTEL_STATUS_CODE],
				 made_name(&world.made, "_status_code"));
	}
}

static void both(void **state)
{
	EACH(world)
	{
		add_otel(&world);
		add_ddtrace(&world);
		find(&world, 2, 2);
		assert_int_equal(world.list.row.vars[0].kind, CS_TRACER_DDTRACE);
		assert_int_equal(world.list.row.vars[1].kind, CS_TRACER_OTEL);
	}
}

static void met(void **state)
{
	EACH(world)
	{
		struct made *made = &world.made;
		uint64_t derived, other = new_class(&world, "Mine", 0);
		uint64_t bitmap = made_type(made, "hamt_bitmap_node", 0, 0, 40);
		uint64_t array = made_type(made, "hamt_array_node", 0, 0, 40);

		assert_false(cs_tracers_meet(&made->ctx, &world.list, bitmap, 0));
		add_ddtrace(&world);
		find(&world, 1, 1);
		derived = new_class(&world, "MySpan", world.dd_span);
		made_put(made, derived, made->interp.info.off.type_basicsize, 264);
		assert_true(cs_tracers_meet(&made->ctx, &world.list, bitmap, 0));
		assert_true(cs_tracers_meet(&made->ctx, &world.list, array, 0));
		assert_int_equal(world.list.row.hamt_bitmap, bitmap);
		assert_int_equal(world.list.row.hamt_array, array);
		assert_true(cs_tracers_meet(&made->ctx, &world.list, derived, 0));
		assert_int_equal(class_of(&world, derived)->kind, CS_CLASS_DD_SPAN);
		assert_int_equal(class_of(&world, derived)->span_id, 64);
		assert_true(cs_tracers_meet(&made->ctx, &world.list, other, 0));
		assert_int_equal(class_of(&world, other)->kind, CS_CLASS_OTHER);
		/* nodes stay known whatever is imported; a class of the program cannot be one */
		find(&world, 1, 1);
		assert_int_equal(world.list.row.hamt_bitmap, bitmap);
		assert_true(cs_tracers_meet(&made->ctx, &world.list,
					    new_class(&world, "hamt_bitmap_node", 0), 0));
		assert_int_equal(world.list.row.hamt_bitmap, bitmap);
		assert_false(cs_tracers_meet(&made->ctx, &world.list, 0x10, 0));
	}
}

/* More classes than there is room for. */
static void many_met(void **state)
{
	EACH(world)
	{
		unsigned int added = 0;

		add_ddtrace(&world);
		find(&world, 1, 1);
		for (int i = 0; i < 2 * CS_MAX_SPAN_CLASSES; i++)
			added += cs_tracers_meet(&world.made.ctx, &world.list,
						 new_class(&world, "Mine", 0), 0);
		assert_in_range(added, 1, 2 * CS_MAX_SPAN_CLASSES);
		assert_in_range(world.list.row.nclasses, 2, CS_MAX_SPAN_CLASSES);
	}
}

int main(void)
{
	const struct CMUnitTest tests[] = {
		cmocka_unit_test(nothing),
		cmocka_unit_test(ddtrace),
		cmocka_unit_test(ddtrace_unknown),
		cmocka_unit_test(ddtrace_rust),
		cmocka_unit_test(forged_slots),
		cmocka_unit_test(other_variables),
		cmocka_unit_test(otel),
		cmocka_unit_test(both),
		cmocka_unit_test(met),
		cmocka_unit_test(many_met),
	};

	return cmocka_run_group_tests(tests, NULL, NULL);
}
