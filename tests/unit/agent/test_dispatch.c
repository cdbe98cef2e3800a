/* SPDX-License-Identifier: Apache-2.0 */
/* Couriers: everybody gets every profile, nobody waits for a server, what is not delivered is kept, and the figures of it add up. */
#include <setjmp.h>
#include <stdarg.h>
#include <stddef.h>
#include <stdint.h>

#include <cmocka.h>
#include <dirent.h>
#include <errno.h>
#include <ftw.h>
#include <netinet/in.h>
#include <stdio.h>
#include <stdlib.h>
#include <string.h>
#include <sys/socket.h>
#include <unistd.h>

#include "agent/dispatch.h"
#include "agent/figures.h"
#include "collect/record.h"
#include "core/cleanup.h"
#include "unit/export/made_profile.h"

#define SECOND 1000000000ull

struct fixture {
	char root[64], texts[3][160];
	int listener; /* takes connections and never answers */
	struct cs_config *config;
	struct cs_dispatch *dispatch;
};

/* A directory, and a server with and without a spool. */
static void make_destinations(struct fixture *f, unsigned int port)
{
	struct cs_destinations *to = f->config->to;
	struct cs_why why = {""};

	snprintf(f->texts[0], sizeof(f->texts[0]), "dir=%s/files", f->root);
	snprintf(f->texts[1], sizeof(f->texts[1]), "otlp=http://127.0.0.1:%u", port);
	snprintf(f->texts[2], sizeof(f->texts[2]), "pyroscope=http://127.0.0.1:%u", port);
	for (to->n = 0; to->n < 3; to->n++) {
		to->at[to->n].limits = cs_destination_limits;
		to->at[to->n].spool_parent = to->n == 1 ? f->root : NULL;
		assert_int_equal(cs_destination_set_to(&to->at[to->n], f->texts[to->n], &why), 0);
		assert_int_equal(cs_destination_complete(&to->at[to->n], &why), 0);
	}
}

static int setup(void **state)
{
	struct sockaddr_in address = {.sin_family = AF_INET,
				      .sin_addr.s_addr = htonl(INADDR_LOOPBACK)};
	struct fixture *f = calloc(1, sizeof(*f));
	socklen_t len = sizeof(address);

	*state = f;
	strcpy(f->root, "/tmp/agent-dispatch-XXXXXX");
	f->listener = socket(AF_INET, SOCK_STREAM | SOCK_CLOEXEC, 0);
	if (!mkdtemp(f->root) || bind(f->listener, (void *)&address, len) ||
	    listen(f->listener, 8) || getsockname(f->listener, (void *)&address, &len) ||
	    cs_config_new(&f->config) || cs_dispatch_new(&f->dispatch))
		return -1;
	make_destinations(f, ntohs(address.sin_port));
	return 0;
}

static int remove_one(const char *path, const struct stat *st, int type, struct FTW *ftw)
{
	return remove(path);
}

static int teardown(void **state)
{
	struct fixture *f = *state;
	char root[64];

	cs_dispatch_free(f->dispatch);
	cs_config_free(f->config);
	close(f->listener);
	strcpy(root, f->root);
	free(f);
	return nftw(root, remove_one, 8, FTW_DEPTH | FTW_PHYS);
}

static unsigned int files_in(const struct fixture *f, const char *folder)
{
	_cleanup_closedir_ DIR *dir = NULL;
	char path[160];
	unsigned int n = 0;

	snprintf(path, sizeof(path), "%s/%s", f->root, folder);
	dir = opendir(path);
	for (struct dirent *entry; dir && (entry = readdir(dir));)
		n += entry->d_name[0] != '.';
	return n;
}

/* One figure of one kind of destination; -1: there is none. */
static double figure_of(struct fixture *f, const char *name, const char *kind)
{
	_cleanup_(cs_metrics_freep) struct cs_metrics *metrics = NULL;
	_cleanup_buf_ struct cs_buf text = {0};
	char begin[96];
	const char *row;

	assert_int_equal(cs_metrics_new(&metrics), 0);
	assert_int_equal(cs_dispatch_tell(f->dispatch, metrics), 0);
	assert_int_equal(cs_metrics_write(metrics, &text), 0);
	snprintf(begin, sizeof(begin), "\n%s{kind=\"%s\",to=\"", name, kind);
	row = strstr(cs_buf_str(&text), begin);
	return row ? strtod(strchr(row, '}') + 1, NULL) : -1;
}

static void wait_for(struct fixture *f, const char *name, const char *kind, double value)
{
	for (int i = 0; i < 1000 && figure_of(f, name, kind) < value; i++)
		usleep(10000);
	assert_true(figure_of(f, name, kind) >= value);
}

static void put(struct fixture *f, bool wall)
{
	struct cs_shared_profile *profile = cs_shared_profile_new(made_profile(wall));

	assert_non_null(profile);
	cs_dispatch_put(f->dispatch, profile);
	cs_shared_profile_unref(profile);
}

static void test_all(void **state)
{
	struct fixture *f = *state;
	uint64_t began;

	assert_int_equal(cs_dispatch_begin(f->dispatch, f->config->to), 0);
	put(f, true);
	wait_for(f, "coroscope_deliver_delivered_total", "dir", 1);
	put(f, true);
	wait_for(f, "coroscope_deliver_delivered_total", "dir", 2); /* the servers hold nobody up */
	assert_true(figure_of(f, "coroscope_deliver_profiles_total", "otlp") == 2);
	assert_true(figure_of(f, "coroscope_deliver_delivered_total", "otlp") == 0);
	assert_true(figure_of(f, "coroscope_deliver_failed_total", "dir") == 0);
	assert_true(figure_of(f, "coroscope_deliver_bytes_total", "dir") > 200);
	assert_true(figure_of(f, "coroscope_deliver_last_timestamp_seconds", "dir") > 1e9);
	assert_true(figure_of(f, "coroscope_deliver_last_timestamp_seconds", "otlp") == 0);
	assert_true(figure_of(f, "coroscope_deliver_waiting", "dir") == -1);
	began = cs_now_ns();
	cs_dispatch_end(f->dispatch, SECOND);
	assert_in_range(cs_now_ns() - began, SECOND / 2, 5 * SECOND);
	assert_int_equal(files_in(f, "files"), 2);
	/* the second was packed when the end came, though the first was still under way */
	assert_int_equal(files_in(f, "otlp"), 2);
	assert_true(figure_of(f, "coroscope_deliver_profiles_total", "dir") == -1);
}

/* What waits in the spool is the next one's; a beginning that fails leaves nothing. */
static void test_again(void **state)
{
	struct fixture *f = *state;

	assert_int_equal(cs_dispatch_begin(f->dispatch, f->config->to), 0);
	put(f, false);
	cs_dispatch_end(f->dispatch, 1);
	assert_int_equal(files_in(f, "otlp"), 1);
	assert_int_equal(cs_dispatch_begin(f->dispatch, f->config->to), 0);
	assert_true(figure_of(f, "coroscope_deliver_parcels_total", "otlp") == 1);
	cs_dispatch_end(f->dispatch, 1);
	f->config->to->at[2].transport.url = "nowhere";
	assert_int_equal(cs_dispatch_begin(f->dispatch, f->config->to), -EINVAL);
	assert_true(figure_of(f, "coroscope_deliver_profiles_total", "dir") == -1);
	put(f, false); /* nobody takes it */
	assert_int_equal(files_in(f, "files"), 1);
}

/* Too many wait to be packed: the oldest goes, counted. */
static void test_passed_over(void **state)
{
	struct fixture *f = *state;
	double profiles, passed_over;

	assert_int_equal(cs_dispatch_begin(f->dispatch, f->config->to), 0);
	for (int i = 0; i < 12; i++)
		put(f, false);
	profiles = figure_of(f, "coroscope_deliver_profiles_total", "otlp");
	passed_over = figure_of(f, "coroscope_deliver_passed_over_total", "otlp");
	assert_true(profiles == 12);
	assert_true(passed_over >= 12 - 4 - 2 && passed_over <= 12 - 4);
	cs_dispatch_end(f->dispatch, 1);
	assert_int_equal(files_in(f, "otlp"), 12 - (int)passed_over);
}

static void expect_row(const struct cs_buf *text, const char *row)
{
	if (!strstr(text->data, row))
		fail_msg("there is no %s in\n%s", row, text->data);
}

/* Every figure is there once: metrics refuse a second one of the same name and labels. */
static void test_figures(void **state)
{
	const struct cs_figures figures = {
		.profiles = 3,
		.rate_hz = 49,
		.probes = 2,
		.population = {{3, 12, CS_INTERP_READY, 7}, {0, 0, CS_INTERP_NOT_PYTHON, 1}},
		.npopulation = 2,
		.counters[CS_COUNTER_PASSES] = 5,
		.counters[CS_COUNTER_TASKS_DROPPED] = 6,
	};
	_cleanup_(cs_metrics_freep) struct cs_metrics *metrics = NULL;
	_cleanup_buf_ struct cs_buf text = {0};
	struct fixture *f = *state;
	unsigned int accounts = 0;

	assert_int_equal(cs_dispatch_begin(f->dispatch, f->config->to), 0);
	assert_int_equal(cs_metrics_new(&metrics), 0);
	assert_int_equal(cs_figures_tell(&figures, metrics), 0);
	assert_int_equal(cs_dispatch_tell(f->dispatch, metrics), 0);
	assert_int_equal(cs_metrics_write(metrics, &text), 0);
	expect_row(&text, "\ncoroscope_profiles_total 3\n");
	expect_row(&text, "\ncoroscope_probes 2\n");
	expect_row(&text, "\ncoroscope_processes{interpreter=\"3.12\",state=\"ready\"} 7\n");
	expect_row(&text, "\ncoroscope_processes{interpreter=\"\",state=\"none\"} 1\n");
	expect_row(&text, "\ncoroscope_account_total{account=\"passes\"} 5\n");
	expect_row(&text, "\ncoroscope_lost_total{reason=\"tasks_dropped\"} 6\n");
	expect_row(&text, "\ncoroscope_deliver_waiting{kind=\"otlp\",to=\"");
	for (const char *at = cs_buf_str(&text); (at = strstr(at, "{")); at++)
		accounts += !strncmp(at, "{account=", 9) || !strncmp(at, "{reason=", 8);
	assert_int_equal(accounts, CS_COUNTER_MAX_);
}

#define TEST(name) cmocka_unit_test_setup_teardown(name, setup, teardown)

int main(void)
{
	const struct CMUnitTest tests[] = {
		TEST(test_all),
		TEST(test_again),
		TEST(test_passed_over),
		TEST(test_figures),
	};

	return cmocka_run_group_tests(tests, NULL, NULL);
}
