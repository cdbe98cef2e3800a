/* SPDX-License-Identifier: Apache-2.0 */
/* Stands in for libbpf's header: made-up kernel objects are read directly. */
#pragma once

#define CORE_READ_1(obj, a)             (obj)->a
#define CORE_READ_2(obj, a, b)          (obj)->a->b
#define CORE_READ_3(obj, a, b, c)       (obj)->a->b->c
#define CORE_READ_PICK(a, b, c, n, ...) n
#define BPF_CORE_READ(obj, ...) \
	CORE_READ_PICK(__VA_ARGS__, CORE_READ_3, CORE_READ_2, CORE_READ_1)(obj, __VA_ARGS__)

/* The oldest kernel: no field or value came later. */
#define bpf_core_field_exists(field)            ((void)sizeof(field), 0)
#define bpf_core_enum_value_exists(type, value) 0
