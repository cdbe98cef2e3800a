/* SPDX-License-Identifier: Apache-2.0 */
/* Building the collector's own wire records. */
#include "collect/record.h"

#include <errno.h>
#include <fcntl.h>
#include <stdbool.h>
#include <stdio.h>
#include <string.h>
#include <time.h>
#include <unistd.h>

#include "core/cleanup.h"
#include "core/clock.h"

uint64_t cs_now_ns(void)
{
	return cs_clock_ns(CLOCK_MONOTONIC);
}

void *cs_record_begin(struct cs_buf *out, enum cs_ev_kind kind, uint64_t ts_ns, pid_t pid,
		      size_t fixed_size, size_t tail_size)
{
	size_t size = (fixed_size + tail_size + 7) & ~(size_t)7;
	struct cs_ev_hdr *hdr = cs_buf_extend(out, size);

	if (!hdr)
		return NULL;
	hdr->size = (uint32_t)size;
	hdr->kind = (uint16_t)kind;
	hdr->ts_ns = ts_ns;
	hdr->pid = (uint32_t)pid;
	return hdr;
}

/* Read a small file of /proc; returns its length, 0 if it cannot be read. */
static size_t read_proc(pid_t pid, const char *name, char *dst, size_t size)
{
	_cleanup_close_ int fd = -1;
	char path[64];
	ssize_t n;

	snprintf(path, sizeof(path), "/proc/%d/%s", pid, name);
	fd = open(path, O_RDONLY | O_CLOEXEC);
	n = fd < 0 ? 0 : read(fd, dst, size);
	return n > 0 ? (size_t)n : 0;
}

int cs_record_process(struct cs_buf *out, uint64_t ts_ns, pid_t pid,
		      const struct cs_ev_process *known, const char *note)
{
	char comm[64], cmdline[1024];
	size_t comm_len = read_proc(pid, "comm", comm, sizeof(comm));
	size_t cmdline_len = read_proc(pid, "cmdline", cmdline, sizeof(cmdline));
	size_t note_len = strlen(note);
	struct cs_ev_process *ev;

	while (comm_len && comm[comm_len - 1] == '\n')
		comm_len--;
	while (cmdline_len && cmdline[cmdline_len - 1] == '\0')
		cmdline_len--;
	for (size_t i = 0; i < cmdline_len; i++)
		if (cmdline[i] == '\0')
			cmdline[i] = ' ';
	ev = cs_record_begin(out, CS_EV_PROCESS, ts_ns, pid, sizeof(*ev),
			     comm_len + cmdline_len + note_len);
	if (!ev)
		return -ENOMEM;
	ev->py_major = known->py_major;
	ev->py_minor = known->py_minor;
	ev->py_micro = known->py_micro;
	ev->status = known->status;
	ev->comm_len = (uint16_t)comm_len;
	ev->cmdline_len = (uint16_t)cmdline_len;
	ev->note_len = (uint16_t)note_len;
	memcpy(ev->text, comm, comm_len);
	memcpy(ev->text + comm_len, cmdline, cmdline_len);
	memcpy(ev->text + comm_len + cmdline_len, note, note_len);
	return 0;
}

int cs_record_whose(struct cs_buf *out, uint64_t ts_ns, pid_t pid, const struct cs_facts *facts)
{
	struct cs_ev_whose *ev;
	size_t len = 0;
	char *at;

	for (int i = 0; i < CS_FACT_MAX_; i++)
		len += facts->at[i] ? sizeof(struct cs_ev_fact) + strlen(facts->at[i]) : 0;
	ev = cs_record_begin(out, CS_EV_WHOSE, ts_ns, pid, sizeof(*ev), len);
	if (!ev)
		return -ENOMEM;
	at = ev->facts;
	for (int i = 0; i < CS_FACT_MAX_; i++) {
		struct cs_ev_fact fact = {.fact = (uint16_t)i};

		if (!facts->at[i])
			continue;
		fact.len = (uint16_t)strlen(facts->at[i]); /* at most CS_MAX_FACT_LIST */
		at = mempcpy(at, &fact, sizeof(fact));
		at = mempcpy(at, facts->at[i], fact.len);
		ev->nfacts++;
	}
	return 0;
}

int cs_record_capture(struct cs_buf *out, uint64_t interval_ns, enum cs_capture_mode mode,
		      uint32_t ncpu, const char *command)
{
	size_t host_len, command_len = strnlen(command, 4096);
	struct cs_ev_capture *ev;
	char host[256] = "";

	gethostname(host, sizeof(host) - 1);
	host_len = strlen(host);
	ev = cs_record_begin(out, CS_EV_CAPTURE, cs_now_ns(), 0, sizeof(*ev),
			     host_len + command_len);
	if (!ev)
		return -ENOMEM;
	ev->realtime_ns = cs_clock_ns(CLOCK_REALTIME);
	ev->interval_ns = interval_ns;
	ev->mode = mode;
	ev->ncpu = ncpu;
	ev->host_len = (uint16_t)host_len;
	ev->command_len = (uint16_t)command_len;
	memcpy(ev->text, host, host_len);
	memcpy(ev->text + host_len, command, command_len);
	return 0;
}

int cs_record_creations(struct cs_buf *out, uint64_t ts_ns, pid_t pid, bool told)
{
	struct cs_ev_hdr *hdr = cs_record_begin(out, CS_EV_CREATIONS, ts_ns, pid, sizeof(*hdr), 0);

	if (!hdr)
		return -ENOMEM;
	hdr->flags = told;
	return 0;
}

int cs_record_stats(struct cs_buf *out, uint64_t ts_ns, pid_t pid,
		    const uint64_t counters[CS_COUNTER_MAX_])
{
	struct cs_ev_stats *ev;

	ev = cs_record_begin(out, CS_EV_STATS, ts_ns, pid, sizeof(*ev),
			     CS_COUNTER_MAX_ * sizeof(uint64_t));
	if (!ev)
		return -ENOMEM;
	ev->n = CS_COUNTER_MAX_;
	memcpy(ev->counters, counters, CS_COUNTER_MAX_ * sizeof(uint64_t));
	return 0;
}

int cs_record_end(struct cs_buf *out, uint64_t ts_ns, enum cs_end_reason reason)
{
	struct cs_ev_end *ev = cs_record_begin(out, CS_EV_END, ts_ns, 0, sizeof(*ev), 0);

	if (!ev)
		return -ENOMEM;
	ev->reason = reason;
	return 0;
}

int cs_record_ksym(struct cs_buf *out, uint64_t ts_ns, uint64_t addr, const char *name)
{
	size_t len = strlen(name);
	struct cs_ev_ksym *ev = cs_record_begin(out, CS_EV_KSYM, ts_ns, 0, sizeof(*ev), len);

	if (!ev)
		return -ENOMEM;
	ev->addr = addr;
	ev->name_len = (uint32_t)len;
	memcpy(ev->name, name, len);
	return 0;
}

int cs_record_symbol(struct cs_buf *out, uint64_t ts_ns, pid_t pid, uint64_t addr, const char *name,
		     unsigned int flags)
{
	size_t len = strnlen(name, CS_MAX_SYMBOL);
	struct cs_ev_symbol *ev = cs_record_begin(out, CS_EV_SYMBOL, ts_ns, pid, sizeof(*ev), len);

	if (!ev)
		return -ENOMEM;
	ev->hdr.flags = (uint16_t)flags;
	ev->addr = addr;
	ev->name_len = (uint32_t)len;
	memcpy(ev->name, name, len);
	return 0;
}

int cs_record_mapping(struct cs_buf *out, uint64_t ts_ns, pid_t pid, uint64_t start, uint64_t end,
		      uint64_t offset, const char *path)
{
	const struct cs_record_code mapping = {
		.start = start, .end = end, .offset = offset, .path = path};

	return cs_record_code(out, ts_ns, pid, &mapping);
}

int cs_record_code(struct cs_buf *out, uint64_t ts_ns, pid_t pid, const struct cs_record_code *code)
{
	size_t len = strnlen(code->path, CS_MAX_PATH);
	bool known = code->build_id_len && code->build_id_len <= CS_MAX_BUILD_ID;
	size_t id_len = known ? code->build_id_len : 0;
	struct cs_ev_mapping *ev =
		cs_record_begin(out, CS_EV_MAPPING, ts_ns, pid, sizeof(*ev),
				len + id_len + (known ? sizeof(code->vaddr) : 0));

	if (!ev)
		return -ENOMEM;
	ev->start = code->start;
	ev->end = code->end;
	ev->offset = code->offset;
	ev->path_len = (uint32_t)len;
	ev->build_id_len = (uint32_t)id_len;
	memcpy(ev->path, code->path, len);
	if (known) {
		memcpy(ev->path + len, code->build_id, id_len);
		memcpy(ev->path + len + id_len, &code->vaddr, sizeof(code->vaddr));
	}
	return 0;
}
