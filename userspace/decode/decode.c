/* SPDX-License-Identifier: Apache-2.0 */
/*
 * Raw bytes to checked events. One function per record kind fills its part of struct cs_event from
 * a fixed part, whose size the table at the end guarantees, and a tail that is consumed only
 * through cs_tail_take(), which is where every length meets the end of the record. Bytes left over in a
 * tail are ignored: the ring may pad. An enum value that is not in include/coroscope/ makes a
 * record malformed; unknown flag bits are dropped. What only the collector acts on (CS_EV_CODE_SEEN, CS_EV_FORK, CS_EV_FILE,
 * CS_EV_TYPE_MET) is passed over like a kind that is not known.
 */
#include "decode/decode.h"

#include <errno.h>
#include <stdlib.h>
#include <string.h>
#include <sys/param.h>

#include "core/buf.h"
#include "core/cleanup.h"
#include "decode/tail.h"
#include "decode/utf8.h"

int cs_decoder_new(struct cs_decoder **ret)
{
	struct cs_decoder *decoder = calloc(1, sizeof(*decoder));

	if (!decoder)
		return -ENOMEM;
	*ret = decoder;
	return 0;
}

void cs_decoder_free(struct cs_decoder *decoder)
{
	size_t i;

	if (!decoder)
		return;
	for (i = 0; i < CS_TAIL_TEXTS; i++)
		cs_buf_free(&decoder->text[i]);
	free(decoder);
}

static bool status_known(unsigned int status)
{
	switch (status) {
#define X(name, id, text) case CS_STATUS_##name:
		CS_STATUS(X)
#undef X
		return true;
	}
	return false;
}

static int running_name(struct cs_decoder *decoder, const struct cs_running_task *wire,
			struct cs_text *ret)
{
	struct cs_buf *out = cs_tail_scratch(decoder);
	unsigned long long number;
	int err;

	*ret = (struct cs_text){"", 0};
	if (wire->name_kind == CS_NAME_NONE)
		return 0;
	if (wire->name_bytes > sizeof(wire->name))
		return -EBADMSG;
	switch (wire->name_kind) {
	case CS_NAME_NUMBER:
		if (wire->name_bytes != sizeof(number))
			return -EBADMSG;
		memcpy(&number, wire->name, sizeof(number));
		err = cs_buf_printf(out, "Task-%llu", number);
		break;
	case CS_NAME_LATIN1:
	case CS_NAME_UCS2:
	case CS_NAME_UCS4:
		if (wire->name_bytes % wire->name_kind)
			return -EBADMSG;
		err = cs_tail_unicode(out, wire->name, wire->name_bytes, wire->name_kind);
		if (!err && wire->name_cut)
			err = cs_buf_append_str(out, "...");
		break;
	default:
		return -EBADMSG;
	}
	if (!err && out->len)
		*ret = (struct cs_text){out->data, out->len};
	return err;
}

static int decode_running(struct cs_tail *rec, const struct cs_running_task *wire,
			  struct cs_event_running *ret)
{
	ret->task = wire->task;
	ret->coro = wire->coro;
	ret->root_frame = wire->root_frame;
	ret->name_cut = wire->name_cut;
	return running_name(rec->decoder, wire, &ret->name);
}

/* What the flags say. Returns 0 or -EBADMSG. */
static int decode_stack_flags(const struct cs_ev_stack *wire, struct cs_event_stack *stack)
{
	unsigned int flags = wire->hdr.flags,
		     reason = flags >> CS_STACK_REASON_SHIFT & CS_STACK_REASON_MASK;

	stack->origin = flags & 0xff;
	if (stack->origin > CS_ORIGIN_OFF_CPU || reason >= CS_WAIT_REASON_MAX_)
		return -EBADMSG;
	if (stack->origin != CS_ORIGIN_OFF_CPU)
		return flags > 0xff ? -EBADMSG : 0;
	stack->reason = reason;
	stack->blocked_ns = wire->blocked_ns;
	stack->before = flags & CS_STACKF_BEFORE;
	stack->still = flags & CS_STACKF_STILL;
	return 0;
}

static int decode_stack(struct cs_tail *rec, struct cs_event *ret)
{
	const struct cs_ev_stack *wire = rec->fixed;
	const struct cs_running_task *running = &wire->running;
	struct cs_event_stack *stack = &ret->stack;
	int err;

	if (wire->nframes > CS_MAX_PY_FRAMES || wire->nkernel > CS_MAX_KERNEL_FRAMES ||
	    !status_known(wire->status) || decode_stack_flags(wire, stack) ||
	    wire->gil > CS_GIL_NOT_HELD || (wire->nskipped && wire->nframes <= CS_LEAF_FRAMES))
		return -EBADMSG;
	stack->weight_ns = wire->weight_ns;
	stack->tstate = wire->tstate;
	if (wire->hdr.kind == CS_EV_TASK_CREATED) {
		stack->subject = wire->subject;
		stack->step = wire->creator;
	} else {
		stack->user_ip = wire->user_ip;
		if (stack->origin != CS_ORIGIN_OFF_CPU)
			stack->step = wire->step;
	}
	stack->status = wire->status;
	stack->gil = wire->gil;
	stack->nskipped = wire->nskipped;
	stack->nframes = wire->nframes;
	stack->nkernel = wire->nkernel;
	stack->frames = cs_tail_take(rec, wire->nframes, sizeof(*stack->frames));
	stack->kernel = cs_tail_take(rec, wire->nkernel, sizeof(*stack->kernel));
	if (!stack->frames || !stack->kernel)
		return -EBADMSG;
	err = cs_utf8_repair(wire->comm, strnlen(wire->comm, sizeof(wire->comm)),
			     cs_tail_scratch(rec->decoder), &stack->comm);
	/* A task whose root is not among the frames (they were cut) has no place in this stack. */
	if (err || !running->task || running->root_frame >= wire->nframes)
		return err;
	return decode_running(rec, running, &stack->running);
}

static int decode_origin(struct cs_tail *rec, struct cs_event *ret)
{
	const struct cs_ev_origin *wire = rec->fixed;

	return wire->waiter.task ? decode_running(rec, &wire->waiter, &ret->origin) : -EBADMSG;
}

static int take_span(struct cs_tail *rec, const struct cs_active_span *wire,
		     struct cs_event_span *ret)
{
	const unsigned int flags = CS_SPANF_ROOT | CS_SPANF_ROOT_DERIVED | CS_SPANF_PROPAGATED |
				   CS_SPANF_ENDED | CS_SPANF_TYPE_CUT | CS_SPANF_TYPE_UNREADABLE |
				   CS_SPANF_PUBLISHED;

	if (!wire->span_id || wire->kind < CS_TRACER_DDTRACE || wire->kind > CS_TRACER_OTHER ||
	    wire->type_bytes > sizeof(wire->type))
		return -EBADMSG;
	*ret = (struct cs_event_span){
		.span_id = wire->span_id,
		.root_id = wire->root_id,
		.parent_id = wire->parent_id,
		.trace_hi = wire->trace_hi,
		.trace_lo = wire->trace_lo,
		.kind = wire->kind,
		.flags = wire->flags & flags,
	};
	return cs_tail_latin1(rec, wire->type, wire->type_bytes, wire->flags & CS_SPANF_TYPE_CUT,
			      &ret->type);
}

static int decode_span(struct cs_tail *rec, struct cs_event *ret)
{
	return take_span(rec, &((const struct cs_ev_span *)rec->fixed)->span, &ret->span);
}

static int decode_resource(struct cs_tail *rec, struct cs_event *ret)
{
	const struct cs_ev_resource *wire = rec->fixed;

	if (!wire->root_id || wire->bytes > sizeof(wire->text))
		return -EBADMSG;
	ret->resource.root_id = wire->root_id;
	ret->resource.trace_lo = wire->trace_lo;
	return cs_tail_latin1(rec, wire->text, wire->bytes, wire->cut, &ret->resource.text);
}

static int decode_span_change(struct cs_tail *rec, struct cs_event *ret)
{
	const struct cs_ev_span_change *wire = rec->fixed;
	struct cs_event_span_change *change = &ret->span_change;
	int err;

	if (wire->hdr.flags < CS_SPAN_BEGUN || wire->hdr.flags > CS_SPAN_LEFT ||
	    wire->outcome > CS_SPAN_ERROR || wire->resource_bytes > sizeof(wire->resource) ||
	    wire->service_bytes > sizeof(wire->service))
		return -EBADMSG;
	change->change = wire->hdr.flags;
	change->duration_ns = wire->duration_ns;
	change->start_ns = wire->start_ns;
	change->outcome = wire->outcome;
	change->server = wire->flags & CS_SPAN_SERVER;
	err = take_span(rec, &wire->span, &change->span);
	if (!err)
		err = cs_tail_latin1(rec, wire->resource, wire->resource_bytes,
				     wire->flags & CS_SPAN_RESOURCE_CUT, &change->resource);
	if (!err)
		err = cs_tail_latin1(rec, wire->service, wire->service_bytes,
				     wire->flags & CS_SPAN_SERVICE_CUT, &change->service);
	return err;
}

static int decode_same(struct cs_tail *rec, struct cs_event *ret)
{
	const struct cs_ev_same *wire = rec->fixed;

	ret->same.weight_ns = wire->weight_ns;
	ret->same.visits = MAX(wire->hdr.flags, 1);
	return 0;
}

static int decode_creations(struct cs_tail *rec, struct cs_event *ret)
{
	const struct cs_ev_hdr *hdr = rec->fixed;

	ret->creations_told = hdr->flags;
	return 0;
}

static int decode_pass_again(struct cs_tail *rec, struct cs_event *ret)
{
	const struct cs_ev_pass_again *wire = rec->fixed;

	ret->same.weight_ns = wire->weight_ns;
	return 0;
}

static int decode_capture(struct cs_tail *rec, struct cs_event *ret)
{
	const struct cs_ev_capture *wire = rec->fixed;
	int err;

	if (wire->mode > CS_MODE_OFF_CPU)
		return -EBADMSG;
	ret->capture.realtime_ns = wire->realtime_ns;
	ret->capture.interval_ns = wire->interval_ns;
	ret->capture.mode = wire->mode;
	ret->capture.ncpu = wire->ncpu;
	err = cs_tail_text(rec, wire->host_len, UINT16_MAX, &ret->capture.host);
	return err ? err : cs_tail_text(rec, wire->command_len, UINT16_MAX, &ret->capture.command);
}

static int decode_process(struct cs_tail *rec, struct cs_event *ret)
{
	const struct cs_ev_process *wire = rec->fixed;
	struct cs_event_process *process = &ret->process;
	int err;

	if (!status_known(wire->status))
		return -EBADMSG;
	process->py_major = wire->py_major;
	process->py_minor = wire->py_minor;
	process->py_micro = wire->py_micro;
	process->status = wire->status;
	err = cs_tail_text(rec, wire->comm_len, UINT16_MAX, &process->comm);
	if (!err)
		err = cs_tail_text(rec, wire->cmdline_len, UINT16_MAX, &process->cmdline);
	return err ? err : cs_tail_text(rec, wire->note_len, UINT16_MAX, &process->note);
}

/* A fact that is told twice, or is not known here, is passed over. */
static int decode_whose(struct cs_tail *rec, struct cs_event *ret)
{
	const struct cs_ev_whose *wire = rec->fixed;
	struct cs_text *facts = ret->whose.facts;
	int err = 0;

	for (uint32_t i = 0; !err && i < wire->nfacts; i++) {
		const void *at = cs_tail_take(rec, 1, sizeof(struct cs_ev_fact));
		struct cs_ev_fact fact;

		if (!at)
			return -EBADMSG;
		memcpy(&fact, at, sizeof(fact)); /* behind a text it is not aligned */
		if (fact.fact && fact.fact < CS_FACT_MAX_ && !facts[fact.fact].str)
			err = cs_tail_text(rec, fact.len, CS_MAX_FACT_LIST, &facts[fact.fact]);
		else if (!cs_tail_take(rec, fact.len, 1))
			return -EBADMSG;
	}
	return err;
}

static int decode_code(struct cs_tail *rec, struct cs_event *ret)
{
	const struct cs_ev_code *wire = rec->fixed;
	struct cs_event_code *code = &ret->code;
	int err;

	if (wire->linetable_kind > CS_LINETABLE_LINES || wire->linetable_len > CS_MAX_LINETABLE)
		return -EBADMSG;
	code->code = wire->code;
	code->firstlineno = wire->firstlineno;
	code->flags = wire->hdr.flags & (CS_CODE_UNREADABLE | CS_CODE_ASYNCIO | CS_CODE_LOOP |
					 CS_CODE_SHIM | CS_CODE_LINES_CUT);
	code->linetable_kind = wire->linetable_kind;
	code->linetable_len = wire->linetable_len;
	err = cs_tail_text(rec, wire->name_len, CS_MAX_NAME, &code->name);
	if (!err)
		err = cs_tail_text(rec, wire->file_len, CS_MAX_PATH, &code->file);
	if (err)
		return err;
	code->linetable = cs_tail_take(rec, wire->linetable_len, 1);
	return code->linetable ? 0 : -EBADMSG;
}

static int take_links(struct cs_tail *rec, uint32_t n, struct cs_event_task *ret)
{
	ret->links = cs_tail_take(rec, n, sizeof(*ret->links));
	if (!ret->links || n > CS_MAX_LINKS)
		return -EBADMSG;
	for (uint32_t i = 0; i < n; i++) {
		if (ret->links[i].how < CS_WAIT_AWAIT || ret->links[i].how > CS_WAIT_OTHER)
			return -EBADMSG;
	}
	ret->nlinks = n;
	return 0;
}

static int decode_task(struct cs_tail *rec, struct cs_event *ret)
{
	const unsigned int flags = CS_TASKF_CHAIN_CUT | CS_TASKF_CHAIN_UNREADABLE |
				   CS_TASKF_WAITERS_CUT | CS_TASKF_MOVED;
	const struct cs_ev_task *wire = rec->fixed;
	const struct cs_active_span *span = NULL;
	struct cs_event_task *task = &ret->task;
	int err;

	if (wire->state < CS_TASK_CREATED || wire->state > CS_TASK_UNREADABLE ||
	    wire->nframes > CS_MAX_CHAIN)
		return -EBADMSG;
	task->task = wire->task;
	task->coro = wire->coro;
	task->waiter = wire->waiter;
	task->loop = wire->loop;
	task->state = wire->state;
	task->flags = wire->hdr.flags & flags;
	task->nframes = wire->nframes;
	task->frames = cs_tail_take(rec, wire->nframes, sizeof(*task->frames));
	if (!task->frames)
		return -EBADMSG;
	err = take_links(rec, wire->nlinks, task);
	if (!err && wire->hdr.flags & CS_TASKF_SPAN) {
		span = cs_tail_take(rec, 1, sizeof(*span));
		err = span ? take_span(rec, span, &task->span) : -EBADMSG;
	}
	if (!err)
		err = cs_tail_text(rec, wire->name_len, UINT16_MAX, &task->name);
	return err ? err : cs_tail_text(rec, wire->leaf_len, UINT16_MAX, &task->leaf);
}

static int decode_pass(struct cs_tail *rec, struct cs_event *ret)
{
	const struct cs_ev_pass *wire = rec->fixed;

	if (wire->ntasks > CS_MAX_TASKS || wire->every > CS_MAX_TASKS ||
	    wire->coherence < CS_COHERENT_QUIET || wire->coherence > CS_COHERENT_IN_TASK)
		return -EBADMSG;
	ret->pass.weight_ns = wire->weight_ns;
	ret->pass.ndropped = wire->ndropped;
	ret->pass.every = wire->every ? wire->every : 1;
	ret->pass.coherence = wire->coherence;
	ret->pass.ntasks = wire->ntasks;
	ret->pass.tasks = cs_tail_take(rec, wire->ntasks, sizeof(*ret->pass.tasks));
	return ret->pass.tasks ? 0 : -EBADMSG;
}

static int take_build_id(struct cs_tail *rec, uint32_t len, struct cs_event_mapping *ret)
{
	const void *vaddr;

	ret->build_id_len = len;
	ret->build_id = cs_tail_take(rec, len, 1);
	vaddr = len ? cs_tail_take(rec, sizeof(ret->vaddr), 1) : &ret->start;
	if (len > CS_MAX_BUILD_ID || !ret->build_id || !vaddr)
		return -EBADMSG;
	memcpy(&ret->vaddr, vaddr, sizeof(ret->vaddr));
	return 0;
}

static int decode_mapping(struct cs_tail *rec, struct cs_event *ret)
{
	const struct cs_ev_mapping *wire = rec->fixed;
	int err;

	if (wire->start >= wire->end)
		return -EBADMSG;
	ret->mapping.start = wire->start;
	ret->mapping.end = wire->end;
	ret->mapping.offset = wire->offset;
	err = cs_tail_text(rec, wire->path_len, CS_MAX_PATH, &ret->mapping.path);
	return err ? err : take_build_id(rec, wire->build_id_len, &ret->mapping);
}

static int decode_ksym(struct cs_tail *rec, struct cs_event *ret)
{
	const struct cs_ev_ksym *wire = rec->fixed;

	ret->ksym.addr = wire->addr;
	return cs_tail_text(rec, wire->name_len, CS_MAX_NAME, &ret->ksym.name);
}

static int decode_symbol(struct cs_tail *rec, struct cs_event *ret)
{
	const struct cs_ev_symbol *wire = rec->fixed;

	ret->symbol.addr = wire->addr;
	ret->symbol.flags =
		wire->hdr.flags & (CS_SYMBOL_EVAL | CS_SYMBOL_INTERPRETER | CS_SYMBOL_LIBC);
	return cs_tail_text(rec, wire->name_len, CS_MAX_SYMBOL, &ret->symbol.name);
}

static int decode_native(struct cs_tail *rec, struct cs_event *ret)
{
	const struct cs_ev_native *wire = rec->fixed;

	if (wire->n > CS_MAX_NATIVE_FRAMES || !status_known(wire->status))
		return -EBADMSG;
	ret->native.status = wire->status;
	ret->native.n = wire->n;
	ret->native.entries = (const uint64_t *)wire->entries;
	ret->native.addresses = cs_tail_take(rec, wire->n, sizeof(*ret->native.addresses));
	return ret->native.addresses ? 0 : -EBADMSG;
}

static int decode_waker(struct cs_tail *rec, struct cs_event *ret)
{
	const struct cs_ev_waker *wire = rec->fixed;
	struct cs_event_waker *waker = &ret->waker;

	if (wire->hdr.flags > CS_WAKER_INTERRUPT || wire->n > CS_MAX_WAKER_FRAMES)
		return -EBADMSG;
	waker->kind = wire->hdr.flags;
	waker->pid = wire->by_pid;
	waker->tid = wire->by_tid;
	waker->n = wire->n;
	waker->kernel = cs_tail_take(rec, wire->n, sizeof(*waker->kernel));
	if (!waker->kernel)
		return -EBADMSG;
	return cs_utf8_repair(wire->comm, strnlen(wire->comm, sizeof(wire->comm)),
			      cs_tail_scratch(rec->decoder), &waker->comm);
}

static int decode_stats(struct cs_tail *rec, struct cs_event *ret)
{
	const struct cs_ev_stats *wire = rec->fixed;

	ret->stats.counters = cs_tail_take(rec, wire->n, sizeof(*ret->stats.counters));
	/* A newer writer may count more than this reader has words for. */
	ret->stats.n = wire->n < CS_COUNTER_MAX_ ? wire->n : CS_COUNTER_MAX_;
	return ret->stats.counters ? 0 : -EBADMSG;
}

static int decode_end(struct cs_tail *rec, struct cs_event *ret)
{
	const struct cs_ev_end *wire = rec->fixed;

	if (wire->reason > CS_END_SPOOL_FULL)
		return -EBADMSG;
	ret->end_reason = wire->reason;
	return 0;
}

static int decode_thread(struct cs_tail *rec, struct cs_event *ret)
{
	const struct cs_ev_thread *wire = rec->fixed;

	return cs_tail_text(rec, wire->name_len, CS_MAX_NAME, &ret->thread_name);
}

static const struct {
	size_t fixed_size; /* 0: no such kind */
	int (*decode)(struct cs_tail *rec, struct cs_event *ret);
} kinds[] = {
	[CS_EV_STACK] = {sizeof(struct cs_ev_stack), decode_stack},
	[CS_EV_SAME] = {sizeof(struct cs_ev_same), decode_same},
	[CS_EV_ORIGIN] = {sizeof(struct cs_ev_origin), decode_origin},
	[CS_EV_SPAN] = {sizeof(struct cs_ev_span), decode_span},
	[CS_EV_RESOURCE] = {sizeof(struct cs_ev_resource), decode_resource},
	[CS_EV_SPAN_CHANGE] = {sizeof(struct cs_ev_span_change), decode_span_change},
	[CS_EV_TASK_CREATED] = {sizeof(struct cs_ev_stack), decode_stack},
	[CS_EV_EXEC] = {sizeof(struct cs_ev_hdr), NULL},
	[CS_EV_EXIT] = {sizeof(struct cs_ev_hdr), NULL},
	[CS_EV_CREATIONS] = {sizeof(struct cs_ev_hdr), decode_creations},
	[CS_EV_CAPTURE] = {sizeof(struct cs_ev_capture), decode_capture},
	[CS_EV_PROCESS] = {sizeof(struct cs_ev_process), decode_process},
	[CS_EV_WHOSE] = {sizeof(struct cs_ev_whose), decode_whose},
	[CS_EV_CODE] = {sizeof(struct cs_ev_code), decode_code},
	[CS_EV_TASK] = {sizeof(struct cs_ev_task), decode_task},
	[CS_EV_PASS] = {sizeof(struct cs_ev_pass), decode_pass},
	[CS_EV_PASS_AGAIN] = {sizeof(struct cs_ev_pass_again), decode_pass_again},
	[CS_EV_MAPPING] = {sizeof(struct cs_ev_mapping), decode_mapping},
	[CS_EV_KSYM] = {sizeof(struct cs_ev_ksym), decode_ksym},
	[CS_EV_SYMBOL] = {sizeof(struct cs_ev_symbol), decode_symbol},
	[CS_EV_NATIVE] = {sizeof(struct cs_ev_native), decode_native},
	[CS_EV_WAKER] = {sizeof(struct cs_ev_waker), decode_waker},
	[CS_EV_STATS] = {sizeof(struct cs_ev_stats), decode_stats},
	[CS_EV_END] = {sizeof(struct cs_ev_end), decode_end},
	[CS_EV_THREAD] = {sizeof(struct cs_ev_thread), decode_thread},
};

int cs_decode_file_header(const void *bytes, size_t len)
{
	struct cs_raw_file_header header;

	if (len < sizeof(header))
		return -EBADMSG;
	memcpy(&header, bytes, sizeof(header));
	if (header.magic != CS_RAW_MAGIC)
		return -EBADMSG;
	if (header.version != CS_RAW_VERSION)
		return -EPROTONOSUPPORT;
	return header.header_size == sizeof(header) ? (int)sizeof(header) : -EBADMSG;
}

int64_t cs_decode(struct cs_decoder *decoder, const void *bytes, size_t len, struct cs_event *ret)
{
	const struct cs_ev_hdr *hdr = bytes;
	struct cs_tail rec = {.decoder = decoder, .fixed = bytes};
	struct cs_event event;
	size_t fixed_size;
	int err = 0;

	if (len < sizeof(*hdr))
		return 0;
	if (hdr->size < sizeof(*hdr) || hdr->size % 8 || hdr->size > CS_MAX_RECORD)
		return -EBADMSG;
	if (hdr->size > len)
		return 0;
	memset(&event, 0, sizeof(event));
	event.ts_ns = hdr->ts_ns;
	event.pid = hdr->pid;
	event.tid = hdr->tid;
	fixed_size = hdr->kind < ARRAY_SIZE(kinds) ? kinds[hdr->kind].fixed_size : 0;
	if (fixed_size) {
		if (hdr->size < fixed_size)
			return -EBADMSG;
		event.kind = hdr->kind;
		rec.tail = (const char *)bytes + fixed_size;
		rec.left = hdr->size - fixed_size;
		decoder->ntext = 0;
		if (kinds[hdr->kind].decode)
			err = kinds[hdr->kind].decode(&rec, &event);
		if (err)
			return err;
	}
	*ret = event;
	return hdr->size;
}
