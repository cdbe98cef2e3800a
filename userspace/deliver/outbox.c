/* SPDX-License-Identifier: Apache-2.0 */
/* What waits for one server. */
#include "deliver/outbox.h"

#include <errno.h>
#include <stdbool.h>
#include <stdlib.h>

#include "core/cleanup.h"

struct kept {
	struct kept *next;
	struct cs_parcel parcel;
};

struct cs_outbox {
	struct cs_parcels *spool; /* NULL: none */
	size_t found;
	struct kept *first, **end; /* in memory */
	size_t nkept;
	uint64_t kept_bytes, memory_bytes, crowded_out;
	struct cs_parcel current; /* of the spool, under way */
	bool in_memory;           /* the one under way */
};

int cs_outbox_new(const char *spool, const struct cs_parcels_limits *limits, uint64_t memory_bytes,
		  struct cs_outbox **ret)
{
	struct cs_outbox *box = calloc(1, sizeof(*box));
	int err = box ? 0 : -ENOMEM;

	if (!err && spool)
		err = cs_parcels_open(spool, limits, &box->spool);
	if (err) {
		free(box);
		return err;
	}
	box->found = box->spool ? cs_parcels_n(box->spool) : 0;
	box->end = &box->first;
	box->memory_bytes = memory_bytes;
	*ret = box;
	return 0;
}

static void drop_kept(struct cs_outbox *box)
{
	struct kept *kept = box->first;

	box->first = kept->next;
	if (!box->first)
		box->end = &box->first;
	box->nkept--;
	box->kept_bytes -= kept->parcel.body.len;
	cs_parcel_free(&kept->parcel);
	free(kept);
}

size_t cs_outbox_forget(struct cs_outbox *box)
{
	size_t n = box->nkept;

	while (box->first)
		drop_kept(box);
	return n;
}

void cs_outbox_free(struct cs_outbox *box)
{
	if (!box)
		return;
	cs_outbox_forget(box);
	cs_parcel_free(&box->current);
	cs_parcels_close(box->spool);
	free(box);
}

static int keep(struct cs_outbox *box, struct cs_parcel *parcel)
{
	struct kept *kept = calloc(1, sizeof(*kept));

	if (!kept)
		return -ENOMEM;
	kept->parcel = *parcel;
	*parcel = (struct cs_parcel){0};
	*box->end = kept;
	box->end = &kept->next;
	box->nkept++;
	box->kept_bytes += kept->parcel.body.len;
	for (; box->first && box->kept_bytes > box->memory_bytes; box->crowded_out++)
		drop_kept(box);
	return 0;
}

int cs_outbox_save(struct cs_outbox *box)
{
	int err = 0;

	while (box->spool && box->first && !err) {
		err = cs_parcels_put(box->spool, &box->first->parcel);
		if (!err || err == -EFBIG) {
			drop_kept(box);
			err = 0;
		}
	}
	return err;
}

int cs_outbox_put(struct cs_outbox *box, struct cs_parcel *parcel)
{
	/* what was packed before stays before it */
	int err = cs_outbox_save(box);

	if (box->spool && !err)
		err = cs_parcels_put(box->spool, parcel);
	if (!box->spool || (err && err != -EFBIG))
		err = keep(box, parcel) ? -ENOMEM : err;
	cs_parcel_free(parcel);
	return err;
}

static int begin_spooled(struct cs_outbox *box)
{
	int err = box->spool ? cs_parcels_first(box->spool, &box->current) : -ENOENT;

	if (!err)
		err = cs_parcels_note_attempt(box->spool);
	box->current.attempts++;
	return err;
}

int cs_outbox_begin(struct cs_outbox *box, const struct cs_parcel **ret)
{
	int err;

	cs_parcel_free(&box->current);
	err = begin_spooled(box);
	/* a disk that fails holds up what is on it, not what it could not take */
	box->in_memory = err && box->first;
	if (box->in_memory)
		box->first->parcel.attempts++;
	*ret = box->in_memory ? &box->first->parcel : &box->current;
	return box->in_memory ? 0 : err;
}

int cs_outbox_drop(struct cs_outbox *box)
{
	if (!box->in_memory)
		return cs_parcels_drop(box->spool);
	drop_kept(box);
	return 0;
}

size_t cs_outbox_n(const struct cs_outbox *box)
{
	return box->nkept + (box->spool ? cs_parcels_n(box->spool) : 0);
}

uint64_t cs_outbox_crowded_out(const struct cs_outbox *box)
{
	return box->crowded_out;
}

size_t cs_outbox_found(const struct cs_outbox *box)
{
	return box->found;
}

const struct cs_parcels_counts *cs_outbox_spool_counts(const struct cs_outbox *box)
{
	return box->spool ? cs_parcels_counts(box->spool) : NULL;
}
