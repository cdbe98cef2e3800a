/* SPDX-License-Identifier: Apache-2.0 */
/*
 * A JIT in small: code made at run time, called "made_first", for argv[1] seconds; then other code at the same place, called
 * "made_second", for as long. Names are in /tmp/perf-PID.map as perf wants them. argv[2]: another folder than /tmp, for a file that
 * nobody should read.
 */
#include <stdint.h>
#include <stdio.h>
#include <stdlib.h>
#include <string.h>
#include <sys/mman.h>
#include <time.h>
#include <unistd.h>

/* push %rbp; mov %rsp,%rbp; mov $20000000,%ecx; 1: dec %ecx; jne 1b; pop %rbp; ret */
static const unsigned char code[] = {0x55, 0x48, 0x89, 0xe5, 0xb9, 0x00, 0x2d, 0x31,
				     0x01, 0xff, 0xc9, 0x75, 0xfc, 0x5d, 0xc3};

static double now(void)
{
	struct timespec ts;

	clock_gettime(CLOCK_MONOTONIC, &ts);
	return (double)ts.tv_sec + (double)ts.tv_nsec / 1e9;
}

static void run(void *at, double seconds, const char *name, FILE *map)
{
	void (*made)(void);
	double end;

	memcpy(at, code, sizeof(code));
	memcpy(&made, &at, sizeof(made));
	fprintf(map, "%lx %zx %s\n", (unsigned long)(uintptr_t)at, sizeof(code), name);
	fflush(map);
	for (end = now() + seconds; now() < end;)
		made();
}

int main(int argc, char **argv)
{
	void *at = mmap(NULL, 4096, PROT_READ | PROT_WRITE | PROT_EXEC, MAP_PRIVATE | MAP_ANONYMOUS,
			-1, 0);
	double seconds = argc > 1 ? atof(argv[1]) : 5;
	char path[256];
	FILE *map;

	snprintf(path, sizeof(path), "%s/perf-%d.map", argc > 2 ? argv[2] : "/tmp", getpid());
	map = fopen(path, "w");
	if (at == MAP_FAILED || !map)
		return 1;
	run(at, seconds, "made_first", map);
	run(at, seconds, "made_second", map);
	fclose(map);
	if (argc <= 2)
		unlink(path);
	return 0;
}
