/* SPDX-License-Identifier: Apache-2.0 */
/*
 * embedded DELAY SCRIPT: a program of C that becomes Python DELAY seconds after its start, in a thread that is not its first. The
 * first one waits for it. Linked to libpython, or with -DLIBPYTHON="PATH" loading it only then. Needs no headers of Python.
 */
#include <dlfcn.h>
#include <pthread.h>
#include <stdio.h>
#include <stdlib.h>
#include <unistd.h>

#ifdef LIBPYTHON
static void (*Py_InitializeEx)(int);
static int (*PyRun_SimpleFile)(FILE *, const char *);

static void load(void)
{
	void *library = dlopen(LIBPYTHON, RTLD_NOW | RTLD_GLOBAL);

	if (!library)
		abort();
	*(void **)&Py_InitializeEx = dlsym(library, "Py_InitializeEx");
	*(void **)&PyRun_SimpleFile = dlsym(library, "PyRun_SimpleFile");
}
#else
void Py_InitializeEx(int signals);
int PyRun_SimpleFile(FILE *file, const char *name);

static void load(void)
{
}
#endif

static double delay;

static void *run(void *script)
{
	FILE *file = fopen(script, "r");

	usleep((useconds_t)(delay * 1e6));
	load();
	Py_InitializeEx(0);
	if (!file || PyRun_SimpleFile(file, script))
		abort();
	return NULL;
}

int main(int argc, char **argv)
{
	pthread_t thread;

	if (argc != 3)
		return 2;
	delay = atof(argv[1]);
	if (pthread_create(&thread, NULL, run, argv[2]))
		return 1;
	return pthread_join(thread, NULL);
}
