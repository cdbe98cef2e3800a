/* SPDX-License-Identifier: Apache-2.0 */
/* Stands in for the kernel's types where bpf/ is compiled for the host: only map types and flags are used. */
#pragma once

#include <linux/bpf.h>
#include <stddef.h>
#include <sys/cdefs.h>
