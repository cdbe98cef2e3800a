/* SPDX-License-Identifier: Apache-2.0 */
/* What `coroscope check -p` says of whose a process is. */
#pragma once

#include <stdio.h>
#include <sys/types.h>

/*
 * One line each for what backends would be told of the process. Waits some seconds for the kubelet, if the environment names one and the
 * process is in a pod. Returns 0, -ESRCH: it is gone, or -ENOMEM.
 */
int cs_check_report_whose(pid_t pid, FILE *out);
