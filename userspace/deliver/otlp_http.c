/* SPDX-License-Identifier: Apache-2.0 */
/*
 * OTLP over HTTP (opentelemetry-proto's profiles, v1development): gzip'd protobuf, in requests that the usual receivers
 * accept: 4 MiB before compression, and samples as many as Pyroscope takes in one profile.
 */
#include <errno.h>
#include <stdio.h>
#include <string.h>

#include "core/cleanup.h"
#include "deliver/backend.h"
#include "export/gzip.h"
#include "export/otlp.h"

#define MAX_BYTES   (4u << 20)
#define MAX_SAMPLES 16000

struct packing {
	const struct cs_profile *profile;
	struct cs_otlp_options options;
	cs_pack_fn *put;
	void *ctx;
};

static int put_request(const struct packing *p, const struct cs_buf *request)
{
	_cleanup_(cs_parcel_free) struct cs_parcel parcel = {0};
	int err = cs_parcel_begin(&parcel, "application/x-protobuf", "gzip");

	if (!err)
		err = cs_export_gzip(request->data, request->len, &parcel.body);
	return err ? err : p->put(p->ctx, &parcel);
}

/*
 * A range that is too large is halved until it fits; one sample is sent as it is. No deeper than the bits of a number of
 * samples.
 */
static int pack_range(struct packing *p, size_t from, size_t to)
{
	_cleanup_buf_ struct cs_buf request = {0};
	size_t middle = from + (to - from) / 2;
	int err;

	p->options.from = from;
	p->options.to = to;
	err = to - from > MAX_SAMPLES ? 0 : cs_otlp_write(p->profile, &p->options, &request);
	if (err)
		return err;
	if (to - from <= MAX_SAMPLES && (request.len <= MAX_BYTES || to - from <= 1))
		return put_request(p, &request);
	cs_buf_free(&request);
	err = pack_range(p, from, middle);
	return err ? err : pack_range(p, middle, to);
}

static int pack(const struct cs_profile *profile, const struct cs_pack_options *options,
		cs_pack_fn *put, void *ctx)
{
	struct packing p = {
		.profile = profile,
		.options = {.service = options->service,
			    .version = options->version,
			    .tags = options->tags,
			    .ntags = options->ntags},
		.put = put,
		.ctx = ctx,
	};
	size_t n = cs_profile_nsamples(profile);

	return n ? pack_range(&p, 0, n) : 0;
}

static void read_answer(const void *body, size_t len, bool taken, struct cs_verdict_text *ret)
{
	_cleanup_buf_ struct cs_buf text = {0};
	struct cs_otlp_answer answer;

	cs_otlp_read_answer(body, len, taken, &answer);
	ret->rejected = answer.rejected;
	if (!cs_buf_append_escaped(&text, answer.message, strlen(answer.message), ""))
		snprintf(ret->message, sizeof(ret->message), "%s", cs_buf_str(&text));
}

const struct cs_backend cs_backend_otlp = {
	.name = "otlp",
	.path = "/v1development/profiles",
	.pack = pack,
	.read_answer = read_answer,
};
