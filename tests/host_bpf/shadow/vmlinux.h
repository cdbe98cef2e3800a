/* SPDX-License-Identifier: Apache-2.0 */
/* The kernel's types where bpf/ is compiled for the host: the project's own header, as plain structs. */
#pragma once

#include <stddef.h>
#include <sys/cdefs.h>

#pragma GCC diagnostic push
#pragma GCC diagnostic ignored "-Wunknown-pragmas"
#include "../../../vmlinux/vmlinux.h"
#pragma GCC diagnostic pop
