/* SPDX-License-Identifier: Apache-2.0 OR GPL-2.0-only OR BSD-2-Clause */
/*
 * The one list of CPython facts that coroscope uses. It generates the struct that reaches the kernel,
 * the generator's questions (tools/gen_py_layouts.py parses this file), the dump and the validation.
 * A new interpreter version is a new row in userspace/python/layouts.inc, nothing else.
 */
#pragma once

#include <coroscope/types.h>

/*
 * X(name, struct, member): byte offsets. `struct` and `member` are what the generator asks the
 * interpreter's own headers (or debug information); "sizeof" as member asks for the size. Where the
 * spelling changed between versions the generator knows the alternatives.
 */
#define CS_PY_OFFSETS(X)                                                 \
	X(runtime_interpreters_head, _PyRuntimeState, interpreters.head) \
	X(runtime_gil, _PyRuntimeState, ceval.gil)                       \
	X(interp_next, PyInterpreterState, next)                         \
	X(interp_threads_head, PyInterpreterState, threads.head)         \
	X(interp_modules, PyInterpreterState, imports.modules)           \
	X(interp_gil, PyInterpreterState, ceval.gil)                     \
	X(interp_tasks_head, PyInterpreterState, asyncio_tasks_head)     \
	X(gil_last_holder, _gil_runtime_state, last_holder)              \
	X(gil_locked, _gil_runtime_state, locked)                        \
	X(tstate_next, PyThreadState, next)                              \
	X(tstate_interp, PyThreadState, interp)                          \
	X(tstate_thread_id, PyThreadState, thread_id)                    \
	X(tstate_native_thread_id, PyThreadState, native_thread_id)      \
	X(tstate_frame, PyThreadState, current_frame)                    \
	X(tstate_dict, PyThreadState, dict)                              \
	X(tstate_context, PyThreadState, context)                        \
	X(tstate_context_ver, PyThreadState, context_ver)                \
	X(tstate_exc_info, PyThreadState, exc_info)                      \
	X(tstate_id, PyThreadState, id)                                  \
	X(tstate_running_loop, _PyThreadStateImpl, asyncio_running_loop) \
	X(tstate_running_task, _PyThreadStateImpl, asyncio_running_task) \
	X(tstate_tasks_head, _PyThreadStateImpl, asyncio_tasks_head)     \
	X(exc_item_value, _PyErr_StackItem, exc_value)                   \
	X(cframe_current_frame, _PyCFrame, current_frame)                \
	X(frame_executable, _PyInterpreterFrame, f_executable)           \
	X(frame_globals, _PyInterpreterFrame, f_globals)                 \
	X(frame_previous, _PyInterpreterFrame, previous)                 \
	X(frame_instr_ptr, _PyInterpreterFrame, instr_ptr)               \
	X(frame_owner, _PyInterpreterFrame, owner)                       \
	X(frame_stacktop, _PyInterpreterFrame, stacktop)                 \
	X(frame_stackpointer, _PyInterpreterFrame, stackpointer)         \
	X(frame_localsplus, _PyInterpreterFrame, localsplus)             \
	X(frame_tlbc_index, _PyInterpreterFrame, tlbc_index)             \
	X(frame_gen, PyFrameObject, f_gen)                               \
	X(frame_state, PyFrameObject, f_state)                           \
	X(frame_valuestack, PyFrameObject, f_valuestack)                 \
	X(code_filename, PyCodeObject, co_filename)                      \
	X(code_name, PyCodeObject, co_name)                              \
	X(code_qualname, PyCodeObject, co_qualname)                      \
	X(code_linetable, PyCodeObject, co_linetable)                    \
	X(code_firstlineno, PyCodeObject, co_firstlineno)                \
	X(code_bytes, PyCodeObject, co_code)                             \
	X(code_instructions, PyCodeObject, co_code_adaptive)             \
	X(code_tlbc, PyCodeObject, co_tlbc)                              \
	X(code_names, PyCodeObject, co_names)                            \
	X(code_consts, PyCodeObject, co_consts)                          \
	X(code_varnames, PyCodeObject, co_varnames)                      \
	X(gen_frame, PyGenObject, gi_frame)                              \
	X(gen_exc_state, PyGenObject, gi_exc_state)                      \
	X(gen_running, PyGenObject, gi_running)                          \
	X(gen_iframe, PyGenObject, gi_iframe)                            \
	X(gen_frame_state, PyGenObject, gi_frame_state)                  \
	X(future_loop, TaskObj, task_loop)                               \
	X(future_callback0, TaskObj, task_callback0)                     \
	X(future_callbacks, TaskObj, task_callbacks)                     \
	X(task_fut_waiter, TaskObj, task_fut_waiter)                     \
	X(task_coro, TaskObj, task_coro)                                 \
	X(task_name, TaskObj, task_name)                                 \
	X(task_context, TaskObj, task_context)                           \
	X(task_node, TaskObj, task_node)                                 \
	X(task_size, TaskObj, sizeof)                                    \
	X(wakeup_task, TaskWakeupMethWrapper, ww_task)                   \
	X(loop_holder_loop, PyRunningLoopHolder, rl_loop)                \
	X(object_type, PyObject, ob_type)                                \
	X(object_var_size, PyVarObject, ob_size)                         \
	X(type_name, PyTypeObject, tp_name)                              \
	X(type_basicsize, PyTypeObject, tp_basicsize)                    \
	X(type_dictoffset, PyTypeObject, tp_dictoffset)                  \
	X(type_flags, PyTypeObject, tp_flags)                            \
	X(type_base, PyTypeObject, tp_base)                              \
	X(type_dict, PyTypeObject, tp_dict)                              \
	X(type_mro, PyTypeObject, tp_mro)                                \
	X(type_members, PyTypeObject, tp_members)                        \
	X(type_init, PyTypeObject, tp_init)                              \
	X(heaptype_cached_keys, PyHeapTypeObject, ht_cached_keys)        \
	X(unicode_length, PyASCIIObject, length)                         \
	X(unicode_hash, PyASCIIObject, hash)                             \
	X(unicode_state, PyASCIIObject, state)                           \
	X(unicode_ascii_data, PyASCIIObject, sizeof)                     \
	X(unicode_compact_data, PyCompactUnicodeObject, sizeof)          \
	X(bytes_data, PyBytesObject, ob_sval)                            \
	X(long_tag, PyLongObject, long_tag)                              \
	X(long_digits, PyLongObject, ob_digit)                           \
	X(dict_keys, PyDictObject, ma_keys)                              \
	X(dict_values, PyDictObject, ma_values)                          \
	X(keys_size, PyDictKeysObject, dk_size)                          \
	X(keys_log2_size, PyDictKeysObject, dk_log2_size)                \
	X(keys_log2_index_bytes, PyDictKeysObject, dk_log2_index_bytes)  \
	X(keys_kind, PyDictKeysObject, dk_kind)                          \
	X(keys_nentries, PyDictKeysObject, dk_nentries)                  \
	X(keys_indices, PyDictKeysObject, dk_indices)                    \
	X(set_mask, PySetObject, mask)                                   \
	X(set_table, PySetObject, table)                                 \
	X(weakref_object, PyWeakReference, wr_object)                    \
	X(cell_value, PyCellObject, ob_ref)                              \
	X(function_code, PyFunctionObject, func_code)                    \
	X(function_defaults, PyFunctionObject, func_defaults)            \
	X(function_closure, PyFunctionObject, func_closure)              \
	X(function_module, PyFunctionObject, func_module)                \
	X(function_qualname, PyFunctionObject, func_qualname)            \
	X(method_function, PyMethodObject, im_func)                      \
	X(method_self, PyMethodObject, im_self)                          \
	X(cfunction_self, PyCFunctionObject, m_self)                     \
	X(tuple_items, PyTupleObject, ob_item)                           \
	X(list_items, PyListObject, ob_item)                             \
	X(module_dict, PyModuleObject, md_dict)                          \
	X(context_vars, PyContext, ctx_vars)                             \
	X(contextvar_name, PyContextVar, var_name)                       \
	X(contextvar_hash, PyContextVar, var_hash)                       \
	X(contextvar_cached, PyContextVar, var_cached)                   \
	X(contextvar_cached_tsid, PyContextVar, var_cached_tsid)         \
	X(contextvar_cached_tsver, PyContextVar, var_cached_tsver)       \
	X(hamt_root, PyHamtObject, h_root)

/*
 * X(name): what differs between versions and is not an offset. Values, not version tests. An offset of 0 means "no such
 * field here"; only tstate_next, interp_next, exc_item_value, frame_executable, frame_previous and cframe_current_frame may truly be 0.
 *
 * states_keep_creator   1: the thread state of a subinterpreter keeps the thread id of the thread that created it, whoever runs
 *                       it (up to 3.12): of several states with one id the main interpreter's is the thread's
 * frame_via_cframe      1: tstate_frame leads to a _PyCFrame that holds the frame (3.11, 3.12)
 * frame_is_object       1: frames are PyFrameObjects on the heap (up to 3.10): frame_executable, _globals, _previous
 *                       and _instr_ptr are those of f_code, f_globals, f_back and f_lasti; frame_gen tells whether one
 *                       belongs to a generator; gen_frame leads from a generator to its frame
 * lasti_kind            what frame_instr_ptr holds: one of enum cs_py_lasti
 * executable_mask       bits of frame_executable, of frame_localsplus' slots and of the other tagged references of a frame
 *                       that are no part of the address (3.14: _PyStackRef)
 * owner_generator       _PyInterpreterFrame.owner of a frame embedded in a generator
 * owner_skip            owners from this one on are entry frames of C code, which are no Python frames; 255: none
 * gen_created           gi_frame_state (3.10: f_state) of a coroutine that has not started
 * gen_yield_from        the state that means "suspended in await or yield from"; 127: not told
 * gen_executing         the state while it runs
 * gen_ended             states from this one on: it has returned, raised, or been closed
 * awaited_slot          the awaited object lies so many words below the stack pointer
 * resume_opcode         opcode of RESUME: where gen_yield_from is not told, the next instruction is
 *                       RESUME with (oparg & 3) >= 2 after a suspended await or yield from; 0: none
 * yield_from_opcode     opcode of YIELD_FROM (up to 3.10): the next instruction during an await; 0: none
 * long_tag_shift        digits of a PyLong = tag >> shift (3.12+: 3); 0: tag is a signed ob_size
 * unicode_kind_shift    of PyASCIIObject.state: kind is 3 bits from here, then compact, then ascii
 * keys_by_size          1: a dict's keys tell dk_size, not its logarithms, and have no kind: all entries are
 *                       {hash, key, value} (up to 3.10)
 * managed_dict_before   bytes from an instance back to the word that holds its dict (or values), from 3.11 on
 * attrs_at              where a plain instance keeps its attributes: one of enum cs_py_attrs_at
 * code_has_version      1: no two code objects of a process have the same co_version, one of the fields that a check value is
 *                       made of (3.12+; code_check.h)
 * linetable_kind        encoding of co_linetable: one of enum cs_py_linetable
 */
#define CS_PY_TRAITS(X)        \
	X(states_keep_creator) \
	X(frame_via_cframe)    \
	X(frame_is_object)     \
	X(lasti_kind)          \
	X(executable_mask)     \
	X(owner_generator)     \
	X(owner_skip)          \
	X(gen_created)         \
	X(gen_yield_from)      \
	X(gen_executing)       \
	X(gen_ended)           \
	X(awaited_slot)        \
	X(resume_opcode)       \
	X(yield_from_opcode)   \
	X(long_tag_shift)      \
	X(unicode_kind_shift)  \
	X(keys_by_size)        \
	X(managed_dict_before) \
	X(attrs_at)            \
	X(code_has_version)    \
	X(linetable_kind)

enum cs_py_lasti {
	CS_LASTI_POINTER = 0, /* address of an instruction (3.11+) */
	CS_LASTI_BYTES = 1, /* int: bytes from the first instruction; -1: not started (3.8, 3.9) */
	CS_LASTI_UNITS = 2, /* int: two-byte units from the first instruction (3.10) */
};

enum cs_py_attrs_at {
	CS_ATTRS_VALUES_BEFORE =
		0, /* values pointer 32 bytes, dict pointer 24 bytes before (3.11) */
	CS_ATTRS_TAGGED_BEFORE =
		1,           /* one word 24 bytes before; bit 0 set: values = word + 1 (3.12) */
	CS_ATTRS_INLINE = 2, /* at tp_basicsize: 8-byte header (byte 3: valid), values (3.13+) */
	CS_ATTRS_DICT =
		3, /* a dict at tp_dictoffset, its values perhaps split from its keys (up to 3.10) */
};

enum cs_py_linetable {
	CS_LINETABLE_LOCATIONS = 0, /* the location table of 3.11 and later */
	CS_LINETABLE_LNOTAB = 1,    /* co_lnotab up to 3.9 */
	CS_LINETABLE_LINES = 2,     /* PEP 626's co_linetable of 3.10 */
};

struct cs_py_offsets {
#define X(name, strct, member) __u32 name;
	CS_PY_OFFSETS(X)
#undef X
};

struct cs_py_traits {
#define X(name) __s16 name;
	CS_PY_TRAITS(X)
#undef X
};
