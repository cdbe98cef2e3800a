/* SPDX-License-Identifier: Apache-2.0 */
/* Two functions that are inlined. The lines below are those of the calls. */
#include "unit/debuginfo/sample.h"

#define INLINED static inline __attribute__((always_inline))

__attribute__((noinline)) static int hand_back(sample_fn *back)
{
	back(__builtin_return_address(0));
	return 1;
}

enum { INNER_LINE = __LINE__ + 5, MIDDLE_LINE = __LINE__ + 10, OUTER_LINE = __LINE__ + 15 };
const int sample_lines[3] = {INNER_LINE, MIDDLE_LINE, OUTER_LINE};

INLINED int sample_inner(sample_fn *back)
{
	return hand_back(back) + 1;
}

INLINED int sample_middle(sample_fn *back)
{
	return sample_inner(back) + 1;
}

int sample_outer(sample_fn *back)
{
	return sample_middle(back) + 1;
}
