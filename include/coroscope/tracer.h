/* SPDX-License-Identifier: Apache-2.0 OR GPL-2.0-only OR BSD-2-Clause */
/*
 * What the kernel side knows of the tracers in one process: the value of the map `tracers`, keyed by tgid. User space finds the
 * ContextVars in the tracers' own modules and learns the classes of spans from the live type objects; where
 * an address is not in here, the kernel side reads nothing and says so (CS_EV_TYPE_MET).
 */
#pragma once

#include <coroscope/limits.h>
#include <coroscope/types.h>

enum cs_tracer_kind {
	CS_TRACER_NONE = 0,
	CS_TRACER_DDTRACE = 1,
	CS_TRACER_OTEL = 2,  /* the OpenTelemetry SDK */
	CS_TRACER_OTHER = 3, /* whatever publishes its threads' spans (CS_SPANF_PUBLISHED) */
};

/* A ContextVar in which a tracer keeps what is active. */
struct cs_tracer_var {
	__u64 var;  /* address of the ContextVar */
	__u32 hash; /* as the HAMT of a Context uses it */
	__u32 kind; /* enum cs_tracer_kind */
};

enum cs_span_class_kind {
	CS_CLASS_OTHER = 0,        /* nothing that says of a span */
	CS_CLASS_DD_SPAN = 1,      /* ddtrace's Span: slots, and fields of a Rust object */
	CS_CLASS_DD_CONTEXT = 2,   /* ddtrace's Context, propagated: the same */
	CS_CLASS_OTEL_CONTEXT = 3, /* OpenTelemetry's Context, a dict */
	CS_CLASS_OTEL_SPAN = 4,   /* OpenTelemetry's spans, recording or not: instance attributes */
	CS_CLASS_OTEL_STATUS = 5, /* OpenTelemetry's Status: likewise */
};

/* The attributes of OpenTelemetry's spans that are read. */
enum cs_otel_attr {
	CS_OTEL_CONTEXT,
	CS_OTEL_PARENT,
	CS_OTEL_END_TIME,
	CS_OTEL_NAME,
	CS_OTEL_KIND,
	CS_OTEL_START,
	CS_OTEL_STATUS,
	CS_OTEL_STATUS_CODE, /* not of a span: of its status */
	CS_OTEL_ATTR_MAX_
};

/* What of ddtrace's classes is no reference to an object: fields of a Rust object, whose offsets were learned from live ones. */
enum cs_rust_fields {
	CS_RUST_ID = 1 << 0,          /* span_id: 64 bits */
	CS_RUST_TRACE = 1 << 1,       /* trace_id: 128 bits, the low ones first */
	CS_RUST_ENDED_TAG = 1 << 2,   /* ended: 0 as long as it lasts, then 1 */
	CS_RUST_ENDED_MINUS = 1 << 3, /* ended: -1 as long as it lasts */
	CS_RUST_TAGGED = 1 << 4,      /* two words before an id: 1 if there is one, else 0 */
	CS_RUST_LEARNING = 1 << 5,    /* instances are to be told of (CS_EV_TYPE_MET) */
	CS_RUST_AWAITED = 1 << 6,     /* ... at once */
	CS_RUST_ERROR = 1 << 7,       /* error: 32 bits, 0 or 1 */
	CS_RUST_LESSONS = 1 << 8,     /* it is to be learned (CS_EV_SPAN_LESSON) */
};

/*
 * A class whose instances are read. Fields are offsets of references in an instance; 0: it has no such, or it is not known. With
 * any of enum cs_rust_fields a reference of 0 stands for None.
 */
struct cs_span_class {
	__u64 type;  /* address of the type object */
	__u16 kind;  /* enum cs_span_class_kind */
	__u16 bytes; /* in which all of its fields lie: of an instance, or of its values */
	__u16 span_id, trace_id;
	__u16 root;   /* span: the local root; None: itself */
	__u16 parent; /* span: the one to go on with when it has ended */
	__u16 parent_context; /* span: ... or, without a parent, this Context if that is to be taken up again */
	__u16 ended;      /* span: None as long as it lasts */
	__u16 span_type;  /* span: a str or None */
	__u16 meta;       /* context: a dict of str; span: its own Context, for user space */
	__u16 reactivate; /* context: True if a span that has ended gives way to it */
	/* OpenTelemetry: which of the instance's values, from 1 on; where values or dict are, as the version keeps them. */
	__u16 attr[CS_OTEL_ATTR_MAX_];
	__u16 attrs_at;
	__u16 rust; /* enum cs_rust_fields */
	/* span: if not 0, the local root is known only where these say the same */
	__u16 root_too, root_three;
	__u16 resource; /* span: a str, or a list whose first item is one */
	/* Of a span that is told when it begins and ends; of Rust objects only the error. */
	__u16 service, error, parent_id, start;
	__u64 keys; /* of its instances' attributes, shared */
};
CS_ASSERT_SIZE(struct cs_span_class, 72);

/*
 * A function of a tracer's, in the midst of which a span ends, and the locals of a call that tell of it: numbers of slots. One whose subject is
 * another span is not meant.
 */
struct cs_scope {
	__u64 code; /* address of its code object; 0: not known */
	__u16 subject;
	__u16 ends;      /* OpenTelemetry's use_span: True if it ends the span */
	__u16 sets;      /* ... True if an exception gives it the status ERROR */
	__u16 exception; /* ddtrace's: the exception that it tells the span of, or None */
};
CS_ASSERT_SIZE(struct cs_scope, 16);

enum cs_scopes {
	CS_SCOPE_EXIT = CS_TRACER_DDTRACE, /* Span.__exit__ */
	CS_SCOPE_USE_SPAN = CS_TRACER_OTEL,
	CS_SCOPE_FINISH = 3, /* ddtrace: what does the same for its integrations */
};

enum cs_otel_rules {
	CS_OTEL_OK_STAYS = 1 << 0, /* the status OK is never overruled */
	CS_OTEL_EXCEPTIONS_ONLY =
		1 << 1, /* of what is raised only an Exception gives a span the status ERROR */
};

struct cs_tracers {
	/* Of this row, as its last field has it: no two rows that differ have the same. A row that is read while it is being written has two. */
	__u64 generation;
	__u32 nvars, nclasses;
	struct cs_tracer_var vars[CS_MAX_TRACER_VARS];
	struct cs_span_class classes[CS_MAX_SPAN_CLASSES];
	/* types of a HAMT's nodes; 0: not met yet */
	__u64 hamt_bitmap, hamt_array, hamt_collision;
	/* objects and types of the interpreter's own */
	__u64 none, true_, false_, long_type, str_type, list_type;
	/* OpenTelemetry: the key of the current span in a Context, the type of what identifies a span, the attributes' names */
	__u64 otel_key, otel_id_type;
	__u64 otel_server; /* OpenTelemetry: what a span that answers a request has as its kind */
	__u64 otel_names[CS_OTEL_ATTR_MAX_];
	/* members of OpenTelemetry's StatusCode (0: how spans end is not told), and the Status that its spans are made with, of the first kind */
	__u64 otel_unset, otel_ok, otel_error, otel_first_status;
	__u64 otel_rules;                  /* enum cs_otel_rules */
	__u64 exception_type;              /* the interpreter's Exception */
	struct cs_scope scopes[CS_SCOPES]; /* enum cs_scopes */
	/* A type that is not here is waited for as it is met (CS_EV_TYPE_MET): what its instance tells is gone in a moment. */
	__u64 wake;
	__u64 generation_again;
};

enum cs_span_flags {
	CS_SPANF_ROOT = 1 << 0, /* root_id is the local root's */
	CS_SPANF_ROOT_DERIVED =
		1
		<< 1, /* ... by the rule that a propagated span of which no more is known is its own */
	CS_SPANF_PROPAGATED =
		1 << 2,          /* of another thread or process: only its context is active here */
	CS_SPANF_ENDED = 1 << 3, /* it has ended and is still what is active */
	CS_SPANF_TYPE_CUT = 1 << 4,
	CS_SPANF_TYPE_UNREADABLE = 1 << 5, /* it has a type, which is not known */
	CS_SPANF_PUBLISHED =
		1 << 6, /* the thread itself published it: not read from the tracer's own objects */
};

/* The span that is active in one Context, read in one breath. */
struct cs_active_span {
	__u64 span_id;   /* not 0 */
	__u64 root_id;   /* 0: not known */
	__u64 parent_id; /* within this process; 0: none, or not known */
	__u64 trace_hi, trace_lo;
	__u8 kind;  /* enum cs_tracer_kind */
	__u8 flags; /* enum cs_span_flags */
	__u8 type_bytes;
	__u8 nended; /* spans that had ended and were passed over */
	__u32 pad;
	char type[CS_SPAN_TYPE_BYTES]; /* of the local root, Latin-1 */
};
CS_ASSERT_SIZE(struct cs_active_span, 64);
