/* SPDX-License-Identifier: Apache-2.0 */
/*
 * libFuzzer harness: a raw capture from anywhere, decoded and symbolized. Each record is decoded
 * from a copy of its own, so that a read beyond its end is seen. To let the fuzzer get past the
 * header, the input is a list of (kind, size in 8-byte words, record without header) rather than a
 * file. Checked beside memory errors: what decode.h promises of an event.
 */
#include <stdlib.h>
#include <string.h>

#include "check.h"
#include "core/cleanup.h"
#include "decode/decode.h"
#include "decode/utf8.h"
#include "symbolize/symbolize.h"

int LLVMFuzzerTestOneInput(const uint8_t *data, size_t size);

static void check_text(struct cs_text text)
{
	const uint8_t *at = (const uint8_t *)text.str;
	const uint8_t *end = at + text.len;
	size_t n;

	for (; at < end; at += n) {
		n = cs_utf8_len(at, (size_t)(end - at));
		CHECK(n);
	}
}

static void check_frames(struct cs_symbols *symbols, uint32_t pid, const struct cs_py_frame *frames,
			 uint32_t n)
{
	uint32_t i;

	for (i = 0; i < n; i++)
		CHECK(cs_symbols_python(symbols, pid, &frames[i]) >= 0);
}

static void check_stack(struct cs_symbols *symbols, const struct cs_event *event)
{
	const struct cs_event_stack *stack = &event->stack;
	uint32_t i;

	check_text(stack->comm);
	check_frames(symbols, event->pid, stack->frames, stack->nframes);
	for (i = 0; i < stack->nkernel; i++)
		CHECK(cs_symbols_kernel(symbols, stack->kernel[i]) >= 0);
	CHECK(cs_symbols_native(symbols, event->pid, stack->user_ip) >= 0);
	if (stack->running.task) {
		CHECK(stack->running.root_frame < stack->nframes);
		check_text(stack->running.name);
	}
}

static void check_event(struct cs_symbols *symbols, const struct cs_event *event)
{
	struct cs_py_frame frame = {.code = event->code.code};

	CHECK(cs_symbols_feed(symbols, event) == 0);
	switch (event->kind) {
	case CS_EV_STACK:
	case CS_EV_TASK_CREATED:
		check_stack(symbols, event);
		break;
	case CS_EV_PROCESS:
		check_text(event->process.comm);
		check_text(event->process.cmdline);
		check_text(event->process.note);
		break;
	case CS_EV_CODE:
		check_text(event->code.name);
		check_text(event->code.file);
		for (frame.lasti = -2; frame.lasti < 64; frame.lasti += 2)
			CHECK(cs_symbols_python(symbols, event->pid, &frame) >= 0);
		break;
	case CS_EV_TASK:
		check_text(event->task.name);
		check_text(event->task.leaf);
		check_frames(symbols, event->pid, event->task.frames, event->task.nframes);
		break;
	default:
		break;
	}
}

/* One record of the given kind with these bytes behind its header. */
static void run_record(struct cs_decoder *decoder, struct cs_symbols *symbols, uint8_t kind,
		       const uint8_t *body, size_t len)
{
	size_t size = sizeof(struct cs_ev_hdr) + len;
	_cleanup_free_ struct cs_ev_hdr *hdr = calloc(1, size);
	struct cs_event event;
	int64_t used;

	CHECK(hdr);
	hdr->size = (uint32_t)size;
	hdr->kind = kind & 31;
	hdr->flags = kind >> 5;
	hdr->pid = len & 8 ? 1 : 2;
	memcpy(hdr + 1, body, len);
	used = cs_decode(decoder, hdr, size, &event);
	CHECK(used < 0 || (size_t)used == size);
	if (used > 0)
		check_event(symbols, &event);
}

int LLVMFuzzerTestOneInput(const uint8_t *data, size_t size)
{
	_cleanup_(cs_decoder_freep) struct cs_decoder *decoder = NULL;
	_cleanup_(cs_profile_freep) struct cs_profile *profile = NULL;
	_cleanup_(cs_symbols_freep) struct cs_symbols *symbols = NULL;
	size_t len;

	CHECK(!cs_decoder_new(&decoder) && !cs_profile_new(&profile));
	CHECK(!cs_symbols_new(profile, false, &symbols));
	cs_decode_file_header(data, size);
	while (size > 2) {
		len = (size_t)data[1] * 8;
		if (len > size - 2)
			len = (size - 2) / 8 * 8;
		run_record(decoder, symbols, data[0], data + 2, len);
		data += 2 + len;
		size -= 2 + len;
	}
	return 0;
}
