/* SPDX-License-Identifier: Apache-2.0 */
/*
 * One table of questions about the machine, one list about an interpreter. Each answer is one line that
 * a user can act on: the value that was read, what it costs, what to do. It changes nothing and attaches nothing.
 */
#include "cli/check.h"

#include <argp.h>
#include <errno.h>
#include <inttypes.h>
#include <stdarg.h>
#include <stdlib.h>
#include <string.h>

#include "cli/args.h"
#include "cli/check_spans.h"
#include "cli/check_whose.h"
#include "cli/cli.h"
#include "collect/instants.h"
#include "collect/kernel.h"
#include "core/capability.h"
#include "core/cleanup.h"
#include "core/log.h"
#include "python/layout.h"

/* One answer: the value that was read, and what follows if it is not good enough. */
struct answer {
	char value[768];
	const char *effect, *remedy; /* static texts; NULL: all is well */
};

static void answer_value(struct answer *answer, const char *fmt, ...)
	__attribute__((format(printf, 2, 3)));
static void answer_value(struct answer *answer, const char *fmt, ...)
{
	va_list args;

	va_start(args, fmt);
	vsnprintf(answer->value, sizeof(answer->value), fmt, args);
	va_end(args);
	answer->effect = answer->remedy = NULL;
}

static void answer_missing(struct answer *answer, const char *effect, const char *remedy)
{
	answer->effect = effect;
	answer->remedy = remedy;
}

/* Print one answer; returns 1 if something is missing. Values may come from the target: no control characters. */
static unsigned int print_answer(FILE *out, const char *what, struct answer *answer)
{
	for (char *c = answer->value; *c; c++) {
		if ((unsigned char)*c < ' ' || *c == 0x7f)
			*c = '?';
	}
	if (!answer->effect) {
		fprintf(out, "ok      %s: %s\n", what, answer->value);
		return 0;
	}
	fprintf(out, "MISSING %s: %s; %s; %s\n", what, answer->value, answer->effect,
		answer->remedy);
	return 1;
}

static bool has_cap(const struct cs_check_host *host, unsigned int cap)
{
	return host->caps & (UINT64_C(1) << cap);
}

static void check_kernel(const struct cs_check_host *host, struct answer *answer)
{
	answer_value(answer, "%s", host->release[0] ? host->release : "unknown");
	if (!cs_check_kernel_at_least(host, 5, 10))
		answer_missing(answer, "the BPF programs do not load",
			       "boot a kernel of 5.10 or later");
}

static void check_btf(const struct cs_check_host *host, struct answer *answer)
{
	answer_value(answer, "/sys/kernel/btf/vmlinux %s",
		     host->btf ? "is readable" : "cannot be read");
	if (!host->btf)
		answer_missing(answer, "the BPF programs cannot be fitted to this kernel",
			       "boot a kernel built with CONFIG_DEBUG_INFO_BTF=y");
}

static bool may_load(const struct cs_check_host *host)
{
	return has_cap(host, CAP_SYS_ADMIN) ||
	       (has_cap(host, CAP_BPF) && has_cap(host, CAP_PERFMON));
}

static void check_cap_bpf(const struct cs_check_host *host, struct answer *answer)
{
	if (has_cap(host, CAP_SYS_ADMIN))
		answer_value(answer, "CAP_SYS_ADMIN");
	else if (may_load(host))
		answer_value(answer, "CAP_BPF and CAP_PERFMON");
	else {
		answer_value(answer, "effective set %#" PRIx64, host->caps);
		answer_missing(answer, "no BPF program can be loaded",
			       "run with sudo, or give CAP_SYS_ADMIN (or CAP_BPF and CAP_PERFMON)");
	}
}

/* Measured on 5.10 to 7.3: a uprobe is refused without CAP_SYS_ADMIN, whatever CAP_PERFMON and the sysctl say. */
static void check_cap_uprobe(const struct cs_check_host *host, struct answer *answer)
{
	bool allowed = has_cap(host, CAP_SYS_ADMIN);

	answer_value(answer, "%sCAP_SYS_ADMIN", allowed ? "" : "no ");
	if (!allowed)
		answer_missing(answer, "no creation links: unawaited tasks hang under their loop",
			       "run with sudo, or give CAP_SYS_ADMIN");
}

static void check_cap_ptrace(const struct cs_check_host *host, struct answer *answer)
{
	bool allowed = has_cap(host, CAP_SYS_PTRACE);

	answer_value(answer, "%sCAP_SYS_PTRACE", allowed ? "" : "no ");
	if (!allowed)
		answer_missing(answer, "names and tasks of other users' processes cannot be read",
			       "run with sudo, or give CAP_SYS_PTRACE (docker: --cap-add)");
}

/* Above 2, which only distributions know, CAP_PERFMON no longer suffices; CAP_SYS_ADMIN does. */
static void check_perf(const struct cs_check_host *host, struct answer *answer)
{
	if (host->perf_paranoid == CS_CHECK_UNREAD) {
		answer_value(answer, "cannot be read");
		answer_missing(answer, "no CPU samples: the kernel lacks perf events",
			       "boot a kernel built with CONFIG_PERF_EVENTS=y; pstree and dump "
			       "still work");
		return;
	}
	answer_value(answer, "%d", host->perf_paranoid);
	if (host->perf_paranoid > 2 && !has_cap(host, CAP_SYS_ADMIN))
		answer_missing(answer, "no CPU samples without CAP_SYS_ADMIN",
			       "run with sudo, or sysctl kernel.perf_event_paranoid=2");
}

static void check_lockdown(const struct cs_check_host *host, struct answer *answer)
{
	answer_value(answer, "%s", host->lockdown[0] ? host->lockdown : "not in force");
	if (strcmp(host->lockdown, "confidentiality") == 0)
		answer_missing(answer, "BPF programs may not read memory",
			       "boot with lockdown=integrity or without lockdown");
}

/* From 5.11 on BPF memory is charged to the cgroup instead. */
static void check_memlock(const struct cs_check_host *host, struct answer *answer)
{
	const uint64_t enough = UINT64_C(64) << 20;

	if (host->memlock == CS_MEMLOCK_UNLIMITED)
		answer_value(answer, "unlimited");
	else
		answer_value(answer, "%" PRIu64 " bytes", host->memlock);
	if (!cs_check_kernel_at_least(host, 5, 11) && host->memlock < enough &&
	    !has_cap(host, CAP_SYS_RESOURCE))
		answer_missing(answer, "maps and ring buffers cannot be created on this kernel",
			       "ulimit -l unlimited, or give CAP_SYS_RESOURCE");
}

/* kallsyms_show_value() in the kernel's kernel/kallsyms.c (ksyms_common.c since 6.5). */
static void check_kptr(const struct cs_check_host *host, struct answer *answer)
{
	bool shown = host->kptr_restrict < 2 && has_cap(host, CAP_SYSLOG);

	if (host->kptr_restrict == 0 && host->perf_paranoid <= 1)
		shown = true;
	if (host->kptr_restrict == CS_CHECK_UNREAD)
		answer_value(answer, "cannot be read");
	else
		answer_value(answer, "%d", host->kptr_restrict);
	if (!shown)
		answer_missing(answer, "kernel frames have no names",
			       "sysctl kernel.kptr_restrict=1, and run with sudo (CAP_SYSLOG)");
}

static void check_iterator(const struct cs_check_host *host, struct answer *answer)
{
	answer_value(answer, "task iterator %s bpf_copy_from_user_task",
		     host->walks_threads ? "with" : "without");
	if (!host->walks_threads)
		answer_missing(answer,
			       "sleeping threads are read from user space, which costs more, and "
			       "time spent waiting for a CPU is not shown",
			       "boot a kernel of 5.18 or later");
}

/* Nothing is missing without it, but memory. */
static void check_tables(const struct cs_check_host *host, struct answer *answer)
{
	if (!may_load(host))
		answer_value(answer, "not known without the capability to load BPF");
	else if (host->grows_tables)
		answer_value(answer, "grow as they fill");
	else
		answer_value(answer, "allocated whole: 39 MB, 5 MB with --native off (they grow as "
				     "they fill from Linux 6.1 on)");
}

/* Nothing is missing without it: what is shown is as true, only less of it. */
static void check_instants(const struct cs_check_host *host, struct answer *answer)
{
	answer_value(answer, "%s",
		     host->instants ? "tasks are seen at one instant (bpf_task_work)"
				    : "tasks are confirmed one by one (at one instant from Linux "
				      "6.18 on)");
}

/* Of files that are for their owners only: programs, libraries, their symbols. */
static void check_cap_files(const struct cs_check_host *host, struct answer *answer)
{
	bool allowed = has_cap(host, CAP_DAC_READ_SEARCH) || has_cap(host, CAP_DAC_OVERRIDE);

	answer_value(answer, "%sCAP_DAC_READ_SEARCH", allowed ? "" : "no ");
	if (!allowed)
		answer_missing(answer,
			       "programs that only their users may read stay without Python frames "
			       "and native names",
			       "run with sudo, or give CAP_DAC_READ_SEARCH");
}

void cs_check_host_ask(struct cs_check_host *ret)
{
	cs_check_host_read("", ret);
	ret->walks_threads = cs_kernel_walks_threads();
	ret->grows_tables = cs_kernel_grows_tables();
	ret->instants = cs_instants_possible();
}

unsigned int cs_check_report_host(const struct cs_check_host *host, FILE *out)
{
	static const struct {
		const char *what;
		void (*ask)(const struct cs_check_host *host, struct answer *answer);
	} questions[] = {
		{"kernel", check_kernel},
		{"BTF", check_btf},
		{"capability to load BPF", check_cap_bpf},
		{"capability to attach uprobes", check_cap_uprobe},
		{"capability to read processes", check_cap_ptrace},
		{"capability to read files", check_cap_files},
		{"perf_event_paranoid", check_perf},
		{"lockdown", check_lockdown},
		{"memlock limit", check_memlock},
		{"kptr_restrict", check_kptr},
		{"wall clock", check_iterator},
		{"tables", check_tables},
		{"busy event loops", check_instants},
	};
	unsigned int missing = 0;

	for (size_t i = 0; i < ARRAY_SIZE(questions); i++) {
		struct answer answer;

		questions[i].ask(host, &answer);
		missing += print_answer(out, questions[i].what, &answer);
	}
	return missing;
}

void cs_check_report_versions(FILE *out)
{
	const struct cs_py_layout *row, *before = NULL;

	for (size_t i = 0; (row = cs_py_layout_at(i)); i++, before = row) {
		if (before && before->minor == row->minor)
			fputs(", ", out);
		else
			fprintf(out, "%sok      Python 3.%d: ", before ? "\n" : "", row->minor);
		fprintf(out, "%s%s", row->flavour,
			row->unproved ? " (from headers, not tried)" : "");
	}
	fputc('\n', out);
}

/* Its version and build, for people. */
static void answer_python(struct answer *answer, const struct cs_interp *interp)
{
	bool plain = !strcmp(interp->flavour, "gil");

	answer_value(answer, "Python %d.%d.%d%s%s%s in %s", interp->major, interp->minor,
		     interp->micro, plain ? "" : " (", plain ? "" : interp->flavour,
		     plain ? "" : ")", interp->binary);
}

static void check_interp(const struct cs_interp *interp, struct answer *answer)
{
	switch (interp->state) {
	case CS_INTERP_READY:
		answer_python(answer, interp);
		return;
	case CS_INTERP_STARTING:
		answer_value(answer, "Python %d.%d has not started yet", interp->major,
			     interp->minor);
		answer_missing(answer, "no Python frames so far", "ask again in a moment");
		return;
	case CS_INTERP_UNSUPPORTED:
		answer_value(answer, "%s, in %s", interp->reason, interp->binary);
		break;
	case CS_INTERP_NOT_PYTHON:
		answer_value(answer, "%s", interp->reason[0] ? interp->reason : "not Python");
		break;
	}
	answer_missing(answer, "no Python frames and no tasks",
		       "supported are the versions above; native samples still count");
}

static void check_probe(const struct cs_asyncio *asyncio, struct answer *answer)
{
	if (!asyncio->loaded)
		answer_value(answer, "not needed until asyncio is loaded");
	else if (asyncio->probe.path[0])
		answer_value(answer, "Task.__init__ at %s+%#" PRIx64, asyncio->probe.path,
			     asyncio->probe.offset);
	else {
		answer_value(answer, "%s", asyncio->probe_reason);
		answer_missing(answer, "no creation links: unawaited tasks hang under their loop",
			       "none for this interpreter; what awaits a task is still shown");
	}
}

unsigned int cs_check_report_interp(const struct cs_interp *interp,
				    const struct cs_asyncio *asyncio, FILE *out)
{
	unsigned int missing = 0;
	struct answer answer;

	check_interp(interp, &answer);
	missing += print_answer(out, "interpreter", &answer);
	if (interp->state != CS_INTERP_READY)
		return missing;
	answer_value(&answer, "%s", interp->offsets_source);
	missing += print_answer(out, "offsets", &answer);
	if (!asyncio)
		return missing;
	answer_value(&answer, "%s",
		     asyncio->loaded ? "loaded" : "not loaded, so there are no tasks");
	missing += print_answer(out, "asyncio", &answer);
	check_probe(asyncio, &answer);
	return missing + print_answer(out, "task probe", &answer);
}

/* OpenTelemetry sets a span's status after its scope was left: what does so must be known. */
static bool lacks_ends(const struct cs_tracer_list *tracers, const struct cs_tracer *tracer)
{
	return tracer->kind == CS_TRACER_OTEL &&
	       (!tracers->row.otel_error || !tracers->row.scopes[CS_SCOPE_USE_SPAN].code);
}

unsigned int cs_check_report_tracers(const struct cs_tracer_list *tracers, FILE *out)
{
	unsigned int missing = 0;
	char learned[CS_RUST_TEXT];

	cs_rust_tell(&tracers->rust, learned, sizeof(learned));

	for (unsigned int i = 0; i < tracers->n; i++) {
		const struct cs_tracer *tracer = &tracers->items[i];
		struct answer answer;

		answer_value(&answer, "%s %s: %s%s", cs_tracer_name(tracer->kind),
			     *tracer->version ? tracer->version : "of unknown version",
			     *tracer->lack ? tracer->lack
			     : tracer->learns
				     ? learned
				     : "its spans are read as its own classes lay them out",
			     !*tracer->lack && lacks_ends(tracers, tracer)
				     ? "; in which way they end is not known"
				     : "");
		if (*tracer->lack)
			answer_missing(&answer, "samples do not tell its spans",
				       "none for this release; stacks and tasks are still shown");
		missing += print_answer(out, "tracer", &answer);
	}
	return missing;
}

/* Spans that are read otherwise, and those that are published. */
static void answer_agreement(struct answer *answer, const struct cs_check_agreement *a)
{
	if (!(a->looks + a->loop_looks) && a->silent)
		answer_value(answer, "none, by threads that were in spans");
	else if (!(a->looks + a->loop_looks))
		answer_value(answer, "by its threads; none was seen in a span");
	else if (a->loop_looks)
		answer_value(answer,
			     "by its threads; %u of %u looks agree with what is read of them, of "
			     "threads that run an event loop %u of %u",
			     a->same, a->looks, a->loop_same, a->loop_looks);
	else
		answer_value(answer,
			     "by its threads; %u of %u looks agree with what is read of them",
			     a->same, a->looks);
}

void cs_check_report_published(const struct cs_check_published *published,
			       const struct cs_interp *interp, const struct cs_tracer_list *tracers,
			       FILE *out)
{
	struct answer answer;

	switch (published->found) {
	case 0:
		break;
	case -EAGAIN:
		answer_value(&answer, "where its threads have them is not told (yet)");
		print_answer(out, "published spans", &answer);
		return;
	case -ENOTUNIQ:
		answer_value(&answer, "by several of its files: not taken");
		print_answer(out, "published spans", &answer);
		return;
	default:
		return;
	}
	if (interp->state == CS_INTERP_READY && tracers->row.nvars)
		answer_agreement(&answer, &published->agreement);
	else if (published->believed)
		answer_value(&answer, "by its threads; samples tell them");
	else
		answer_value(&answer, "by its threads; not taken, since a Python's may be out of "
				      "date");
	print_answer(out, "published spans", &answer);
}

/* Exit status for a process that cannot be looked at. */
static int pid_failed(pid_t pid, int err)
{
	if (err == -ESRCH) {
		cs_err("no such process: %d", pid);
		return CS_EXIT_NOTHING;
	}
	if (err == -EPERM || err == -EACCES) {
		cs_err("process %d may not be read: run with sudo", pid);
		return CS_EXIT_PERMISSION;
	}
	cs_err("process %d cannot be looked at: %s", pid, strerror(-err));
	return CS_EXIT_FAILURE;
}

static int check_pid(pid_t pid, unsigned int missing)
{
	_cleanup_(cs_mem_freep) struct cs_mem *mem = NULL;
	const struct cs_asyncio *found = NULL;
	struct cs_check_published published;
	struct cs_tracer_list tracers = {0};
	struct cs_asyncio asyncio;
	struct cs_interp interp;
	struct cs_pyobj_ctx ctx;
	int err;

	err = cs_interp_detect(pid, &interp);
	if (err)
		return pid_failed(pid, err);
	err = cs_mem_new(pid, &mem);
	if (!err && interp.state == CS_INTERP_READY) {
		ctx = (struct cs_pyobj_ctx){&interp, mem};
		err = cs_asyncio_find(&interp, mem, true, &asyncio);
		if (!err)
			found = &asyncio;
		if (!err)
			err = cs_tracers_find(&ctx, &tracers);
		if (!err)
			err = cs_check_learn_spans(&interp, found, mem, &tracers);
	}
	if (!err)
		err = cs_check_published(&interp, found, mem, &tracers, &published);
	missing += cs_check_report_interp(&interp, found, stdout);
	missing += cs_check_report_tracers(&tracers, stdout);
	if (!err)
		cs_check_report_published(&published, &interp, &tracers, stdout);
	if (!err)
		err = cs_check_report_whose(pid, stdout);
	if (err)
		return pid_failed(pid, err);
	if (interp.state == CS_INTERP_NOT_PYTHON)
		return CS_EXIT_NOTHING;
	return missing ? CS_EXIT_FAILURE : CS_EXIT_OK;
}

static error_t parse_option(int key, char *arg, struct argp_state *state)
{
	pid_t *pid = state->input;
	char *end;
	long value;

	if (key != 'p')
		return ARGP_ERR_UNKNOWN;
	errno = 0;
	value = strtol(arg, &end, 10);
	if (errno || *end || end == arg || value <= 0 || value > INT32_MAX)
		cs_usage_error("not a process id: %s", arg);
	*pid = (pid_t)value;
	return 0;
}

int cs_cli_check(int argc, char **argv)
{
	static const struct argp_option options[] = {
		{"pid", 'p', "PID", 0, "Look at this process too", 0},
		{0},
	};
	static const struct argp argp = {
		.options = options,
		.parser = parse_option,
		.doc = "Say what this machine, and a process, lack for coroscope: one line each, "
		       "with its effect and the remedy.",
	};
	struct cs_check_host host;
	unsigned int missing;
	pid_t pid = 0;

	argp_err_exit_status = CS_EXIT_USAGE;
	argv[0] = (char *)"coroscope check";
	if (argp_parse(&argp, argc, argv, 0, NULL, &pid))
		return CS_EXIT_USAGE;
	cs_check_host_ask(&host);
	missing = cs_check_report_host(&host, stdout);
	cs_check_report_versions(stdout);
	if (pid)
		return check_pid(pid, missing);
	return missing ? CS_EXIT_FAILURE : CS_EXIT_OK;
}
