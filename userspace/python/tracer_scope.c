/* SPDX-License-Identifier: Apache-2.0 */
/* Code objects tell the names that they use, so what a release does is asked from its own code. */
#include "python/tracer_scope.h"

#include <string.h>

#include "core/cleanup.h"

#define MAX_TUPLE  64
/* Locals of a function of interest, of which the kernel side reads as many. */
#define MAX_LOCALS 16
/* Free variables of a function of interest. */
#define MAX_CELLS  8
#define NOT_THERE  UINT16_MAX

/* A tuple's items. Returns how many there are: at most max. */
static unsigned int read_tuple(const struct cs_pyobj_ctx *ctx, uint64_t tuple, uint64_t *ret,
			       unsigned int max)
{
	const struct cs_py_offsets *off = &ctx->interp->info.off;
	uint64_t n;

	if (!tuple || cs_mem_read_u64(ctx->mem, tuple + off->object_var_size, &n) || n > max ||
	    cs_mem_read(ctx->mem, tuple + off->tuple_items, ret, n * sizeof(*ret)))
		return 0;
	return (unsigned int)n;
}

/* Which item of one of a code object's tuples of names is this one? NOT_THERE: none. */
static uint16_t index_of(const struct cs_pyobj_ctx *ctx, uint64_t code, uint32_t offset,
			 const char *name)
{
	uint64_t names[MAX_TUPLE], tuple;
	unsigned int n = 0;

	if (!cs_mem_read_u64(ctx->mem, code + offset, &tuple))
		n = read_tuple(ctx, tuple, names, MAX_TUPLE);
	for (unsigned int i = 0; i < n; i++) {
		if (cs_pyobj_str_equals(ctx, names[i], name))
			return (uint16_t)i;
	}
	return NOT_THERE;
}

static uint16_t local_of(const struct cs_pyobj_ctx *ctx, uint64_t code, const char *name)
{
	uint16_t found = index_of(ctx, code, ctx->interp->info.off.code_varnames, name);

	return found < MAX_LOCALS ? found : NOT_THERE;
}

static bool uses(const struct cs_pyobj_ctx *ctx, uint64_t code, const char *name)
{
	return index_of(ctx, code, ctx->interp->info.off.code_names, name) != NOT_THERE;
}

/* The code of a function that has a local of this name; 0: it has not, or is none. */
static uint64_t code_with(const struct cs_pyobj_ctx *ctx, uint64_t function, const char *local)
{
	uint64_t code;
	struct cs_pytype type;

	if (cs_pyobj_type(ctx, function, &type) || strcmp(type.name, "function") ||
	    cs_mem_read_u64(ctx->mem, function + ctx->interp->info.off.function_code, &code) ||
	    local_of(ctx, code, local) == NOT_THERE)
		return 0;
	return code;
}

/* Likewise of a function, or of the one that a decorator has wrapped: that is in one of its cells. */
static uint64_t own_code(const struct cs_pyobj_ctx *ctx, uint64_t function, const char *local)
{
	const struct cs_py_offsets *off = &ctx->interp->info.off;
	uint64_t code = code_with(ctx, function, local), cells[MAX_CELLS], closure, inner;
	struct cs_pytype type;
	unsigned int n = 0;

	if (code || cs_pyobj_type(ctx, function, &type) || strcmp(type.name, "function"))
		return code;
	if (!cs_mem_read_u64(ctx->mem, function + off->function_closure, &closure))
		n = read_tuple(ctx, closure, cells, MAX_CELLS);
	for (unsigned int i = 0; i < n && !code; i++) {
		if (!cs_mem_read_u64(ctx->mem, cells[i] + off->cell_value, &inner))
			code = code_with(ctx, inner, local);
	}
	return code;
}

/* The code of a class's method. */
static uint64_t method_code(const struct cs_pyobj_ctx *ctx, uint64_t module, const char *class,
			    const char *method, const char *local)
{
	uint64_t type, dict, function;

	if (!module || cs_pyobj_dict_get(ctx, module, class, &type) ||
	    cs_mem_read_u64(ctx->mem, type + ctx->interp->info.off.type_dict, &dict) ||
	    cs_pyobj_dict_get(ctx, dict, method, &function))
		return 0;
	return own_code(ctx, function, local);
}

/* Members of an enum are in a dict of its class. */
static uint64_t member(const struct cs_pyobj_ctx *ctx, uint64_t class, const char *name)
{
	uint64_t dict, members, found;

	if (cs_mem_read_u64(ctx->mem, class + ctx->interp->info.off.type_dict, &dict) ||
	    cs_pyobj_dict_get(ctx, dict, "_member_map_", &members) ||
	    cs_pyobj_dict_get(ctx, members, name, &found))
		return 0;
	return found;
}

/* The Status that spans have at first is a default of the class's __init__. Without it one is read like all others. */
static uint64_t first_status(const struct cs_pyobj_ctx *ctx, const struct cs_scope_modules *modules,
			     uint64_t unset)
{
	const struct cs_py_offsets *off = &ctx->interp->info.off;
	uint64_t type, status, dict, init, tuple, items[MAX_TUPLE], is, code;
	unsigned int n = 0;

	if (cs_pyobj_dict_get(ctx, modules->otel_api, "Status", &status) ||
	    cs_pyobj_dict_get(ctx, modules->otel_sdk, "ReadableSpan", &type) ||
	    cs_mem_read_u64(ctx->mem, type + off->type_dict, &dict) ||
	    cs_pyobj_dict_get(ctx, dict, "__init__", &init) || !code_with(ctx, init, "status"))
		return 0;
	if (!cs_mem_read_u64(ctx->mem, init + off->function_defaults, &tuple))
		n = read_tuple(ctx, tuple, items, MAX_TUPLE);
	for (unsigned int i = 0; i < n; i++) {
		if (!cs_pyobj_type_addr(ctx, items[i], &is) && is == status &&
		    !cs_pyobj_attr(ctx, items[i], "_status_code", &code) && code == unset)
			return items[i];
	}
	return 0;
}

static void find_statuses(const struct cs_pyobj_ctx *ctx, const struct cs_scope_modules *modules,
			  struct cs_tracers *row)
{
	uint64_t codes, set;

	if (cs_pyobj_dict_get(ctx, modules->otel_api, "StatusCode", &codes))
		return;
	row->otel_unset = member(ctx, codes, "UNSET");
	row->otel_ok = member(ctx, codes, "OK");
	row->otel_error = member(ctx, codes, "ERROR");
	row->otel_first_status = first_status(ctx, modules, row->otel_unset);
	set = method_code(ctx, modules->otel_sdk, "Span", "set_status", "status");
	if (set && uses(ctx, set, "OK"))
		row->otel_rules |= CS_OTEL_OK_STAYS;
}

static void find_use_span(const struct cs_pyobj_ctx *ctx, uint64_t module, struct cs_scope *ret,
			  __u64 *rules)
{
	struct cs_scope scope = {0};
	uint64_t function;

	if (cs_pyobj_dict_get(ctx, module, "use_span", &function))
		return;
	scope.code = own_code(ctx, function, "end_on_exit");
	if (!scope.code)
		return;
	scope.subject = local_of(ctx, scope.code, "span");
	scope.ends = local_of(ctx, scope.code, "end_on_exit");
	scope.sets = local_of(ctx, scope.code, "set_status_on_exception");
	if (scope.subject == NOT_THERE || scope.sets == NOT_THERE ||
	    !uses(ctx, scope.code, "detach") || !uses(ctx, scope.code, "set_status"))
		return;
	*ret = scope;
	if (uses(ctx, scope.code, "Exception") && !uses(ctx, scope.code, "BaseException"))
		*rules |= CS_OTEL_EXCEPTIONS_ONLY;
}

/* A function that tells a span of an exception, if there was one, and ends it. */
static void take_end(const struct cs_pyobj_ctx *ctx, uint64_t code, const char *span,
		     const char *exception, struct cs_scope *ret)
{
	struct cs_scope scope = {.code = code};

	if (!code)
		return;
	scope.subject = local_of(ctx, code, span);
	scope.exception = local_of(ctx, code, exception);
	if (scope.subject != NOT_THERE && uses(ctx, code, "set_exc_info") &&
	    uses(ctx, code, "finish"))
		*ret = scope;
}

static void find_ends(const struct cs_pyobj_ctx *ctx, const struct cs_scope_modules *modules,
		      struct cs_scope *ret)
{
	uint64_t function;

	take_end(ctx, method_code(ctx, modules->dd_span, "Span", "__exit__", "exc_val"), "self",
		 "exc_val", &ret[CS_SCOPE_EXIT]);
	if (modules->dd_handlers &&
	    !cs_pyobj_dict_get(ctx, modules->dd_handlers, "_finish_span", &function))
		take_end(ctx, code_with(ctx, function, "exc_value"), "span", "exc_value",
			 &ret[CS_SCOPE_FINISH]);
}

void cs_scopes_find(const struct cs_pyobj_ctx *ctx, const struct cs_scope_modules *modules,
		    struct cs_tracers *row)
{
	uint64_t found;

	if (cs_pyobj_dict_get(ctx, modules->builtins, "False", &found))
		return;
	row->false_ = found;
	if (cs_pyobj_dict_get(ctx, modules->builtins, "Exception", &found))
		return;
	row->exception_type = found;
	if (modules->otel_api && modules->otel_sdk) {
		find_statuses(ctx, modules, row);
		find_use_span(ctx, modules->otel_api, &row->scopes[CS_SCOPE_USE_SPAN],
			      &row->otel_rules);
	}
	if (modules->dd_span)
		find_ends(ctx, modules, row->scopes);
}
