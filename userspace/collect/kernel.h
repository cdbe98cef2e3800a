/* SPDX-License-Identifier: Apache-2.0 */
/*
 * What only some of the supported kernels can do. The kernel itself is asked: distributions bring features to older version numbers.
 * Without privilege only the first answers.
 */
#pragma once

#include <stdbool.h>

/* Can the task iterator read other processes' memory (5.18)? Without it user space reads sleeping threads. */
bool cs_kernel_walks_threads(void);

/*
 * May programs that interrupt others use tables that grow row by row (6.1)? Else these must be allocated whole. Also false if this process
 * may not load programs.
 */
bool cs_kernel_grows_tables(void);
