/* SPDX-License-Identifier: Apache-2.0 */
/* Embeds Python. A thread of C burns for 0.3 s before it becomes a Python thread and burns 3 s more in burn_python(). */
#include <Python.h>
#include <pthread.h>
#include <stdio.h>
#include <time.h>

static double now(void)
{
	struct timespec ts;

	clock_gettime(CLOCK_MONOTONIC, &ts);
	return (double)ts.tv_sec + (double)ts.tv_nsec / 1e9;
}

static void *work(void *unused)
{
	double end = now() + 0.3;
	PyGILState_STATE state;

	while (now() < end)
		;
	state = PyGILState_Ensure();
	PyRun_SimpleString("import time\n"
			   "def burn_python():\n"
			   "    end = time.monotonic() + 3\n"
			   "    while time.monotonic() < end:\n"
			   "        pass\n"
			   "burn_python()\n");
	PyGILState_Release(state);
	return unused;
}

int main(void)
{
	PyThreadState *main_state;
	pthread_t thread;

	Py_Initialize();
	main_state = PyEval_SaveThread();
	puts("ready");
	fflush(stdout);
	sleep(1);
	pthread_create(&thread, NULL, work, NULL);
	pthread_join(thread, NULL);
	PyEval_RestoreThread(main_state);
	Py_Finalize();
	return 0;
}
