/* SPDX-License-Identifier: Apache-2.0 */
/* Made-up futures and callbacks. */
#include "made_calls.h"

#include "core/cleanup.h"
#include "test.h"

#define BLOCK_LEN   64 /* of a deque's block, behind and before which is a link to another */
#define BLOCK_BYTES (8 + 8 * BLOCK_LEN + 8)

static const struct cs_py_offsets *offsets(const struct made_calls *calls)
{
	return &calls->made->interp.info.off;
}

void made_calls_begin(struct made_calls *calls, struct made *made)
{
	/* such types of C modules are heap types by now */
	uint64_t of_module = made->interp.minor >= 12 ? CS_PYTYPE_HEAP : 0;

	*calls = (struct made_calls){.made = made};
	calls->type_cell = made_type(made, "cell", 0, 0, 0);
	calls->type_function = made_type(made, "function", 0, 0, 0);
	calls->type_method = made_type(made, "method", 0, 0, 0);
	calls->type_cfunction = made_type(made, "builtin_function_or_method", 0, 0, 0);
	calls->type_wakeup = made_type(made, "TaskWakeupMethWrapper", 0, 0, 0);
	/* what a method that is told its class is */
	calls->type_builtin_method = made->interp.minor >= 12 ? made_type(made, "builtin_method", 0,
									  calls->type_cfunction, 0)
							      : calls->type_cfunction;
	calls->type_partial = made_type(made, "functools.partial", of_module, 0, 0);
	calls->type_deque = made_type(made, "collections.deque", of_module, 0, 0);
}

uint64_t made_future_of(struct made_calls *calls, uint64_t type)
{
	return made_object(calls->made, type, offsets(calls)->task_size);
}

uint64_t made_future(struct made_calls *calls)
{
	return made_future_of(calls, calls->made->type_future);
}

static uint64_t word_at(struct made_calls *calls, uint64_t addr)
{
	uint64_t word;

	assert_int_equal(cs_mem_read_u64(calls->made->ctx.mem, addr, &word), 0);
	return word;
}

void made_done_callback(struct made_calls *calls, uint64_t future, uint64_t callback)
{
	const uint64_t pair[] = {callback, calls->made->type_none}, none[MADE_CALLBACKS] = {0};
	const struct cs_py_offsets *off = offsets(calls);
	uint64_t list, n;

	if (!word_at(calls, future + off->future_callback0)) {
		made_put(calls->made, future, off->future_callback0, callback);
		return;
	}
	list = word_at(calls, future + off->future_callbacks);
	if (!list) {
		list = made_list(calls->made, none, ARRAY_SIZE(none));
		made_put(calls->made, list, off->object_var_size, 0);
		made_put(calls->made, future, off->future_callbacks, list);
	}
	n = word_at(calls, list + off->object_var_size);
	assert_true(n < MADE_CALLBACKS);
	made_put(calls->made, word_at(calls, list + off->list_items), 8 * (uint32_t)n,
		 made_tuple(calls->made, pair, 2));
	made_put(calls->made, list, off->object_var_size, n + 1);
}

static uint64_t made_bound(struct made_calls *calls, uint64_t type, uint64_t self)
{
	uint64_t method = made_object(calls->made, type, 64);

	made_put(calls->made, method, offsets(calls)->cfunction_self, self);
	return method;
}

uint64_t made_builtin_method(struct made_calls *calls, uint64_t self)
{
	return made_bound(calls, calls->type_builtin_method, self);
}

uint64_t made_wakeup(struct made_calls *calls, uint64_t task)
{
	uint64_t wrapper;

	if (!offsets(calls)->wakeup_task)
		return made_bound(calls, calls->type_cfunction, task);
	wrapper = made_object(calls->made, calls->type_wakeup, 32);
	made_put(calls->made, wrapper, offsets(calls)->wakeup_task, task);
	return wrapper;
}

uint64_t made_waiter(struct made_calls *calls, uint64_t future)
{
	uint64_t task = made_future_of(calls, calls->made->type_task);

	made_put(calls->made, task, offsets(calls)->task_fut_waiter, future);
	made_done_callback(calls, future, made_wakeup(calls, task));
	return task;
}

static uint64_t made_closure(struct made_calls *calls, const uint64_t *values, size_t n)
{
	uint64_t cells[4];

	for (size_t i = 0; i < n; i++) {
		cells[i] = made_object(calls->made, calls->type_cell, 32);
		made_put(calls->made, cells[i], offsets(calls)->cell_value, values[i]);
	}
	return made_tuple(calls->made, cells, n);
}

uint64_t made_function(struct made_calls *calls, const struct made_function *function)
{
	uint64_t obj = made_object(calls->made, calls->type_function, 160);
	uint64_t code = made_object(calls->made, calls->made->type_code, 256);
	size_t ncells = 0, ndefaults = 0, nnames = 0, nlocals = 0;
	const struct cs_py_offsets *off = offsets(calls);
	uint64_t names[ARRAY_SIZE(function->names)];

	while (ncells < ARRAY_SIZE(function->cells) && function->cells[ncells])
		ncells++;
	while (ndefaults < ARRAY_SIZE(function->defaults) && function->defaults[ndefaults])
		ndefaults++;
	for (; nnames < ARRAY_SIZE(names) && function->names[nnames]; nnames++)
		names[nnames] = made_name(calls->made, function->names[nnames]);
	made_put(calls->made, code, off->code_names, made_tuple(calls->made, names, nnames));
	for (; nlocals < ARRAY_SIZE(names) && function->locals[nlocals]; nlocals++)
		names[nlocals] = made_name(calls->made, function->locals[nlocals]);
	made_put(calls->made, code, off->code_varnames, made_tuple(calls->made, names, nlocals));
	made_put(calls->made, obj, off->function_code, code);
	if (ncells)
		made_put(calls->made, obj, off->function_closure,
			 made_closure(calls, function->cells, ncells));
	if (ndefaults)
		made_put(calls->made, obj, off->function_defaults,
			 made_tuple(calls->made, function->defaults, ndefaults));
	made_put(calls->made, obj, off->function_module, made_str(calls->made, function->module));
	made_put(calls->made, obj, off->function_qualname,
		 made_str(calls->made, function->qualname));
	return obj;
}

uint64_t made_method(struct made_calls *calls, uint64_t function, uint64_t self)
{
	uint64_t method = made_object(calls->made, calls->type_method, 64);

	made_put(calls->made, method, offsets(calls)->method_function, function);
	made_put(calls->made, method, offsets(calls)->method_self, self);
	return method;
}

uint64_t made_partial(struct made_calls *calls, uint64_t function, const uint64_t *args, size_t n)
{
	uint64_t partial = made_object(calls->made, calls->type_partial, 64);
	uint32_t head = offsets(calls)->object_type + 8;

	made_put(calls->made, partial, head, function);
	made_put(calls->made, partial, head + 8, made_tuple(calls->made, args, n));
	return partial;
}

uint64_t made_deque(struct made_calls *calls, const uint64_t *items, size_t n, size_t first)
{
	uint32_t size_at = offsets(calls)->object_var_size;
	uint64_t deque = made_object(calls->made, calls->type_deque, 96);
	uint64_t block = made_bytes(calls->made, BLOCK_BYTES), next;

	made_put(calls->made, deque, size_at, n);
	made_put(calls->made, deque, size_at + 8, block);
	made_put(calls->made, deque, size_at + 24, first);
	for (size_t i = first; i < first + n; i++) {
		if (i > first && i % BLOCK_LEN == 0) {
			next = made_bytes(calls->made, BLOCK_BYTES);
			made_put(calls->made, block, BLOCK_BYTES - 8, next);
			block = next;
		}
		made_put(calls->made, block, 8 + 8 * (uint32_t)(i % BLOCK_LEN), items[i - first]);
	}
	made_put(calls->made, deque, size_at + 16, block);
	return deque;
}

uint64_t made_class_of(struct made_calls *calls, const char *name, const char *module)
{
	const uint64_t its_module = made_str(calls->made, module);
	uint64_t namespace =
		made_namespace(calls->made, (const char *const[]){"__module__"}, &its_module, 1);

	return made_class(calls->made, name, namespace, 0);
}

uint64_t made_concurrent_future(struct made_calls *calls, uint64_t callbacks)
{
	return made_instance_of(calls->made,
				made_class_of(calls, "Future", "concurrent.futures._base"),
				(const char *const[]){"_done_callbacks"}, &callbacks, 1);
}

uint64_t made_python_task(struct made_calls *calls, uint64_t class,
			  const struct made_python_task *task)
{
	const char *const names[] = {"_loop",        "_callbacks", "_name", "_fut_waiter",
				     "_must_cancel", "_coro",      "_state"};
	const uint64_t values[] = {
		task->loop, task->callbacks, task->name, task->waiter, made_str(calls->made, "no"),
		task->coro, task->state};

	return made_instance_of(calls->made, class, names, values, ARRAY_SIZE(names));
}
