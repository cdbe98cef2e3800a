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

#include "agent/board.h"
#include "agent/dispatch.h"
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
struct wanted {
	const char *name, *kind;
	double value;
};

static void find_figure(void *ctx, const struct cs_figure *figure)
{
	struct wanted *wanted = ctx;

	if (strcmp(figure->name, wanted->name))
		return;
	assert_int_equal(figure->nlabels, 2);
	assert_string_equal(figure->labels[0].name, "kind");
	if (!strcmp(figure->labels[0].value, wanted->kind))
		wanted->value = figure->value;
}

static double figure_of(struct fixture *f, const char *name, const char *kind)
{
	struct wanted wanted = {name, kind, -1};

	cs_dispatch_figures(f->dispatch, find_figure, &wanted);
	return wanted.value;
}

static void wait_for(struct fixture *f, const char *name, const char *kind, double value)
{
	for (int i = 0; i < 1000 && figure_of(f, name, kind) < value; i++)
		usleep(10000);
	assert_true(figure_of(f, name, kind) >= value);
}

static void test_all(void **state)
{
	struct fixture *f = *state;
	uint64_t began;

	assert_int_equal(cs_dispatch_begin(f->dispatch, f->config->to), 0);
	cs_dispatch_put(f->dispatch, made_profile(true));
	wait_for(f, "coroscope_deliver_delivered_total", "dir", 1);
	cs_dispatch_put(f->dispatch, made_profile(true));
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
	cs_dispatch_put(f->dispatch, made_profile(false));
	cs_dispatch_end(f->dispatch, 1);
	assert_int_equal(files_in(f, "otlp"), 1);
	assert_int_equal(cs_dispatch_begin(f->dispatch, f->config->to), 0);
	assert_true(figure_of(f, "coroscope_deliver_parcels_total", "otlp") == 1);
	cs_dispatch_end(f->dispatch, 1);
	f->config->to->at[2].transport.url = "nowhere";
	assert_int_equal(cs_dispatch_begin(f->dispatch, f->config->to), -EINVAL);
	assert_true(figure_of(f, "coroscope_deliver_profiles_total", "dir") == -1);
	cs_dispatch_put(f->dispatch, made_profile(false)); /* nobody takes it */
	assert_int_equal(files_in(f, "files"), 1);
}

/* Too many wait to be packed: the oldest goes, counted. */
static void test_passed_over(void **state)
{
	struct fixture *f = *state;
	double profiles, passed_over;

	assert_int_equal(cs_dispatch_begin(f->dispatch, f->config->to), 0);
	for (int i = 0; i < 12; i++)
		cs_dispatch_put(f->dispatch, made_profile(false));
	profiles = figure_of(f, "coroscope_deliver_profiles_total", "otlp");
	passed_over = figure_of(f, "coroscope_deliver_passed_over_total", "otlp");
	assert_true(profiles == 12);
	assert_true(passed_over >= 12 - 4 - 2 && passed_over <= 12 - 4);
	cs_dispatch_end(f->dispatch, 1);
	assert_int_equal(files_in(f, "otlp"), 12 - (int)passed_over);
}

/* Rows of one name follow each other, and every account is there once. */
struct rows {
	char names[128][64];
	unsigned int n, accounts;
};

static void note_row(void *ctx, const struct cs_figure *figure)
{
	struct rows *rows = ctx;

	assert_true(*figure->help);
	assert_true(figure->counter == !!strstr(figure->name, "_total"));
	rows->accounts += figure->nlabels == 1;
	if (rows->n && !strcmp(rows->names[rows->n - 1], figure->name))
		return;
	for (unsigned int i = 0; i < rows->n; i++)
		assert_string_not_equal(rows->names[i], figure->name);
	assert_in_range(rows->n, 0, 127);
	snprintf(rows->names[rows->n++], 64, "%s", figure->name);
}

static void test_rows(void **state)
{
	struct fixture *f = *state;
	const struct cs_board_state shown = {.profiles = 3, .rate_hz = 49};
	_cleanup_(cs_board_freep) struct cs_board *board = NULL;
	struct rows rows = {.n = 0};

	assert_int_equal(cs_board_new(&board), 0);
	cs_board_set(board, &shown);
	assert_int_equal(cs_dispatch_begin(f->dispatch, f->config->to), 0);
	cs_board_figures(board, note_row, &rows);
	assert_int_equal(rows.accounts, CS_COUNTER_MAX_);
	cs_dispatch_figures(f->dispatch, note_row, &rows);
	assert_int_equal(rows.accounts, CS_COUNTER_MAX_);
	assert_int_equal(cs_board_get(board).profiles, 3);
}

#define TEST(name) cmocka_unit_test_setup_teardown(name, setup, teardown)

int main(void)
{
	const struct CMUnitTest tests[] = {
		TEST(test_all),
		TEST(test_again),
		TEST(test_passed_over),
		TEST(test_rows),
	};

	return cmocka_run_group_tests(tests, NULL, NULL);
}
