/* SPDX-License-Identifier: Apache-2.0 */
/*
 * made_server ADDRESS: serves made-up rows for test_http.py and prints its port. Publishes ten times a second. Lines of stdin: "ready",
 * "hang" (it publishes no more), anything else is why it is not ready; the end ends it.
 */
#include <poll.h>
#include <stdio.h>
#include <string.h>
#include <unistd.h>

#include "core/cleanup.h"
#include "serve/serve.h"

#define SECOND 1000000000ull

static int rows(void *ctx, struct cs_metrics *metrics)
{
	static const struct cs_metric samples = {"made_samples_total", CS_METRIC_COUNTER,
						 "Samples\nof \\all kinds."};
	static const struct cs_metric memory = {"made_memory_bytes", CS_METRIC_GAUGE, "Memory."};
	static const char *const reasons[] = {"full", "a \"quoted\\\" one", "two\nlines", "\xff"};
	const double *n = ctx;
	int err = cs_metrics_add(metrics, &memory, NULL, 0, 1.5);

	for (size_t i = 0; !err && i < ARRAY_SIZE(reasons); i++) {
		const struct cs_metric_label labels[] = {{"reason", reasons[i]}, {"cpu", "0"}};

		err = cs_metrics_add(metrics, &samples, labels, 2, *n);
	}
	return err;
}

/* One line of stdin. Returns whether to go on. */
static bool obey(bool *hang, char reason[128])
{
	char line[128];
	ssize_t n = read(STDIN_FILENO, line, sizeof(line) - 1);

	if (n <= 0)
		return false;
	line[n - (line[n - 1] == '\n')] = '\0';
	*hang = *hang || !strcmp(line, "hang");
	snprintf(reason, 128, "%s", strcmp(line, "ready") ? line : "");
	return true;
}

int main(int argc, char **argv)
{
	double n = 0;
	const struct cs_serve_options options = {
		.address = argc > 1 ? argv[1] : NULL,
		.stale_ns = SECOND,
		.request_ns = 2 * SECOND,
		.rows = rows,
		.ctx = &n,
	};
	_cleanup_(cs_serve_freep) struct cs_serve *serve = NULL;
	struct pollfd input = {.fd = STDIN_FILENO, .events = POLLIN};
	char reason[128] = "not yet";
	bool hang = false;
	int err = cs_serve_new(&options, &serve);

	if (err) {
		fprintf(stderr, "%s\n", strerror(-err));
		return 1;
	}
	printf("%u\n", cs_serve_port(serve));
	fflush(stdout);
	for (;;) {
		n += 1;
		if (!hang && cs_serve_publish(serve, *reason ? reason : NULL))
			return 1;
		if (poll(&input, 1, 100) > 0 && !obey(&hang, reason))
			return 0;
	}
}
