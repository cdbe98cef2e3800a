/* SPDX-License-Identifier: Apache-2.0 */
/* Capabilities of linux/capability.h from 5.8 and 5.9 on; the build machine's headers may be older than the kernel it runs on. */
#pragma once

#include <linux/capability.h>

#ifndef CAP_PERFMON
#define CAP_PERFMON 38
#endif
#ifndef CAP_BPF
#define CAP_BPF 39
#endif
