/* SPDX-License-Identifier: Apache-2.0 */
/* What hinders attaching to the kernel. */
#include "cli/attach.h"

#include <errno.h>
#include <string.h>
#include <sys/stat.h>
#include <unistd.h>

#include "cli/cli.h"
#include "core/log.h"

int cs_attach_explain(int err, const char *log)
{
	if (err == -EPERM || err == -EACCES) {
		if (geteuid() != 0)
			cs_err("no permission to load BPF programs: run as root (with sudo)");
		else
			cs_err("root may not load BPF programs here (%s): see coroscope check",
			       log && *log ? log : strerror(-err));
		return CS_EXIT_PERMISSION;
	}
	if (access("/sys/kernel/btf/vmlinux", R_OK) != 0)
		cs_err("the kernel has no type information (/sys/kernel/btf/vmlinux): it needs CONFIG_DEBUG_INFO_BTF");
	else
		cs_err("cannot load the BPF programs: %s%s%s", strerror(-err),
		       log && *log ? ": " : "", log ? log : "");
	return CS_EXIT_FAILURE;
}

bool cs_attach_possible(void)
{
	/*
	 * PROC_PID_INIT_INO of the kernel's include/linux/proc_ns.h (include/uapi/linux/nsfs.h
	 * since 6.18)
	 */
	static const ino_t first = 0xeffffffc;
	struct stat st;

	if (stat("/proc/self/ns/pid", &st) < 0 || st.st_ino == first)
		return true;
	cs_err("coroscope runs in a pid namespace of its own, where it would match no process: run it on the host, "
	       "or with docker run --pid=host, or hostPID: true in Kubernetes");
	return false;
}
