/* SPDX-License-Identifier: Apache-2.0 */
/* Stands in for libbpf's header: a program is a function of its arguments. */
#pragma once

#define BPF_PROG(name, ...) name(__VA_ARGS__)
