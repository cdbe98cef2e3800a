/* SPDX-License-Identifier: Apache-2.0 OR GPL-2.0-only OR BSD-2-Clause */
/*
 * What is told of whose a process is. Ids are stored in raw captures: never renumber, never reuse; append only. The key is
 * OpenTelemetry's for a resource attribute, "" where it knows none that fits.
 */
#pragma once

/* X(name, id, key, may the process itself say so in its resource attributes?, what people call it) */
#define CS_FACTS(X)                                                                           \
	X(SERVICE, 1, "service.name", 1, "service")                                           \
	X(SERVICE_NAMESPACE, 2, "service.namespace", 1, "its namespace")                      \
	X(VERSION, 3, "service.version", 1, "version")                                        \
	X(INSTANCE, 4, "service.instance.id", 1, "instance")                                  \
	X(ENVIRONMENT, 5, "deployment.environment.name", 1, "environment")                    \
	/* the program's name, if nobody has named a service */                               \
	X(PROGRAM, 6, "", 0, "program")                                                       \
	/* what Datadog's tracers call this run of the process */                             \
	X(RUNTIME_ID, 7, "", 0, "tracer's id")                                                \
	X(TRACER_VERSION, 8, "", 0, "tracer's version")                                       \
	X(EXECUTABLE, 9, "process.executable.name", 0, "executable")                          \
	X(CONTAINER, 10, "container.id", 1, "container")                                      \
	X(CONTAINER_RUNTIME, 11, "container.runtime", 0, "container runtime")                 \
	X(CONTAINER_NAME, 12, "k8s.container.name", 1, "container name")                      \
	X(POD_UID, 13, "k8s.pod.uid", 1, "pod uid")                                           \
	X(POD, 14, "k8s.pod.name", 1, "pod")                                                  \
	X(POD_NAMESPACE, 15, "k8s.namespace.name", 1, "pod namespace")                        \
	X(NODE, 16, "k8s.node.name", 1, "node")                                               \
	/* key=value, several with commas between them: neither may hold one in Kubernetes */ \
	X(POD_LABELS, 17, "", 0, "pod labels")                                                \
	X(UNIT, 18, "systemd.unit", 0, "systemd unit")                                        \
	X(PID_NAMESPACE, 19, "", 0, "pid namespace")                                          \
	X(MOUNT_NAMESPACE, 20, "", 0, "mount namespace")

enum cs_fact {
#define X(name, id, key, own, words) CS_FACT_##name = id,
	CS_FACTS(X)
#undef X
		CS_FACT_MAX_
};

/* Bytes of a fact, and of one that is a list; a longer one is cut, with "..." at its end. */
#define CS_MAX_FACT      255
#define CS_MAX_FACT_LIST 1023
