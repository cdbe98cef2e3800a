/* SPDX-License-Identifier: Apache-2.0 */
/*
 * The client of agent_request.h. The agent writes into regular files only, so that nobody can hold it up: for a pipe or a terminal it gets a
 * temporary file, which is copied when it is whole.
 */
#include "cli/record_agent.h"

#include <errno.h>
#include <fcntl.h>
#include <poll.h>
#include <signal.h>
#include <stdio.h>
#include <stdlib.h>
#include <string.h>
#include <sys/mman.h>
#include <sys/socket.h>
#include <sys/stat.h>
#include <sys/un.h>
#include <unistd.h>

#include "cli/agent_request.h"
#include "cli/attach.h"
#include "cli/cli.h"
#include "cli/interrupt.h"
#include "cli/output.h"
#include "collect/record.h"
#include "core/cleanup.h"
#include "core/log.h"

#define PROGRESS_MS 500

static int text_into(const char *option, const char *text, char ret[CS_AGENT_TEXT + 1])
{
	if (text && strlen(text) > CS_AGENT_TEXT)
		return cs_err_r(-EINVAL, "%s: an agent takes at most %d bytes", option,
				CS_AGENT_TEXT);
	snprintf(ret, CS_AGENT_TEXT + 1, "%s", text ? text : "");
	return 0;
}

static int patterns_into(const struct cs_filter *filter, struct cs_agent_request *request)
{
	int err = text_into("--task", filter->task, request->task);

	if (!err)
		err = text_into("--endpoint", filter->endpoint, request->endpoint);
	for (size_t i = 0; !err && i < ARRAY_SIZE(request->whose); i++)
		err = text_into("a pattern", filter->whose[i], request->whose[i]);
	return err;
}

/* The request's line, which the agent will understand. What is wrong is said. Returns 0 or -EINVAL. */
static int make_request(const struct cs_record_options *options, const struct cs_exporter *exporter,
			struct cs_buf *line)
{
	const struct cs_view *view = &options->view;
	struct cs_agent_request request = {
		.duration_ns = options->duration_ns ? options->duration_ns : CS_AGENT_MAX_NS,
		.exporter = exporter,
		.tree = view->tree,
		.first_lines = view->first_lines,
		.npids = options->npids,
		.span = view->filter.span,
	};
	struct cs_why why = {""};

	memcpy(request.pids, options->pids, options->npids * sizeof(*options->pids));
	memcpy(request.trace, view->filter.trace, sizeof(request.trace));
	if (text_into("--thread", view->thread, request.thread) ||
	    patterns_into(&view->filter, &request))
		return -EINVAL;
	if (cs_agent_request_write(&request, line))
		return cs_err_r(-EINVAL, "--thread and patterns: an agent takes UTF-8 only");
	if (cs_agent_request_parse(line->data, line->len - 1, &request, &why))
		return cs_err_r(-EINVAL, "--agent: %s", why.text);
	return 0;
}

static int explain_connect(const char *path, int err)
{
	if (err == -EACCES || err == -EPERM) {
		cs_err("no permission to ask the agent at %s%s", path,
		       geteuid() ? ": run as root (with sudo)" : "");
		return CS_EXIT_PERMISSION;
	}
	if (err == -EAGAIN)
		cs_err("the agent at %s does not answer: too many ask it", path);
	else
		cs_err("no agent answers at %s (%s): does coroscope agent run, and is this its --socket?",
		       path, strerror(-err));
	return CS_EXIT_FAILURE;
}

/* Returns the socket or -errno. */
static int connect_to(const char *path)
{
	_cleanup_close_ int fd = socket(AF_UNIX, SOCK_STREAM | SOCK_CLOEXEC, 0);
	struct sockaddr_un address = {.sun_family = AF_UNIX};

	if (strlen(path) >= sizeof(address.sun_path))
		return -ENAMETOOLONG;
	snprintf(address.sun_path, sizeof(address.sun_path), "%s", path);
	if (fd < 0 || connect(fd, (struct sockaddr *)&address, sizeof(address)))
		return -errno;
	return TAKE_FD(fd);
}

/* What the agent does not take it has refused, and its answer says why. */
static void send_request(int agent, int output, const struct cs_buf *line)
{
	_Alignas(struct cmsghdr) char control[CMSG_SPACE(sizeof(output))] = {0};
	struct iovec part = {line->data, line->len};
	struct msghdr message = {
		.msg_iov = &part,
		.msg_iovlen = 1,
		.msg_control = control,
		.msg_controllen = sizeof(control),
	};
	struct cmsghdr *passed = CMSG_FIRSTHDR(&message);
	ssize_t n;

	passed->cmsg_level = SOL_SOCKET;
	passed->cmsg_type = SCM_RIGHTS;
	passed->cmsg_len = CMSG_LEN(sizeof(output));
	memcpy(CMSG_DATA(passed), &output, sizeof(output));
	while ((n = sendmsg(agent, &message, MSG_NOSIGNAL)) > 0) {
		part.iov_base = (char *)part.iov_base + n;
		part.iov_len -= (size_t)n;
		if (!part.iov_len)
			return;
		message.msg_control = NULL;
		message.msg_controllen = 0;
	}
}

/* Returns whether more is to be read. */
static bool read_some(int agent, struct cs_buf *answer)
{
	char bytes[4096];
	ssize_t n = recv(agent, bytes, sizeof(bytes), MSG_DONTWAIT);

	if (n < 0)
		return errno == EINTR || errno == EAGAIN;
	return n && answer->len + (size_t)n <= CS_AGENT_ANSWER &&
	       !cs_buf_append(answer, bytes, (size_t)n);
}

static void show_progress(uint64_t start_ns, bool last)
{
	fprintf(stderr, "\r\033[K%.1f s%s", (double)(cs_now_ns() - start_ns) / 1e9,
		last ? "\n" : "");
}

/* Everything that the agent says, until it ends the connection. */
static void read_answer(int agent, bool progress, struct cs_buf *answer)
{
	struct pollfd ready = {.fd = agent, .events = POLLIN};
	uint64_t start_ns = cs_now_ns();
	bool more = true, told = false;

	while (more) {
		if (cs_interrupted && !told) {
			told = true;
			shutdown(agent, SHUT_WR);
		}
		if (poll(&ready, 1, PROGRESS_MS) > 0)
			more = read_some(agent, answer);
		if (progress)
			show_progress(start_ns, !more);
	}
}

/* A file that only this process knows. Returns it or -errno. */
static int make_temporary(void)
{
	const char *dir = getenv("TMPDIR");
	char path[4096];
	int fd;

	snprintf(path, sizeof(path), "%s/coroscope-XXXXXX", dir && *dir ? dir : "/var/tmp");
	fd = mkostemp(path, O_CLOEXEC);
	if (fd < 0)
		return -errno;
	unlink(path);
	return fd;
}

static int copy_out(int from, struct cs_output *output)
{
	struct stat st;
	struct cs_buf bytes;
	void *at;
	int err;

	if (fstat(from, &st))
		return cs_err_r(-errno, "cannot read the temporary file: %s", strerror(errno));
	if (!st.st_size)
		return 0;
	at = mmap(NULL, (size_t)st.st_size, PROT_READ, MAP_PRIVATE, from, 0);
	if (at == MAP_FAILED)
		return cs_err_r(-errno, "cannot read the temporary file: %s", strerror(errno));
	bytes = (struct cs_buf){.data = at, .len = (size_t)st.st_size};
	err = cs_output_write_bytes(output, &bytes);
	munmap(at, bytes.len);
	return err;
}

/* Says what the agent has answered. Returns its exit code. */
static int tell_answer(struct cs_buf *answer, int temporary, struct cs_output *output)
{
	char *text;
	int code =
		cs_buf_append(answer, "", 1) ? -ENOMEM : cs_agent_answer_parse(answer->data, &text);

	if (code < 0) {
		cs_err("the agent ended the connection without an answer: its log may say why");
		return CS_EXIT_FAILURE;
	}
	if (code) {
		text[strcspn(text, "\n")] = '\0';
		cs_err("the agent: %s", text);
		return code;
	}
	if (temporary >= 0 && copy_out(temporary, output))
		return CS_EXIT_FAILURE;
	cs_output_tell(output, text);
	return CS_EXIT_OK;
}

static int ask(const struct cs_record_options *options, const struct cs_buf *line,
	       struct cs_output *output)
{
	_cleanup_close_ int agent = -1, temporary = -1;
	_cleanup_buf_ struct cs_buf answer = {0};
	struct stat st;

	if (fstat(output->fd, &st) || !S_ISREG(st.st_mode) || !strcmp(output->path, "-")) {
		temporary = make_temporary();
		if (temporary < 0) {
			cs_err("cannot create a temporary file (set TMPDIR to a writable directory): %s",
			       strerror(-temporary));
			return CS_EXIT_FAILURE;
		}
	}
	cs_interrupt_catch(true); /* the first one is told to the agent */
	signal(SIGPIPE, SIG_IGN);
	agent = connect_to(options->agent);
	if (agent < 0)
		return explain_connect(options->agent, agent);
	send_request(agent, temporary >= 0 ? temporary : output->fd, line);
	read_answer(agent, isatty(STDERR_FILENO) && !options->quiet, &answer);
	return tell_answer(&answer, temporary, output);
}

int cs_record_agent(const struct cs_record_options *options)
{
	_cleanup_(cs_output_close) struct cs_output output = {.fd = -1};
	_cleanup_buf_ struct cs_buf line = {0};

	if (cs_output_choose(&output, options->view.format, options->view.output))
		return CS_EXIT_USAGE;
	if (!output.exporter) {
		cs_err("--agent: the agent keeps no raw capture: choose another format");
		return CS_EXIT_USAGE;
	}
	if (make_request(options, output.exporter, &line))
		return CS_EXIT_USAGE;
	/* elsewhere the numbers would be other processes' */
	if (options->npids && !cs_attach_possible())
		return CS_EXIT_FAILURE;
	if (cs_output_open(&output))
		return CS_EXIT_FAILURE;
	return ask(options, &line, &output);
}
