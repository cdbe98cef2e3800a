/* SPDX-License-Identifier: Apache-2.0 */
/*
 * The HTTP side, by libmicrohttpd: one thread, one request a connection. Its own time-out is for clients that send nothing; those
 * that go on sending a byte now and then are ended by the owner's thread, which knows since when each connection is there.
 */
#include "serve/serve.h"

#include <arpa/inet.h>
#include <errno.h>
#include <microhttpd.h>
#include <pthread.h>
#include <stdlib.h>
#include <string.h>
#include <sys/socket.h>
#include <time.h>

#include "core/cleanup.h"

#define SECOND          1000000000ull
#define STALE_NS        (60 * SECOND)
#define MAX_CONNECTIONS 16
#define MEMORY_BYTES    ((size_t)16384) /* of one: its request and the answer's head */
#define IDLE_SECONDS    5u
#define REQUEST_NS      (15 * SECOND)

/* A connection that is there; fd -1: nobody. */
struct guest {
	int fd;
	uint64_t since_ns;
};

struct cs_serve {
	struct cs_serve_options options;
	struct MHD_Daemon *daemon;
	uint16_t port;
	pthread_mutex_t lock; /* of all that follows */
	struct cs_buf metrics;
	char *why_not; /* owned; NULL: ready */
	bool published;
	uint64_t published_ns;
	struct guest guests[MAX_CONNECTIONS];
};

static uint64_t now_ns(void)
{
	struct timespec now;

	clock_gettime(CLOCK_MONOTONIC, &now);
	return (uint64_t)now.tv_sec * SECOND + (uint64_t)now.tv_nsec;
}

static enum MHD_Result answer(struct MHD_Connection *connection, unsigned int status,
			      const char *type, const struct cs_buf *text)
{
	struct MHD_Response *response = MHD_create_response_from_buffer(
		text->len, text->len ? text->data : (char *)"", MHD_RESPMEM_MUST_COPY);
	enum MHD_Result result = MHD_NO;

	if (!response)
		return MHD_NO;
	if (MHD_add_response_header(response, "Content-Type", type) &&
	    MHD_add_response_header(response, "Cache-Control", "no-store") &&
	    MHD_add_response_header(response, "Connection", "close") &&
	    (status != MHD_HTTP_METHOD_NOT_ALLOWED ||
	     MHD_add_response_header(response, "Allow", "GET")))
		result = MHD_queue_response(connection, status, response);
	MHD_destroy_response(response);
	return result;
}

static enum MHD_Result answer_line(struct MHD_Connection *connection, unsigned int status,
				   const char *line)
{
	_cleanup_buf_ struct cs_buf text = {0};

	if (cs_buf_append_escaped(&text, line, strlen(line), "") || cs_buf_append_str(&text, "\n"))
		return MHD_NO;
	return answer(connection, status, "text/plain; charset=utf-8", &text);
}

/* With the lock held. */
static enum MHD_Result answer_health(struct cs_serve *serve, struct MHD_Connection *connection)
{
	uint64_t silent_ns = now_ns() - serve->published_ns;
	_cleanup_buf_ struct cs_buf text = {0};

	if (silent_ns < serve->options.stale_ns)
		return answer_line(connection, MHD_HTTP_OK, "ok");
	if (cs_buf_printf(&text, "no sign of life for %llu s",
			  (unsigned long long)(silent_ns / SECOND)))
		return MHD_NO;
	return answer_line(connection, MHD_HTTP_SERVICE_UNAVAILABLE, cs_buf_str(&text));
}

static enum MHD_Result answer_ready(struct cs_serve *serve, struct MHD_Connection *connection)
{
	if (!serve->published)
		return answer_line(connection, MHD_HTTP_SERVICE_UNAVAILABLE, "starting");
	if (serve->why_not)
		return answer_line(connection, MHD_HTTP_SERVICE_UNAVAILABLE, serve->why_not);
	return answer_line(connection, MHD_HTTP_OK, "ready");
}

static enum MHD_Result answer_metrics(struct cs_serve *serve, struct MHD_Connection *connection)
{
	return answer(connection, MHD_HTTP_OK, "text/plain; version=0.0.4; charset=utf-8",
		      &serve->metrics);
}

static enum MHD_Result on_request(void *ctx, struct MHD_Connection *connection, const char *url,
				  const char *method, const char *version, const char *upload,
				  size_t *upload_size, void **request)
{
	static const struct {
		const char *path;
		enum MHD_Result (*answer)(struct cs_serve *serve,
					  struct MHD_Connection *connection);
	} pages[] = {
		{"/healthz", answer_health},
		{"/readyz", answer_ready},
		{"/metrics", answer_metrics},
	};
	struct cs_serve *serve = ctx;
	enum MHD_Result result;

	if (strcmp(method, MHD_HTTP_METHOD_GET))
		return answer_line(connection, MHD_HTTP_METHOD_NOT_ALLOWED, "only GET");
	for (size_t i = 0; i < ARRAY_SIZE(pages); i++) {
		if (strcmp(url, pages[i].path))
			continue;
		pthread_mutex_lock(&serve->lock);
		result = pages[i].answer(serve, connection);
		pthread_mutex_unlock(&serve->lock);
		return result;
	}
	return answer_line(connection, MHD_HTTP_NOT_FOUND, "there are /healthz, /readyz, /metrics");
}

/* libmicrohttpd tells of the end before it closes the socket, so a guest's fd is its own. */
static void on_connection(void *ctx, struct MHD_Connection *connection, void **socket_ctx,
			  enum MHD_ConnectionNotificationCode code)
{
	const union MHD_ConnectionInfo *info =
		MHD_get_connection_info(connection, MHD_CONNECTION_INFO_CONNECTION_FD);
	bool begins = code == MHD_CONNECTION_NOTIFY_STARTED;
	struct cs_serve *serve = ctx;
	int fd = info ? info->connect_fd : -1;

	pthread_mutex_lock(&serve->lock);
	for (size_t i = 0; fd >= 0 && i < MAX_CONNECTIONS; i++)
		if (serve->guests[i].fd == (begins ? -1 : fd)) {
			serve->guests[i] = (struct guest){begins ? fd : -1, now_ns()};
			break;
		}
	pthread_mutex_unlock(&serve->lock);
}

/* Sockets are only shut down here: closing is libmicrohttpd's business. */
static void end_the_slow(struct cs_serve *serve)
{
	uint64_t now = now_ns();

	for (size_t i = 0; i < MAX_CONNECTIONS; i++)
		if (serve->guests[i].fd >= 0 &&
		    now - serve->guests[i].since_ns > serve->options.request_ns)
			shutdown(serve->guests[i].fd, SHUT_RDWR);
}

/* Returns its length, 0: it is no address. */
static socklen_t parse_address(const struct cs_serve_options *options, struct sockaddr_storage *ret)
{
	const char *text = options->address ? options->address : "127.0.0.1";
	struct sockaddr_in6 *six = (void *)ret;
	struct sockaddr_in *four = (void *)ret;

	*ret = (struct sockaddr_storage){0};
	if (inet_pton(AF_INET, text, &four->sin_addr) == 1) {
		four->sin_family = AF_INET;
		four->sin_port = htons(options->port);
		return sizeof(*four);
	}
	if (inet_pton(AF_INET6, text, &six->sin6_addr) == 1) {
		six->sin6_family = AF_INET6;
		six->sin6_port = htons(options->port);
		return sizeof(*six);
	}
	return 0;
}

/* A socket that listens, made here so that what fails is known. Returns it or -errno. */
static int listen_at(const struct cs_serve_options *options, uint16_t *ret_port)
{
	struct sockaddr_storage address;
	socklen_t len = parse_address(options, &address);
	_cleanup_close_ int fd = -1;
	int on = 1;

	if (!len)
		return -EINVAL;
	fd = socket(address.ss_family, SOCK_STREAM | SOCK_CLOEXEC | SOCK_NONBLOCK, 0);
	if (fd < 0 || setsockopt(fd, SOL_SOCKET, SO_REUSEADDR, &on, sizeof(on)) ||
	    bind(fd, (struct sockaddr *)&address, len) || listen(fd, MAX_CONNECTIONS) ||
	    getsockname(fd, (struct sockaddr *)&address, &len))
		return -errno;
	/* at the same place for both versions */
	*ret_port = ntohs(((struct sockaddr_in *)&address)->sin_port);
	return TAKE_FD(fd);
}

static int start(struct cs_serve *serve)
{
	unsigned int flags = MHD_USE_INTERNAL_POLLING_THREAD | MHD_USE_POLL | MHD_USE_ITC;
	int fd = listen_at(&serve->options, &serve->port);

	if (fd < 0)
		return fd;
	if (serve->options.address && strchr(serve->options.address, ':'))
		flags |= MHD_USE_IPv6;
	serve->daemon = MHD_start_daemon(
		flags, 0, NULL, NULL, on_request, serve, MHD_OPTION_LISTEN_SOCKET, fd,
		MHD_OPTION_CONNECTION_LIMIT, (unsigned int)MAX_CONNECTIONS,
		MHD_OPTION_CONNECTION_MEMORY_LIMIT, MEMORY_BYTES, MHD_OPTION_CONNECTION_TIMEOUT,
		IDLE_SECONDS, MHD_OPTION_NOTIFY_CONNECTION, on_connection, serve, MHD_OPTION_END);
	if (serve->daemon)
		return 0; /* it closes the socket */
	close(fd);
	return -EIO;
}

int cs_serve_new(const struct cs_serve_options *options, struct cs_serve **ret)
{
	_cleanup_(cs_serve_freep) struct cs_serve *serve = calloc(1, sizeof(*serve));
	int err;

	if (!serve)
		return -ENOMEM;
	serve->options = *options;
	if (!serve->options.stale_ns)
		serve->options.stale_ns = STALE_NS;
	if (!serve->options.request_ns)
		serve->options.request_ns = REQUEST_NS;
	pthread_mutex_init(&serve->lock, NULL);
	for (size_t i = 0; i < MAX_CONNECTIONS; i++)
		serve->guests[i].fd = -1;
	serve->published_ns = now_ns();
	err = start(serve);
	if (err)
		return err;
	*ret = TAKE_PTR(serve);
	return 0;
}

void cs_serve_free(struct cs_serve *serve)
{
	if (!serve)
		return;
	if (serve->daemon)
		MHD_stop_daemon(serve->daemon);
	pthread_mutex_destroy(&serve->lock);
	cs_buf_free(&serve->metrics);
	free(serve->why_not);
	free(serve);
}

uint16_t cs_serve_port(const struct cs_serve *serve)
{
	return serve->port;
}

int cs_serve_publish(struct cs_serve *serve, const char *why_not)
{
	_cleanup_(cs_metrics_freep) struct cs_metrics *metrics = NULL;
	_cleanup_free_ char *reason = why_not ? strdup(why_not) : NULL;
	_cleanup_buf_ struct cs_buf text = {0}, old = {0};
	int err = why_not && !reason ? -ENOMEM : cs_metrics_new(&metrics);

	if (!err && serve->options.rows)
		err = serve->options.rows(serve->options.ctx, metrics);
	if (!err)
		err = cs_metrics_write(metrics, &text);
	pthread_mutex_lock(&serve->lock);
	serve->published_ns = now_ns();
	end_the_slow(serve);
	if (!err) {
		char *old_reason = serve->why_not;

		old = serve->metrics;
		serve->metrics = text;
		text = (struct cs_buf){0};
		serve->why_not = reason;
		reason = old_reason;
		serve->published = true;
	}
	pthread_mutex_unlock(&serve->lock);
	return err;
}
