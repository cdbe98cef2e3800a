/* SPDX-License-Identifier: Apache-2.0 */
/* Types, strings, integers, bytes and sets of another process. dict.c has dicts and attributes. */
#include "python/objects.h"

#include <errno.h>
#include <string.h>

#include "core/cleanup.h"

/* Class hierarchies are shallow; a torn or forged tp_base chain may be a cycle. */
#define MAX_BASES 64

/* A digit of a PyLong holds 30 bits on every 64-bit build (PYLONG_BITS_IN_DIGIT). */
#define LONG_DIGIT_BITS 30
#define LONG_MAX_DIGITS 3 /* 63 bits of an int64_t */

/* lv_tag since 3.12: the lowest two bits are 0 positive, 1 zero, 2 negative. */
#define LONG_TAG_SIGN     3
#define LONG_TAG_NEGATIVE 2

/* PyASCIIObject.state, shifted by the trait unicode_kind_shift: kind 3 bits, compact 1, ascii 1. */
#define STATE_KIND(state)    ((state)&7)
#define STATE_COMPACT(state) (((state) >> 3) & 1)
#define STATE_ASCII(state)   (((state) >> 4) & 1)

/* Both string headers of every supported layout fit. */
#define STR_HEADER_BYTES 72
#define STR_CHUNK_BYTES  512

static const struct cs_py_offsets *offsets(const struct cs_pyobj_ctx *ctx)
{
	return &ctx->interp->info.off;
}

uint64_t cs_pyobj_word(const void *chunk, uint32_t offset)
{
	uint64_t word;

	memcpy(&word, (const char *)chunk + offset, sizeof(word));
	return word;
}

static int read_word(const struct cs_pyobj_ctx *ctx, uint64_t obj, uint32_t offset, uint64_t *ret)
{
	return cs_mem_read_u64(ctx->mem, obj + offset, ret);
}

/* Names are for people: what is not printable ASCII is replaced, so that the text is valid UTF-8. */
static void make_printable(char *text)
{
	for (; *text; text++) {
		if (*text < ' ' || *text == 0x7f)
			*text = '?';
	}
}

int cs_pytype_read(const struct cs_pyobj_ctx *ctx, uint64_t type, struct cs_pytype *ret)
{
	const struct cs_py_offsets *off = offsets(ctx);
	struct cs_pytype found = {.addr = type};
	uint64_t meta, meta_flags, name;
	int err;

	if ((err = read_word(ctx, type, off->object_type, &meta)) ||
	    (err = read_word(ctx, meta, off->type_flags, &meta_flags)))
		return err;
	if (!(meta_flags & CS_PYTYPE_TYPE))
		return -EINVAL;
	if ((err = read_word(ctx, type, off->type_flags, &found.flags)) ||
	    (err = read_word(ctx, type, off->type_base, &found.base)) ||
	    (err = read_word(ctx, type, off->type_init, &found.init)) ||
	    (err = read_word(ctx, type, off->type_basicsize, &found.basicsize)) ||
	    (err = read_word(ctx, type, off->type_name, &name)) ||
	    (err = cs_mem_read_str(ctx->mem, name, found.name, sizeof(found.name))))
		return err;
	make_printable(found.name);
	*ret = found;
	return 0;
}

bool cs_pytype_derives(const struct cs_pyobj_ctx *ctx, const struct cs_pytype *type, uint64_t base)
{
	uint64_t at = type->addr;

	for (int i = 0; i < MAX_BASES && at; i++) {
		if (at == base)
			return true;
		if (read_word(ctx, at, offsets(ctx)->type_base, &at))
			return false;
	}
	return false;
}

int cs_pyobj_type_addr(const struct cs_pyobj_ctx *ctx, uint64_t obj, uint64_t *ret)
{
	return read_word(ctx, obj, offsets(ctx)->object_type, ret);
}

int cs_pyobj_type(const struct cs_pyobj_ctx *ctx, uint64_t obj, struct cs_pytype *ret)
{
	uint64_t type;
	int err = cs_pyobj_type_addr(ctx, obj, &type);

	return err ? err : cs_pytype_read(ctx, type, ret);
}

static int check_flag(const struct cs_pyobj_ctx *ctx, uint64_t obj, uint64_t flag)
{
	uint64_t type, flags;
	int err;

	if ((err = cs_pyobj_type_addr(ctx, obj, &type)) ||
	    (err = read_word(ctx, type, offsets(ctx)->type_flags, &flags)))
		return err;
	return flags & flag ? 0 : -EINVAL;
}

bool cs_pyobj_has_flag(const struct cs_pyobj_ctx *ctx, uint64_t obj, uint64_t flag)
{
	return check_flag(ctx, obj, flag) == 0;
}

struct str_view {
	uint64_t data, nchars;
	uint32_t width; /* bytes of a character */
	bool ascii;
};

static int str_open(const struct cs_pyobj_ctx *ctx, uint64_t obj, struct str_view *ret)
{
	const struct cs_py_offsets *off = offsets(ctx);
	char header[STR_HEADER_BYTES];
	uint32_t state;
	int err;

	if (off->unicode_ascii_data > sizeof(header))
		return -EINVAL;
	err = cs_mem_read(ctx->mem, obj, header, off->unicode_ascii_data);
	if (err)
		return err;
	memcpy(&state, header + off->unicode_state, sizeof(state));
	state >>= ctx->interp->info.traits.unicode_kind_shift & 31;
	ret->nchars = cs_pyobj_word(header, off->unicode_length);
	ret->width = STATE_KIND(state);
	ret->ascii = STATE_ASCII(state);
	ret->data = obj + (ret->ascii ? off->unicode_ascii_data : off->unicode_compact_data);
	if (ret->width != 1 && (ret->ascii || (ret->width != 2 && ret->width != 4)))
		return -EINVAL;
	/* Instances of subclasses are not compact: a pointer follows both headers (PyUnicodeObject.data). */
	return STATE_COMPACT(state) ? 0
				    : read_word(ctx, obj, off->unicode_compact_data, &ret->data);
}

static uint32_t char_at(const char *text, size_t i, uint32_t width)
{
	uint16_t two;
	uint32_t four;

	switch (width) {
	case 1:
		return (uint8_t)text[i];
	case 2:
		memcpy(&two, text + 2 * i, sizeof(two));
		return two;
	default:
		memcpy(&four, text + 4 * i, sizeof(four));
		return four;
	}
}

/* The UTF-8 form of one character. Returns its length. */
static size_t utf8_encode(uint32_t c, char *dst)
{
	if (c > 0x10ffff || (c >= 0xd800 && c <= 0xdfff))
		c = 0xfffd;
	if (c < 0x80) {
		dst[0] = (char)c;
		return 1;
	}
	if (c < 0x800) {
		dst[0] = (char)(0xc0 | c >> 6);
		dst[1] = (char)(0x80 | (c & 0x3f));
		return 2;
	}
	if (c < 0x10000) {
		dst[0] = (char)(0xe0 | c >> 12);
		dst[1] = (char)(0x80 | (c >> 6 & 0x3f));
		dst[2] = (char)(0x80 | (c & 0x3f));
		return 3;
	}
	dst[0] = (char)(0xf0 | c >> 18);
	dst[1] = (char)(0x80 | (c >> 12 & 0x3f));
	dst[2] = (char)(0x80 | (c >> 6 & 0x3f));
	dst[3] = (char)(0x80 | (c & 0x3f));
	return 4;
}

/* Copy an ASCII string, cut to size - 1 bytes. */
static int copy_ascii(const struct cs_pyobj_ctx *ctx, const struct str_view *view, char *dst,
		      size_t size, size_t *ret_len)
{
	*ret_len = view->nchars < size ? view->nchars : size - 1;
	return cs_mem_read(ctx->mem, view->data, dst, *ret_len);
}

size_t cs_pyobj_utf8(const char *text, size_t nchars, uint32_t width, char *dst, size_t size,
		     bool *ret_cut)
{
	char utf8[4];
	size_t len = 0;

	*ret_cut = false;
	for (size_t i = 0; i < nchars && !*ret_cut; i++) {
		size_t bytes = utf8_encode(char_at(text, i, width), utf8);

		*ret_cut = bytes >= size - len;
		if (!*ret_cut) {
			memcpy(dst + len, utf8, bytes);
			len += bytes;
		}
	}
	dst[len] = '\0';
	return len;
}

/* Convert a string of characters of any width, cut to size - 1 bytes. */
static int convert(const struct cs_pyobj_ctx *ctx, const struct str_view *view, char *dst,
		   size_t size, size_t *ret_len, bool *ret_cut)
{
	char chunk[STR_CHUNK_BYTES];
	uint64_t done = 0;
	size_t len = 0;
	bool full = false;

	while (done < view->nchars && !full) {
		uint64_t n = view->nchars - done;
		int err;

		if (n > sizeof(chunk) / view->width)
			n = sizeof(chunk) / view->width;
		/* A character takes a byte at least: more than there is room for is not read. */
		if (n > size - len)
			n = size - len;
		err = cs_mem_read(ctx->mem, view->data + done * view->width, chunk,
				  n * view->width);
		if (err)
			return err;
		len += cs_pyobj_utf8(chunk, n, view->width, dst + len, size - len, &full);
		done += n;
	}
	*ret_len = len;
	*ret_cut = full;
	return 0;
}

int cs_pyobj_str(const struct cs_pyobj_ctx *ctx, uint64_t obj, char *dst, size_t size,
		 size_t *ret_len, bool *ret_cut)
{
	struct str_view view;
	bool cut;
	size_t len;
	int err;

	if ((err = check_flag(ctx, obj, CS_PYTYPE_UNICODE)) || (err = str_open(ctx, obj, &view)))
		return err;
	if (view.ascii) {
		err = copy_ascii(ctx, &view, dst, size, &len);
		cut = len < view.nchars;
	} else {
		err = convert(ctx, &view, dst, size, &len, &cut);
	}
	if (err)
		return err;
	dst[len] = '\0';
	if (ret_len)
		*ret_len = len;
	if (ret_cut)
		*ret_cut = cut;
	return 0;
}

int cs_pyobj_str_tail(const struct cs_pyobj_ctx *ctx, uint64_t obj, void *dst, size_t size,
		      uint64_t *ret_nchars)
{
	struct str_view view;
	uint64_t whole, bytes;
	int err = str_open(ctx, obj, &view);

	if (err)
		return err;
	whole = view.nchars * view.width;
	bytes = whole < size ? whole : size;
	memset(dst, 0, size);
	*ret_nchars = view.nchars;
	return cs_mem_read(ctx->mem, view.data + whole - bytes, dst, bytes);
}

bool cs_pyobj_str_equals(const struct cs_pyobj_ctx *ctx, uint64_t obj, const char *text)
{
	size_t len = strlen(text);
	struct str_view view;
	char chunk[STR_CHUNK_BYTES];

	if (len > sizeof(chunk) || str_open(ctx, obj, &view) || !view.ascii || view.nchars != len)
		return false;
	return !cs_mem_read(ctx->mem, view.data, chunk, len) && !memcmp(chunk, text, len) &&
	       cs_pyobj_has_flag(ctx, obj, CS_PYTYPE_UNICODE);
}

int cs_pyobj_long(const struct cs_pyobj_ctx *ctx, uint64_t obj, int64_t *ret)
{
	const struct cs_py_offsets *off = offsets(ctx);
	int shift = ctx->interp->info.traits.long_tag_shift;
	uint32_t digits[LONG_MAX_DIGITS];
	uint64_t tag, ndigits;
	__uint128_t value = 0;
	bool negative;
	int err;

	if ((err = check_flag(ctx, obj, CS_PYTYPE_LONG)) ||
	    (err = read_word(ctx, obj, off->long_tag, &tag)))
		return err;
	if (shift) {
		negative = (tag & LONG_TAG_SIGN) == LONG_TAG_NEGATIVE;
		ndigits = tag >> shift;
	} else {
		negative = (int64_t)tag < 0;
		ndigits = negative ? -tag : tag;
	}
	if (ndigits > LONG_MAX_DIGITS)
		return -ERANGE;
	err = cs_mem_read(ctx->mem, obj + off->long_digits, digits, ndigits * sizeof(*digits));
	if (err)
		return err;
	while (ndigits--) {
		if (digits[ndigits] >> LONG_DIGIT_BITS)
			return -EINVAL;
		value = value << LONG_DIGIT_BITS | digits[ndigits];
	}
	if (value > INT64_MAX)
		return -ERANGE;
	*ret = negative ? -(int64_t)value : (int64_t)value;
	return 0;
}

int cs_pyobj_unsigned(const struct cs_pyobj_ctx *ctx, uint64_t obj, uint64_t *ret_hi,
		      uint64_t *ret_lo)
{
	const struct cs_py_offsets *off = &ctx->interp->info.off;
	unsigned __int128 value = 0;
	uint32_t digits[5];
	uint64_t n;
	int err;

	if (!cs_pyobj_has_flag(ctx, obj, CS_PYTYPE_LONG))
		return -EINVAL;
	err = cs_mem_read_u64(ctx->mem, obj + off->long_tag, &n);
	if (err)
		return err;
	if (ctx->interp->info.traits.long_tag_shift > 0)
		n = n & 3 ? 0 : n >> ctx->interp->info.traits.long_tag_shift;
	if (!n || n > ARRAY_SIZE(digits))
		return -EINVAL;
	err = cs_mem_read(ctx->mem, obj + off->long_digits, digits, n * sizeof(*digits));
	if (err)
		return err;
	while (n--)
		value = value << 30 | digits[n];
	*ret_hi = (uint64_t)(value >> 64);
	*ret_lo = (uint64_t)value;
	return 0;
}

int cs_pyobj_bytes(const struct cs_pyobj_ctx *ctx, uint64_t obj, uint64_t *ret_data,
		   uint64_t *ret_len)
{
	uint64_t len;
	int err;

	if ((err = check_flag(ctx, obj, CS_PYTYPE_BYTES)) ||
	    (err = read_word(ctx, obj, offsets(ctx)->object_var_size, &len)))
		return err;
	if (len > INT64_MAX)
		return -EINVAL;
	*ret_data = obj + offsets(ctx)->bytes_data;
	*ret_len = len;
	return 0;
}

int cs_pyobj_set_table(const struct cs_pyobj_ctx *ctx, uint64_t set, uint64_t max_slots,
		       uint64_t *ret_table, uint64_t *ret_nslots)
{
	struct cs_pytype type;
	uint64_t mask, table;
	int err;

	if ((err = cs_pyobj_type(ctx, set, &type)))
		return err;
	if (strcmp(type.name, "set") || type.flags & CS_PYTYPE_HEAP)
		return -EINVAL;
	if ((err = read_word(ctx, set, offsets(ctx)->set_mask, &mask)) ||
	    (err = read_word(ctx, set, offsets(ctx)->set_table, &table)))
		return err;
	if (mask >= max_slots || (mask & (mask + 1)))
		return -EINVAL;
	*ret_table = table;
	*ret_nslots = mask + 1;
	return 0;
}
