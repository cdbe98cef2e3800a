/* SPDX-License-Identifier: Apache-2.0 */
/* Whose the watched processes are, into the capture. */
#include "collect/owners.h"

#include <errno.h>
#include <sys/param.h>

#include "collect/record.h"
#include "collect/target.h"

/* How long one turn may look at processes; a look takes some 0.4 ms. In a storm of processes the others wait for the next. */
#define BUDGET_NS 2000000ull
#define RETRY_NS  1000000000ull

void cs_target_owner_clear(struct cs_target_owner *owner)
{
	cs_buf_free(&owner->waits);
	*owner = (struct cs_target_owner){0};
}

int cs_target_owner_tell(struct cs_target_owner *owner, struct cs_buf *out)
{
	int err = cs_buf_append(out, owner->waits.data, owner->waits.len);

	if (!err)
		cs_buf_free(&owner->waits);
	return err;
}

static int look(struct cs_book *book, struct cs_target *target, uint64_t now_ns)
{
	struct cs_target_owner *owner = &target->owner;
	const struct cs_book_entry *entry;
	int err = cs_book_find(book, target->pid, now_ns, &entry);

	owner->news = cs_book_news(book);
	owner->next_ns = err ? now_ns + RETRY_NS : cs_book_due_ns(entry);
	if (!err && target->ease > 1)
		owner->next_ns = MAX(owner->next_ns, now_ns + cs_ease_owner_ns(target->ease));
	if (err)
		return err == -ENOMEM ? err : 0; /* it is gone */
	if (entry->revision == owner->revision)
		return 0;
	owner->revision = entry->revision;
	return cs_record_whose(&owner->waits, now_ns, target->pid, &entry->whose.facts);
}

static bool is_due(const struct cs_book *book, const struct cs_target *target, uint64_t now_ns)
{
	const struct cs_target_owner *owner = &target->owner;

	if (target->exited || now_ns - target->since_ns < cs_ease_stranger_ns(target->ease))
		return false;
	return now_ns >= owner->next_ns || owner->news != cs_book_news(book);
}

int cs_target_owners_turn(struct cs_book *book, struct cs_target *targets, uint64_t now_ns,
			  struct cs_buf *out)
{
	uint64_t begun_ns = cs_now_ns();
	struct cs_target *target, *tmp;
	int err = 0;

	cs_book_turn(book, now_ns);
	HASH_ITER (hh, targets, target, tmp) {
		if (!err)
			err = cs_target_owner_tell(&target->owner, out);
		if (!err && is_due(book, target, now_ns) && cs_now_ns() - begun_ns < BUDGET_NS)
			err = look(book, target, now_ns);
	}
	return err;
}
