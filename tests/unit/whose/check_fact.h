/* SPDX-License-Identifier: Apache-2.0 */
/* For the tests of what tells facts. */
#pragma once

#include "whose/facts.h"

/* expected NULL: nothing is told. */
#define assert_fact(facts, fact, expected)                                          \
	do {                                                                        \
		const char *told_ = (facts)->at[CS_FACT_##fact], *want_ = expected; \
		if (!want_)                                                         \
			assert_null(told_);                                         \
		else if (told_)                                                     \
			assert_string_equal(told_, want_);                          \
		else                                                                \
			fail_msg("no %s", #fact);                                   \
	} while (0)
