/* SPDX-License-Identifier: Apache-2.0 */
/* The entries of .eh_frame. Bytes are hostile: every read is bounded by its section, entry or augmentation. */
#include "unwind/cfi.h"

#include <dwarf.h>
#include <string.h>

#include "core/cleanup.h"

#define MAX_AUGMENTATION 8

/* The entry's bytes behind its length; none at the terminator. */
static bool entry_bytes(const struct cs_eh_frame *frame, size_t at, struct cs_cursor *ret)
{
	struct cs_cursor cursor = {frame->bytes + at, frame->bytes + frame->size, false};
	uint64_t length = cs_cursor_unsigned(&cursor, 4);

	if (length == UINT32_MAX)
		length = cs_cursor_unsigned(&cursor, 8);
	*ret = cs_cursor_take(&cursor, length);
	return !ret->bad;
}

/* The augmentation's letters say which data follow: 'z' first, with their length. */
static bool augmentation(struct cs_cursor *cursor, const char *letters, struct cs_cie *cie)
{
	struct cs_cursor data;

	cie->pointer_encoding = DW_EH_PE_absptr;
	if (!*letters)
		return true;
	if (*letters != 'z')
		return false;
	cie->augmented = true;
	data = cs_cursor_take(cursor, cs_cursor_uleb(cursor));
	while (*++letters) {
		uint8_t encoding;

		switch (*letters) {
		case 'R':
			cie->pointer_encoding = (uint8_t)cs_cursor_unsigned(&data, 1);
			break;
		case 'P': /* who handles exceptions: only its length matters */
			encoding = (uint8_t)cs_cursor_unsigned(&data, 1);
			cs_cursor_pointer(&data, encoding & 15, 0, 0);
			break;
		case 'L':
			cs_cursor_unsigned(&data, 1);
			break;
		case 'S':
			cie->signal_frame = true;
			break;
		default:
			return false;
		}
	}
	return !data.bad;
}

static bool cie_parse(const struct cs_eh_frame *frame, size_t at, struct cs_cie *ret)
{
	char letters[MAX_AUGMENTATION + 1];
	struct cs_cursor cursor;
	uint64_t version;
	size_t n = 0;

	*ret = (struct cs_cie){.at = at};
	if (!entry_bytes(frame, at, &cursor) || cs_cursor_unsigned(&cursor, 4))
		return false;
	version = cs_cursor_unsigned(&cursor, 1);
	do {
		letters[n] = (char)cs_cursor_unsigned(&cursor, 1);
	} while (letters[n] && ++n < ARRAY_SIZE(letters));
	if (cursor.bad || n == ARRAY_SIZE(letters) || (version != 1 && version != 3))
		return false;
	ret->code_factor = cs_cursor_uleb(&cursor);
	ret->data_factor = cs_cursor_sleb(&cursor);
	ret->ra_register = version == 1 ? cs_cursor_unsigned(&cursor, 1) : cs_cursor_uleb(&cursor);
	if (!augmentation(&cursor, letters, ret) || cursor.bad)
		return false;
	ret->program = cursor;
	return true;
}

static bool fde_parse(const struct cs_eh_frame *frame, struct cs_cursor cursor,
		      const struct cs_cie *known, struct cs_fde *ret)
{
	size_t pointer_at = (size_t)(cursor.at - frame->bytes);
	uint64_t back = cs_cursor_unsigned(&cursor, 4), vaddr, length;

	if (back > pointer_at)
		return false;
	if (known->at == pointer_at - back)
		ret->cie = *known;
	else if (!cie_parse(frame, pointer_at - back, &ret->cie))
		return false;
	vaddr = frame->vaddr + (uint64_t)(cursor.at - frame->bytes);
	ret->start = cs_cursor_pointer(&cursor, ret->cie.pointer_encoding, vaddr, 0);
	length = cs_cursor_pointer(&cursor, ret->cie.pointer_encoding & 15, 0, 0);
	if (ret->cie.augmented)
		cs_cursor_take(&cursor, cs_cursor_uleb(&cursor));
	ret->program = cursor;
	return !cursor.bad && length && !__builtin_add_overflow(ret->start, length, &ret->end);
}

enum cs_entry cs_cfi_entry(const struct cs_eh_frame *frame, size_t at, const struct cs_cie *known,
			   struct cs_fde *ret)
{
	struct cs_cursor cursor, id;

	if (at >= frame->size || !entry_bytes(frame, at, &cursor))
		return CS_ENTRY_DAMAGED;
	ret->at = at;
	ret->next = (size_t)(cursor.end - frame->bytes);
	if (cursor.at == cursor.end)
		return CS_ENTRY_END;
	id = cursor;
	if (!cs_cursor_unsigned(&id, 4) && !id.bad)
		return CS_ENTRY_CIE;
	return fde_parse(frame, cursor, known, ret) ? CS_ENTRY_FDE : CS_ENTRY_DAMAGED;
}
