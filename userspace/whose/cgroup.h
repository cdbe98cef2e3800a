/* SPDX-License-Identifier: Apache-2.0 */
/* What the paths of its cgroups tell of a process: container, pod, systemd unit. */
#pragma once

#include "whose/facts.h"

/*
 * From the text of /proc/PID/cgroup, of both versions: container id and runtime (docker, containerd, cri-o, podman; "" for another),
 * pod uid, systemd unit. Returns 0 or -ENOMEM. Source: cgroups(7), systemd.unit(5), and what the runtimes and the kubelet make
 * with each of the cgroup drivers (cgroupfs: /kubepods/burstable/podUID/ID; systemd: kubepods-burstable-podUID.slice/cri-containerd-ID.scope).
 */
int cs_cgroup_parse(const char *text, size_t len, struct cs_facts *facts);
