/* SPDX-License-Identifier: Apache-2.0 */
/* Each record kind there and back, cut off at every byte, and with every count and enum forged: those that are not of stacks and spans, and what frames them. */
#include <setjmp.h>
#include <stdarg.h>
#include <stddef.h>
#include <stdint.h>

#include <cmocka.h>
#include <errno.h>
#include <string.h>

#include "unit/decode/made_records.h"

static const struct cs_py_frame two_frames[] = {{0x1000, 24, 0}, {0x2000, -1, 3}};

/* What only the collector acts on may be in a capture: it is passed over. */
static void test_collectors_kinds(void **state)
{
	static const enum cs_ev_kind kinds[] = {CS_EV_CODE_SEEN, CS_EV_FORK, CS_EV_FILE,
						CS_EV_TYPE_MET, CS_EV_SPAN_LESSON};
	_cleanup_free_ void *bytes = NULL;
	struct cs_event event;
	RECORD(cs_ev_code_seen, wire, CS_EV_CODE_SEEN);

	wire->name_bytes = UINT16_MAX;
	for (size_t i = 0; i < ARRAY_SIZE(kinds); i++) {
		wire->hdr.kind = (uint16_t)kinds[i];
		check_good(&wire_buf);
		assert_int_equal(event.kind, 0);
	}
}

static void test_small_kinds(void **state)
{
	_cleanup_free_ void *bytes = NULL;
	struct cs_event event;
	RECORD(cs_ev_same, same, CS_EV_SAME);
	RECORD(cs_ev_hdr, exec, CS_EV_EXEC);
	RECORD(cs_ev_hdr, gone, CS_EV_EXIT);
	RECORD(cs_ev_end, end, CS_EV_END);

	same->weight_ns = 77;
	check_good(&same_buf);
	assert_int_equal(event.kind, CS_EV_SAME);
	assert_int_equal(event.same.weight_ns, 77);
	assert_int_equal(event.same.visits, 1);
	same->hdr.flags = 9;
	check_good(&same_buf);
	assert_int_equal(event.same.visits, 9);
	check_cuts(&same_buf);
	check_good(&exec_buf);
	assert_int_equal(event.kind, CS_EV_EXEC);
	check_cuts(&exec_buf);
	check_good(&gone_buf);
	assert_int_equal(event.kind, CS_EV_EXIT);
	end->reason = CS_END_SPOOL_FULL;
	check_good(&end_buf);
	assert_int_equal(event.end_reason, CS_END_SPOOL_FULL);
	check_cuts(&end_buf);
	end->reason = CS_END_SPOOL_FULL + 1;
	check_bad(&end_buf);
}

static void test_capture(void **state)
{
	_cleanup_free_ void *bytes = NULL;
	struct cs_event event;
	RECORD(cs_ev_capture, wire, CS_EV_CAPTURE);

	wire->realtime_ns = 1;
	wire->interval_ns = 2;
	wire->mode = CS_MODE_WALL;
	wire->ncpu = 4;
	wire->host_len = 4;
	wire->command_len = 7;
	add(&wire_buf, "hostcommand", 11);
	check_good(&wire_buf);
	assert_int_equal(event.capture.realtime_ns, 1);
	assert_int_equal(event.capture.interval_ns, 2);
	assert_int_equal(event.capture.mode, CS_MODE_WALL);
	assert_int_equal(event.capture.ncpu, 4);
	check_text(event.capture.host, "host");
	check_text(event.capture.command, "command");
	check_cuts(&wire_buf);
	wire->command_len = 13;
	check_bad(&wire_buf);
	wire->command_len = 7;
	wire->mode = CS_MODE_OFF_CPU + 1;
	check_bad(&wire_buf);
}

static void test_process(void **state)
{
	_cleanup_free_ void *bytes = NULL;
	struct cs_event event;
	RECORD(cs_ev_process, wire, CS_EV_PROCESS);

	wire->py_major = 3;
	wire->py_minor = 12;
	wire->py_micro = 1;
	wire->status = CS_STATUS_UNSUPPORTED;
	wire->comm_len = 2;
	wire->cmdline_len = 3;
	wire->note_len = 1;
	add(&wire_buf,
	    "\xff"
	    "c"
	    "a\xfe"
	    "b"
	    "\xfd",
	    6); /* each text repaired in a place of its own */
	check_good(&wire_buf);
	assert_int_equal(event.process.py_major, 3);
	assert_int_equal(event.process.py_minor, 12);
	assert_int_equal(event.process.py_micro, 1);
	assert_int_equal(event.process.status, CS_STATUS_UNSUPPORTED);
	check_text(event.process.comm, "\xef\xbf\xbd"
				       "c");
	check_text(event.process.cmdline, "a\xef\xbf\xbd"
					  "b");
	check_text(event.process.note, "\xef\xbf\xbd");
	check_cuts(&wire_buf);
	wire->note_len = UINT16_MAX;
	check_bad(&wire_buf);
	wire->note_len = 1;
	wire->status = 99;
	check_bad(&wire_buf);
}

static void test_code(void **state)
{
	_cleanup_free_ void *bytes = NULL;
	struct cs_event event;
	RECORD(cs_ev_code, wire, CS_EV_CODE);

	wire->code = 0x5000;
	wire->firstlineno = 17;
	wire->hdr.flags = CS_CODE_LOOP | 0x8000;
	wire->name_len = 3;
	wire->file_len = 4;
	wire->linetable_len = 2;
	add(&wire_buf, "runa.py\x80\x01", 9);
	check_good(&wire_buf);
	assert_int_equal(event.code.code, 0x5000);
	assert_int_equal(event.code.firstlineno, 17);
	assert_int_equal(event.code.flags, CS_CODE_LOOP);
	check_text(event.code.name, "run");
	check_text(event.code.file, "a.py");
	assert_int_equal(event.code.linetable_len, 2);
	assert_memory_equal(event.code.linetable, "\x80\x01", 2);
	check_cuts(&wire_buf);
	wire->linetable_len = UINT32_MAX;
	check_bad(&wire_buf);
	wire->linetable_len = 100;
	check_bad(&wire_buf);
	wire->linetable_len = 2;
	wire->linetable_kind = CS_LINETABLE_LINES;
	check_good(&wire_buf);
	assert_int_equal(event.code.linetable_kind, CS_LINETABLE_LINES);
	wire->linetable_kind = CS_LINETABLE_LINES + 1;
	check_bad(&wire_buf);
	wire->linetable_kind = 0;
	memset(cs_buf_extend(&wire_buf, 8192), 'x', 8192);
	wire = (struct cs_ev_code *)wire_buf.data;
	wire->name_len = CS_MAX_NAME + 1;
	check_bad(&wire_buf);
	wire->name_len = CS_MAX_NAME;
	wire->file_len = CS_MAX_PATH + 1;
	check_bad(&wire_buf);
	wire->file_len = CS_MAX_PATH;
	check_good(&wire_buf);
}

static void test_task(void **state)
{
	_cleanup_free_ void *bytes = NULL;
	struct cs_event event;
	RECORD(cs_ev_task, wire, CS_EV_TASK);

	wire->task = 1;
	wire->coro = 2;
	wire->waiter = 3;
	wire->loop = 4;
	wire->state = CS_TASK_WAITING;
	wire->hdr.flags = CS_TASKF_CHAIN_CUT | 0x100;
	wire->nframes = 2;
	wire->name_len = 6;
	wire->leaf_len = 6;
	add(&wire_buf, two_frames, sizeof(two_frames));
	add(&wire_buf, "Task-1Future", 12);
	check_good(&wire_buf);
	assert_int_equal(event.task.task, 1);
	assert_int_equal(event.task.coro, 2);
	assert_int_equal(event.task.waiter, 3);
	assert_int_equal(event.task.loop, 4);
	assert_int_equal(event.task.state, CS_TASK_WAITING);
	assert_int_equal(event.task.flags, CS_TASKF_CHAIN_CUT);
	assert_int_equal(event.task.nframes, 2);
	assert_memory_equal(event.task.frames, two_frames, sizeof(two_frames));
	check_text(event.task.name, "Task-1");
	check_text(event.task.leaf, "Future");
	check_cuts(&wire_buf);
	wire->state = 0;
	check_bad(&wire_buf);
	wire->state = CS_TASK_UNREADABLE + 1;
	check_bad(&wire_buf);
	wire->state = CS_TASK_DONE;
	wire->nframes = UINT32_MAX;
	check_bad(&wire_buf);
	wire->nframes = 0x10000001; /* times 16 is 16 in 32 bits */
	check_bad(&wire_buf);
	memset(cs_buf_extend(&wire_buf, 8192), 0, 8192);
	wire = (struct cs_ev_task *)wire_buf.data;
	wire->nframes = CS_MAX_CHAIN + 1;
	check_bad(&wire_buf);
	wire->nframes = CS_MAX_CHAIN;
	check_good(&wire_buf);
}

static void test_task_links(void **state)
{
	static const struct cs_task_link links[] = {
		{.waiter = 5, .how = CS_WAIT_GATHER},
		{.waiter = 6, .how = CS_WAIT_OTHER, .flags = CS_LINKF_PROBABLE},
	};
	static const uint8_t bad_hows[] = {0, CS_WAIT_OTHER + 1, UINT8_MAX};
	_cleanup_free_ void *bytes = NULL;
	struct cs_task_link *second;
	struct cs_event event;
	RECORD(cs_ev_task, wire, CS_EV_TASK);

	wire->state = CS_TASK_WAITING;
	wire->hdr.flags = CS_TASKF_WAITERS_CUT;
	wire->nframes = 2;
	wire->nlinks = 2;
	wire->name_len = 6;
	add(&wire_buf, two_frames, sizeof(two_frames));
	add(&wire_buf, links, sizeof(links));
	add(&wire_buf, "Task-1", 6);
	check_good(&wire_buf);
	assert_int_equal(event.task.flags, CS_TASKF_WAITERS_CUT);
	assert_int_equal(event.task.nlinks, 2);
	assert_memory_equal(event.task.links, links, sizeof(links));
	check_text(event.task.name, "Task-1");
	check_cuts(&wire_buf);
	second = (struct cs_task_link *)(wire_buf.data + sizeof(*wire) + sizeof(two_frames)) + 1;
	for (size_t i = 0; i < ARRAY_SIZE(bad_hows); i++) {
		second->how = bad_hows[i];
		check_bad(&wire_buf);
	}
	second->how = CS_WAIT_AWAIT;
	check_good(&wire_buf);
	wire->nlinks = UINT32_MAX;
	check_bad(&wire_buf);
	wire->nlinks = 0x10000001; /* times 16 is 16 in 32 bits */
	check_bad(&wire_buf);
	for (uint32_t i = 2; i < CS_MAX_LINKS + 1; i++)
		add(&wire_buf, links, sizeof(*links));
	wire->name_len = wire->nframes = 0;
	memset((char *)wire + sizeof(*wire), 1, (CS_MAX_LINKS + 1) * sizeof(*links));
	wire->nlinks = CS_MAX_LINKS;
	check_good(&wire_buf);
	assert_int_equal(event.task.nlinks, CS_MAX_LINKS);
	wire->nlinks = CS_MAX_LINKS + 1;
	check_bad(&wire_buf);
}

static void test_pass(void **state)
{
	const uint64_t tasks[] = {0x10, 0x20};
	_cleanup_free_ void *bytes = NULL;
	struct cs_event event;
	RECORD(cs_ev_pass, wire, CS_EV_PASS);

	wire->weight_ns = 9;
	wire->ntasks = 2;
	wire->ndropped = 5;
	wire->coherence = CS_COHERENT_PER_TASK;
	add(&wire_buf, tasks, sizeof(tasks));
	check_good(&wire_buf);
	assert_int_equal(event.pass.weight_ns, 9);
	assert_int_equal(event.pass.ndropped, 5);
	assert_int_equal(event.pass.coherence, CS_COHERENT_PER_TASK);
	assert_int_equal(event.pass.ntasks, 2);
	assert_int_equal(event.pass.every, 1); /* older captures say nothing */
	assert_memory_equal(event.pass.tasks, tasks, sizeof(tasks));
	check_cuts(&wire_buf);
	wire->every = CS_MAX_TASKS + 1;
	check_bad(&wire_buf);
	wire->every = 7;
	check_good(&wire_buf);
	assert_int_equal(event.pass.every, 7);
	wire->ntasks = 3;
	check_bad(&wire_buf);
	wire->ntasks = UINT32_MAX;
	check_bad(&wire_buf);
	wire->ntasks = 2;
	wire->coherence = 0;
	check_bad(&wire_buf);
	wire->coherence = CS_COHERENT_IN_TASK;
	check_good(&wire_buf);
	wire->coherence = CS_COHERENT_IN_TASK + 1;
	check_bad(&wire_buf);
	memset(cs_buf_extend(&wire_buf, (CS_MAX_TASKS + 1) * 8), 0, 8);
	wire = (struct cs_ev_pass *)wire_buf.data;
	wire->coherence = CS_COHERENT_QUIET;
	wire->ntasks = CS_MAX_TASKS;
	check_good(&wire_buf);
	wire->ntasks = CS_MAX_TASKS + 1;
	check_bad(&wire_buf);
}

static void test_mapping_and_ksym(void **state)
{
	_cleanup_free_ void *bytes = NULL;
	struct cs_event event;
	RECORD(cs_ev_mapping, mapping, CS_EV_MAPPING);
	RECORD(cs_ev_ksym, ksym, CS_EV_KSYM);

	mapping->start = 0x1000;
	mapping->end = 0x2000;
	mapping->offset = 0x3000;
	mapping->path_len = 5;
	add(&mapping_buf, "/a/b\xff", 5);
	check_good(&mapping_buf);
	assert_int_equal(event.mapping.start, 0x1000);
	assert_int_equal(event.mapping.end, 0x2000);
	assert_int_equal(event.mapping.offset, 0x3000);
	check_text(event.mapping.path, "/a/b\xef\xbf\xbd");
	check_cuts(&mapping_buf);
	assert_int_equal(event.mapping.build_id_len, 0);
	mapping->path_len = UINT32_MAX;
	check_bad(&mapping_buf);
	mapping->path_len = 5;
	mapping->end = 0x1000;
	check_bad(&mapping_buf);

	ksym->addr = 0xffffffff81000000;
	ksym->name_len = 8;
	add(&ksym_buf, "schedule", 8);
	check_good(&ksym_buf);
	assert_int_equal(event.ksym.addr, 0xffffffff81000000);
	check_text(event.ksym.name, "schedule");
	check_cuts(&ksym_buf);
	ksym->name_len = 9;
	check_bad(&ksym_buf);
}

static void test_thread(void **state)
{
	_cleanup_free_ void *bytes = NULL;
	struct cs_event event;
	RECORD(cs_ev_thread, wire, CS_EV_THREAD);

	wire->name_len = 7;
	add(&wire_buf, "loop-\xff-", 7);
	check_good(&wire_buf);
	check_text(event.thread_name, "loop-\xef\xbf\xbd-");
	check_cuts(&wire_buf);
	wire->name_len = UINT16_MAX;
	check_bad(&wire_buf);
}

static void add_fact(struct cs_buf *record, unsigned int fact, const char *text, size_t len)
{
	const struct cs_ev_fact head = {.fact = (__u16)fact, .len = (__u16)len};

	add(record, &head, sizeof(head));
	add(record, text, len);
}

static void test_whose(void **state)
{
	_cleanup_free_ void *bytes = NULL;
	struct cs_event event;
	RECORD(cs_ev_whose, wire, CS_EV_WHOSE);

	wire->nfacts = 5;
	add_fact(&wire_buf, CS_FACT_SERVICE, "shop\xff", 5);
	add_fact(&wire_buf, CS_FACT_SERVICE, "told twice", 10);
	add_fact(&wire_buf, 999, "not known", 9);
	add_fact(&wire_buf, 0, "none", 4);
	add_fact(&wire_buf, CS_FACT_CONTAINER, "c\n", 2);
	check_good(&wire_buf);
	check_text(event.whose.facts[CS_FACT_SERVICE], "shop\xef\xbf\xbd");
	check_text(event.whose.facts[CS_FACT_CONTAINER], "c\n");
	check_text(event.whose.facts[CS_FACT_POD], "");
	check_cuts(&wire_buf);
	wire->nfacts = 7; /* padding may pass for one */
	check_bad(&wire_buf);
}

static void test_whose_forged(void **state)
{
	_cleanup_free_ void *bytes = NULL;
	struct cs_event event;
	char text[CS_MAX_FACT_LIST + 1];
	RECORD(cs_ev_whose, wire, CS_EV_WHOSE);

	/* empty ones, each of which would want a place of its own */
	wire->nfacts = 500;
	for (int i = 0; i < 500; i++)
		add_fact(&wire_buf, CS_FACT_SERVICE, "", 0);
	check_good(&wire_buf);
	wire->nfacts = UINT32_MAX;
	check_bad(&wire_buf);
	wire_buf.len = sizeof(*wire);
	wire->nfacts = 1;
	memset(text, 'x', sizeof(text));
	add_fact(&wire_buf, CS_FACT_SERVICE, text, sizeof(text));
	check_bad(&wire_buf);
}

static void test_stats(void **state)
{
	uint64_t counters[CS_COUNTER_MAX_ + 2] = {3, 2, 1};
	_cleanup_free_ void *bytes = NULL;
	struct cs_event event;
	RECORD(cs_ev_stats, wire, CS_EV_STATS);

	wire->n = 3;
	add(&wire_buf, counters, 3 * sizeof(*counters));
	check_good(&wire_buf);
	assert_int_equal(event.stats.n, 3);
	assert_memory_equal(event.stats.counters, counters, 3 * sizeof(*counters));
	check_cuts(&wire_buf);
	wire->n = 4;
	check_bad(&wire_buf);
	wire->n = 0x20000000; /* times 8 is 0 in 32 bits */
	check_bad(&wire_buf);
	wire_buf.len = sizeof(*wire);
	add(&wire_buf, counters, sizeof(counters));
	wire = (struct cs_ev_stats *)wire_buf.data;
	wire->n = ARRAY_SIZE(counters);
	check_good(&wire_buf);
	assert_int_equal(event.stats.n, CS_COUNTER_MAX_);
}

static void test_header(void **state)
{
	_cleanup_free_ void *bytes = NULL;
	struct cs_event event;
	RECORD(cs_ev_hdr, wire, 9999);

	check_good(&wire_buf);
	assert_int_equal(event.kind, 0);
	wire->kind = 6; /* between the known ones */
	check_good(&wire_buf);
	assert_int_equal(event.kind, 0);
	wire->size = 16;
	assert_int_equal(cs_decode(decoder, wire, 24, &event), -EBADMSG);
	wire->size = 25;
	assert_int_equal(cs_decode(decoder, wire, 24, &event), -EBADMSG);
	wire->size = CS_MAX_RECORD + 8;
	assert_int_equal(cs_decode(decoder, wire, 24, &event), -EBADMSG);
	wire->size = CS_MAX_RECORD;
	assert_int_equal(cs_decode(decoder, wire, 24, &event), 0);
}

static void test_file_header(void **state)
{
	struct cs_raw_file_header header = {CS_RAW_MAGIC, CS_RAW_VERSION, sizeof(header)};

	assert_int_equal(cs_decode_file_header(&header, sizeof(header)), sizeof(header));
	assert_int_equal(cs_decode_file_header(&header, sizeof(header) - 1), -EBADMSG);
	assert_int_equal(cs_decode_file_header("", 0), -EBADMSG);
	header.header_size = 24;
	assert_int_equal(cs_decode_file_header(&header, sizeof(header)), -EBADMSG);
	header.version++;
	assert_int_equal(cs_decode_file_header(&header, sizeof(header)), -EPROTONOSUPPORT);
	header.magic++;
	assert_int_equal(cs_decode_file_header(&header, sizeof(header)), -EBADMSG);
}

int main(void)
{
	const struct CMUnitTest tests[] = {
		cmocka_unit_test(test_collectors_kinds),
		cmocka_unit_test(test_small_kinds),
		cmocka_unit_test(test_capture),
		cmocka_unit_test(test_process),
		cmocka_unit_test(test_code),
		cmocka_unit_test(test_task),
		cmocka_unit_test(test_task_links),
		cmocka_unit_test(test_pass),
		cmocka_unit_test(test_mapping_and_ksym),
		cmocka_unit_test(test_thread),
		cmocka_unit_test(test_whose),
		cmocka_unit_test(test_whose_forged),
		cmocka_unit_test(test_stats),
		cmocka_unit_test(test_header),
		cmocka_unit_test(test_file_header),
	};

	return cmocka_run_group_tests(tests, made_decoder_set_up, made_decoder_tear_down);
}
