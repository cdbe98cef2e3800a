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
	X(interp_next, PyInterpreterState, next)                         \
	X(interp_threads_head, PyInterpreterState, threads.head)         \
	X(interp_modules, PyInterpreterState, imports.modules)           \
	X(tstate_next, PyThreadState, next)                              \
	X(tstate_thread_id, PyThreadState, thread_id)                    \
	X(tstate_native_thread_id, PyThreadState, native_thread_id)      \
	X(tstate_frame, PyThreadState, current_frame)                    \
	X(cframe_current_frame, _PyCFrame, current_frame)                \
	X(frame_executable, _PyInterpreterFrame, f_executable)           \
	X(frame_globals, _PyInterpreterFrame, f_globals)                 \
	X(frame_previous, _PyInterpreterFrame, previous)                 \
	X(frame_instr_ptr, _PyInterpreterFrame, instr_ptr)               \
	X(frame_owner, _PyInterpreterFrame, owner)                       \
	X(frame_stacktop, _PyInterpreterFrame, stacktop)                 \
	X(frame_localsplus, _PyInterpreterFrame, localsplus)             \
	X(code_filename, PyCodeObject, co_filename)                      \
	X(code_name, PyCodeObject, co_name)                              \
	X(code_qualname, PyCodeObject, co_qualname)                      \
	X(code_linetable, PyCodeObject, co_linetable)                    \
	X(code_firstlineno, PyCodeObject, co_firstlineno)                \
	X(code_instructions, PyCodeObject, co_code_adaptive)             \
	X(gen_iframe, PyGenObject, gi_iframe)                            \
	X(gen_frame_state, PyGenObject, gi_frame_state)                  \
	X(future_loop, TaskObj, task_loop)                               \
	X(task_fut_waiter, TaskObj, task_fut_waiter)                     \
	X(task_coro, TaskObj, task_coro)                                 \
	X(task_name, TaskObj, task_name)                                 \
	X(task_size, TaskObj, sizeof)                                    \
	X(object_type, PyObject, ob_type)                                \
	X(object_var_size, PyVarObject, ob_size)                         \
	X(type_name, PyTypeObject, tp_name)                              \
	X(type_basicsize, PyTypeObject, tp_basicsize)                    \
	X(type_flags, PyTypeObject, tp_flags)                            \
	X(type_base, PyTypeObject, tp_base)                              \
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
	X(keys_log2_size, PyDictKeysObject, dk_log2_size)                \
	X(keys_log2_index_bytes, PyDictKeysObject, dk_log2_index_bytes)  \
	X(keys_kind, PyDictKeysObject, dk_kind)                          \
	X(keys_nentries, PyDictKeysObject, dk_nentries)                  \
	X(keys_indices, PyDictKeysObject, dk_indices)                    \
	X(set_mask, PySetObject, mask)                                   \
	X(set_table, PySetObject, table)                                 \
	X(weakref_object, PyWeakReference, wr_object)                    \
	X(module_dict, PyModuleObject, md_dict)

/*
 * X(name): what differs between versions and is not an offset. Values, not version tests.
 *
 * frame_via_cframe      1: tstate_frame leads to a _PyCFrame that holds the frame (3.11, 3.12)
 * owner_generator       _PyInterpreterFrame.owner of a frame embedded in a generator
 * owner_skip            owner of a C-stack entry frame, which is no Python frame; 255: none
 * gen_created           gi_frame_state of a coroutine that has not started
 * gen_yield_from        gi_frame_state that means "suspended in await or yield from"; 127: not told
 * resume_opcode         opcode of RESUME: where gen_yield_from is not told, the next instruction is
 *                       RESUME with (oparg & 3) >= 2 after a suspended await or yield from
 * long_tag_shift        digits of a PyLong = tag >> shift (3.12+: 3); 0: tag is a signed ob_size
 * attrs_at              where a plain instance keeps its attributes: one of enum cs_py_attrs_at
 * linetable_kind        encoding of co_linetable: one of enum cs_py_linetable
 */
#define CS_PY_TRAITS(X)     \
	X(frame_via_cframe) \
	X(owner_generator)  \
	X(owner_skip)       \
	X(gen_created)      \
	X(gen_yield_from)   \
	X(resume_opcode)    \
	X(long_tag_shift)   \
	X(attrs_at)         \
	X(linetable_kind)

enum cs_py_attrs_at {
	CS_ATTRS_VALUES_BEFORE =
		0, /* values pointer 32 bytes, dict pointer 24 bytes before (3.11) */
	CS_ATTRS_TAGGED_BEFORE =
		1,           /* one word 24 bytes before; bit 0 set: values = word + 1 (3.12) */
	CS_ATTRS_INLINE = 2, /* at tp_basicsize: 8-byte header (byte 3: valid), values (3.13) */
};

enum cs_py_linetable {
	CS_LINETABLE_LOCATIONS = 0, /* the location table of 3.11 and later */
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
