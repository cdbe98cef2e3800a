/* SPDX-License-Identifier: Apache-2.0 */
/* The kubelet's list of pods, by libcurl's multi interface. */
#include "whose/kubelet.h"

#include <curl/curl.h>
#include <errno.h>
#include <stdio.h>
#include <stdlib.h>
#include <string.h>

#include "core/buf.h"
#include "core/cleanup.h"
#include "core/secret.h"

#define SECOND             1000000000ull
#define AGAIN_NS           (10 * SECOND)
#define ROUTINE_NS         (300 * SECOND)
#define MAX_WAIT_NS        (300 * SECOND)
#define CONNECT_TIMEOUT_MS 2000L
#define TIMEOUT_MS         10000L

struct cs_kubelet {
	struct cs_kubelet_options options;
	CURLM *multi;
	CURL *curl;
	struct curl_slist *headers;
	struct cs_buf body;
	bool under_way;
	uint64_t again_ns, routine_ns; /* not before, not later */
	uint64_t wait_ns;              /* after the next failure */
	char reason[CURL_ERROR_SIZE];
	char error[256];
};

static size_t take_body(char *bytes, size_t one, size_t n, void *ctx)
{
	struct cs_kubelet *kubelet = ctx;

	if (kubelet->body.len + n > CS_PODS_BYTES || cs_buf_append(&kubelet->body, bytes, n))
		return 0;
	return n;
}

/* Only http and https, and the path if there is none. Returns 0, -EINVAL or -ENOMEM. */
static int set_url(struct cs_kubelet *kubelet)
{
	CURLU *url = curl_url();
	char *scheme = NULL, *path = NULL, *whole = NULL;
	int err = url ? -EINVAL : -ENOMEM;

	if (url && !curl_url_set(url, CURLUPART_URL, kubelet->options.url, 0) &&
	    !curl_url_get(url, CURLUPART_SCHEME, &scheme, 0) &&
	    (!strcmp(scheme, "http") || !strcmp(scheme, "https")) &&
	    !curl_url_get(url, CURLUPART_PATH, &path, 0) &&
	    (strcmp(path, "/") || !curl_url_set(url, CURLUPART_PATH, "/pods", 0)) &&
	    !curl_url_get(url, CURLUPART_URL, &whole, 0))
		err = curl_easy_setopt(kubelet->curl, CURLOPT_URL, whole) ? -ENOMEM : 0;
	curl_free(scheme);
	curl_free(path);
	curl_free(whole);
	curl_url_cleanup(url);
	return err;
}

static void set_options(struct cs_kubelet *kubelet)
{
	CURL *curl = kubelet->curl;

	curl_easy_setopt(curl, CURLOPT_PROTOCOLS_STR, "http,https");
	curl_easy_setopt(curl, CURLOPT_NOSIGNAL, 1L);
	curl_easy_setopt(curl, CURLOPT_NOPROXY, "*"); /* it is this node's */
	curl_easy_setopt(curl, CURLOPT_ERRORBUFFER, kubelet->reason);
	curl_easy_setopt(curl, CURLOPT_TIMEOUT_MS, TIMEOUT_MS);
	curl_easy_setopt(curl, CURLOPT_CONNECTTIMEOUT_MS, CONNECT_TIMEOUT_MS);
	curl_easy_setopt(curl, CURLOPT_ACCEPT_ENCODING, "");
	curl_easy_setopt(curl, CURLOPT_WRITEFUNCTION, take_body);
	curl_easy_setopt(curl, CURLOPT_WRITEDATA, kubelet);
	if (kubelet->options.ca_file)
		curl_easy_setopt(curl, CURLOPT_CAINFO, kubelet->options.ca_file);
}

int cs_kubelet_new(const struct cs_kubelet_options *options, struct cs_kubelet **ret)
{
	_cleanup_(cs_kubelet_freep) struct cs_kubelet *kubelet = NULL;
	int err;

	/* counted by libcurl */
	if (curl_global_init(CURL_GLOBAL_DEFAULT))
		return -ENOMEM;
	kubelet = calloc(1, sizeof(*kubelet));
	if (!kubelet) {
		curl_global_cleanup();
		return -ENOMEM;
	}
	kubelet->options = *options;
	kubelet->multi = curl_multi_init();
	kubelet->curl = curl_easy_init();
	if (!kubelet->multi || !kubelet->curl)
		return -ENOMEM;
	err = set_url(kubelet);
	if (err)
		return err;
	set_options(kubelet);
	*ret = TAKE_PTR(kubelet);
	return 0;
}

static void end_request(struct cs_kubelet *kubelet)
{
	if (kubelet->under_way)
		curl_multi_remove_handle(kubelet->multi, kubelet->curl);
	kubelet->under_way = false;
	curl_slist_free_all(TAKE_PTR(kubelet->headers));
	cs_buf_free(&kubelet->body);
}

void cs_kubelet_free(struct cs_kubelet *kubelet)
{
	if (!kubelet)
		return;
	end_request(kubelet);
	curl_easy_cleanup(kubelet->curl);
	curl_multi_cleanup(kubelet->multi);
	curl_global_cleanup();
	free(kubelet);
}

static void fail(struct cs_kubelet *kubelet, const char *why, uint64_t now_ns)
{
	_cleanup_buf_ struct cs_buf text = {0};

	if (!cs_buf_append_escaped(&text, why, strlen(why), ""))
		snprintf(kubelet->error, sizeof(kubelet->error), "%s", cs_buf_str(&text));
	kubelet->wait_ns = kubelet->wait_ns ? 2 * kubelet->wait_ns : AGAIN_NS;
	if (kubelet->wait_ns > MAX_WAIT_NS)
		kubelet->wait_ns = MAX_WAIT_NS;
	kubelet->again_ns = kubelet->routine_ns = now_ns + kubelet->wait_ns;
}

/* Returns 0 or why there is no token to send. */
static const char *set_token(struct cs_kubelet *kubelet)
{
	_cleanup_buf_ struct cs_buf line = {0};
	char token[CS_SECRET_BYTES];
	const char *why = NULL;

	if (kubelet->options.token_file && cs_secret_read(kubelet->options.token_file, token))
		return "the token file cannot be read, or holds more than one line";
	if (kubelet->options.token_file) {
		if (!cs_buf_printf(&line, "Authorization: Bearer %s", token))
			kubelet->headers = curl_slist_append(NULL, cs_buf_str(&line));
		explicit_bzero(token, sizeof(token));
		why = kubelet->headers ? NULL : "out of memory";
	}
	curl_easy_setopt(kubelet->curl, CURLOPT_HTTPHEADER, kubelet->headers);
	return why;
}

static void begin_request(struct cs_kubelet *kubelet, uint64_t now_ns)
{
	const char *why = set_token(kubelet);

	*kubelet->reason = '\0';
	if (!why && curl_multi_add_handle(kubelet->multi, kubelet->curl))
		why = "out of memory";
	if (why) {
		end_request(kubelet);
		fail(kubelet, why, now_ns);
		return;
	}
	kubelet->under_way = true;
}

/* The request is over. Returns whether there is a new list. */
static bool finish(struct cs_kubelet *kubelet, CURLcode code, uint64_t now_ns, struct cs_pods *pods)
{
	char text[64];
	long status = 0;
	int err;

	curl_easy_getinfo(kubelet->curl, CURLINFO_RESPONSE_CODE, &status);
	if (code) {
		fail(kubelet, *kubelet->reason ? kubelet->reason : curl_easy_strerror(code),
		     now_ns);
	} else if (status != 200) {
		snprintf(text, sizeof(text), "it answers %ld", status);
		fail(kubelet, text, now_ns);
	} else {
		err = cs_pods_learn(pods, kubelet->body.data, kubelet->body.len);
		if (err) {
			fail(kubelet,
			     err == -EBADMSG ? "its answer is no list of pods" : "out of memory",
			     now_ns);
		} else {
			*kubelet->error = '\0';
			kubelet->wait_ns = 0;
			kubelet->again_ns = now_ns + AGAIN_NS;
			kubelet->routine_ns = now_ns + ROUTINE_NS;
		}
	}
	end_request(kubelet);
	return !*kubelet->error;
}

bool cs_kubelet_step(struct cs_kubelet *kubelet, bool wanted, uint64_t now_ns, struct cs_pods *pods)
{
	int running, left;
	CURLMsg *message;

	if (!kubelet->under_way &&
	    (now_ns >= kubelet->routine_ns || (wanted && now_ns >= kubelet->again_ns)))
		begin_request(kubelet, now_ns);
	if (!kubelet->under_way)
		return false;
	curl_multi_perform(kubelet->multi, &running);
	message = curl_multi_info_read(kubelet->multi, &left);
	return message && message->msg == CURLMSG_DONE &&
	       finish(kubelet, message->data.result, now_ns, pods);
}

const char *cs_kubelet_error(const struct cs_kubelet *kubelet)
{
	return kubelet->error;
}
