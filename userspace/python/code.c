/* SPDX-License-Identifier: Apache-2.0 */
/*
 * Code objects of a live process as CS_EV_CODE records. Read level by level, so that a batch costs a few
 * system calls: all code objects, then all their strings and line tables.
 */
#include "python/code.h"

#include <coroscope/code_check.h>

#include <coroscope/event.h>
#include <coroscope/limits.h>
#include <errno.h>
#include <string.h>

#include "core/cleanup.h"
#include "python/objects.h"

/* The part of a code object that is read, in all supported versions. */
#define CODE_CHUNK 256
/* What most names and line tables take. The rest is read through. */
#define TEXT_CHUNK 256
/* Code objects of one picture of the memory: their line tables fit into it, however long. */
#define BATCH      256

/*
 * The functions of asyncio below which tasks hang. A stack may hold several (asyncio.run is above all):
 * the innermost counts. Up to 3.10 code objects know only their bare names.
 * Source: Lib/asyncio/base_events.py, runners.py of 3.8 to 3.15.
 */
static const struct {
	const char *file, *qualname;
} loop_functions[] = {
	{"base_events.py", "BaseEventLoop.run_forever"},
	{"base_events.py", "BaseEventLoop.run_until_complete"},
	{"base_events.py", "run_forever"},
	{"base_events.py", "run_until_complete"},
	{"runners.py", "Runner.run"},
	{"runners.py", "run"},
};

/* Where the objects of one code object are. code 0: it could not be read. */
struct parts {
	uint64_t code, qualname, filename, linetable;
	uint32_t firstlineno;
	uint32_t check;
};

/*
 * The file's name within the asyncio package, or NULL if it is no part of it. The package is known by where
 * it lies: .../python3.N/asyncio/, or frozen into the executable.
 */
static const char *asyncio_file(const char *path)
{
	static const char frozen[] = "<frozen asyncio", dir[] = "/python3.",
			  package[] = "/asyncio/";

	if (!strncmp(path, frozen, sizeof(frozen) - 1))
		return path + sizeof(frozen) - 1;
	for (const char *at = strstr(path, dir); at; at = strstr(at + 1, dir)) {
		const char *rest = at + sizeof(dir) - 1;

		rest += strspn(rest, "0123456789");
		rest += *rest == 't'; /* a build without the GIL */
		if (!strncmp(rest, package, sizeof(package) - 1))
			return rest + sizeof(package) - 1;
	}
	return NULL;
}

/*
 * What a code object's file and name tell. From 3.12 on a specialised call of a class runs __init__ above a frame of
 * the interpreter's own, _Py_InitCleanup of Python/specialize.c, whose names are all "__init__".
 */
static uint16_t flags_of(const char *path, const char *qualname)
{
	const char *file = asyncio_file(path);

	if (!strcmp(path, "__init__") && !strcmp(qualname, "__init__"))
		return CS_CODE_SHIM;
	for (size_t i = 0; file && i < ARRAY_SIZE(loop_functions); i++) {
		if (!strcmp(file, loop_functions[i].file) &&
		    !strcmp(qualname, loop_functions[i].qualname))
			return CS_CODE_ASYNCIO | CS_CODE_LOOP;
	}
	return file ? CS_CODE_ASYNCIO : 0;
}

/* Is obj a code object? *code_type remembers PyCode_Type once it was seen. */
static bool is_code(const struct cs_pyobj_ctx *ctx, const char *chunk, uint64_t *code_type)
{
	uint64_t addr = cs_pyobj_word(chunk, ctx->interp->info.off.object_type);
	struct cs_pytype type;

	if (addr == *code_type)
		return true;
	if (cs_pytype_read(ctx, addr, &type) || strcmp(type.name, "code") ||
	    type.flags & CS_PYTYPE_HEAP)
		return false;
	*code_type = addr;
	return true;
}

/*
 * Does an object have references? CPython's allocator keeps the list of its free blocks in their first word, where a
 * reference count stands in a living object: a pointer then, or NULL. Everything else in a freed object may be as it was. Counts stay
 * below 2^32 (from 3.12 on by construction: immortal objects; 3.14 keeps flags in the upper 16 bits). A free-threaded interpreter
 * keeps the owner's thread there: not told.
 */
static bool is_alive(const struct cs_pyobj_ctx *ctx, uint64_t obj)
{
	uint64_t refs;

	if (ctx->interp->info.off.object_type != 8)
		return true;
	return !cs_mem_read_u64(ctx->mem, obj, &refs) && (uint32_t)refs && !(uint16_t)(refs >> 32);
}

/* The offset of the field whose text is shown. */
static uint32_t name_field(const struct cs_py_offsets *off)
{
	return off->code_qualname ? off->code_qualname : off->code_name;
}

static bool mix_text(const struct cs_pyobj_ctx *ctx, uint64_t field, __u64 *x)
{
	__u64 words[CS_CODE_TEXT_CHUNK / 8];
	uint64_t text, nchars;

	if (cs_mem_read_u64(ctx->mem, field, &text) ||
	    cs_pyobj_str_tail(ctx, text, words, sizeof(words), &nchars))
		return false;
	*x = cs_code_check_mix_text(*x, nchars, words);
	return true;
}

/* The check value, or false. */
static bool read_check(const struct cs_pyobj_ctx *ctx, uint64_t code, uint32_t *ret)
{
	const struct cs_py_offsets *off = &ctx->interp->info.off;
	__u64 words[CS_CODE_CHUNK / 8] = {0}, x;
	uint32_t size = cs_code_check_size(off);

	if (!size || cs_mem_read(ctx->mem, code + cs_code_check_at(off), words, size))
		return false;
	x = cs_code_check_mix(0, words, size);
	if (!ctx->interp->info.traits.code_has_version &&
	    (!mix_text(ctx, code + name_field(off), &x) ||
	     !mix_text(ctx, code + off->code_filename, &x)))
		return false;
	*ret = cs_code_check_value(x);
	return true;
}

/* Bytes of a code object that hold all that is read of it. */
static size_t code_bytes(const struct cs_py_offsets *off)
{
	const uint32_t fields[] = {off->code_filename, off->code_name, off->code_qualname,
				   off->code_linetable, off->code_firstlineno};
	uint32_t last = 0;

	for (size_t i = 0; i < ARRAY_SIZE(fields); i++)
		last = fields[i] > last ? fields[i] : last;
	return last + 8;
}

static struct parts read_parts(const struct cs_pyobj_ctx *ctx, uint64_t code, uint64_t *code_type)
{
	const struct cs_py_offsets *off = &ctx->interp->info.off;
	char chunk[CODE_CHUNK];
	struct parts parts;
	int32_t line;

	if (code_bytes(off) > sizeof(chunk) ||
	    cs_mem_read(ctx->mem, code, chunk, code_bytes(off)) || !is_code(ctx, chunk, code_type))
		return (struct parts){0};
	memcpy(&line, chunk + off->code_firstlineno, sizeof(line));
	parts = (struct parts){
		.code = code,
		.qualname = cs_pyobj_word(chunk, name_field(off)),
		.filename = cs_pyobj_word(chunk, off->code_filename),
		.linetable = cs_pyobj_word(chunk, off->code_linetable),
		.firstlineno = line > 0 ? (uint32_t)line : 0,
	};
	if (!read_check(ctx, code, &parts.check))
		return (struct parts){0};
	cs_mem_want(ctx->mem, parts.qualname, TEXT_CHUNK);
	cs_mem_want(ctx->mem, parts.filename, TEXT_CHUNK);
	cs_mem_want(ctx->mem, parts.linetable, TEXT_CHUNK);
	return parts;
}

/* Append an empty record with room for text bytes. Valid until the next append. */
static struct cs_ev_code *append_record(const struct cs_interp *interp, uint64_t code, size_t text,
					uint64_t ts_ns, struct cs_buf *out)
{
	size_t size = (sizeof(struct cs_ev_code) + text + 7) & ~(size_t)7;
	struct cs_ev_code *ev = cs_buf_extend(out, size);

	if (ev) {
		ev->hdr = (struct cs_ev_hdr){
			.size = (uint32_t)size,
			.kind = CS_EV_CODE,
			.ts_ns = ts_ns,
			.pid = (uint32_t)interp->pid,
		};
		ev->code = code;
	}
	return ev;
}

/* Say at the end of a text of at most max bytes that it is not whole: "...", in place of its last characters if need be. */
static void mark_cut(char *text, size_t *len, size_t max)
{
	static const char mark[] = "...";
	size_t n = *len;

	if (n > max - strlen(mark)) {
		n = max - strlen(mark);
		/* before a character's first byte */
		while (n && ((unsigned char)text[n] & 0xc0) == 0x80)
			n--;
	}
	memcpy(text + n, mark, sizeof(mark));
	*len = n + strlen(mark);
}

/* Returns 0, -ENOMEM, or another error if an object is not what it should be; then out is unchanged. */
static int append_code(const struct cs_pyobj_ctx *ctx, const struct parts *parts, uint64_t ts_ns,
		       struct cs_buf *out)
{
	char name[CS_MAX_NAME + 1], file[CS_MAX_PATH + 1];
	bool name_cut, file_cut, lines_cut;
	size_t name_len, file_len, before = out->len;
	uint64_t lines, lines_len;
	unsigned int flags;
	struct cs_ev_code *ev;
	int err;

	if (!is_alive(ctx, parts->code) || !is_alive(ctx, parts->qualname) ||
	    !is_alive(ctx, parts->filename) || !is_alive(ctx, parts->linetable))
		return -ESTALE;
	if ((err = cs_pyobj_str(ctx, parts->qualname, name, sizeof(name), &name_len, &name_cut)) ||
	    (err = cs_pyobj_str(ctx, parts->filename, file, sizeof(file), &file_len, &file_cut)) ||
	    (err = cs_pyobj_bytes(ctx, parts->linetable, &lines, &lines_len)))
		return err;
	flags = flags_of(file, name);
	if (name_cut)
		mark_cut(name, &name_len, CS_MAX_NAME);
	if (file_cut)
		mark_cut(file, &file_len, CS_MAX_PATH);
	lines_cut = lines_len > CS_MAX_LINETABLE;
	if (lines_cut)
		lines_len = CS_MAX_LINETABLE;
	ev = append_record(ctx->interp, parts->code, name_len + file_len + lines_len, ts_ns, out);
	if (!ev)
		return -ENOMEM;
	ev->hdr.flags = (uint16_t)flags;
	if (lines_cut)
		ev->hdr.flags |= CS_CODE_LINES_CUT;
	ev->firstlineno = parts->firstlineno;
	ev->check = parts->check;
	ev->linetable_kind = (uint32_t)ctx->interp->info.traits.linetable_kind;
	ev->name_len = (uint16_t)name_len;
	ev->file_len = (uint16_t)file_len;
	ev->linetable_len = (uint32_t)lines_len;
	memcpy(ev->text, name, name_len);
	memcpy(ev->text + name_len, file, file_len);
	err = cs_mem_read(ctx->mem, lines, ev->text + name_len + file_len, lines_len);
	if (err)
		out->len = before;
	return err;
}

/* Returns 0 or -ENOMEM. */
static int read_once(const struct cs_pyobj_ctx *ctx, const uint64_t *codes, size_t n,
		     uint64_t ts_ns, struct cs_buf *out, uint64_t *unreadable)
{
	struct parts parts[BATCH];
	uint64_t code_type = 0;

	cs_mem_forget(ctx->mem);
	for (size_t i = 0; i < n; i++)
		cs_mem_want(ctx->mem, codes[i], code_bytes(&ctx->interp->info.off));
	cs_mem_fetch(ctx->mem);
	for (size_t i = 0; i < n; i++)
		parts[i] = read_parts(ctx, codes[i], &code_type);
	cs_mem_fetch(ctx->mem);
	for (size_t i = 0; i < n; i++) {
		int err = parts[i].code ? append_code(ctx, &parts[i], ts_ns, out) : -EFAULT;
		struct cs_ev_code *ev;

		if (err == -ENOMEM)
			return err;
		if (!err)
			continue;
		ev = append_record(ctx->interp, codes[i], 0, ts_ns, out);
		if (!ev)
			return -ENOMEM;
		ev->hdr.flags = CS_CODE_UNREADABLE;
		++*unreadable;
	}
	return 0;
}

/*
 * Texts are other objects, read after their code object: by then they may be freed, and their memory another's. So a
 * reading counts if a second one gives the same. Returns 0 or -ENOMEM.
 */
static int read_batch(const struct cs_pyobj_ctx *ctx, const uint64_t *codes, size_t n,
		      uint64_t ts_ns, struct cs_buf *out, uint64_t *unreadable)
{
	_cleanup_buf_ struct cs_buf second = {0};
	uint64_t ignored = 0;
	size_t at = out->len;
	int err = read_once(ctx, codes, n, ts_ns, out, unreadable);

	if (!err)
		err = read_once(ctx, codes, n, ts_ns, &second, &ignored);
	for (size_t other = 0; !err && at < out->len;) {
		struct cs_ev_code *ev = (void *)(out->data + at);
		const struct cs_ev_code *same = (const void *)(second.data + other);

		at += ev->hdr.size;
		other += same->hdr.size;
		if (ev->hdr.size == same->hdr.size && !memcmp(ev, same, ev->hdr.size))
			continue;
		*unreadable += !(ev->hdr.flags & CS_CODE_UNREADABLE);
		ev->hdr.flags = CS_CODE_UNREADABLE;
	}
	return err;
}

int cs_code_read(const struct cs_interp *interp, struct cs_mem *mem, const uint64_t *codes,
		 size_t n, uint64_t ts_ns, struct cs_buf *out, uint64_t *ret_unreadable)
{
	struct cs_pyobj_ctx ctx = {interp, mem};
	uint64_t unreadable = 0;

	for (size_t i = 0; i < n; i += BATCH) {
		int err = read_batch(&ctx, codes + i, n - i < BATCH ? n - i : BATCH, ts_ns, out,
				     &unreadable);

		if (err)
			return err;
	}
	*ret_unreadable = unreadable;
	return 0;
}

void cs_code_checks(const struct cs_interp *interp, struct cs_mem *mem, const uint64_t *codes,
		    size_t n, uint32_t *ret_checks)
{
	const struct cs_py_offsets *off = &interp->info.off;
	const struct cs_pyobj_ctx ctx = {interp, mem};
	uint64_t text;

	cs_mem_forget(mem);
	for (size_t i = 0; i < n; i++)
		cs_mem_want(mem, codes[i], code_bytes(off));
	cs_mem_fetch(mem);
	for (size_t i = 0; i < n && !interp->info.traits.code_has_version; i++) {
		if (!cs_mem_read_u64(mem, codes[i] + name_field(off), &text))
			cs_mem_want(mem, text, TEXT_CHUNK);
		if (!cs_mem_read_u64(mem, codes[i] + off->code_filename, &text))
			cs_mem_want(mem, text, TEXT_CHUNK);
	}
	cs_mem_fetch(mem);
	for (size_t i = 0; i < n; i++)
		if (!read_check(&ctx, codes[i], &ret_checks[i]))
			ret_checks[i] = CS_CODE_NOT_CHECKED;
}

/* A text of a record, converted; false if it is not there or is not what it says. */
static bool seen_text(const struct cs_ev_code_seen *seen, size_t at, uint16_t bytes, uint8_t kind,
		      uint32_t nchars, char *dst, size_t size, size_t *ret_len, bool *ret_cut)
{
	size_t room = seen->hdr.size - sizeof(*seen);

	if ((kind != CS_NAME_LATIN1 && kind != CS_NAME_UCS2 && kind != CS_NAME_UCS4) ||
	    bytes % kind || at > room || bytes > room - at)
		return false;
	*ret_len = cs_pyobj_utf8(seen->text + at, bytes / kind, kind, dst, size, ret_cut);
	*ret_cut |= nchars > bytes / kind;
	return true;
}

int cs_code_from_seen(const struct cs_interp *interp, const struct cs_ev_code_seen *seen,
		      struct cs_buf *out)
{
	size_t file_at = (seen->name_bytes + 7u) & ~7u, lines_at;
	char name[CS_SEEN_NAME_BYTES * 3 + 4], file[CS_SEEN_FILE_BYTES * 3 + 4];
	bool name_cut, file_cut, lines_cut;
	size_t name_len, file_len;
	struct cs_ev_code *ev;
	unsigned int flags;

	if (seen->hdr.size < sizeof(*seen) ||
	    !seen_text(seen, 0, seen->name_bytes, seen->name_kind, seen->name_chars, name,
		       sizeof(name), &name_len, &name_cut) ||
	    !seen_text(seen, file_at, seen->file_bytes, seen->file_kind, seen->file_chars, file,
		       sizeof(file), &file_len, &file_cut))
		return -ENODATA;
	lines_at = file_at + ((seen->file_bytes + 7u) & ~7u);
	if (lines_at + seen->linetable_bytes > seen->hdr.size - sizeof(*seen))
		return -ENODATA;
	flags = flags_of(file, name);
	if (name_cut)
		mark_cut(name, &name_len, sizeof(name) - 1);
	if (file_cut)
		mark_cut(file, &file_len, sizeof(file) - 1);
	lines_cut = seen->linetable_len > seen->linetable_bytes;
	ev = append_record(interp, seen->code, name_len + file_len + seen->linetable_bytes,
			   seen->hdr.ts_ns, out);
	if (!ev)
		return -ENOMEM;
	ev->hdr.flags = (uint16_t)flags;
	if (lines_cut)
		ev->hdr.flags |= CS_CODE_LINES_CUT;
	ev->firstlineno = seen->firstlineno;
	ev->check = seen->check;
	ev->linetable_kind = (uint32_t)interp->info.traits.linetable_kind;
	ev->name_len = (uint16_t)name_len;
	ev->file_len = (uint16_t)file_len;
	ev->linetable_len = seen->linetable_bytes;
	memcpy(ev->text, name, name_len);
	memcpy(ev->text + name_len, file, file_len);
	memcpy(ev->text + name_len + file_len, seen->text + lines_at, seen->linetable_bytes);
	return 0;
}
