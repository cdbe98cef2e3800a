/* SPDX-License-Identifier: Apache-2.0 */
/*
 * Spans that the capture has seen begin or end, whether or not a sample hit them: what each was, when, and how it ended. What is
 * told of one span in several pieces becomes one entry. Bounded: their number is up to what is traced.
 */
#pragma once

#include <stdbool.h>
#include <stddef.h>
#include <stdint.h>

/* Spans of one profile; further ones are counted and left out. */
#define CS_MAX_TRACED_SPANS (1u << 18)

enum cs_outcome {
	CS_OUTCOME_UNKNOWN = 0, /* it was not seen to end, or its tracer does not tell */
	CS_OUTCOME_OK = 1,
	CS_OUTCOME_ERROR = 2,
};

/* 0 in a number or a string's index: not known. */
struct cs_traced {
	uint32_t owner; /* set when it is added: index of the process's owner at that time */
	uint32_t process_id, thread_id; /* where it began */
	uint32_t trace_id;              /* string: 32 hexadecimal digits */
	uint64_t span_id, root_span_id, parent_span_id;
	uint32_t name, resource, service, type; /* strings, of the span itself */
	uint64_t task_id;                       /* address of the task in which it began */
	uint32_t task_name;                     /* string */
	enum cs_outcome outcome;
	/* CLOCK_MONOTONIC, as struct cs_span; 0: it began before the capture did, or was not seen to end */
	uint64_t from_ns, to_ns;
};

struct cs_traced_table;

int cs_traced_table_new(struct cs_traced_table **ret); /* 0 or -ENOMEM */
void cs_traced_table_free(struct cs_traced_table *table);

/*
 * Add a span, copied, or what else is known of one with the same owner, span id and trace id. Of the two the earliest begin, the last
 * end, the first known thread, task, root and parent count, and the last known name, resource, service, type and outcome, which
 * programs set and change while a span goes on. Over CS_MAX_TRACED_SPANS a new one is counted only. Returns 0 or -ENOMEM.
 */
int cs_traced_table_add(struct cs_traced_table *table, const struct cs_traced *traced);

/* Keep those for which keep says so. The others go, and indices change. */
void cs_traced_table_keep(struct cs_traced_table *table,
			  bool (*keep)(void *ctx, const struct cs_traced *traced), void *ctx);

size_t cs_traced_table_n(const struct cs_traced_table *table);
/* In the order in which they were first told. Valid until one is added or the table freed. */
const struct cs_traced *cs_traced_table_at(const struct cs_traced_table *table, size_t i);

/* How often something new was told for which there was no room: of one span maybe more than once. */
uint64_t cs_traced_table_dropped(const struct cs_traced_table *table);
void cs_traced_table_add_dropped(struct cs_traced_table *table, uint64_t n);
