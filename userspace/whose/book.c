/* SPDX-License-Identifier: Apache-2.0 */
/* Whose processes are, remembered. */
#include "whose/book.h"

#include <errno.h>
#include <stdlib.h>
#include <string.h>
#include <unistd.h>

/* Without memory an element is not added and its hh.tbl stays NULL, instead of exit(). */
#define HASH_NONFATAL_OOM 1
#include <uthash.h>

#include "core/cleanup.h"
#include "whose/pods.h"

#define SECOND   1000000000ull
#define SWEEP_NS (30 * SECOND)
#define UNUSED_NS \
	(900 * SECOND) /* nobody has asked for it: it is forgotten; longer than any pause */
#define SERVICE_TOKEN "/var/run/secrets/kubernetes.io/serviceaccount/token"

/* How long after a look the next one is due: tracers and programs publish in their first seconds, later changes are rare. */
static const uint64_t pauses_ns[] = {1 * SECOND, 5 * SECOND, 30 * SECOND, 300 * SECOND};

struct remembered {
	struct cs_book_entry entry; /* first: handed out */
	pid_t pid;
	uint64_t due_ns, used_ns;
	uint64_t news; /* of the pods that were told */
	unsigned int looks;
	UT_hash_handle hh;
};

struct cs_book {
	struct remembered *processes;
	struct cs_pods pods;
	struct cs_kubelet *kubelet; /* NULL: not asked */
	bool pod_wanted;            /* since the last turn somebody's pod was not known */
	uint64_t news, revision, swept_ns;
};

static void forget(struct cs_book *book, struct remembered *it)
{
	HASH_DEL(book->processes, it);
	cs_whose_free(&it->entry.whose);
	free(it);
}

int cs_book_new(const struct cs_kubelet_options *kubelet, struct cs_book **ret)
{
	_cleanup_(cs_book_freep) struct cs_book *book = calloc(1, sizeof(*book));
	int err;

	if (!book)
		return -ENOMEM;
	err = cs_pods_init(&book->pods);
	if (!err && kubelet && kubelet->url)
		err = cs_kubelet_new(kubelet, &book->kubelet);
	if (!err)
		*ret = TAKE_PTR(book);
	return err;
}

void cs_book_free(struct cs_book *book)
{
	struct remembered *it, *tmp;

	if (!book)
		return;
	HASH_ITER (hh, book->processes, it, tmp)
		forget(book, it);
	cs_kubelet_free(book->kubelet);
	cs_pods_clear(&book->pods);
	free(book);
}

struct cs_kubelet_options cs_book_kubelet_from_environment(void)
{
	struct cs_kubelet_options options = {
		.url = getenv("COROSCOPE_KUBELET"),
		.ca_file = getenv("COROSCOPE_KUBELET_CA"),
		.token_file = getenv("COROSCOPE_KUBELET_TOKEN"),
	};

	if (options.url && !*options.url)
		options.url = NULL;
	if (options.url && !options.token_file && !strncmp(options.url, "https:", 6) &&
	    !access(SERVICE_TOKEN, R_OK))
		options.token_file = SERVICE_TOKEN;
	return options;
}

void cs_book_turn(struct cs_book *book, uint64_t now_ns)
{
	struct remembered *it, *tmp;

	if (book->kubelet &&
	    cs_kubelet_step(book->kubelet, book->pod_wanted, now_ns, &book->pods)) {
		book->news++;
		book->pod_wanted = false;
	}
	if (now_ns - book->swept_ns < SWEEP_NS)
		return;
	book->swept_ns = now_ns;
	HASH_ITER (hh, book->processes, it, tmp)
		if (now_ns - it->used_ns > UNUSED_NS)
			forget(book, it);
}

static bool same_facts(const struct cs_facts *a, const struct cs_facts *b)
{
	for (int i = 0; i < CS_FACT_MAX_; i++)
		if (strcmp(a->at[i] ? a->at[i] : "", b->at[i] ? b->at[i] : ""))
			return false;
	return true;
}

/* Look at the process. What is known of another run goes, whether it can be read or not. */
static int look(struct cs_book *book, struct remembered *it, uint64_t now_ns)
{
	struct cs_whose whose = {0};
	const size_t last = sizeof(pauses_ns) / sizeof(*pauses_ns) - 1;
	int err = cs_whose_read(it->pid, &whose);

	if (!err)
		err = cs_pods_tell(&book->pods, &whose.facts);
	if (err < 0) {
		cs_whose_free(&whose);
		return err;
	}
	book->pod_wanted = book->pod_wanted || !err;
	if (!cs_run_same(&whose.run, &it->entry.whose.run))
		it->looks = 0;
	if (!it->entry.revision || !cs_run_same(&whose.run, &it->entry.whose.run) ||
	    !same_facts(&whose.facts, &it->entry.whose.facts))
		it->entry.revision = ++book->revision;
	cs_whose_free(&it->entry.whose);
	it->entry.whose = whose;
	it->news = book->news;
	it->due_ns = now_ns + pauses_ns[it->looks < last ? it->looks : last];
	it->looks++;
	return 0;
}

static int remember(struct cs_book *book, pid_t pid, struct remembered **ret)
{
	struct remembered *it = calloc(1, sizeof(*it));

	if (!it)
		return -ENOMEM;
	it->pid = pid;
	HASH_ADD_INT(book->processes, pid, it);
	if (!it->hh.tbl) {
		free(it);
		return -ENOMEM;
	}
	*ret = it;
	return 0;
}

int cs_book_find(struct cs_book *book, pid_t pid, uint64_t now_ns, const struct cs_book_entry **ret)
{
	struct remembered *it;
	struct cs_run run;
	int err = 0;

	HASH_FIND_INT(book->processes, &pid, it);
	if (!it)
		err = remember(book, pid, &it);
	if (err)
		return err;
	err = cs_run_read(pid, &run);
	if (!err && (!it->entry.revision || !cs_run_same(&run, &it->entry.whose.run) ||
		     now_ns >= it->due_ns || it->news != book->news))
		err = look(book, it, now_ns);
	if (err) {
		forget(book, it);
		return err;
	}
	it->used_ns = now_ns;
	*ret = &it->entry;
	return 0;
}

uint64_t cs_book_due_ns(const struct cs_book_entry *entry)
{
	return ((const struct remembered *)entry)->due_ns;
}

uint64_t cs_book_news(const struct cs_book *book)
{
	return book->news;
}

const char *cs_book_error(const struct cs_book *book)
{
	return book->kubelet ? cs_kubelet_error(book->kubelet) : "";
}
