/* SPDX-License-Identifier: Apache-2.0 */
/* The agent's socket for captures on demand. */
#include "agent/ondemand_socket.h"

#include <errno.h>
#include <fcntl.h>
#include <limits.h>
#include <poll.h>
#include <stdio.h>
#include <string.h>
#include <sys/stat.h>
#include <sys/un.h>
#include <unistd.h>

#include "collect/record.h"
#include "core/cleanup.h"
#include "core/log.h"
#include "deliver/folder.h"

#define BACKLOG    8
/* Descriptors of one message that are looked at, to be closed. */
#define MAX_PASSED 4
#define POLL_MS    100

/* The folder, locked against others that do the same now; or -errno. */
static int lock_folder(const char *path)
{
	const char *slash = strrchr(path, '/');
	char folder[PATH_MAX];

	snprintf(folder, sizeof(folder), "%.*s", slash && slash > path ? (int)(slash - path) : 1,
		 slash ? path : ".");
	return cs_folder_open(folder);
}

/* Returns 0, -EADDRINUSE: somebody answers there, -ENOTSOCK: it is something else, or another -errno. */
static int remove_dead(const struct sockaddr_un *address)
{
	_cleanup_close_ int fd = -1;
	struct stat st;

	if (lstat(address->sun_path, &st))
		return errno == ENOENT ? 0 : -errno;
	if (!S_ISSOCK(st.st_mode))
		return -ENOTSOCK;
	fd = socket(AF_UNIX, SOCK_STREAM | SOCK_CLOEXEC | SOCK_NONBLOCK, 0);
	if (fd < 0)
		return -errno;
	/* EAGAIN: it lives, and many ask it */
	if (!connect(fd, (const struct sockaddr *)address, sizeof(*address)) || errno == EAGAIN)
		return -EADDRINUSE;
	if (errno != ECONNREFUSED)
		return -errno;
	return unlink(address->sun_path) ? -errno : 0;
}

static int listen_at(const struct sockaddr_un *address)
{
	_cleanup_close_ int folder = lock_folder(address->sun_path);
	_cleanup_close_ int fd = -1;
	int err;

	if (folder < 0)
		return folder;
	err = remove_dead(address);
	if (err)
		return err;
	fd = socket(AF_UNIX, SOCK_STREAM | SOCK_CLOEXEC | SOCK_NONBLOCK, 0);
	/* the file that bind makes gets the socket's mode (unix_bind_bsd() in the kernel's net/unix/af_unix.c) */
	if (fd < 0 || fchmod(fd, 0600) ||
	    bind(fd, (const struct sockaddr *)address, sizeof(*address)) || listen(fd, BACKLOG))
		return -errno;
	return TAKE_FD(fd);
}

static const char *why_not(int err)
{
	return err == -EADDRINUSE ? "another agent answers there"
	       : err == -EBUSY    ? "another agent begins there just now"
	       : err == -EPERM    ? "its folder must be ours, and nobody else may write to it"
	       : err == -ENOTSOCK ? "there is a file that is no socket"
				  : strerror(-err);
}

int cs_ondemand_listen(const char *path)
{
	struct sockaddr_un address = {.sun_family = AF_UNIX};
	int fd = -ENAMETOOLONG;

	if (strlen(path) < sizeof(address.sun_path)) {
		snprintf(address.sun_path, sizeof(address.sun_path), "%s", path);
		fd = listen_at(&address);
	}
	if (fd < 0)
		cs_log(fd == -EADDRINUSE ? CS_LOG_ERROR : CS_LOG_WARN,
		       "no captures on demand at %s (--socket): %s", path, why_not(fd));
	return fd;
}

int cs_ondemand_accept(int listener, struct ucred *ret)
{
	_cleanup_close_ int fd = accept4(listener, NULL, NULL, SOCK_CLOEXEC | SOCK_NONBLOCK);
	socklen_t len = sizeof(*ret);

	if (fd < 0 || getsockopt(fd, SOL_SOCKET, SO_PEERCRED, ret, &len))
		return -errno;
	return TAKE_FD(fd);
}

/* One descriptor in all, or it is no request. Returns 0 or -EBADMSG. */
static int take_passed(struct msghdr *message, struct cs_ondemand_inbox *inbox)
{
	int err = message->msg_flags & MSG_CTRUNC ? -EBADMSG : 0;

	for (struct cmsghdr *at = CMSG_FIRSTHDR(message); at; at = CMSG_NXTHDR(message, at)) {
		size_t n = (at->cmsg_len - CMSG_LEN(0)) / sizeof(int);

		if (at->cmsg_level != SOL_SOCKET || at->cmsg_type != SCM_RIGHTS)
			continue;
		for (size_t i = 0; i < n; i++) {
			int fd;

			memcpy(&fd, CMSG_DATA(at) + i * sizeof(fd), sizeof(fd));
			if (inbox->output < 0 && !err) {
				inbox->output = fd;
				continue;
			}
			close(fd);
			err = -EBADMSG;
		}
	}
	return err;
}

/* Regular, so that writing ends; and open for that. */
static bool is_output(int fd)
{
	int flags = fcntl(fd, F_GETFL);
	struct stat st;

	return flags >= 0 && !(flags & O_PATH) && (flags & O_ACCMODE) != O_RDONLY &&
	       !fstat(fd, &st) && S_ISREG(st.st_mode);
}

int cs_ondemand_receive(int guest, struct cs_ondemand_inbox *inbox)
{
	_Alignas(struct cmsghdr) char control[CMSG_SPACE(MAX_PASSED * sizeof(int))];
	struct iovec part = {inbox->bytes + inbox->len, sizeof(inbox->bytes) - inbox->len};
	struct msghdr message = {
		.msg_iov = &part,
		.msg_iovlen = 1,
		.msg_control = control,
		.msg_controllen = sizeof(control),
	};
	const char *end;
	ssize_t n;

	n = recvmsg(guest, &message, MSG_DONTWAIT | MSG_CMSG_CLOEXEC);
	if (n < 0)
		return errno == EAGAIN || errno == EINTR ? -EAGAIN : -ECONNRESET;
	if (take_passed(&message, inbox))
		return -EBADMSG;
	if (!n)
		return inbox->len ? -EBADMSG : -ECONNRESET;
	end = memchr(part.iov_base, '\n', (size_t)n);
	inbox->len += (size_t)n;
	if (!end)
		return inbox->len == sizeof(inbox->bytes) ? -EBADMSG : -EAGAIN;
	/* nothing may follow it */
	if (end + 1 != inbox->bytes + inbox->len || !is_output(inbox->output))
		return -EBADMSG;
	inbox->len--;
	return 0;
}

void cs_ondemand_answer(int guest, int code, const char *text, uint64_t within_ns)
{
	struct pollfd room = {.fd = guest, .events = POLLOUT};
	uint64_t deadline_ns = cs_now_ns() + within_ns;
	_cleanup_buf_ struct cs_buf answer = {0};
	size_t at = 0;

	if (cs_agent_answer_write(code, text, &answer))
		return;
	while (at < answer.len) {
		ssize_t n =
			send(guest, answer.data + at, answer.len - at, MSG_DONTWAIT | MSG_NOSIGNAL);

		if (n > 0)
			at += (size_t)n;
		else if (errno != EAGAIN || cs_now_ns() >= deadline_ns)
			return;
		else
			poll(&room, 1, POLL_MS);
	}
}
