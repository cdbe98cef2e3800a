/* SPDX-License-Identifier: Apache-2.0 OR GPL-2.0-only OR BSD-2-Clause */
/*
 * Why a stack ended, and where every due tick went. Ids are stored in raw captures: never renumber,
 * never reuse; append only. The sentence is what a user reads.
 */
#pragma once

/* X(name, id, sentence): how one walk of Python frames ended. */
#define CS_STATUS(X)                                                                         \
	X(COMPLETE, 0, "the stack is complete")                                              \
	X(NOT_PYTHON, 1, "not a Python process")                                             \
	X(TRUNCATED, 2, "deeper than the frame limit")                                       \
	X(UNREADABLE_FRAME, 3, "a Python frame could not be read")                           \
	X(UNREADABLE_TSTATE, 4, "the thread state could not be read")                        \
	X(NO_TSTATE, 5, "the thread has no Python thread state")                             \
	X(TORN, 6, "the thread ran while it was being read, or its stack was just changing") \
	X(UNSUPPORTED, 7, "this interpreter is not supported")                               \
	X(CUT, 8, "deeper than the frame limit: frames in the middle are left out")          \
	X(NOT_SEEN, 9, "the frames of the event loop that runs the task were not seen yet")  \
	X(NATIVE_NOT_YET, 16, "the process's code was not known yet")                        \
	X(NATIVE_NO_CODE, 17, "the caller is in no code that is known")                      \
	X(NATIVE_NO_RULE, 18, "there is no unwind information for the caller")               \
	X(NATIVE_UNREADABLE, 19, "the stack could not be read")

enum cs_status {
#define X(name, id, text) CS_STATUS_##name = id,
	CS_STATUS(X)
#undef X
};

/*
 * X(name, id, is it a loss, sentence): the accounts. CPU ticks: TICKS = SAMPLES + IDLE + OTHER + RING_FULL + NESTED,
 * counted in the kernel. The due ticks are those that fit into the time that the clock was on, on every CPU: due =
 * TICKS + IDLE_ASLEEP + MISSED, the last two settled in user space. Wall: WALL_THREADS = WALL_SAMPLES + WALL_SAME + WALL_RUNNING +
 * WALL_IDLE + WALL_TORN + WALL_RING_FULL. Passes over tasks: PASSES = PASSES_QUIET + PASSES_IN_TASK +
 * PASSES_PER_TASK + PASSES_FAILED, and the due ones are PASSES + PASSES_MISSED. Blocks: OFF_BLOCKS = OFF_SAMPLES + OFF_SHORT +
 * OFF_THINNED + OFF_NESTED + OFF_RING_FULL; those for which the table of threads has no room (OFF_FULL) are not among them.
 */
#define CS_COUNTER(X)                                                                              \
	X(TICKS, 0, 0, "CPU ticks seen")                                                           \
	X(SAMPLES, 1, 0, "CPU samples taken")                                                      \
	X(IDLE, 2, 0, "ticks of an idle CPU")                                                      \
	X(OTHER, 3, 0, "ticks of processes not asked for")                                         \
	X(RING_FULL, 4, 1, "CPU samples lost: ring buffer full")                                   \
	X(MISSED, 5, 1, "CPU ticks that never came: the timer was late")                           \
	X(NESTED, 6, 1, "CPU ticks lost: interrupted another tick")                                \
	X(WALL_THREADS, 7, 0, "sleeping-thread visits")                                            \
	X(WALL_SAMPLES, 8, 0, "sleeping threads read")                                             \
	X(WALL_SAME, 9, 0, "sleeping threads that had not moved")                                  \
	X(WALL_RUNNING, 10, 0, "visited threads that were on a CPU")                               \
	X(WALL_TORN, 11, 1, "sleeping threads lost: woke while being read")                        \
	X(WALL_RING_FULL, 12, 1, "sleeping threads lost: ring buffer full")                        \
	X(CREATES, 13, 0, "task creations seen")                                                   \
	X(CREATES_RING_FULL, 14, 1, "task creations lost: ring buffer full")                       \
	X(CREATES_NESTED, 15, 1, "task creations lost: interrupted another creation")              \
	X(PROC_EVENTS_RING_FULL, 16, 1, "process events lost: ring buffer full")                   \
	X(PASSES, 17, 0, "passes over suspended tasks")                                            \
	X(PASSES_QUIET, 18, 0, "passes with the loop asleep throughout")                           \
	X(PASSES_PER_TASK, 19, 0, "passes confirmed task by task")                                 \
	X(PASSES_FAILED, 20, 1, "passes given up: memory changed or could not be read")            \
	X(PASSES_MISSED, 21, 1, "passes missed: the previous one was late")                        \
	X(TASKS, 22, 0, "task readings")                                                           \
	X(TASKS_DROPPED, 23, 1, "task readings lost: changed or unreadable")                       \
	X(CODES_UNREADABLE, 24, 1, "code objects that could not be read")                          \
	X(SPOOL_FULL, 25, 1, "records lost: the capture file could not grow")                      \
	X(FRAMES_STALE, 26, 1,                                                                     \
	  "frames without a name: their code was gone or replaced before it could be read")        \
	X(IDLE_ASLEEP, 27, 0, "ticks of an idle CPU whose timer slept, by the kernel's idle time") \
	X(CODES_AT_SIGHT, 28, 0, "code objects named by the kernel when first met")                \
	X(CODES_RING_FULL, 29, 0, "code objects not named at first sight: ring buffer full")       \
	X(PROCS_FULL, 30, 1, "processes not followed: the table of processes is full")             \
	X(WALL_IDLE, 31, 0, "visited threads that slept and were not asked for")                   \
	X(WITHOUT_GIL, 32, 0, "samples left out: their thread did not hold the GIL")               \
	X(ORIGINS, 33, 0, "stacks of worker threads whose job a task was found to wait for")       \
	X(ORIGINS_UNKNOWN, 34, 0,                                                                  \
	  "stacks of worker threads whose job no task is known to wait for")                       \
	X(ORIGINS_RING_FULL, 35, 1,                                                                \
	  "links from a worker thread to its task lost: ring buffer full")                         \
	X(TASKS_UNREAD, 36, 0,                                                                     \
	  "tasks not read by a pass, for which others stand: there were too many")                 \
	X(NATIVE_STACKS, 37, 0, "native stacks down to their root")                                \
	X(NATIVE_INCOMPLETE, 38, 0, "native stacks that end before their root")                    \
	X(NATIVE_RING_FULL, 39, 1, "native stacks lost: ring buffer full")                         \
	X(PASSES_IN_TASK, 40, 0, "passes over a copy made at one instant in the loop's thread")    \
	X(INSTANTS, 41, 0, "such copies made")                                                     \
	X(INSTANTS_LATE, 42, 0, "such copies not made: the thread did not come by in time")        \
	X(INSTANTS_CUT, 43, 0,                                                                     \
	  "such copies not finished: the loop would have been held for too long")                  \
	X(INSTANTS_NS, 44, 0, "nanoseconds that loops were held by such copies")                   \
	X(SPANS, 45, 0, "stacks with the span that was active")                                    \
	X(SPANS_UNREADABLE, 46, 0,                                                                 \
	  "stacks whose active span could not be read, or is of a class that is not known")        \
	X(SPANS_RING_FULL, 47, 1, "active spans of stacks lost: ring buffer full")                 \
	X(OFF_BLOCKS, 48, 0, "times that threads left their CPU and came back")                    \
	X(OFF_SAMPLES, 49, 0, "of these shown")                                                    \
	X(OFF_SHORT, 50, 0, "of these shorter than asked for")                                     \
	X(OFF_THINNED, 51, 0, "of these left out at random, for which others stand")               \
	X(OFF_NESTED, 52, 1, "blocks lost: interrupted another one")                               \
	X(OFF_RING_FULL, 53, 1, "blocks lost: ring buffer full")                                   \
	X(OFF_FULL, 54, 1, "blocks lost: the table of threads is full")                            \
	X(OFF_OPEN, 55, 0, "threads that had not come back at the end")                            \
	X(OFF_NS, 56, 0, "nanoseconds that threads were off their CPU")                            \
	X(OFF_SHORT_NS, 57, 0, "of these in blocks shorter than asked for")                        \
	X(OFF_UNREAD, 58, 1, "threads that were blocked to the end: this kernel cannot read them") \
	X(WAKERS, 59, 0, "blocks with who ended them")                                             \
	X(WAKERS_RING_FULL, 60, 1, "who ended a block lost: ring buffer full")                     \
	X(NATIVE_REFUSED, 61, 0, "files whose unwind information is beyond a bound or the budget") \
	X(ACTIVATIONS, 62, 0, "times that a ContextVar was set, as the probe of spans saw")        \
	X(SPAN_CHANGES, 63, 0, "spans seen to begin, or to end")                                   \
	X(SPAN_CHANGES_RING_FULL, 64, 1, "spans that began or ended lost: ring buffer full")       \
	X(SPAN_CHANGES_NESTED, 65, 1, "activations of spans lost: interrupted another one")        \
	X(FRAMES_EARLY, 66, 1,                                                                     \
	  "frames without a name: their program had only just begun, and was not looked at yet")   \
	X(SPANS_PUBLISHED, 67, 0,                                                                  \
	  "stacks whose thread publishes its span itself, of which it was taken")                  \
	X(SPANS_DOUBTED, 68, 1,                                                                    \
	  "stacks whose thread publishes a span that may be another's: not taken")

enum cs_counter {
#define X(name, id, loss, text) CS_COUNTER_##name = id,
	CS_COUNTER(X)
#undef X
		CS_COUNTER_MAX_,
};
