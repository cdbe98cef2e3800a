/* SPDX-License-Identifier: Apache-2.0 */
/* What a process of root's may do, cut down to what the agent does. */
#pragma once

/*
 * Give up every capability that the agent has no use for, the way to new ones, and every system call that it does not make. Holds for threads
 * that begin later, and cannot be taken back. What the agent would need but was not given is said, with what it costs. Returns 0, or -errno,
 * which is said.
 */
int cs_privilege_drop(void);
