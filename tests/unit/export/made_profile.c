/* SPDX-License-Identifier: Apache-2.0 */
/* A small profile with one of everything. */
#include "unit/export/made_profile.h"

#include <setjmp.h>
#include <stdarg.h>
#include <stddef.h>
#include <stdint.h>

#include <cmocka.h>
#include <string.h>

#include "core/cleanup.h"

static uint32_t string(struct cs_profile *profile, const char *str)
{
	int64_t index = cs_profile_string(profile, str, strlen(str));

	assert_true(index >= 0);
	return (uint32_t)index;
}

uint32_t made_frame(struct cs_profile *profile, enum cs_frame_kind kind, const char *name,
		    const char *file, uint32_t line)
{
	struct cs_frame frame = {
		.name = string(profile, name),
		.file = string(profile, file),
		.line = line,
		.first_line = line / 10 * 10,
		.kind = kind,
		.address = kind == CS_FRAME_KERNEL || kind == CS_FRAME_NATIVE ? 0x1000 + line : 0,
	};
	int64_t index = cs_profile_frame(profile, &frame);

	assert_true(index >= 0);
	return (uint32_t)index;
}

struct cs_profile *made_empty(bool wall)
{
	struct cs_profile_meta *meta;
	struct cs_profile *profile;

	assert_int_equal(cs_profile_new(&profile), 0);
	meta = cs_profile_meta_mut(profile);
	meta->start_realtime_ns = 1700000000000000000;
	meta->duration_ns = 2000000000;
	meta->interval_ns = MADE_INTERVAL_NS;
	meta->wall = wall;
	return profile;
}

struct cs_profile *made_profile(bool wall)
{
	struct cs_profile *p = made_empty(wall);
	const uint32_t process = made_frame(p, CS_FRAME_PROCESS, "python3 app.py (42)", "", 0);
	const uint32_t main_thread = made_frame(p, CS_FRAME_THREAD, "thread main (42)", "", 0);
	const uint32_t worker = made_frame(p, CS_FRAME_THREAD, "thread worker (43)", "", 0);
	const uint32_t run = made_frame(p, CS_FRAME_PYTHON, "BaseEventLoop._run_once",
					"/usr/lib/python3.11/asyncio/base_events.py", 1922);
	const uint32_t task = made_frame(p, CS_FRAME_TASK, "<task fetch-1>", "", 0);
	const uint32_t fetch = made_frame(p, CS_FRAME_PYTHON, "fetch", "/srv/app.py", 17);
	const uint32_t fetch_later = made_frame(p, CS_FRAME_PYTHON, "fetch", "/srv/app.py", 19);
	const uint32_t kernel = made_frame(p, CS_FRAME_KERNEL, "do_sys_poll", "", 0);
	const uint32_t native = made_frame(p, CS_FRAME_NATIVE, "libz.so.1+0x20", "", 0);
	const uint32_t in_task[] = {process, main_thread, run, task, fetch, kernel};
	const uint32_t in_task_later[] = {process, main_thread, run, task, fetch_later};
	const uint32_t in_native[] = {process, worker, native};
	const uint64_t values[CS_VALUE_MAX_] = {3, 30000000, 50000000};
	struct cs_labels labels = {
		.process_id = 42,
		.thread_id = 42,
		.thread_name = string(p, "main"),
		.task_name = string(p, "fetch-1"),
		.task_id = 0xffff800012345678,
	};
	struct cs_labels worker_labels = {.process_id = 42, .thread_id = 43};

	assert_int_equal(cs_profile_add(p, in_task, ARRAY_SIZE(in_task), &labels, values), 0);
	assert_int_equal(
		cs_profile_add(p, in_task_later, ARRAY_SIZE(in_task_later), &labels, values), 0);
	assert_int_equal(
		cs_profile_add(p, in_native, ARRAY_SIZE(in_native), &worker_labels, values), 0);
	assert_int_equal(cs_profile_add(p, in_native, 2, &worker_labels, values), 0);
	cs_profile_meta_mut(p)->has_counters = true;
	cs_profile_meta_mut(p)->partial = true;
	cs_profile_meta_mut(p)->counters[CS_COUNTER_TICKS] = 12;
	cs_profile_meta_mut(p)->counters[CS_COUNTER_RING_FULL] = 2;
	assert_int_equal(cs_profile_note(p, "9 (python3): Python 3.9 is not supported yet"), 0);
	return p;
}

void made_native(struct cs_profile *profile)
{
	const struct cs_mapped mapped = {.start = 0x1000,
					 .end = 0x3000,
					 .offset = 0x200,
					 .path = string(profile, "/usr/lib/libx.so"),
					 .build_id = string(profile, "ab00cd")};
	const struct cs_labels labels = {.process_id = 60, .thread_id = 60};
	const uint64_t values[CS_VALUE_MAX_] = {1, 10000000, 10000000};
	int64_t mapping = cs_profile_mapping(profile, &mapped);
	struct cs_frame frame = {.name = string(profile, "known"),
				 .file = string(profile, "libx.so"),
				 .kind = CS_FRAME_NATIVE,
				 .address = 0x1010,
				 .mapping = (uint32_t)mapping + 1};
	int64_t known = cs_profile_frame(profile, &frame), unnamed;

	frame.name = string(profile, "libx.so+0x220");
	frame.file = 0;
	frame.address = 0x1020;
	frame.unnamed = true;
	unnamed = cs_profile_frame(profile, &frame);
	assert_true(mapping >= 0 && known >= 0 && unnamed >= 0);
	assert_int_equal(cs_profile_add(profile, (uint32_t[]){(uint32_t)known, (uint32_t)unnamed},
					2, &labels, values),
			 0);
}

void made_inlined(struct cs_profile *profile)
{
	const struct cs_labels labels = {.process_id = 60, .thread_id = 60};
	const uint64_t values[CS_VALUE_MAX_] = {1, 10000000, 10000000};
	static const char *const names[] = {"outer", "middle", "inner"};
	uint32_t stack[3];

	for (uint32_t i = 0; i < ARRAY_SIZE(names); i++) {
		struct cs_frame frame = {.name = string(profile, names[i]),
					 .file = string(profile, "/src/work.cc"),
					 .line = 30 - 10 * i,
					 .kind = i ? CS_FRAME_INLINED : CS_FRAME_NATIVE,
					 .address = 0x1010,
					 .inlined_into = i ? stack[i - 1] : 0};
		int64_t index = cs_profile_frame(profile, &frame);

		assert_true(index >= 0);
		stack[i] = (uint32_t)index;
	}
	assert_int_equal(cs_profile_add(profile, stack, ARRAY_SIZE(stack), &labels, values), 0);
}
