/* SPDX-License-Identifier: Apache-2.0 */
/*
 * A program that knows its native stacks, to be built with -O2 -fomit-frame-pointer: argv[1] says which one it is in, for argv[2]
 * seconds.
 *
 *     deep      main, N times descend (argv[3]), burn
 *     callback  main, sort_work, the C library's sort, compare, burn
 *     signal    main, raise_signal, raise, the signal handler on_signal, burn
 *     kernel    main, read_zeroes, read, the kernel
 *     thread    the C library's thread start, run_thread, burn
 *     frame     main, aligned_frame (which aligns its stack), burn
 */
#include <fcntl.h>
#include <pthread.h>
#include <signal.h>
#include <stdint.h>
#include <stdlib.h>
#include <string.h>
#include <time.h>
#include <unistd.h>

#define FUNCTION __attribute__((noinline, noclone))

static double end;
static volatile uint64_t sink;

static double now(void)
{
	struct timespec ts;

	clock_gettime(CLOCK_MONOTONIC, &ts);
	return (double)ts.tv_sec + (double)ts.tv_nsec / 1e9;
}

/* A leaf without a call, for some milliseconds. */
FUNCTION uint64_t burn(uint64_t seed)
{
	uint64_t x = seed;

	for (int i = 0; i < 3000000; i++)
		x = x * 6364136223846793005u + 1442695040888963407u;
	sink = x;
	return x;
}

/* No tail call: what comes back is used. */
FUNCTION uint64_t descend(unsigned int depth, uint64_t seed)
{
	uint64_t saved[3] = {seed, depth, seed ^ depth};

	if (depth <= 1)
		seed = burn(seed);
	else
		seed = descend(depth - 1, seed + 1);
	return seed + saved[seed % 3];
}

FUNCTION int compare(const void *a, const void *b)
{
	uint64_t x = burn(*(const uint32_t *)a);

	return (*(const uint32_t *)a > *(const uint32_t *)b) + (int)(x & 0);
}

FUNCTION uint64_t sort_work(void)
{
	uint32_t numbers[] = {5, 3, 8, 1};

	qsort(numbers, 4, sizeof(*numbers), compare);
	return numbers[0] + sink;
}

FUNCTION void on_signal(int sig)
{
	sink = burn((uint64_t)sig) + 1;
}

FUNCTION uint64_t raise_signal(void)
{
	raise(SIGUSR1);
	return sink + 1;
}

FUNCTION uint64_t read_zeroes(void)
{
	static char buffer[1 << 22];
	int fd = open("/dev/zero", O_RDONLY);
	ssize_t n = read(fd, buffer, sizeof(buffer));

	close(fd);
	return (uint64_t)n + sink;
}

FUNCTION void *run_thread(void *unused)
{
	while (now() < end)
		sink = burn(sink) + 1;
	return unused;
}

FUNCTION uint64_t thread_work(void)
{
	pthread_t thread;

	if (pthread_create(&thread, NULL, run_thread, NULL))
		exit(2);
	pthread_join(thread, NULL);
	return sink;
}

/* An array that wants more than the stack's alignment makes the compiler keep the old stack pointer in memory. */
FUNCTION uint64_t aligned_frame(uint64_t n)
{
	char room[n % 64 + 64]; // NOLINT
	uint64_t aligned[8] __attribute__((aligned(64)));

	memset(room, (int)n, sizeof(room));
	for (int i = 0; i < 8; i++)
		aligned[i] = burn(n + (uint64_t)i) + (uint64_t)room[i];
	return aligned[n % 8];
}

int main(int argc, char **argv)
{
	const char *what = argc > 1 ? argv[1] : "deep";
	unsigned int depth = argc > 3 ? (unsigned int)atoi(argv[3]) : 20;

	end = now() + (argc > 2 ? atof(argv[2]) : 5);
	signal(SIGUSR1, on_signal);
	while (now() < end) {
		if (!strcmp(what, "deep"))
			sink = descend(depth, sink) + 1;
		else if (!strcmp(what, "callback"))
			sink = sort_work() + 1;
		else if (!strcmp(what, "signal"))
			sink = raise_signal() + 1;
		else if (!strcmp(what, "kernel"))
			sink = read_zeroes() + 1;
		else if (!strcmp(what, "thread"))
			sink = thread_work() + 1;
		else
			sink = aligned_frame(sink) + 1;
	}
	return 0;
}
