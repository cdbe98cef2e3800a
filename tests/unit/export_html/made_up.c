/* SPDX-License-Identifier: Apache-2.0 */
/*
 * Profiles made up for the tests of the HTML page. Everything is fixed, so that a picture can be
 * compared.
 */
#include "unit/export_html/made_up.h"

#include <errno.h>
#include <stdio.h>
#include <string.h>

#include "core/cleanup.h"

#define MS        1000000ull
#define MAX_DEPTH 64

/*
 * Stacks of the service under their weight in milliseconds, one frame a word. Its first letter is
 * the kind: t thread, T task, p Python name|file:line, n native, k kernel, m mark; '~' stands for
 * a blank. Common parts are named.
 */
#define APP "/srv/shop/app/"
#define LIB "/usr/lib/python3.12/"
#define AIO LIB "asyncio/"
#define LOOP                                                                        \
	" t(MainThread) p<module>|" APP "__main__.py:12 prun|" AIO "runners.py:194" \
	" pRunner.run|" AIO "runners.py:118"                                        \
	" pBaseEventLoop.run_until_complete|" AIO "base_events.py:684"              \
	" pBaseEventLoop.run_forever|" AIO "base_events.py:639"                     \
	" pBaseEventLoop._run_once|" AIO "base_events.py:1985"
#define SERVER LOOP " T<task~Task-1> pmain|" APP "__main__.py:8 pServer.serve|" APP "server.py:71"
#define REQUEST(n)                                                                   \
	SERVER " T<task~request-" n "> phandle|" APP "handlers.py:33 pcheckout|" APP \
	       "handlers.py:58"
#define PRICES(n) REQUEST(n) " pprices|" APP "pricing.py:21"
#define FETCH(n, zone)                                                                \
	PRICES(n)                                                                     \
	" T<task~fetch-" zone "> pfetch|" APP "client.py:40 pHttpClient.request|" APP \
	"client.py:88 pStreamReader.readline|" AIO "streams.py:568"
#define SLEEP " psleep|" AIO "tasks.py:656"
#define POOL                                                                      \
	" t(asyncio_0) pThread._bootstrap|" LIB "threading.py:1032 p_worker|" LIB \
	"concurrent/futures/thread.py:92"

static const struct {
	uint32_t ms;
	const char *stack;
} service[] = {
	{5200, LOOP " pEpollSelector.select|" LIB
		    "selectors.py:468 nepoll_wait kdo_epoll_wait kschedule"},
	{340, LOOP " pHandle._run|" AIO "events.py:88"},
	{9400, SERVER " pServer.accept|" APP "server.py:102"},
	{3100, FETCH("17", "eu")},
	{2700, FETCH("17", "us")},
	{2300, FETCH("18", "eu")},
	{1900, PRICES("17") " T<task~fetch-asia> pfetch|" APP "client.py:41 pLimiter.acquire|" APP
			    "limits.py:19"
			    " T<task~refill> prefill|" APP "limits.py:44" SLEEP},
	{610, PRICES("17") " pmerge|" APP "pricing.py:64 nPyDict_Merge nmalloc kdo_page_fault"},
	{850, PRICES("18") " pmerge|" APP "pricing.py:64 pPrice.__lt__|" APP "pricing.py:12"},
	{420, PRICES("18") " pmerge|" APP "pricing.py:66 n_PyEval_EvalFrameDefault"},
	{1500, REQUEST("18") " psave|" APP "store.py:15 pPool.acquire|" APP "store.py:52"
			     " T<task~connect> pconnect|" APP "store.py:80 popen_connection|" AIO
			     "streams.py:48"},
	{700, REQUEST("19") " pjson_dumps|" APP "codec.py:9 nencoder_listencode_dict"},
	{1250, SERVER " T<task~metrics~(created)> ppush|" APP "metrics.py:30"},
	{1650,
	 LOOP " T<task~warm-up~(finished)> T<task~cache-fill> pfill|" APP "cache.py:27" SLEEP},
	{260, LOOP " T<task~Task-9> m[unreadable]"},
	{2400, POOL " prender_pdf|" APP "pdf.py:75 nFT_Load_Glyph"},
	{900, POOL " prender_pdf|" APP "pdf.py:81 pcompress|" APP "pdf.py:120 ndeflate"},
	{5800, POOL " pSimpleQueue.get|" LIB
		    "concurrent/futures/thread.py:81 nsem_wait kfutex_wait kschedule"},
	{380, POOL " m[truncated]"},
};

int64_t made_up_frame(struct cs_profile *profile, enum cs_frame_kind kind, const char *name,
		      const char *file, uint32_t line)
{
	int64_t name_index = cs_profile_string(profile, name, strlen(name));
	int64_t file_index = cs_profile_string(profile, file, strlen(file));

	if (name_index < 0 || file_index < 0)
		return -ENOMEM;
	return cs_profile_frame(profile, &(struct cs_frame){
						 .name = (uint32_t)name_index,
						 .file = (uint32_t)file_index,
						 .line = line,
						 .kind = kind,
					 });
}

static int64_t task_frame(struct cs_profile *profile, const char *text)
{
	int64_t name = cs_profile_string(profile, text, strlen(text));
	struct cs_frame frame = {.name = (uint32_t)name, .kind = CS_FRAME_TASK};

	if (strstr(text, " (created)"))
		frame.mark = CS_MARK_CREATED;
	else if (strstr(text, " (finished)"))
		frame.mark = CS_MARK_FINISHED;
	return name < 0 ? name : cs_profile_frame(profile, &frame);
}

/* One word of a service stack. */
static int64_t word_frame(struct cs_profile *profile, char *word)
{
	static const char kinds[] = "PtTpnkm"; /* by enum cs_frame_kind */
	char *file = strchr(word, '|'), *line = file ? strrchr(file, ':') : NULL;

	for (char *c = word; *c; c++) {
		if (*c == '~')
			*c = ' ';
	}
	if (file)
		*file++ = '\0';
	if (line)
		*line++ = '\0';
	if (*word == 'T')
		return task_frame(profile, word + 1);
	return made_up_frame(profile, (enum cs_frame_kind)(strchr(kinds, *word) - kinds), word + 1,
			     file ? file : "", line ? (uint32_t)atoi(line) : 0);
}

static int add_service_stack(struct cs_profile *profile, size_t i)
{
	uint64_t values[CS_VALUE_MAX_] = {service[i].ms / 10, 0, service[i].ms * MS};
	int64_t process = made_up_frame(profile, CS_FRAME_PROCESS, "shop (4711)", "", 0);
	_cleanup_free_ char *copy = strdup(service[i].stack);
	uint32_t frames[MAX_DEPTH] = {(uint32_t)process}, n = 1;
	char *rest = copy;

	if (process < 0 || !copy)
		return -ENOMEM;
	for (char *word; n < MAX_DEPTH && (word = strsep(&rest, " "));) {
		int64_t frame = *word ? word_frame(profile, word) : 0;

		if (frame < 0)
			return -ENOMEM;
		if (*word)
			frames[n++] = (uint32_t)frame;
	}
	return cs_profile_add(profile, frames, n, &(struct cs_labels){.process_id = 4711}, values);
}

static void set_service_meta(struct cs_profile_meta *meta)
{
	meta->start_realtime_ns = 1790000000ull * 1000 * MS;
	meta->duration_ns = 10000 * MS;
	meta->interval_ns = 10 * MS;
	meta->ncpu = 4;
	meta->wall = true;
	meta->has_counters = true;
	meta->counters[CS_COUNTER_TICKS] = 3988;
	meta->counters[CS_COUNTER_SAMPLES] = 812;
	meta->counters[CS_COUNTER_IDLE] = 2930;
	meta->counters[CS_COUNTER_OTHER] = 239;
	meta->counters[CS_COUNTER_RING_FULL] = 7;
	meta->counters[CS_COUNTER_MISSED] = 12;
	meta->counters[CS_COUNTER_PASSES] = 998;
	meta->counters[CS_COUNTER_PASSES_QUIET] = 961;
	meta->counters[CS_COUNTER_PASSES_PER_TASK] = 33;
	meta->counters[CS_COUNTER_PASSES_FAILED] = 4;
	meta->counters[CS_COUNTER_PASSES_MISSED] = 2;
	meta->counters[CS_COUNTER_TASKS] = 41822;
	meta->counters[CS_COUNTER_TASKS_DROPPED] = 18;
}

int made_up_service(struct cs_profile **ret)
{
	static const char host[] = "shop-prod-7",
			  command[] = "python3 -m shop --port 8080 --workers 1";
	_cleanup_(cs_profile_freep) struct cs_profile *profile = NULL;
	int err = cs_profile_new(&profile);

	for (size_t i = 0; !err && i < ARRAY_SIZE(service); i++)
		err = add_service_stack(profile, i);
	if (!err)
		err = cs_profile_set_text(profile, host, strlen(host), command, strlen(command));
	if (!err)
		err = cs_profile_note(
			profile,
			"12 (old-worker): Python 3.5 is not supported; its native frames are shown");
	if (err)
		return err;
	set_service_meta(cs_profile_meta_mut(profile));
	*ret = TAKE_PTR(profile);
	return 0;
}

int made_up_large(struct cs_profile **ret, uint32_t nnodes)
{
	static const char host[] = "build-3", command[] = "pytest -q";
	_cleanup_(cs_profile_freep) struct cs_profile *profile = NULL;
	uint32_t seed = 1, frames[30];
	int err = cs_profile_new(&profile);

	for (uint32_t made = 0; !err && made < nnodes; made += 13) {
		for (uint32_t depth = 0; depth < ARRAY_SIZE(frames); depth++) {
			char name[32], file[32];
			int64_t frame;

			seed = seed * 1664525u + 1013904223u;
			uint32_t pick = (seed >> 16) % (depth < 6 ? depth + 1 : 40);

			snprintf(name, sizeof(name), "function_%u_%u", depth, pick);
			snprintf(file, sizeof(file), "src/module_%u.py", pick % 7);
			frame = made_up_frame(profile,
					      depth % 9 == 8 ? CS_FRAME_NATIVE : CS_FRAME_PYTHON,
					      name, file, 10 * depth + pick);
			if (frame < 0)
				return -ENOMEM;
			frames[depth] = (uint32_t)frame;
		}
		err = cs_profile_add(profile, frames, 8 + (seed >> 24) % 23, &(struct cs_labels){0},
				     (uint64_t[CS_VALUE_MAX_]){1, 10 * MS, 0});
	}
	if (!err)
		err = cs_profile_set_text(profile, host, strlen(host), command, strlen(command));
	if (err)
		return err;
	cs_profile_meta_mut(profile)->partial = true;
	*ret = TAKE_PTR(profile);
	return 0;
}

/* Two suspended tasks of one coroutine: what a group of them is called is a text too. */
static int add_hostile_tasks(struct cs_profile *profile)
{
	static const char text[] = MADE_UP_HOSTILE;
	int64_t coro = made_up_frame(profile, CS_FRAME_PYTHON, text, text, 1);
	int64_t name = cs_profile_string(profile, text, strlen(text));
	const struct cs_seen seen = {.span = {0, 1}, .suspended = true, .waited_ns = 1};
	int err = coro < 0 || name < 0 ? -ENOMEM : 0;

	for (uint64_t task = 1; !err && task <= 2; task++) {
		int64_t index = cs_profile_frame(profile, &(struct cs_frame){
								  .name = (uint32_t)name,
								  .kind = CS_FRAME_TASK,
								  .task = task,
								  .coro = (uint32_t)coro + 1,
								  .site = (uint32_t)coro + 1,
							  });
		uint32_t stack[] = {(uint32_t)index, (uint32_t)coro};

		err = index < 0 ? -ENOMEM
				: cs_profile_add(profile, stack, 2, &(struct cs_labels){0},
						 (uint64_t[CS_VALUE_MAX_]){1, 1, 1});
		if (!err)
			err = cs_profile_see(profile, CS_TREE_AWAIT, cs_profile_last(profile),
					     &seen);
	}
	return err;
}

/* Of one that began and of one that only a sample tells of. */
static int add_hostile_spans(struct cs_profile *profile)
{
	static const char text[] = MADE_UP_HOSTILE;
	int64_t name = cs_profile_string(profile, text, strlen(text));
	uint32_t string = (uint32_t)name, frame = 0;
	const struct cs_labels labels = {.thread_name = string,
					 .task_name = string,
					 .trace_type = string,
					 .trace_id = string,
					 .trace_endpoint = string,
					 .span_id = 1,
					 .root_span_id = UINT64_MAX};
	/* each is the other's parent */
	const struct cs_traced traced[] = {
		{.trace_id = string,
		 .span_id = 2,
		 .parent_span_id = 3,
		 .name = string,
		 .resource = string,
		 .service = string,
		 .type = string,
		 .task_name = string,
		 .from_ns = UINT64_MAX,
		 .to_ns = 1,
		 .outcome = CS_OUTCOME_ERROR},
		{.trace_id = string, .span_id = 3, .parent_span_id = 2, .root_span_id = 3},
	};
	int err = name < 0 ? -ENOMEM : 0;

	for (size_t i = 0; !err && i < ARRAY_SIZE(traced); i++)
		err = cs_profile_add_traced(profile, &traced[i]);
	return err ? err
		   : cs_profile_add(profile, &frame, 1, &labels,
				    (uint64_t[CS_VALUE_MAX_]){1, 1, 1});
}

int made_up_hostile(struct cs_profile **ret)
{
	static const char text[] = MADE_UP_HOSTILE;
	_cleanup_(cs_profile_freep) struct cs_profile *profile = NULL;
	int err = cs_profile_new(&profile);

	for (int kind = CS_FRAME_PROCESS; !err && kind <= CS_FRAME_MARK; kind++) {
		int64_t index =
			made_up_frame(profile, (enum cs_frame_kind)kind, text, text, UINT32_MAX);
		uint32_t frame = (uint32_t)index;

		err = index < 0 ? -ENOMEM
				: cs_profile_add(profile, &frame, 1, &(struct cs_labels){0},
						 (uint64_t[CS_VALUE_MAX_]){1, 1, 1});
	}
	if (!err)
		err = add_hostile_tasks(profile);
	if (!err)
		err = add_hostile_spans(profile);
	if (!err)
		err = cs_profile_set_text(profile, text, strlen(text), text, strlen(text));
	if (!err)
		err = cs_profile_note(profile, text);
	if (err)
		return err;
	*ret = TAKE_PTR(profile);
	return 0;
}
