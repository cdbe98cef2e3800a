/* SPDX-License-Identifier: Apache-2.0 */
/*
 * switch_storm SECONDS PAIRS: pairs of processes that pass a byte to and fro through pipes, and as many that only yield their CPU: as many
 * context switches as the machine can do. Says "ready" first, and how many those were in the end.
 */
#define _GNU_SOURCE
#include <sched.h>
#include <signal.h>
#include <stdint.h>
#include <stdio.h>
#include <stdlib.h>
#include <sys/prctl.h>
#include <sys/resource.h>
#include <sys/wait.h>
#include <time.h>
#include <unistd.h>

static uint64_t clock_ns(clockid_t clock)
{
	struct timespec ts;

	clock_gettime(clock, &ts);
	return (uint64_t)ts.tv_sec * 1000000000u + (uint64_t)ts.tv_nsec;
}

static void begin_child(void)
{
	prctl(PR_SET_PDEATHSIG, SIGKILL);
}

/* Send a byte and wait for it, until then. */
static void serve(int in, int out, uint64_t end_ns)
{
	char byte = 0;

	while (clock_ns(CLOCK_MONOTONIC) < end_ns)
		if (write(out, &byte, 1) != 1 || read(in, &byte, 1) != 1)
			break;
}

/* Send back what comes, as long as it does. */
static void echo(int in, int out)
{
	char byte;

	while (read(in, &byte, 1) == 1)
		if (write(out, &byte, 1) != 1)
			break;
}

static void yield(uint64_t end_ns)
{
	while (clock_ns(CLOCK_MONOTONIC) < end_ns)
		for (int i = 0; i < 100; i++)
			sched_yield();
}

static void start_pair(uint64_t end_ns)
{
	int to[2], fro[2];

	if (pipe(to) || pipe(fro))
		exit(1);
	if (!fork()) {
		begin_child();
		close(to[1]);
		echo(to[0], fro[1]);
		exit(0);
	}
	if (!fork()) {
		begin_child();
		close(to[0]);
		close(fro[1]);
		serve(fro[0], to[1], end_ns);
		exit(0);
	}
	close(to[0]);
	close(to[1]);
	close(fro[0]);
	close(fro[1]);
	if (!fork()) {
		begin_child();
		yield(end_ns);
		exit(0);
	}
}

int main(int argc, char **argv)
{
	struct rusage usage;
	uint64_t end_ns;

	if (argc != 3)
		return 2;
	end_ns = clock_ns(CLOCK_MONOTONIC) + (uint64_t)(atof(argv[1]) * 1e9);
	puts("ready");
	fflush(stdout);
	for (int i = 0; i < atoi(argv[2]); i++)
		start_pair(end_ns);
	while (wait(NULL) > 0)
		;
	getrusage(RUSAGE_CHILDREN, &usage);
	printf("%ld\n", usage.ru_nvcsw + usage.ru_nivcsw);
	return 0;
}
