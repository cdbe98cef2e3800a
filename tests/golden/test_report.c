/* SPDX-License-Identifier: Apache-2.0 */
/*
 * `coroscope report` of the made-up capture against the files of this directory. With a directory as argument,
 * writes those files there instead: look at the difference before you believe it.
 */
#include <setjmp.h>
#include <stdarg.h>
#include <stddef.h>
#include <stdint.h>

#include <cmocka.h>
#include <inttypes.h>
#include <stdbool.h>
#include <stdio.h>
#include <stdlib.h>
#include <string.h>
#include <unistd.h>
#include <zlib.h>

#include "cli/cli.h"
#include "core/buf.h"
#include "core/cleanup.h"
#include "core/log.h"
#include "golden/made_capture.h"

#include "pprof.pb-c.h"

#define MAX_FILE (1u << 20)

/* A directory of its own with the capture in it; reports go there too. */
struct fixture {
	char dir[64], raw[96], out[96];
};

static int write_file(const char *path, const struct cs_buf *bytes)
{
	_cleanup_fclose_ FILE *file = fopen(path, "we");

	return file && fwrite(bytes->data, 1, bytes->len, file) == bytes->len ? 0 : -1;
}

static int read_file(const char *path, struct cs_buf *ret)
{
	_cleanup_fclose_ FILE *file = fopen(path, "re");
	void *room = file ? cs_buf_extend(ret, MAX_FILE) : NULL;

	if (!room)
		return -1;
	ret->len = fread(room, 1, MAX_FILE, file);
	return ret->len < MAX_FILE ? 0 : -1;
}

static int setup(void **state)
{
	static struct fixture f;
	_cleanup_buf_ struct cs_buf capture = {0};

	snprintf(f.dir, sizeof(f.dir), "/tmp/coroscope-golden-XXXXXX");
	if (!mkdtemp(f.dir) || made_capture(&capture))
		return -1;
	snprintf(f.raw, sizeof(f.raw), "%s/capture.raw", f.dir);
	snprintf(f.out, sizeof(f.out), "%s/out", f.dir);
	*state = &f;
	cs_log_set_level(CS_LOG_ERROR);
	return write_file(f.raw, &capture);
}

static int teardown(void **state)
{
	struct fixture *f = *state;

	unlink(f->raw);
	unlink(f->out);
	return rmdir(f->dir);
}

static int report(struct fixture *f, const char *format, struct cs_buf *ret)
{
	char *argv[] = {(char *)"report", f->raw, (char *)"-f", (char *)format,
			(char *)"-o",     f->out, NULL};

	if (cs_cli_report(ARRAY_SIZE(argv) - 1, argv) != CS_EXIT_OK)
		return -1;
	return read_file(f->out, ret);
}

static int read_pprof(struct fixture *f, Pprof__Profile **ret)
{
	_cleanup_buf_ struct cs_buf packed = {0};
	_cleanup_free_ uint8_t *plain = malloc(MAX_FILE);
	z_stream stream = {.next_out = plain, .avail_out = MAX_FILE};
	int err;

	if (!plain || report(f, "pprof", &packed))
		return -1;
	stream.next_in = (Bytef *)packed.data;
	stream.avail_in = (uInt)packed.len;
	err = inflateInit2(&stream, 15 + 16) != Z_OK || inflate(&stream, Z_FINISH) != Z_STREAM_END;
	*ret = err ? NULL : pprof__profile__unpack(NULL, stream.total_out, plain);
	inflateEnd(&stream);
	return *ret ? 0 : -1;
}

static const Pprof__Function *function_of(const Pprof__Profile *profile, uint64_t location)
{
	return profile->function[profile->location[location - 1]->line[0]->function_id - 1];
}

static void frame_text(const Pprof__Profile *profile, uint64_t location, struct cs_buf *out)
{
	const Pprof__Function *function = function_of(profile, location);

	cs_buf_append_str(out, profile->string_table[function->name]);
	if (function->filename)
		cs_buf_printf(out, " (%s:%" PRId64 ")", profile->string_table[function->filename],
			      profile->location[location - 1]->line[0]->line);
}

/* A sample as text: a line of values and labels, then its frames, root first. */
static void sample_text(const Pprof__Profile *profile, const Pprof__Sample *sample,
			struct cs_buf *out)
{
	for (size_t i = 0; i < sample->n_value; i++)
		cs_buf_printf(out, "%s%" PRId64, i ? " " : "", sample->value[i]);
	for (size_t i = 0; i < sample->n_label; i++) {
		const Pprof__Label *label = sample->label[i];

		cs_buf_printf(out, ", %s ", profile->string_table[label->key]);
		if (label->str)
			cs_buf_append_str(out, profile->string_table[label->str]);
		else
			cs_buf_printf(out, "%" PRId64, label->num);
	}
	cs_buf_append_str(out, "\n");
	for (size_t i = sample->n_location_id; i-- > 0;) {
		cs_buf_append_str(out, "    ");
		frame_text(profile, sample->location_id[i], out);
		cs_buf_append_str(out, "\n");
	}
}

static int pprof_text(struct fixture *f, struct cs_buf *out)
{
	Pprof__Profile *profile;

	if (read_pprof(f, &profile))
		return -1;
	for (size_t i = 0; i < profile->n_sample_type; i++)
		cs_buf_printf(out, "%s/%s ", profile->string_table[profile->sample_type[i]->type],
			      profile->string_table[profile->sample_type[i]->unit]);
	cs_buf_printf(out, "period %" PRId64 " start %" PRId64 " duration %" PRId64 "\n",
		      profile->period, profile->time_nanos, profile->duration_nanos);
	for (size_t i = 0; i < profile->n_comment; i++)
		cs_buf_printf(out, "# %s\n", profile->string_table[profile->comment[i]]);
	for (size_t i = 0; i < profile->n_sample; i++)
		sample_text(profile, profile->sample[i], out);
	pprof__profile__free_unpacked(profile, NULL);
	return 0;
}

static void check_against(const char *name, struct cs_buf *got)
{
	_cleanup_buf_ struct cs_buf expected = {0};

	assert_int_equal(read_file(name, &expected), 0);
	assert_true(expected.len > 0);
	assert_string_equal(cs_buf_str(got), cs_buf_str(&expected));
}

static void test_collapsed(void **state)
{
	_cleanup_buf_ struct cs_buf got = {0};

	assert_int_equal(report(*state, "collapsed", &got), 0);
	check_against(CS_GOLDEN_DIR "/capture.collapsed", &got);
}

static void test_pprof(void **state)
{
	_cleanup_buf_ struct cs_buf got = {0};

	assert_int_equal(pprof_text(*state, &got), 0);
	check_against(CS_GOLDEN_DIR "/capture.pprof.txt", &got);
}

/* Cut every `what` out of a line. */
static void cut_out(char *line, const char *what)
{
	while ((line = strstr(line, what)))
		memmove(line, line + strlen(what), strlen(line + strlen(what)) + 1);
}

/* The samples' stacks, each as one line of frames in front of which stands a ';'. */
static void join_frames(char *text, struct cs_buf *out)
{
	char *save, *line;

	for (line = strtok_r(text, "\n", &save); line; line = strtok_r(NULL, "\n", &save)) {
		bool frame = strncmp(line, "    ", 4) == 0;

		cut_out(line, "/usr/lib/python3.12/");
		cs_buf_printf(out, "%s%s", frame ? ";" : "\n", frame ? line + 4 : "");
	}
	cs_buf_append_str(out, "\n");
}

/*
 * Every stack of the collapsed form is one of the pprof form: the same frames in the same order. Process and thread
 * are labels in pprof, and only collapsed marks the kernel and shortens paths.
 */
static void test_same_stacks(void **state)
{
	_cleanup_buf_ struct cs_buf text = {0}, stacks = {0}, collapsed = {0};
	char *save, *line, *frames;
	unsigned int n = 0;

	assert_int_equal(pprof_text(*state, &text), 0);
	join_frames((char *)cs_buf_str(&text), &stacks);
	assert_int_equal(report(*state, "collapsed", &collapsed), 0);
	for (line = strtok_r((char *)cs_buf_str(&collapsed), "\n", &save); line;
	     line = strtok_r(NULL, "\n", &save), n++) {
		_cleanup_buf_ struct cs_buf wanted = {0};

		cut_out(line, "_[k]");
		*strrchr(line, ' ') = '\0';
		frames = strchr(strchr(line, ';') + 1, ';');
		assert_int_equal(cs_buf_printf(&wanted, "\n%s\n", frames), 0);
		if (!strstr(cs_buf_str(&stacks), cs_buf_str(&wanted)))
			fail_msg("not in the pprof profile: %s", line);
	}
	assert_true(n > 8);
}

static void test_html(void **state)
{
	_cleanup_buf_ struct cs_buf got = {0};

	assert_int_equal(report(*state, "html", &got), 0);
	for (unsigned int i = 0; made_capture_tasks[i]; i++)
		assert_non_null(strstr(cs_buf_str(&got), made_capture_tasks[i]));
	assert_null(strstr(cs_buf_str(&got), "no-such-task"));
}

static int write_expected(const char *dir)
{
	_cleanup_buf_ struct cs_buf collapsed = {0}, pprof = {0};
	struct fixture *f;
	char path[4096];
	int err;

	if (setup((void **)&f) || report(f, "collapsed", &collapsed) || pprof_text(f, &pprof))
		return 1;
	snprintf(path, sizeof(path), "%s/capture.collapsed", dir);
	err = write_file(path, &collapsed);
	snprintf(path, sizeof(path), "%s/capture.pprof.txt", dir);
	err = write_file(path, &pprof) || err;
	return teardown((void **)&f) || err;
}

int main(int argc, char **argv)
{
	const struct CMUnitTest tests[] = {
		cmocka_unit_test(test_collapsed),
		cmocka_unit_test(test_pprof),
		cmocka_unit_test(test_same_stacks),
		cmocka_unit_test(test_html),
	};

	if (argc == 2)
		return write_expected(argv[1]);
	return cmocka_run_group_tests(tests, setup, teardown);
}
