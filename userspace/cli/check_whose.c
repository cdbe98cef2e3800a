/* SPDX-License-Identifier: Apache-2.0 */
/* Whose a process is, for people. */
#include "cli/check_whose.h"

#include <errno.h>
#include <poll.h>

#include "collect/record.h"
#include "core/cleanup.h"
#include "core/log.h"
#include "whose/book.h"

#define KUBELET_NS 3000000000ull

/* Give the kubelet some time for its list of pods. */
static int await_kubelet(struct cs_book *book, pid_t pid, const struct cs_book_entry **entry)
{
	uint64_t now = cs_now_ns(), end = now + KUBELET_NS;

	for (; !cs_book_news(book) && !*cs_book_error(book) && now < end; now = cs_now_ns()) {
		cs_book_turn(book, now);
		poll(NULL, 0, 10);
	}
	if (!cs_book_news(book))
		cs_warn("the kubelet does not tell of pods: %s",
			*cs_book_error(book) ? cs_book_error(book) : "it has not answered yet");
	return cs_book_find(book, pid, cs_now_ns(), entry);
}

int cs_check_report_whose(pid_t pid, FILE *out)
{
	struct cs_kubelet_options kubelet = cs_book_kubelet_from_environment();
	_cleanup_(cs_book_freep) struct cs_book *book = NULL;
	const struct cs_book_entry *entry = NULL;
	int err = cs_book_new(&kubelet, &book);

	if (err == -EINVAL) {
		cs_warn("'%s' is no URL of a kubelet, as https://NODE:10250", kubelet.url);
		kubelet.url = NULL;
		err = cs_book_new(&kubelet, &book);
	}
	if (!err)
		err = cs_book_find(book, pid, cs_now_ns(), &entry);
	if (!err && kubelet.url && entry->whose.facts.at[CS_FACT_POD_UID])
		err = await_kubelet(book, pid, &entry);
	if (err)
		return err;
	for (int i = 1; i < CS_FACT_MAX_; i++)
		if (entry->whose.facts.at[i])
			fprintf(out, "ok      %s: %s\n", cs_facts_words((enum cs_fact)i),
				entry->whose.facts.at[i]);
	return 0;
}
