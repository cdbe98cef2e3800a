/* SPDX-License-Identifier: Apache-2.0 */
/*
 * Whose processes are, remembered: looked up once for each run of each program, and again when it is older (tracers are loaded late) or
 * the kubelet tells more. What is remembered of one process is never told of another that has its pid later.
 */
#pragma once

#include <stdint.h>
#include <sys/types.h>

#include "whose/kubelet.h"
#include "whose/whose.h"

struct cs_book;

/* What is known of one process. */
struct cs_book_entry {
	struct cs_whose whose;
	uint64_t revision; /* unique; another one: something is told that was not before */
};

/* kubelet NULL: it is not asked. Returns 0, -EINVAL: a bad URL, or -ENOMEM. */
int cs_book_new(const struct cs_kubelet_options *kubelet, struct cs_book **ret);
void cs_book_free(struct cs_book *book); /* NULL is fine */
static inline void cs_book_freep(struct cs_book **book)
{
	cs_book_free(*book);
}

/*
 * The kubelet as the environment of coroscope names it: COROSCOPE_KUBELET (its URL), COROSCOPE_KUBELET_CA and COROSCOPE_KUBELET_TOKEN
 * (files; without it the service account's token, if there is one and the URL is https). url is NULL if it names none. Texts are borrowed
 * from the environment.
 */
struct cs_kubelet_options cs_book_kubelet_from_environment(void);

/* Now and then, at least once a second: goes on asking the kubelet, and forgets who is gone. Never waits. */
void cs_book_turn(struct cs_book *book, uint64_t now_ns);

/*
 * What is known of a process, looked up anew if it is time. Borrowed until the next call. now_ns is of CLOCK_MONOTONIC. Returns 0, -ESRCH:
 * it is gone, or -ENOMEM.
 */
int cs_book_find(struct cs_book *book, pid_t pid, uint64_t now_ns,
		 const struct cs_book_entry **ret);

/* When it is worth to look for a process again, as of the last cs_book_find. */
uint64_t cs_book_due_ns(const struct cs_book_entry *entry);

/* Changes when the kubelet has told something new: everybody is worth to be looked for again. */
uint64_t cs_book_news(const struct cs_book *book);

/* Why the kubelet's last answer is missing; "": it is not, or nobody asks. */
const char *cs_book_error(const struct cs_book *book);
