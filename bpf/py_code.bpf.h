/* SPDX-License-Identifier: GPL-2.0-only OR BSD-2-Clause */
/*
 * Code objects: is one still what it was when it was met, and what it is called. A process that lives for a tenth
 * of a second is gone before user space asks for names, so those of a young process are captured where they are met: some
 * ten reads once per code object. Pages that are not in memory cannot be read in an interrupt (texts of modules that
 * are frozen into the executable): such a text stays empty.
 */
#pragma once

#include "py_str.bpf.h"
#include "walk.bpf.h"

/* A word of the code object just checked, by its offset in the object. */
static __always_inline __u64 py_code_word(const struct cs_walk *w, __u32 offset)
{
	return w->code_words[((offset - cs_code_check_at(&w->off)) >> 3) & (CS_CODE_CHUNK / 8 - 1)];
}

/* The field whose text is shown. */
static __always_inline __u32 py_code_name(const struct cs_walk *w)
{
	return w->off.code_qualname ? w->off.code_qualname : w->off.code_name;
}

/* Mix the text of a field of the code object just read into *x. Returns 0, or 1 if it cannot be read. */
static __always_inline int py_code_mix_text(struct cs_walk *w, struct task_struct *task,
					    __u32 field, __u64 *x)
{
	struct py_str str = {};
	__u64 whole, bytes;

	if (py_str_open(w, task, py_code_word(w, field), &str))
		return 1;
	whole = str.length * str.kind;
	bytes = whole;
	asm volatile("" : "+r"(bytes));
	if (bytes > CS_CODE_TEXT_CHUNK)
		bytes = CS_CODE_TEXT_CHUNK;
	for (int i = 0; i < CS_CODE_TEXT_CHUNK / 8; i++)
		w->text_words[i] = 0;
	if (CS_READ(task, w->text_words, bytes, str.data + whole - bytes))
		return 1;
	*x = cs_code_check_mix_text(*x, str.length, w->text_words);
	return 0;
}

#ifndef CS_CHECK_CODE
#define CS_CHECK_CODE(w, task, code) py_code_check(w, task, code)
#endif

/* The check value of a code object as it is now, which leaves its words behind. CS_CODE_NOT_CHECKED if it cannot be read. */
static __always_inline __u32 py_code_check(struct cs_walk *w, struct task_struct *task, __u64 code)
{
	__u64 size = w->code_size, x;

	if (size > CS_CODE_CHUNK)
		size = CS_CODE_CHUNK;
	if (!size || CS_READ(task, w->code_words, size, code + cs_code_check_at(&w->off)))
		return CS_CODE_NOT_CHECKED;
	x = cs_code_check_mix(0, w->code_words, size);
	if (!w->traits.code_has_version && (py_code_mix_text(w, task, py_code_name(w), &x) ||
					    py_code_mix_text(w, task, w->off.code_filename, &x)))
		return CS_CODE_NOT_CHECKED;
	return cs_code_check_value(x);
}

/*
 * The check value of the current frame's code object if there is need for one: until it was the same CS_MET_SURE times (two objects that take turns at
 * an address within milliseconds may look like one to who reads names between them), or always where names are to be exact. An object that takes over
 * freed memory usually comes from another module: other globals are another object.
 */
static __always_inline __u32 py_code_meet(struct cs_walk *w, struct task_struct *task, __u64 code)
{
	__u64 globals = walk_chunk_u64(w, w->off.frame_globals);
	__u64 key = (code ^ (globals << 17 | globals >> 47) ^ w->met_salt) | 1;
	__u32 i = (key * 0x9e3779b97f4a7c15ull >> 48) & (CS_MET_CODES - 1), check;

	if (w->met[i] == key && w->met_same[i] >= CS_MET_SURE && !w->exact)
		return CS_CODE_NOT_CHECKED;
	check = CS_CHECK_CODE(w, task, code);
	if (check == CS_CODE_NOT_CHECKED)
		return check;
	if (w->met[i] == key && w->met_check[i] == check) {
		if (w->met_same[i] < CS_MET_SURE)
			w->met_same[i]++;
		return check;
	}
	w->seen.code = code;
	w->seen.check = check;
	if (w->exact && CS_MEET_CODE(w, task))
		return check;
	w->met[i] = key;
	w->met_check[i] = check;
	w->met_same[i] = 0;
	return check;
}

/* Put up to `max` bytes of a str at `at`. Returns how many; *ret_kind and *ret_chars tell what it is. */
static __always_inline __u32 py_code_text(struct cs_walk *w, struct task_struct *task, __u64 obj,
					  __u64 at, __u32 max, __u8 *ret_kind, __u32 *ret_chars)
{
	struct py_str str = {};
	__u64 bytes;

	*ret_kind = CS_NAME_NONE;
	*ret_chars = 0;
	if (!obj || py_str_open(w, task, obj, &str))
		return 0;
	bytes = str.length > max ? max : str.length * str.kind;
	asm volatile("" : "+r"(bytes), "+r"(at));
	if (bytes > max)
		bytes = max;
	bytes &= ~3ull | (4 - str.kind); /* whole characters: max is a multiple of 4 */
	if (at > CS_SEEN_TEXT - CS_SEEN_LINES_BYTES ||
	    CS_READ(task, w->seen_text + at, bytes, str.data))
		return 0;
	*ret_kind = str.kind;
	*ret_chars = str.length > ~0u ? ~0u : str.length;
	return bytes;
}

/* Put the first bytes of the line table at `at`. */
static __always_inline void py_code_lines(struct cs_walk *w, struct task_struct *task, __u64 at)
{
	__u64 table = 0, length = 0, bytes;

	w->seen.linetable_len = 0;
	w->seen.linetable_bytes = 0;
	if (CS_READ(task, &table, sizeof(table), w->seen.code + w->off.code_linetable) || !table ||
	    CS_READ(task, &length, sizeof(length), table + w->off.object_var_size))
		return;
	bytes = length;
	asm volatile("" : "+r"(bytes), "+r"(at));
	if (bytes > CS_SEEN_LINES_BYTES)
		bytes = CS_SEEN_LINES_BYTES;
	if (at > CS_SEEN_TEXT - CS_SEEN_LINES_BYTES ||
	    CS_READ(task, w->seen_text + at, bytes, table + w->off.bytes_data))
		return;
	w->seen.linetable_len = length > ~0u ? ~0u : length;
	w->seen.linetable_bytes = bytes;
}

/*
 * To whole words, by shifts: of "& ~7" the verifier of 6.18 derives bounds that no number is within, and warns of itself in the
 * kernel's log.
 */
static __always_inline __u64 py_code_align(__u64 bytes)
{
	__u64 words = (bytes + 7) >> 3;

	asm volatile("" : "+r"(words));
	return words << 3;
}

/* Describe the code object that py_code_check has just read in w->seen and w->seen_text. Returns the text's bytes. */
static __always_inline __u64 py_code_describe(struct cs_walk *w, struct task_struct *task)
{
	struct cs_ev_code_seen *seen = &w->seen;
	__u64 at;

	seen->firstlineno = w->code_words[0] >> ((w->off.code_firstlineno & 4) * 8);
	seen->pad = 0;
	seen->name_bytes = py_code_text(w, task, py_code_word(w, py_code_name(w)), 0,
					CS_SEEN_NAME_BYTES, &seen->name_kind, &seen->name_chars);
	at = py_code_align(seen->name_bytes);
	seen->file_bytes = py_code_text(w, task, py_code_word(w, w->off.code_filename), at,
					CS_SEEN_FILE_BYTES, &seen->file_kind, &seen->file_chars);
	at += py_code_align(seen->file_bytes);
	py_code_lines(w, task, at);
	return at + py_code_align(seen->linetable_bytes);
}
