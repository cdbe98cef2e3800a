/* SPDX-License-Identifier: Apache-2.0 */
/* What a header promises, and the input has shown to be false: a crash for the fuzzer to keep. */
#pragma once

#include <stdlib.h>

#define CHECK(condition)          \
	do {                      \
		if (!(condition)) \
			abort();  \
	} while (0)
