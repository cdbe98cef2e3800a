/* SPDX-License-Identifier: Apache-2.0 */
/* What instances of a tracer's classes look like, learned from the type objects: slots by their descriptors, attributes by shared keys. */
#pragma once

#include <coroscope/tracer.h>
#include <stdint.h>

#include "python/objects.h"

/*
 * Describe one class. names receives the str objects that OpenTelemetry's attributes are called by (0: not asked for, or not
 * known). Returns 0, -ENOENT if it lacks what is needed (its slots are others; no instance has been made yet), or another error. With
 * -ENODATA some of what is needed is in no slot, and all else is in *ret.
 */
int cs_span_class_learn(const struct cs_pyobj_ctx *ctx, const struct cs_pytype *type,
			enum cs_span_class_kind kind, struct cs_span_class *ret,
			uint64_t names[CS_OTEL_ATTR_MAX_]);

/* The size, in words, of instances of the first of a class's bases that is no type of the interpreter's own: of the Rust object in them. */
int cs_class_rust_words(const struct cs_pyobj_ctx *ctx, const struct cs_pytype *type,
			unsigned int *ret);
