/* SPDX-License-Identifier: Apache-2.0 */
/* Mappings of one process. */
#include "symbolize/places.h"

#include <errno.h>
#include <stdio.h>
#include <stdlib.h>
#include <string.h>

/*
 * Mappings of one process: vm.max_map_count is 65530 by default. Beyond that, files are not named.
 */
#define MAX_PLACES 65536

static void place_free(struct cs_place *place)
{
	free(place->path.bytes);
	free(place->file.bytes);
	free(place->build_id.bytes);
}

void cs_places_free(struct cs_places *places)
{
	for (size_t i = 0; i < places->n; i++)
		place_free(&places->items[i]);
	free(places->items);
	*places = (struct cs_places){0};
}

void cs_places_begin(struct cs_places *places)
{
	for (size_t i = 0; i < places->n; i++) {
		struct cs_place *it = &places->items[i];

		it->path.string = it->file.string = it->build_id.string = it->mapping = 0;
	}
}

static int reserve(struct cs_places *places)
{
	size_t cap = places->cap ? places->cap * 2 : 16;
	void *grown;

	if (places->n < places->cap)
		return 0;
	grown = reallocarray(places->items, cap, sizeof(*places->items));
	if (!grown)
		return -ENOMEM;
	places->items = grown;
	places->cap = cap;
	return 0;
}

static struct cs_text base_name(struct cs_text path)
{
	const char *slash = path.len ? memrchr(path.str, '/', path.len) : NULL;

	if (!slash)
		return path;
	return (struct cs_text){slash + 1, (size_t)(path.str + path.len - slash - 1)};
}

static int set_build_id(struct cs_place *place, const struct cs_event_mapping *event)
{
	char hex[2 * CS_MAX_BUILD_ID + 1] = "";

	for (uint32_t i = 0; i < event->build_id_len; i++)
		sprintf(hex + 2 * (size_t)i, "%02x", event->build_id[i]);
	if (event->build_id_len)
		memcpy(place->build_id_bytes, event->build_id, event->build_id_len);
	return cs_own_text_set(&place->build_id,
			       (struct cs_text){hex, 2 * (size_t)event->build_id_len});
}

/* Without a build id, of a place that is known with one: captures tell of the same code in two ways. */
static bool is_known(const struct cs_places *places, const struct cs_event_mapping *event)
{
	const struct cs_place *place = cs_places_find(places, event->start);

	return place && place->build_id.len && !event->build_id_len && event->end <= place->end &&
	       event->offset == place->offset + (event->start - place->start) &&
	       place->path.len == event->path.len &&
	       !memcmp(place->path.bytes, event->path.str, event->path.len);
}

int cs_places_add(struct cs_places *places, const struct cs_event_mapping *event)
{
	struct cs_place place = {.start = event->start,
				 .end = event->end,
				 .offset = event->offset,
				 .vaddr = event->vaddr};

	if (places->n == MAX_PLACES || is_known(places, event))
		return 0;
	if (cs_own_text_set(&place.path, event->path) ||
	    cs_own_text_set(&place.file, base_name(event->path)) || set_build_id(&place, event) ||
	    reserve(places)) {
		place_free(&place);
		return -ENOMEM;
	}
	places->items[places->n++] = place;
	return 0;
}

struct cs_place *cs_places_find(const struct cs_places *places, uint64_t addr)
{
	for (size_t i = places->n; i-- > 0;)
		if (addr >= places->items[i].start && addr < places->items[i].end)
			return &places->items[i];
	return NULL;
}

int64_t cs_place_mapping(struct cs_place *place, struct cs_profile *profile)
{
	struct cs_mapped mapped = {
		.start = place->start, .end = place->end, .offset = place->offset};
	int64_t index;

	if (place->mapping)
		return place->mapping;
	if (cs_own_text_string(&place->path, profile, &mapped.path) ||
	    cs_own_text_string(&place->build_id, profile, &mapped.build_id))
		return -ENOMEM;
	index = cs_profile_mapping(profile, &mapped);
	if (index < 0)
		return index;
	return place->mapping = (uint32_t)index + 1;
}
