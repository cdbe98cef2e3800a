/* SPDX-License-Identifier: Apache-2.0 */
/* What was met, in a ring, and how often it is looked at. */
#include "collect/met.h"

#include <sys/param.h>

void cs_met_note(struct cs_met *met, uint64_t type, uint64_t object)
{
	for (unsigned int i = 0; i < MIN(met->n, CS_MET); i++) {
		if (met->items[i].type == type && met->items[i].object == object)
			return;
	}
	met->items[met->n++ % CS_MET] = (struct cs_met_object){type, object};
}

void cs_met_note_listed(struct cs_met *met, uint64_t type, uint64_t object)
{
	if (met->nlisted >= met->from && met->nlisted < met->from + CS_MET)
		cs_met_note(met, type, object);
	met->nlisted++;
}

void cs_met_end_list(struct cs_met *met)
{
	met->from = met->nlisted > met->from + CS_MET ? met->from + CS_MET : 0;
	met->nlisted = 0;
}

bool cs_met_get(const struct cs_met *met, unsigned int i, struct cs_met_object *ret)
{
	if (i >= met->n || i >= CS_MET)
		return false;
	*ret = met->items[(met->n - 1 - i) % CS_MET];
	return true;
}

bool cs_met_is_due(uint64_t *last_ns, uint64_t now_ns, uint64_t pause_ns, unsigned int burst)
{
	uint64_t saved_ns = (burst - 1) * pause_ns;

	if (now_ns - *last_ns < pause_ns)
		return false;
	*last_ns = MAX(*last_ns + pause_ns, now_ns > saved_ns ? now_ns - saved_ns : 0);
	return true;
}
