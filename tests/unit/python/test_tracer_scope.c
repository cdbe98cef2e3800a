/* SPDX-License-Identifier: Apache-2.0 */
/* The functions in which spans end, in made-up modules of every layout: what is found of them, what releases differ in, and what is not believed. */
#include "python/tracer_scope.h"

#include <string.h>

#include "core/cleanup.h"
#include "made_calls.h"
#include "test.h"

struct world {
	struct made made;
	struct made_calls calls;
	uint64_t unset, ok, error, first, exception, no;
	struct made_function use_span, set_status, exit, finish;
	bool bare; /* functions are in no decorators */
	struct cs_tracers row;
};

static void begin(struct world *world, int minor)
{
	*world = (struct world){
		.use_span = {.module = "opentelemetry.trace",
			     .qualname = "use_span",
			     .names = {"attach", "detach", "Exception", "set_status", "end"},
			     .locals = {"span", "end_on_exit", "record_exception",
					"set_status_on_exception", "token", "exc"}},
		.set_status = {.module = "opentelemetry.sdk.trace",
			       .qualname = "Span.set_status",
			       .names = {"_status", "OK"},
			       .locals = {"self", "status", "description"}},
		.exit = {.module = "ddtrace._trace.span",
			 .qualname = "Span.__exit__",
			 .names = {"set_exc_info", "finish"},
			 .locals = {"self", "exc_type", "exc_val", "exc_tb"}},
		.finish = {.module = "ddtrace._trace.trace_handlers",
			   .qualname = "_finish_span",
			   .names = {"span_from_context", "set_exc_info", "finish"},
			   .locals = {"ctx", "exc_info", "span", "exc_type", "exc_value"}}};
	made_begin(&world->made, minor);
	made_calls_begin(&world->calls, &world->made);
}

static uint64_t namespace_of(struct world *world, const char *key, uint64_t value)
{
	return made_namespace(&world->made, &key, &value, 1);
}

/* A function in a decorator. */
static uint64_t decorated(struct world *world, const struct made_function *function)
{
	uint64_t inner = made_function(&world->calls, function);

	if (world->bare)
		return inner;
	return MADE_FUNCTION(&world->calls, "contextlib", "contextmanager.<locals>.helper",
			     .cells = {made_str(&world->made, "no function"), inner},
			     .locals = {"args", "kwds"});
}

/* A class with one method. */
static uint64_t class_with(struct world *world, const char *name, const char *method, uint64_t code)
{
	return made_class(&world->made, name, namespace_of(world, method, code), 0);
}

static uint64_t builtins(struct world *world)
{
	static const char *const names[] = {"False", "Exception"};

	world->no = made_int(&world->made, 0);
	world->exception = made_type(&world->made, "Exception", 0, 0, 0);
	return made_namespace(&world->made, names, (const uint64_t[]){world->no, world->exception},
			      2);
}

static uint64_t otel_api(struct world *world, uint64_t status)
{
	static const char *const members[] = {"UNSET", "OK", "ERROR"};
	static const char *const names[] = {"StatusCode", "Status", "use_span"};
	const uint64_t codes[] = {world->unset, world->ok, world->error};
	uint64_t map = made_namespace(&world->made, members, codes, 3);
	const uint64_t values[] = {class_with(world, "StatusCode", "_member_map_", map), status,
				   decorated(world, &world->use_span)};

	return made_namespace(&world->made, names, values, 3);
}

static uint64_t otel_sdk(struct world *world)
{
	static const char *const names[] = {"ReadableSpan", "Span"};
	const struct made_function init = {
		.module = "opentelemetry.sdk.trace",
		.qualname = "ReadableSpan.__init__",
		.defaults = {made_tuple(&world->made, NULL, 0), world->first},
		.locals = {"self", "name", "status"}};
	const uint64_t values[] = {
		class_with(world, "ReadableSpan", "__init__", made_function(&world->calls, &init)),
		class_with(world, "Span", "set_status", decorated(world, &world->set_status))};

	return made_namespace(&world->made, names, values, 2);
}

static void find(struct world *world)
{
	static const char *const attrs[] = {"_status_code", "_description"};
	uint64_t status = made_class(&world->made, "Status", 0, 0);
	struct cs_scope_modules modules = {.builtins = builtins(world)};

	world->unset = made_int(&world->made, 0);
	world->ok = made_int(&world->made, 1);
	world->error = made_int(&world->made, 2);
	world->first = made_instance_of(&world->made, status, attrs,
					(const uint64_t[]){world->unset, world->ok}, 2);
	modules.otel_api = otel_api(world, status);
	modules.otel_sdk = otel_sdk(world);
	modules.dd_span = namespace_of(
		world, "Span",
		class_with(world, "Span", "__exit__", made_function(&world->calls, &world->exit)));
	modules.dd_handlers =
		namespace_of(world, "_finish_span", made_function(&world->calls, &world->finish));
	world->row = (struct cs_tracers){0};
	cs_scopes_find(&world->made.ctx, &modules, &world->row);
}

#define EACH(world)                                                                     \
	for (int minor_ = MADE_FIRST_MINOR; minor_ <= MADE_LAST_MINOR; minor_++)        \
		for (struct world world, *once = (begin(&world, minor_), &world); once; \
		     made_end(&world.made), once = NULL)

static void found(void **state)
{
	EACH(world)
	{
		const struct cs_scope *otel = &world.row.scopes[CS_SCOPE_USE_SPAN];
		const struct cs_scope *dd;

		for (int bare = 0; bare < 2; bare++) {
			world.bare = bare;
			find(&world);
			assert_int_equal(world.row.false_, world.no);
			assert_int_equal(world.row.exception_type, world.exception);
			assert_int_equal(world.row.otel_unset, world.unset);
			assert_int_equal(world.row.otel_ok, world.ok);
			assert_int_equal(world.row.otel_error, world.error);
			assert_int_equal(world.row.otel_first_status, world.first);
			assert_int_equal(world.row.otel_rules,
					 CS_OTEL_OK_STAYS | CS_OTEL_EXCEPTIONS_ONLY);
			assert_int_not_equal(otel->code, 0);
			assert_int_equal(otel->subject, 0);
			assert_int_equal(otel->ends, 1);
			assert_int_equal(otel->sets, 3);
			dd = &world.row.scopes[CS_SCOPE_EXIT];
			assert_int_not_equal(dd->code, 0);
			assert_int_equal(dd->subject, 0);
			assert_int_equal(dd->exception, 2);
			dd = &world.row.scopes[CS_SCOPE_FINISH];
			assert_int_not_equal(dd->code, 0);
			assert_int_equal(dd->subject, 2);
			assert_int_equal(dd->exception, 4);
		}
	}
}

/* What releases differ in: 1.0 overrules OK, 1.31.0 takes what is no Exception for an error, too. */
static void releases(void **state)
{
	EACH(world)
	{
		world.set_status.names[1] = "_attributes";
		find(&world);
		assert_int_equal(world.row.otel_rules, CS_OTEL_EXCEPTIONS_ONLY);
		world.use_span.names[2] = "BaseException";
		find(&world);
		assert_int_equal(world.row.otel_rules, 0);
		assert_int_not_equal(world.row.scopes[CS_SCOPE_USE_SPAN].code, 0);
	}
}

/* Functions that are called so and are others. */
static void others(void **state)
{
	EACH(world)
	{
		world.use_span.locals[3] = "marks";
		world.exit.locals[2] = "value";
		find(&world);
		assert_int_equal(world.row.scopes[CS_SCOPE_USE_SPAN].code, 0);
		assert_int_equal(world.row.scopes[CS_SCOPE_EXIT].code, 0);
		assert_int_equal(world.row.otel_rules, CS_OTEL_OK_STAYS);
	}
	EACH(world)
	{
		world.use_span.names[3] = "close";
		world.exit.names[0] = "finish_with";
		world.finish.names[2] = "stop";
		find(&world);
		assert_int_equal(world.row.scopes[CS_SCOPE_USE_SPAN].code, 0);
		assert_int_equal(world.row.scopes[CS_SCOPE_EXIT].code, 0);
		assert_int_equal(world.row.scopes[CS_SCOPE_FINISH].code, 0);
	}
	EACH(world)
	{
		world.use_span.locals[1] = "ends";
		world.exit.locals[0] = "span";
		find(&world);
		assert_int_equal(world.row.scopes[CS_SCOPE_USE_SPAN].code, 0);
		assert_int_equal(world.row.scopes[CS_SCOPE_EXIT].code, 0);
	}
}

/* Nothing is imported, or only half of it. */
static void nothing(void **state)
{
	EACH(world)
	{
		struct cs_scope_modules modules = {.builtins = builtins(&world)};
		const struct cs_tracers none = {.false_ = world.no,
						.exception_type = world.exception};

		modules.otel_api = modules.otel_sdk = modules.dd_span = modules.dd_handlers =
			made_namespace(&world.made, NULL, NULL, 0);
		cs_scopes_find(&world.made.ctx, &modules, &world.row);
		assert_memory_equal(&world.row, &none, sizeof(none));
	}
}

int main(void)
{
	const struct CMUnitTest tests[] = {
		cmocka_unit_test(found),
		cmocka_unit_test(releases),
		cmocka_unit_test(others),
		cmocka_unit_test(nothing),
	};

	return cmocka_run_group_tests(tests, NULL, NULL);
}
