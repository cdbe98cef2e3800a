/* SPDX-License-Identifier: Apache-2.0 */
/* Made-up interpreters and threads. */
#include "made_threads.h"

#include "core/cleanup.h"
#include "test.h"

#define MAX_ENTRIES  20
#define TSTATE_BYTES 1152 /* up to all that is asked for */
#define DICT_AT      16   /* where instances keep their dict, up to 3.10 */
#define MANAGED_DICT (1ull << 4)

/* An instance of a class without __slots__, that has been asked for its __dict__. */
static uint64_t made_instance(struct made *made, const char *class, uint64_t dict)
{
	const struct cs_py_offsets *off = &made->interp.info.off;
	const struct cs_py_traits *traits = &made->interp.info.traits;
	bool managed = traits->attrs_at != CS_ATTRS_DICT;
	uint64_t type =
		made_type(made, class, CS_PYTYPE_HEAP | (managed ? MANAGED_DICT : 0), 0, 32);
	uint64_t obj = made_object(made, type, 32);

	if (managed) {
		made_put(made, obj - (uint64_t)traits->managed_dict_before, 0, dict);
	} else {
		made_put(made, type, off->type_dictoffset, DICT_AT);
		made_put(made, obj, DICT_AT, dict);
	}
	return obj;
}

static uint64_t made_thread_object(struct made *made, const struct made_thread *thread)
{
	const uint64_t keys[] = {made_str(made, "_name"), made_str(made, "_native_id")};
	uint64_t none = made_object(made, made->type_none, 16);
	const uint64_t values[] = {
		thread->name ? made_str(made, thread->name) : none,
		thread->native ? made_int(made, (int64_t)thread->native) : none,
	};

	return made_instance(made, "Thread", made_dict_of(made, keys, values, 2));
}

/* The interpreter's sys.modules, with threading in it. */
static uint64_t made_modules(struct made *made, uint64_t active)
{
	const struct cs_py_offsets *off = &made->interp.info.off;
	const uint64_t keys[] = {made_str(made, "_active"), made_str(made, "threading")};
	uint64_t module = made_object(made, made_type(made, "module", 0, 0, 0), 64);

	made_put(made, module, off->module_dict, made_dict_of(made, keys, &active, 1));
	return made_dict_of(made, keys + 1, &module, 1);
}

uint64_t made_interpreter(struct made *made, struct made_thread *threads, size_t n, uint64_t next)
{
	const struct cs_py_offsets *off = &made->interp.info.off;
	const uint32_t fields[] = {off->interp_modules, off->interp_next, off->interp_threads_head};
	uint64_t keys[MAX_ENTRIES], values[MAX_ENTRIES], interpreter;
	uint32_t last = 0;

	assert_in_range(n, 0, MAX_ENTRIES);
	for (size_t i = 0; i < n; i++) {
		threads[i].object = made_thread_object(made, &threads[i]);
		keys[i] = made_int(made, (int64_t)threads[i].ident);
		values[i] = threads[i].object;
	}
	for (size_t i = 0; i < ARRAY_SIZE(fields); i++)
		last = fields[i] > last ? fields[i] : last;
	interpreter = made_bytes(made, last + 8);
	made_put(made, interpreter, off->interp_modules,
		 made_modules(made, made_dict_of(made, keys, values, n)));
	made_put(made, interpreter, off->interp_next, next);
	return interpreter;
}

void made_first(struct made *made, uint64_t interpreter)
{
	if (!made->interp.info.interpreters_head)
		made->interp.info.interpreters_head = made_bytes(made, 8);
	made_put(made, made->interp.info.interpreters_head, 0, interpreter);
}

uint64_t made_tstate(struct made *made, uint64_t interpreter, uint64_t thread_id)
{
	const struct cs_py_offsets *off = &made->interp.info.off;
	uint64_t tstate = made_bytes(made, TSTATE_BYTES), before;

	assert_int_equal(
		cs_mem_read_u64(made->ctx.mem, interpreter + off->interp_threads_head, &before), 0);
	made_put(made, tstate, off->tstate_next, before);
	made_put(made, tstate, off->tstate_thread_id, thread_id);
	made_put(made, interpreter, off->interp_threads_head, tstate);
	return tstate;
}

void made_rename(struct made *made, const struct made_thread *thread, const char *name)
{
	uint64_t slot;

	assert_int_equal(cs_pyobj_attr_slot(&made->ctx, thread->object, "_name", &slot), 0);
	made_put(made, slot, 0, made_str(made, name));
}
