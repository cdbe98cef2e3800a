/* SPDX-License-Identifier: Apache-2.0 */
/* Time for native code. */
#include "collect/native_pace.h"

#include <sys/param.h>

#include "collect/record.h"
#include "core/clock.h"

#define MS        1000000ull
/* CPU time before the clocks start, which is enough for some processes that were asked for but not for a machine's; ... */
#define FIRST_NS  (50 * MS)
/* ... and time to wait for their unwind tables, which is enough for one; ... */
#define TABLES_NS (200 * MS)
/* ... CPU time before the first visits; ... */
#define SOON_NS   (100 * MS)
/* ... and in each turn; ... */
#define TURN_NS   (4 * MS)
/* ... this part of a long one. */
#define TURN_PART 200

/* An eighth of the CPU time that loading took, if that is more: a slow machine needs longer for both. */
static uint64_t at_least(uint64_t least_ns)
{
	return MAX(least_ns, cs_clock_ns(CLOCK_PROCESS_CPUTIME_ID) / 8);
}

void cs_native_pace_start(struct cs_natives *natives)
{
	cs_natives_start(natives, cs_now_ns(), at_least(FIRST_NS), TABLES_NS);
}

void cs_native_pace_first(struct cs_natives *natives)
{
	cs_natives_turn(natives, cs_now_ns(), at_least(SOON_NS));
}

void cs_native_pace_turn(struct cs_natives *natives, uint64_t turn_ns)
{
	cs_natives_turn(natives, cs_now_ns(), MAX(TURN_NS, turn_ns / TURN_PART));
}
