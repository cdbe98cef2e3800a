/* SPDX-License-Identifier: Apache-2.0 */
/* One POST at a time, by libcurl. */
#include "deliver/transport.h"

#include <curl/curl.h>
#include <errno.h>
#include <stdio.h>
#include <stdlib.h>
#include <string.h>
#include <unistd.h>

#include "core/cleanup.h"
#include "core/secret.h"

#define DEFAULT_TIMEOUT_MS 30000
#define CONNECT_TIMEOUT_MS 10000
#define STALLED_SECONDS    15 /* without a byte in either direction */
#define MAX_RETRY_AFTER_S  3600

struct cs_transport {
	const struct cs_transport_options *options;
	CURL *curl;
	char reason[CURL_ERROR_SIZE];
};

void cs_answer_free(struct cs_answer *answer)
{
	cs_buf_free(&answer->body);
	*answer = (struct cs_answer){0};
}

/* Names and passwords belong into a file: an URL is seen by everybody who lists
 * processes, and in messages. */
static int check_url(const char *url)
{
	CURLU *parsed = curl_url();
	char *scheme = NULL, *user = NULL, *host = NULL;
	int err = -ENOMEM;

	if (parsed)
		err = curl_url_set(parsed, CURLUPART_URL, url, 0) ||
				      curl_url_get(parsed, CURLUPART_SCHEME, &scheme, 0) ||
				      curl_url_get(parsed, CURLUPART_HOST, &host, 0) || !*host ||
				      (strcmp(scheme, "http") && strcmp(scheme, "https")) ||
				      !curl_url_get(parsed, CURLUPART_USER, &user, 0)
			      ? -EINVAL
			      : 0;
	curl_free(scheme);
	curl_free(user);
	curl_free(host);
	curl_url_cleanup(parsed);
	return err;
}

static size_t take_body(char *bytes, size_t one, size_t n, void *ctx)
{
	struct cs_answer *answer = ctx;
	size_t room = CS_ANSWER_BYTES - answer->body.len, take = n < room ? n : room;

	if (cs_buf_append(&answer->body, bytes, take))
		return 0;
	return take; /* less than n ends the transfer; the status is known by then */
}

static int look_for_stop(void *ctx, curl_off_t a, curl_off_t b, curl_off_t c, curl_off_t d)
{
	const struct cs_transport *transport = ctx;

	return transport->options->stop && *transport->options->stop;
}

static void set_options(struct cs_transport *transport)
{
	const struct cs_transport_options *options = transport->options;
	uint64_t ms =
		options->timeout_ns ? (options->timeout_ns + 999999) / 1000000 : DEFAULT_TIMEOUT_MS;
	CURL *curl = transport->curl;

	curl_easy_setopt(curl, CURLOPT_URL, options->url);
	curl_easy_setopt(curl, CURLOPT_PROTOCOLS_STR, "http,https");
	curl_easy_setopt(curl, CURLOPT_POST, 1L);
	curl_easy_setopt(curl, CURLOPT_NOSIGNAL, 1L);
	curl_easy_setopt(curl, CURLOPT_ERRORBUFFER, transport->reason);
	curl_easy_setopt(curl, CURLOPT_TIMEOUT_MS, (long)ms);
	curl_easy_setopt(curl, CURLOPT_CONNECTTIMEOUT_MS, (long)CONNECT_TIMEOUT_MS);
	curl_easy_setopt(curl, CURLOPT_LOW_SPEED_LIMIT, 1L);
	curl_easy_setopt(curl, CURLOPT_LOW_SPEED_TIME, (long)STALLED_SECONDS);
	curl_easy_setopt(curl, CURLOPT_WRITEFUNCTION, take_body);
	curl_easy_setopt(curl, CURLOPT_XFERINFOFUNCTION, look_for_stop);
	curl_easy_setopt(curl, CURLOPT_XFERINFODATA, transport);
	curl_easy_setopt(curl, CURLOPT_NOPROGRESS, 0L);
	if (options->user_agent)
		curl_easy_setopt(curl, CURLOPT_USERAGENT, options->user_agent);
	if (options->proxy)
		curl_easy_setopt(curl, CURLOPT_PROXY, options->proxy);
	if (options->ca_file)
		curl_easy_setopt(curl, CURLOPT_CAINFO, options->ca_file);
	if (options->cert_file)
		curl_easy_setopt(curl, CURLOPT_SSLCERT, options->cert_file);
	if (options->key_file)
		curl_easy_setopt(curl, CURLOPT_SSLKEY, options->key_file);
}

int cs_transport_new(const struct cs_transport_options *options, struct cs_transport **ret)
{
	_cleanup_(cs_transport_freep) struct cs_transport *transport = NULL;
	int err;

	/* counted by libcurl: each costs nothing after the first */
	if (curl_global_init(CURL_GLOBAL_DEFAULT))
		return -ENOMEM;
	err = check_url(options->url);
	if (!err) {
		transport = calloc(1, sizeof(*transport));
		err = transport ? 0 : -ENOMEM;
	}
	if (err) {
		curl_global_cleanup();
		return err;
	}
	transport->options = options;
	transport->curl = curl_easy_init();
	if (!transport->curl)
		return -ENOMEM;
	set_options(transport);
	*ret = TAKE_PTR(transport);
	return 0;
}

void cs_transport_free(struct cs_transport *transport)
{
	if (!transport)
		return;
	curl_easy_cleanup(transport->curl);
	curl_global_cleanup();
	free(transport);
}

static bool append_line(struct curl_slist **list, const char *line)
{
	struct curl_slist *longer = curl_slist_append(*list, line);

	if (longer)
		*list = longer;
	return longer;
}

static int append_header(struct curl_slist **list, const struct cs_header *header,
			 struct cs_answer *answer)
{
	_cleanup_buf_ struct cs_buf line = {0};
	char secret[CS_SECRET_BYTES] = "";
	int err = header->file ? cs_secret_read(header->file, secret) : 0;

	if (err) {
		snprintf(answer->error, sizeof(answer->error), "cannot read %s for %s: %s",
			 header->file, header->name,
			 err == -EINVAL ? "it must hold one line of text" : strerror(-err));
		return -EIO;
	}
	if (cs_buf_printf(&line, "%s: %s%s", header->name, header->prefix ? header->prefix : "",
			  header->file ? secret : header->text))
		return -ENOMEM;
	err = append_line(list, cs_buf_str(&line)) ? 0 : -ENOMEM;
	explicit_bzero(secret, sizeof(secret));
	return err;
}

static void free_lines(struct curl_slist **list)
{
	curl_slist_free_all(*list);
}

/* Curl would ask for leave to send a large body, and wait a second for servers
 * that do not answer that. */
static int make_headers(const struct cs_transport_options *options, const struct cs_parcel *parcel,
			struct curl_slist **list, struct cs_answer *answer)
{
	char line[256];
	int err = 0;

	snprintf(line, sizeof(line), "Content-Type: %s", parcel->type);
	if (!append_line(list, line) || !append_line(list, "Expect:"))
		return -ENOMEM;
	snprintf(line, sizeof(line), "Content-Encoding: %s", parcel->encoding);
	if (*parcel->encoding && !append_line(list, line))
		return -ENOMEM;
	snprintf(line, sizeof(line), "Coroscope-Parcel: %s", parcel->id);
	if (!append_line(list, line))
		return -ENOMEM;
	snprintf(line, sizeof(line), "Coroscope-Attempt: %u", parcel->attempts);
	if (!append_line(list, line))
		return -ENOMEM;
	for (size_t i = 0; !err && i < options->nheaders; i++)
		err = append_header(list, &options->headers[i], answer);
	for (size_t i = 0; !err && i < options->nfixed; i++)
		err = append_header(list, &options->fixed[i], answer);
	return err;
}

/* One line of it, with nothing that could steer a terminal. */
static void copy_reason(const char *from, char *to, size_t size)
{
	_cleanup_buf_ struct cs_buf text = {0};

	if (!cs_buf_append_escaped(&text, from, strlen(from), ""))
		snprintf(to, size, "%s", cs_buf_str(&text));
}

static void read_status(struct cs_transport *transport, struct cs_answer *answer)
{
	curl_off_t after = 0;
	long status = 0;

	curl_easy_getinfo(transport->curl, CURLINFO_RESPONSE_CODE, &status);
	curl_easy_getinfo(transport->curl, CURLINFO_RETRY_AFTER, &after);
	answer->status = (int)status;
	if (after > 0)
		answer->retry_after_ns =
			(uint64_t)(after < MAX_RETRY_AFTER_S ? after : MAX_RETRY_AFTER_S) *
			1000000000u;
}

int cs_transport_post(struct cs_transport *transport, const struct cs_parcel *parcel,
		      struct cs_answer *answer)
{
	_cleanup_(free_lines) struct curl_slist *lines = NULL;
	CURL *curl = transport->curl;
	CURLcode code;
	int err;

	*answer = (struct cs_answer){0};
	err = make_headers(transport->options, parcel, &lines, answer);
	if (err)
		return err;
	*transport->reason = '\0';
	curl_easy_setopt(curl, CURLOPT_HTTPHEADER, lines);
	curl_easy_setopt(curl, CURLOPT_WRITEDATA, answer);
	curl_easy_setopt(curl, CURLOPT_POSTFIELDS, parcel->body.len ? parcel->body.data : "");
	curl_easy_setopt(curl, CURLOPT_POSTFIELDSIZE_LARGE, (curl_off_t)parcel->body.len);
	code = curl_easy_perform(curl);
	curl_easy_setopt(curl, CURLOPT_HTTPHEADER, NULL);
	curl_easy_setopt(curl, CURLOPT_POSTFIELDS, "");
	if (code == CURLE_ABORTED_BY_CALLBACK)
		return -ECANCELED;
	/* What follows a status, or fails to, changes nothing: bodies may be endless,
   * cut off or slow. */
	read_status(transport, answer);
	if (answer->status >= 200)
		return 0;
	answer->status = 0;
	copy_reason(*transport->reason ? transport->reason : curl_easy_strerror(code),
		    answer->error, sizeof(answer->error));
	return -EIO;
}
