/* SPDX-License-Identifier: Apache-2.0 */
/* Flags, environment and file: who counts more, what is refused and where it is said to stand, and that what is printed can be read. */
#include <setjmp.h>
#include <stdarg.h>
#include <stddef.h>
#include <stdint.h>

#include <cmocka.h>
#include <errno.h>
#include <stdlib.h>
#include <string.h>
#include <unistd.h>

#include "agent/options.h"
#include "core/cleanup.h"

#define MAX_ARGS 32

static char path[] = "/tmp/agent-XXXXXX";

static int setup(void **state)
{
	int fd = mkstemp(path);

	return fd < 0 ? -1 : close(fd);
}

static int teardown(void **state)
{
	return unlink(path);
}

static void write_file(const char *text)
{
	_cleanup_fclose_ FILE *file = NULL;

	/* a file that is emptied and written again is flushed to the disk */
	unlink(path);
	file = fopen(path, "w");
	assert_non_null(file);
	fputs(text, file);
}

/* Words of a command line after "agent"; --config is added if there is a file. */
static int read_words(struct cs_command *ret, const char *file, const char *words,
		      struct cs_why *why)
{
	_cleanup_free_ char *copy = strdup(words);
	char *argv[MAX_ARGS + 1] = {(char *)"agent"}, *at = copy;
	int argc = 1;

	for (char *word; (word = strsep(&at, " "));)
		if (*word)
			argv[argc++] = word;
	if (file) {
		write_file(file);
		argv[argc++] = (char *)"--config";
		argv[argc++] = path;
	}
	return cs_command_read(ret, argc, argv, why);
}

static struct cs_command must_read(const char *file, const char *words)
{
	struct cs_command command;
	struct cs_why why = {""};

	if (read_words(&command, file, words, &why))
		fail_msg("%s", why.text);
	return command;
}

static void test_defaults(void **state)
{
	_cleanup_(cs_command_free) struct cs_command command = must_read(NULL, "");
	const struct cs_config *config = command.config;

	assert_int_equal(config->rate_hz, 49);
	assert_int_equal(config->period_ns, 60000000000);
	assert_true(config->cpu_share > 0.0099 && config->cpu_share < 0.0101);
	assert_int_equal(config->memory_bytes, 256 << 20);
	assert_int_equal(config->flush_ns, 10000000000);
	assert_int_equal(config->mode, CS_MODE_WALL);
	assert_int_equal(config->npids, 0);
	assert_int_equal(config->to->n, 0);
	assert_false(config->log_json);
	assert_false(command.print);
}

static void test_listen(void **state)
{
	static const struct {
		const char *words, *address;
		unsigned int port;
	} cases[] = {
		{"", "127.0.0.1", 9464},
		{"--listen 1234", "127.0.0.1", 1234},
		{"--listen 0.0.0.0:80", "0.0.0.0", 80},
		{"--listen [::1]:0", "::1", 0},
		{"--listen off", "", 0},
	};

	for (size_t i = 0; i < ARRAY_SIZE(cases); i++) {
		_cleanup_(cs_command_free) struct cs_command command =
			must_read(NULL, cases[i].words);
		const struct cs_listen *listen = &command.config->listen;

		assert_string_equal(listen->address, cases[i].address);
		if (*listen->address)
			assert_int_equal(listen->port, cases[i].port);
	}
}

static void test_precedence(void **state)
{
	static const char file[] = "rate: 10\nperiod: 20s\nmode: cpu\n";

	assert_int_equal(setenv("COROSCOPE_RATE", "20", 1), 0);
	assert_int_equal(setenv("COROSCOPE_PERIOD", "30s", 1), 0);
	{
		_cleanup_(cs_command_free) struct cs_command command = must_read(file, "--rate 30");

		assert_int_equal(command.config->rate_hz, 30);
		assert_int_equal(command.config->period_ns, 30000000000);
		assert_int_equal(command.config->mode, CS_MODE_CPU);
	}
	unsetenv("COROSCOPE_RATE");
	unsetenv("COROSCOPE_PERIOD");
}

static void test_destinations(void **state)
{
	static const char file[] = "tag: {env: prod}\n"
				   "timeout: 5s\n"
				   "to:\n"
				   "  - otlp=http://one:4318\n"
				   "  - to: dir=/srv/profiles\n"
				   "    max-size: 1M\n"
				   "  - to: datadog=http://two:8126\n"
				   "    tag: [team=a]\n"
				   "    timeout: 9s\n"
				   "    spool: /var/spool/x\n";
	_cleanup_(cs_command_free) struct cs_command command = must_read(file, "");
	const struct cs_destinations *to = command.config->to;

	assert_int_equal(to->n, 3);
	assert_string_equal(to->at[0].where, "http://one:4318/v1development/profiles");
	assert_int_equal(to->at[0].ntags, 1);
	assert_string_equal(to->at[0].tags[0].value, "prod");
	assert_int_equal(to->at[0].transport.timeout_ns, 5000000000);
	assert_null(to->at[0].spool);
	assert_null(to->at[1].backend);
	assert_int_equal(to->at[1].limits.bytes, 1 << 20);
	assert_int_equal(to->at[2].ntags, 2);
	assert_string_equal(to->at[2].tags[1].key, "team");
	assert_int_equal(to->at[2].transport.timeout_ns, 9000000000);
	assert_string_equal(to->at[2].spool, "/var/spool/x/datadog");
}

/* A list counts as a whole: that of the highest source that has one. */
static void test_destinations_of_flags(void **state)
{
	static const char file[] = "to: [otlp=http://one, otlp=http://two]\n";

	assert_int_equal(setenv("COROSCOPE_TO", "dir=/a,dir=/b,dir=/c", 1), 0);
	{
		_cleanup_(cs_command_free) struct cs_command command = must_read(file, "");

		assert_int_equal(command.config->to->n, 3);
	}
	{
		_cleanup_(cs_command_free) struct cs_command command =
			must_read(file, "--tag a=b --to otlp=http://x --tag c=d -t dir=/e");

		assert_int_equal(command.config->to->n, 2);
		assert_int_equal(command.config->to->at[0].ntags, 2);
		assert_int_equal(command.config->to->at[1].ntags, 1);
	}
	unsetenv("COROSCOPE_TO");
}

static void test_refused(void **state)
{
	static const struct {
		const char *file, *words, *why;
	} cases[] = {
		{"rate: 10\nperoid: 3s\n", "", ":2: no option 'peroid': did you mean 'period'?"},
		{"to:\n  - to: dir=/x\n    max-szie: 3\n", "",
		 ":3: no option 'max-szie': did you mean 'max-size'?"},
		{"xyzzyplugh: 1\n", "", ":1: no option 'xyzzyplugh'"},
		{"\n\nrate: fast\n", "", ":3: rate: 'fast' is not from 1 to 10000 Hz"},
		{"rate: 1\nrate: 2\n", "", ":2: rate is there twice"},
		{"rate: [1, 2]\n", "", ":1: rate takes one value"},
		{"- rate\n", "", ":1: not a list of options, as `rate: 49`"},
		{"rate: {\n", "", ":2: no YAML"},
		{"to: [{service: x}]\n", "", ":1: a destination without `to: KIND=WHERE`"},
		{"to: [{to: dir=/x, rate: 3}]\n", "", "rate is no option of a destination"},
		{"to: kafka=x\n", "", ":1: to: no kind 'kafka'"},
		{"no-idle: perhaps\n", "", ":1: no-idle: 'perhaps' is neither true nor false"},
		{"pid: 1\nuser: root\n", "", "it does not go with"},
		{NULL, "--cpu-budget 0", "--cpu-budget: '0' is no share"},
		{NULL, "--listen 127.0.0.1", "'127.0.0.1' is neither off nor"},
		{NULL, "--listen 127.0.0.1:65536", "is neither off nor"},
		{NULL, "--listen :-1", "is neither off nor"},
		{NULL, "--kubelet node:10250", "'node:10250' is no URL of a kubelet"},
		{NULL, "--period 10ms", "'10ms' is shorter than 1s"},
		{NULL, "--config /nonexistent/x.yaml", "cannot open /nonexistent/x.yaml"},
		{NULL, "--config /dev/zero", "no file of at most 1 MB"},
		{"comm:\n  [[[[[[[[[[[[[[[[[[[[[[[[[[[[[[[[[[[[[[[[[[[[[[[[[[[[[[[[[[[[[[[[[[[[[[[[[[[[[[[[[[[[[[[[[[[[[[[[[[[[["
		 "[[[[[[[[[[[[[[[",
		 "", ":2: brackets deeper than 100"},
		{NULL, "--cert /x --to otlp=http://y", "cert and key belong together"},
	};

	for (size_t i = 0; i < ARRAY_SIZE(cases); i++) {
		struct cs_command command = {0};
		struct cs_why why = {""};

		assert_int_equal(read_words(&command, cases[i].file, cases[i].words, &why),
				 -EINVAL);
		if (!strstr(why.text, cases[i].why))
			fail_msg("'%s' in place of '%s'", why.text, cases[i].why);
		if (cases[i].file && cases[i].why[0] == ':')
			assert_memory_equal(why.text, path, strlen(path));
		cs_command_free(&command);
	}
}

static void test_too_many_destinations(void **state)
{
	char file[1024] = "to:\n";
	struct cs_command command;
	struct cs_why why = {""};

	for (int i = 0; i <= CS_DESTINATIONS; i++)
		strcat(file, "  - dir=/x\n");
	assert_int_equal(read_words(&command, file, "", &why), -EINVAL);
	assert_non_null(strstr(why.text, ":10: at most 8 destinations"));
}

static void test_hostile_files(void **state)
{
	static const char *const files[] = {
		"a: &a [*a]\n",
		"rate: !!binary AAAA\n",
		"rate: \"1\\0002\"\n",
		"? [a, b]\n: c\n",
		"{{{{{{{{{{{{{{{{{{{{{{{{",
		"rate: |\n  10\n\n",
		"%YAML 9.9\n---\n",
		"\x01\x02\x03",
		"tag: {a: [b]}\n",
		"to: {to: [x]}\n",
	};

	for (size_t i = 0; i < ARRAY_SIZE(files); i++) {
		struct cs_command command = {0};
		struct cs_why why = {""};

		assert_int_equal(read_words(&command, files[i], "", &why), -EINVAL);
		assert_true(*why.text);
		for (const char *at = why.text; *at; at++)
			assert_true((unsigned char)*at >= 0x20);
		cs_command_free(&command);
	}
}

/* Read, or refused in printable words: nothing else. */
static void check_either(const char *file)
{
	struct cs_command command = {0};
	struct cs_why why = {""};
	int err = read_words(&command, file, "", &why);

	assert_true(!err || err == -EINVAL);
	assert_true(!err || *why.text);
	for (const char *at = why.text; err && *at; at++)
		assert_true((unsigned char)*at >= 0x20 && *at != 0x7f);
	cs_command_free(&command);
}

/* Cut anywhere, or with one byte changed. */
static void test_damaged_files(void **state)
{
	static const char good[] =
		"rate: 49\nperiod: 1m\nmode: wall\ncpu-budget: 1%\nno-idle: true\n"
		"comm: [python, \"a b\"]\ntag: {region: eu}\nspool: /x\nto:\n"
		"  - otlp=http://x\n  - to: dir=/y\n    max-size: 1G\n    max-age: 2h\n";
	static const char bytes[] = "\x01\x1b\x7f\x80\xff[]{}&*!:\n\t\"'%#-?|>@ 9";
	char file[sizeof(good)];

	for (size_t len = 0; len < sizeof(good); len++) {
		memcpy(file, good, len);
		file[len] = '\0';
		check_either(file);
	}
	for (size_t at = 0; at < sizeof(good) - 1; at++)
		for (size_t i = 0; i < sizeof(bytes) - 1; i++) {
			memcpy(file, good, sizeof(good));
			file[at] = bytes[i];
			check_either(file);
		}
}

/* As deep as a megabyte lets it be. */
static void test_deep_file(void **state)
{
	_cleanup_free_ char *file = malloc(1 << 20);

	memset(file, '[', 1 << 20);
	file[(1 << 20) - 1] = '\0';
	check_either(file);
	for (size_t i = 0; i < (1 << 20) - 2; i += 2)
		memcpy(file + i, "- ", 2);
	check_either(file);
}

static void test_changes(void **state)
{
	static const struct {
		const char *file;
		bool capture, agent, destination;
	} cases[] = {
		{"rate: 49\nto: [dir=/x]\n", false, false, false},
		{"rate: 50\nto: [dir=/x]\n", true, false, false},
		{"period: 5s\nto: [dir=/x]\n", false, true, false},
		{"to: [dir=/y]\n", false, false, true},
		{"to: [{to: dir=/x, max-age: 1h}]\n", false, false, true},
		{"to: [dir=/x, dir=/y]\n", false, false, true},
		{"tag: [a=b]\nto: [dir=/x]\n", false, false, true},
	};
	_cleanup_(cs_command_free) struct cs_command a = must_read("to: [dir=/x]\n", "");

	for (size_t i = 0; i < ARRAY_SIZE(cases); i++) {
		_cleanup_(cs_command_free) struct cs_command b = must_read(cases[i].file, "");

		assert_int_equal(cs_settings_differ(a.settings, b.settings, CS_OF_CAPTURE),
				 cases[i].capture);
		assert_int_equal(cs_settings_differ(a.settings, b.settings, CS_OF_AGENT),
				 cases[i].agent);
		assert_int_equal(cs_settings_differ(a.settings, b.settings, CS_OF_DESTINATION),
				 cases[i].destination);
	}
}

static char *print(const struct cs_command *command)
{
	char *text = NULL;
	size_t size;
	FILE *out = open_memstream(&text, &size);

	assert_non_null(out);
	cs_settings_print(command->settings, out);
	fclose(out);
	return text;
}

/* What is printed means the same, whatever is in it, and says where it is from. */
static void test_print(void **state)
{
	static const char file[] = "tag: {a: \"x: #y\\\"\\\\\"}\n"
				   "rate: 7\n"
				   "to:\n"
				   "  - to: otlp=http://h/p?q=1\n"
				   "    header: [\"X-A=- b\"]\n";
	_cleanup_(cs_command_free) struct cs_command command =
		must_read(file, "--no-idle --print-config");
	_cleanup_free_ char *text = print(&command), *again = NULL;
	_cleanup_(cs_command_free) struct cs_command other = must_read(text, "");

	assert_true(command.print);
	assert_non_null(strstr(text, "no-idle: true  # --no-idle\n"));
	assert_non_null(strstr(text, "period: 60s  # default\n"));
	assert_non_null(strstr(text, ":2\n"));
	for (int of = CS_OF_CAPTURE; of <= CS_OF_DESTINATION; of++)
		assert_false(cs_settings_differ(command.settings, other.settings,
						(enum cs_option_of)of));
	assert_string_equal(other.config->to->at[0].tags[0].value, "x: #y\"\\");
	assert_string_equal(other.config->to->at[0].headers[0].text, "- b");
}

int main(void)
{
	const struct CMUnitTest tests[] = {
		cmocka_unit_test(test_defaults),
		cmocka_unit_test(test_precedence),
		cmocka_unit_test(test_destinations),
		cmocka_unit_test(test_destinations_of_flags),
		cmocka_unit_test(test_listen),
		cmocka_unit_test(test_refused),
		cmocka_unit_test(test_too_many_destinations),
		cmocka_unit_test(test_hostile_files),
		cmocka_unit_test(test_damaged_files),
		cmocka_unit_test(test_deep_file),
		cmocka_unit_test(test_changes),
		cmocka_unit_test(test_print),
	};

	return cmocka_run_group_tests(tests, setup, teardown);
}
